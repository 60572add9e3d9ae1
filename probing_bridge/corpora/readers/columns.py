"""Formats of a word and its tag a line, blank lines between sentences.

CoNLL-2000 chunks (conll2000_chunking.py), FCE error detection (grammatical_error_correction.py), conjuncts
(conjunct_identification.py), semantic tags (semantic_tagging.py), and CCG categories as columns. By default the number
of columns and the tags are checked, and a line that only names its columns is refused; the original (compat) takes any
tag, and splits CoNLL-2000 lines at every single space, so that two spaces in a row shift the columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.formats import columns_of
from probing_bridge.corpora.readers.source import Source

# A type is no tag itself (I-O, B-I-PER), and is annotated (not I-_).
TYPED_IOB = re.compile(r"O|[BI]-(?!([Oo_]|[BI]-.*)$).*\S.*")
SEMANTIC_TAG = re.compile(r"[A-Z?]{3}")
CATEGORY = re.compile(r"(?!_$)\S+")
MULTIWORD = re.compile("[~ ]+")
MULTIWORD_OF_THE_ORIGINAL = re.compile(r"[~\s]+")
# What a line that names the columns has in them.
NAME_OF_WORDS = re.compile("(?:form|surface|text|token|word)s?", re.IGNORECASE)
NAME_OF_TAGS = re.compile("cat|ccg|class|label|sem|tag", re.IGNORECASE)

TaggedLine = tuple[int, str, str]  # (line number, word, tag)


def read_chunks(source: Source) -> Iterator[Instance]:
    """CoNLL-2000: word, part of speech, chunk tag in BIO.

    Args:
        source: The file.

    Yields:
        Every word with its chunk tag.

    Raises:
        InputError: Another number of columns, or a tag of another kind.
    """
    for lines in _checked(source, _spaced(source), TYPED_IOB, "a chunk tag O, B-TYPE or I-TYPE"):
        yield _instance(source, lines)


def read_errors(source: Source) -> Iterator[Instance]:
    """FCE: word TAB c (correct) or i (incorrect); further columns do not count.

    Args:
        source: The file.

    Yields:
        Every word with its label.

    Raises:
        InputError: Fewer than two columns, or another label.
    """
    for lines in _checked(source, _tabbed(source, exact=False), re.compile("[ci]"), "c or i"):
        yield _instance(source, lines)


def read_conjuncts(source: Source) -> Iterator[Instance]:
    """Conjuncts: word TAB B, I or O.

    Args:
        source: The file.

    Yields:
        Every word with its tag.

    Raises:
        InputError: Another number of columns, or another tag.
    """
    for lines in _checked(source, _tabbed(source), re.compile("[BIO]"), "B, I or O"):
        yield _instance(source, lines)


def read_semantic_tags(source: Source) -> Iterator[Instance]:
    """Semantic tags: form TAB tag; each word of a form of several (joined by ~ or blanks) gets its tag.

    In compat, white space of every kind divides a form.

    Args:
        source: The file.

    Yields:
        Every word with its tag; a form of nothing but ~ has no word.

    Raises:
        InputError: Another number of columns, or another tag than three capitals.
    """
    divider = MULTIWORD_OF_THE_ORIGINAL if source.compat else MULTIWORD
    found = False
    for lines in _checked(source, _tabbed(source), SEMANTIC_TAG, "a semantic tag of three capitals"):
        words = [(number, word, tag) for number, form, tag in lines for word in divider.split(form) if word]
        if words:
            yield _instance(source, words)
            found = True
    if not found:
        raise source.fault("no sentence has an item: no form holds a word, only ~")


def read_categories(source: Source) -> Iterator[Instance]:
    """CCG categories: word TAB category.

    Args:
        source: The file.

    Yields:
        Every word with its category.

    Raises:
        InputError: Another number of columns, a line of column names, or no category with a slash in the whole file.
    """
    has_slash = False
    for lines in _checked(source, _tabbed(source), CATEGORY, "a CCG category without white space"):
        instance = _instance(source, lines)
        has_slash = has_slash or any("/" in str(label) or "\\" in str(label) for label in instance.labels)
        yield instance
    if not has_slash:
        raise source.fault("no tag has a slash; expected CCG categories in column 2")


def _instance(source: Source, lines: list[TaggedLine]) -> Instance:
    words = source.words([word for _, word, _ in lines], lines[0][0])
    return Instance(words, tuple(tag for _, _, tag in lines), None)


def _tabbed(source: Source, *, exact: bool = True) -> Iterator[list[TaggedLine]]:
    """Sentences of lines `word TAB tag`."""
    for block in source.blocks(comments=False):
        lines = []
        for number, line in block:
            row = line.split("\t")
            if len(row) < 2 or (exact and len(row) > 2 and not source.compat):
                raise source.fault(f"expected 2 columns with a tab between, found {len(row)}", number)
            lines.append((number, row[0], row[1]))
        yield lines


def _spaced(source: Source) -> Iterator[list[TaggedLine]]:
    """Sentences of lines `word POS tag`."""
    for block in source.blocks(comments=False):
        lines = []
        for number, line in block:
            row = line.split(" ") if source.compat else columns_of(line)
            if len(row) < 3 or (len(row) > 3 and not source.compat):
                raise source.fault(f"expected 3 columns with a space between, found {len(row)}", number)
            lines.append((number, row[0], row[2]))
        yield lines


def _checked(
    source: Source, sentences: Iterator[list[TaggedLine]], tags: re.Pattern[str], expected: str
) -> Iterator[list[TaggedLine]]:
    """The sentences, whose words and tags are as they should be."""
    good: set[str] = set()
    for lines in sentences:
        for number, word, tag in () if source.compat else lines:
            if not word:
                raise source.fault("the word (column 1) is empty", number)
            if tag in good:
                continue
            if not NAME_OF_TAGS.search(tag):
                good.add(tag)
            elif NAME_OF_WORDS.fullmatch(word):
                raise source.fault(f"the line names the columns ({word}, {tag}); take it out", number)
            if not tags.fullmatch(tag):
                raise source.fault(f"expected {expected}, found {tag!r}", number)
        yield lines
