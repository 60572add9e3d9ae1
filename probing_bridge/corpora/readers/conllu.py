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
from pathlib import Path

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.arcs import Arc, arc_instance
from probing_bridge.corpora.readers.source import Block, Source, read_source
from probing_bridge.corpora.readers.words import NO_ANNOTATION, not_annotated

ID, FORM, UPOS, FEATS, HEAD, DEPREL = 0, 1, 3, 5, 6, 7
N_COLUMNS = 10
SIGNS = ("PUNCT", "SYM", "X")  # what an underscore of the text may be
NUMBER = re.compile("[0-9]{1,9}")
SEPARATORS = re.compile(r"\t| {2,}")  # of the original

Row = tuple[int, list[str]]  # (line number, columns)


def read_pos(source: Source) -> Iterator[Instance]:
    """Universal parts of speech.

    Args:
        source: A CoNLL-U file.

    Yields:
        Every word with its UPOS.

    Raises:
        InputError: A malformed line, or a word without annotation or withheld.
    """
    for block in source.blocks(comments=True):
        rows = _split(source, block, UPOS) if source.compat else words(source, block, N_COLUMNS)
        if rows:
            annotated = [row for row in rows if not _is_extra(row[1][ID])] if source.compat else rows
            _check_labels(source, annotated, UPOS, "UPOS (column 4)")
            yield Instance(forms(source, rows), tuple(row[UPOS] for _, row in rows), None)


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
    for block in source.blocks(comments=True):
        if source.compat:
            rows = [row for row in _split(source, block, DEPREL) if not _is_extra(row[1][ID])]
        else:
            rows = words(source, block, N_COLUMNS)
        arcs = _arcs(source, rows)
        if arcs:
            yield arc_instance(forms(source, rows), arcs)
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
    for block in source.blocks(comments=True):
        rows = words(source, block, N_COLUMNS)
        items = [
            (position, value)
            for position, (number, row) in enumerate(rows)
            if (value := features(source, number, row).get(feature)) is not None
        ]
        if items:
            yield Instance(forms(source, rows), tuple(value for _, value in items), tuple(at for at, _ in items))
            found = True
    if not found:
        raise source.nothing(f"no word has the feature {feature} in column 6")


def feature_values(path: str | Path) -> dict[str, set[str]]:
    """The features that a file has, and their values.

    Raises:
        InputError: See read_feature.
    """
    source, found = read_source(path, "conllu", compat=False), defaultdict[str, set[str]](set)
    for block in source.blocks(comments=True):
        for number, row in words(source, block, N_COLUMNS):
            for name, value in features(source, number, row).items():
                found[name].add(value)
    return dict(found)


def features(source: Source, number: int, row: Sequence[str]) -> dict[str, str]:
    """Column 6 of a word: its features and their values.

    Raises:
        InputError: Not of the form Name=Value|Name=Value or `_`.
    """
    if row[FEATS] == NO_ANNOTATION:
        return {}
    pairs = [part.partition("=") for part in row[FEATS].split("|")]
    if not all(name and value for name, _, value in pairs):
        raise source.fault(f"expected features such as Case=Nom|Number=Sing in column 6, found {row[FEATS]!r}", number)
    return {name: value for name, _, value in pairs}


def words(source: Source, block: Block, n_columns: int) -> list[Row]:
    """The lines of a block that are words, checked.

    Args:
        source: For errors.
        block: The lines of a sentence without comments.
        n_columns: How many columns there must be.

    Returns:
        Line number and columns of each word.

    Raises:
        InputError: Another number of columns, an empty word, or words not numbered 1, 2, ...
    """
    rows: list[Row] = []
    for number, line in block:
        row = line.split("\t")
        if len(row) != n_columns:
            raise source.fault(f"expected {n_columns} columns with tabs between, found {len(row)}", number)
        if row[ID] == str(len(rows) + 1):
            if not row[FORM]:
                raise source.fault("the word (column 2) is empty", number)
            rows.append((number, row))
        elif not _is_extra(row[ID]):
            raise source.fault(f"expected word number {len(rows) + 1} in column 1, found {row[ID]!r}", number)
    return rows


def forms(source: Source, rows: Sequence[Row]) -> tuple[str, ...]:
    """The words of a sentence.

    Args:
        source: For errors.
        rows: Its lines.

    Returns:
        See Source.words.

    Raises:
        InputError: The words are withheld: an underscore is the word of a NOUN, a VERB or the like.
    """
    words = [row[FORM] for _, row in rows]
    if NO_ANNOTATION in words:
        for number, row in rows:
            if row[FORM] == NO_ANNOTATION and row[UPOS] not in SIGNS and not _is_extra(row[ID]):
                message = f"the word (column 2) is withheld: {row[UPOS]} '_'; fill it in from the licensed text"
                raise source.fault(message, number)
    return source.words(words, rows[0][0])


def _check_labels(source: Source, rows: Sequence[Row], column: int, name: str) -> None:
    """Refuses cells of a column that are not annotated."""
    labels = [row[column] for _, row in rows]
    if (at := not_annotated(labels)) is not None:
        raise source.blank_label(name, labels[at], rows[at][0])


def _is_extra(number: str) -> bool:
    """Whether a line is a multiword token (2-3) or an empty node (4.1), not a word."""
    return re.fullmatch(r"\d+[-.]\d+", number) is not None


def _split(source: Source, block: Block, last: int) -> list[Row]:
    """Lines as the original splits them; only the columns that are needed must be there."""
    rows = [(number, SEPARATORS.split(line)) for number, line in block]
    for number, row in rows:
        if len(row) <= last:
            raise source.fault(f"expected at least {last + 1} columns, found {len(row)}", number)
    return rows


def _arcs(source: Source, rows: Sequence[Row]) -> list[Arc]:
    heads: list[int] = []
    for number, row in rows:
        if not NUMBER.fullmatch(row[HEAD]) or int(row[HEAD]) > len(rows):
            raise source.fault(f"expected a head from 0 to {len(rows)} in column 7, found {row[HEAD]!r}", number)
        heads.append(int(row[HEAD]))
    _check_labels(source, rows, DEPREL, "DEPREL (column 8)")
    if not source.compat and heads.count(0) > 1:
        second = heads.index(0, heads.index(0) + 1)
        raise source.fault(f"word {second + 1} is a second root (head 0); expected a tree with one", rows[second][0])
    if not source.compat and (word := _on_cycle(heads)) is not None:
        raise source.fault(f"the heads from word {word} lead round in a cycle; expected a tree", rows[word - 1][0])
    return [
        (child, head - 1, row[DEPREL])
        for child, (head, (_, row)) in enumerate(zip(heads, rows, strict=True))
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
