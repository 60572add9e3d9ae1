"""CoNLL-X: fine parts of speech of the Penn Treebank (Buchholz & Marsi 2006, Section 3)."""

from __future__ import annotations

from collections.abc import Iterator

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.formats import guess_format
from probing_bridge.corpora.readers.source import Source

ID, FORM, POS = 0, 1, 4


def read_pos(source: Source) -> Iterator[Instance]:
    """Fine parts of speech (column 5); later columns may be missing.

    Args:
        source: A CoNLL-X file.

    Yields:
        Every word with its tag.

    Raises:
        InputError: Fewer than five columns, or (not in compat) a word without a number, a text or a tag.
    """
    if not source.compat and guess_format(source.text) == "sdp":  # has enough columns, but no tags in the fifth
        raise source.fault("expected parts of speech in column 5, found heads or signs")
    for block in source.blocks(comments=True):
        tokens: list[str] = []
        labels: list[str] = []
        for number, line in block:
            row = line.split("\t")
            if len(row) <= POS:
                raise source.fault(f"expected at least 5 columns with tabs between, found {len(row)}", number)
            if not source.compat and not (row[ID].isascii() and row[ID].isdigit()):
                raise source.fault(f"expected the word's number in column 1, found {row[ID]!r}", number)
            if not source.compat and not (row[FORM] and row[POS]):
                raise source.fault("the word (column 2) or its tag (column 5) is empty", number)
            tokens.append(row[FORM])
            labels.append(row[POS])
        yield Instance(tuple(tokens), tuple(labels), None)
