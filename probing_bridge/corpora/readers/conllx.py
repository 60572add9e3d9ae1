"""CoNLL-X: fine parts of speech of the Penn Treebank (Buchholz & Marsi 2006, CoNLL-X Shared Task)."""

from __future__ import annotations

from collections.abc import Iterator

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.formats import guess_format
from probing_bridge.corpora.readers.source import Source
from probing_bridge.corpora.readers.words import not_annotated

ID, FORM, POS = 0, 1, 4


def read_pos(source: Source) -> Iterator[Instance]:
    """Fine parts of speech (column 5); later columns may be missing.

    Args:
        source: A CoNLL-X file.

    Yields:
        Every word with its tag.

    Raises:
        InputError: Fewer than five columns, a tag that is not annotated, withheld words, or (not in compat) a word
            without a number or a text.
    """
    if not source.compat and guess_format(source.text) == "sdp":  # has enough columns, but no tags in the fifth
        raise source.fault("expected parts of speech in column 5, found heads or signs")
    for block in source.blocks(comments=True):
        tokens: list[str] = []
        labels: list[str] = []
        numbers: list[int] = []
        for number, line in block:
            row = line.split("\t")
            if len(row) <= POS:
                raise source.fault(f"expected at least 5 columns with tabs between, found {len(row)}", number)
            if not source.compat and not (row[ID].isascii() and row[ID].isdigit()):
                raise source.fault(f"expected the word's number in column 1, found {row[ID]!r}", number)
            if not source.compat and row[ID] != str(len(tokens) + 1):
                message = f"expected word number {len(tokens) + 1} in column 1, found {row[ID]!r}"
                raise source.fault(f"{message}; a blank line divides sentences", number)
            if not source.compat and not row[FORM]:
                raise source.fault("the word (column 2) is empty", number)
            tokens.append(row[FORM])
            labels.append(row[POS])
            numbers.append(number)
        if (at := not_annotated(labels)) is not None:
            raise source.blank_label("POS (column 5)", labels[at], numbers[at])
        yield Instance(source.words(tokens, numbers[0]), tuple(labels), None)
