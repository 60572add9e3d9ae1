"""CoNLL-U (Universal Dependencies): parts of speech, features and syntactic arcs (universaldependencies.org/format).

By default lines of multiword tokens (2-3) and of empty nodes (4.1) are left out, so that word numbers and positions
agree, and the columns, numbers and heads of all words are checked: one root, everything below it. `_` and an empty cell
mean that a column is not annotated (UD, "CoNLL-U Format"), which is refused in compat too. The original (compat) takes
lines 2-3 and 4.1 for words of their own in tagging; in arcs it crashes on them, so they are left out all the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from sys import intern

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.arcs import Arc, arc_instance
from probing_bridge.corpora.readers.source import Source
from probing_bridge.corpora.readers.words import NO_ANNOTATION, not_annotated

ID, FORM, UPOS, FEATS, HEAD, DEPREL = 0, 1, 3, 5, 6, 7
N_COLUMNS = 10
SIGNS = ("PUNCT", "SYM", "X")  # what an underscore of the text may be
NUMBER = re.compile("[0-9]{1,9}")
SEPARATORS = re.compile(r"\t| {2,}")  # of the original
ABSENT = "\t"  # in a column that a line does not have


@dataclass(frozen=True, slots=True)
class Sentence:
    """The words of a sentence, column by column.

    Attributes:
        numbers: (n_words,) the line of each.
        columns: Column -> (n_words,) cells; of those that a task needs.
    """

    numbers: tuple[int, ...]
    columns: dict[int, tuple[str, ...]]

    def __getitem__(self, column: int) -> tuple[str, ...]:
        """The cells of a column."""
        return self.columns[column]


def read_pos(source: Source) -> Iterator[Instance]:
    """Universal parts of speech.

    Args:
        source: A CoNLL-U file.

    Yields:
        Every word with its UPOS.

    Raises:
        InputError: A malformed line, or a word without annotation or withheld.
    """
    for sentence in source.once(_read_loosely if source.compat else _read_words):
        _check_labels(source, _annotated(source, sentence, UPOS), UPOS, "UPOS (column 4)")
        yield Instance(forms(source, sentence), sentence[UPOS], None)


def read_arcs(source: Source) -> Iterator[Instance]:
    """Dependency arcs (child, head) with their relation; the root has none.

    Args:
        source: A CoNLL-U file.

    Yields:
        The sentences that have an arc.

    Raises:
        InputError: A malformed line, a head out of range, a relation without annotation, withheld words, no sentence
            with an arc, or (not in compat) two roots or a cycle.
    """
    found = False
    for whole in source.once(_read_loosely if source.compat else _read_words):
        sentence = _annotated(source, whole, DEPREL)
        arcs = _arcs(source, sentence)
        if arcs:
            yield arc_instance(forms(source, sentence), arcs)
            found = True
    if not found:
        raise source.nothing("every word has head 0, and a root is no arc")


def read_feature(source: Source, feature: str) -> Iterator[Instance]:
    """One morphological feature of the words that have it.

    Args:
        source: A CoNLL-U file.
        feature: Its name in column 6, such as Case.

    Yields:
        The sentences in which some word has the feature.

    Raises:
        InputError: A malformed line or column 6, withheld words, or a file without the feature.
    """
    found = False
    for sentence in source.once(_read_words):
        items = [
            (position, value)
            for position, of_word in enumerate(_features(source, sentence))
            if (value := of_word.get(feature)) is not None
        ]
        if items:
            yield Instance(forms(source, sentence), tuple(value for _, value in items), tuple(at for at, _ in items))
            found = True
    if not found:
        raise source.nothing(f"no word has the feature {feature} in column 6")


def feature_values(source: Source) -> dict[str, set[str]]:
    """The features that a file has, and their values.

    Raises:
        InputError: See read_feature.
    """
    found = defaultdict[str, set[str]](set)
    for sentence in source.once(_read_words):
        for of_word in _features(source, sentence):
            for name, value in of_word.items():
                found[name].add(value)
    return dict(found)


def _features(source: Source, sentence: Sentence) -> Iterator[dict[str, str]]:
    """Column 6 of each word: its features and their values.

    Raises:
        InputError: Not of the form Name=Value|Name=Value or `_`.
    """
    for number, cell in zip(sentence.numbers, sentence[FEATS], strict=True):
        pairs = [] if cell == NO_ANNOTATION else [part.partition("=") for part in cell.split("|")]
        if not all(name and value for name, _, value in pairs):
            raise source.fault(f"expected features such as Case=Nom|Number=Sing in column 6, found {cell!r}", number)
        yield {name: value for name, _, value in pairs}


def read_words(source: Source, n_columns: int, kept: Sequence[int]) -> Iterator[Sentence]:
    """The sentences of a file, checked, without multiword tokens and empty nodes.

    Args:
        source: The file.
        n_columns: How many columns there must be.
        kept: Which of them to keep.

    Yields:
        The sentences that have a word.

    Raises:
        InputError: Another number of columns, an empty word, or words not numbered 1, 2, ...
    """
    for block in source.blocks(comments=True):
        rows: list[list[str]] = []
        numbers: list[int] = []
        for number, line in block:
            row = line.split("\t")
            if len(row) != n_columns:
                raise source.fault(f"expected {n_columns} columns with tabs between, found {len(row)}", number)
            if row[ID] == str(len(rows) + 1):
                if not row[FORM]:
                    raise source.fault("the word (column 2) is empty", number)
                rows.append(row)
                numbers.append(number)
            elif not _is_extra(row[ID]):
                raise source.fault(f"expected word number {len(rows) + 1} in column 1, found {row[ID]!r}", number)
        if rows:
            columns = list(zip(*rows, strict=True))
            yield Sentence(tuple(numbers), {column: tuple(map(intern, columns[column])) for column in kept})


_read_words = partial(read_words, n_columns=N_COLUMNS, kept=(ID, FORM, UPOS, FEATS, HEAD, DEPREL))


def _read_loosely(source: Source) -> Iterator[Sentence]:
    """The sentences of a file as the original splits its lines, whatever they are."""
    nothing = [ABSENT] * (DEPREL + 1)
    for block in source.blocks(comments=True):
        rows = [(SEPARATORS.split(line) + nothing)[: DEPREL + 1] for _, line in block]
        yield Sentence(tuple(number for number, _ in block), dict(enumerate(zip(*rows, strict=True))))


def forms(source: Source, sentence: Sentence) -> tuple[str, ...]:
    """The words of a sentence.

    Args:
        source: For errors.
        sentence: Its columns FORM and UPOS count.

    Returns:
        See Source.words.

    Raises:
        InputError: The words are withheld: an underscore is the word of a NOUN, a VERB or the like.
    """
    words = sentence[FORM]
    if NO_ANNOTATION in words:
        for line, number, word, upos in zip(sentence.numbers, sentence[ID], words, sentence[UPOS], strict=True):
            if word == NO_ANNOTATION and upos not in SIGNS and not _is_extra(number):
                message = f"the word (column 2) is withheld: {upos} '_'; fill it in from the licensed text"
                raise source.fault(message, line)
    return source.words(words, sentence.numbers[0])


def _check_labels(source: Source, sentence: Sentence, column: int, name: str) -> None:
    """Refuses cells of a column that are not annotated."""
    labels = sentence[column]
    if (at := not_annotated(labels)) is not None:
        raise source.blank_label(name, labels[at], sentence.numbers[at])


def _is_extra(number: str) -> bool:
    """Whether a line is a multiword token (2-3) or an empty node (4.1), not a word."""
    return re.fullmatch(r"\d+[-.]\d+", number) is not None


def _annotated(source: Source, sentence: Sentence, last: int) -> Sentence:
    """The words that have an annotation, in compat too, where only the columns up to that must be there."""
    if not source.compat:
        return sentence
    if ABSENT in sentence[last]:
        at = sentence[last].index(ABSENT)
        n_columns = sum(cells[at] != ABSENT for cells in sentence.columns.values())
        raise source.fault(f"expected at least {last + 1} columns, found {n_columns}", sentence.numbers[at])
    words = [not _is_extra(number) for number in sentence[ID]]
    columns = {column: tuple(compress(cells, words)) for column, cells in sentence.columns.items()}
    return Sentence(tuple(compress(sentence.numbers, words)), columns)


def _arcs(source: Source, sentence: Sentence) -> list[Arc]:
    heads: list[int] = []
    for line, head in zip(sentence.numbers, sentence[HEAD], strict=True):
        if not NUMBER.fullmatch(head) or int(head) > len(sentence.numbers):
            message = f"expected a head from 0 to {len(sentence.numbers)} in column 7, found {head!r}"
            raise source.fault(message, line)
        heads.append(int(head))
    _check_labels(source, sentence, DEPREL, "DEPREL (column 8)")
    if not source.compat and heads.count(0) > 1:
        second = heads.index(0, heads.index(0) + 1)
        message = f"word {second + 1} is a second root (head 0); expected a tree with one"
        raise source.fault(message, sentence.numbers[second])
    if not source.compat and (word := _on_cycle(heads)) is not None:
        message = f"the heads from word {word} lead round in a cycle; expected a tree"
        raise source.fault(message, sentence.numbers[word - 1])
    return [
        (child, head - 1, relation)
        for child, (head, relation) in enumerate(zip(heads, sentence[DEPREL], strict=True))
        if head != 0
    ]


def _on_cycle(heads: Sequence[int]) -> int | None:
    """A word (1-based) whose heads never lead to the root; None if there is none."""
    rooted = [True] + [False] * len(heads)
    for word in range(1, len(heads) + 1):
        path: list[int] = []
        current = word
        while not rooted[current]:
            if len(path) > len(heads):
                return current
            path.append(current)
            current = heads[current - 1]
        for step in path:
            rooted[step] = True
    return None
