"""CoNLL-2003 named entities: word, part of speech, chunk, entity tag in IOB1 or IOB2.

The layout is that of Tjong Kim Sang & De Meulder (2003, Introduction to the CoNLL-2003 Shared Task).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.columns import TYPED_IOB
from probing_bridge.corpora.readers.formats import columns_of
from probing_bridge.corpora.readers.source import Source

N_COLUMNS = 4


def read_entities(source: Source) -> Iterator[Instance]:
    """Named entities, tags as in the file; blank and -DOCSTART- lines divide sentences.

    Columns end at blanks and tabs; in compat at white space of every kind, no-break spaces too.

    Args:
        source: The file.

    Yields:
        Every word with its tag.

    Raises:
        InputError: Another number of columns, a tag that is not O, B-TYPE or I-TYPE, withheld words, or no sentence.
    """
    tokens: list[str] = []
    labels: list[str] = []
    known: set[str] = set()
    found = False
    for number, line in enumerate([*source.lines(), ""], 1):
        row = line.split() if source.compat else columns_of(line)
        if not row or row[0] in ("", "-DOCSTART-"):
            if tokens:
                yield Instance(source.words(tokens, number - len(tokens)), tuple(labels), None)
                found = True
            tokens, labels = [], []
            continue
        # The original cuts the lines of a sentence to the columns of its shortest line.
        if len(row) != N_COLUMNS if not source.compat else len(row) < N_COLUMNS:
            raise source.fault(f"expected {N_COLUMNS} columns with white space between, found {len(row)}", number)
        if row[3] not in known and not source.compat and not TYPED_IOB.fullmatch(row[3]):
            found_tag = f"found {row[3]!r}; recode BIOES or BILOU to IOB"
            raise source.fault(f"expected an entity tag O, B-TYPE or I-TYPE, {found_tag}", number)
        known.add(row[3])
        tokens.append(row[0])
        labels.append(row[3])
    if not found:
        raise source.fault("no sentence has an item: there are only -DOCSTART- lines")


def read_bioul_entities(source: Source) -> Iterator[Instance]:
    """The same with tags that mark the last and only words of entities, as for a CRF.

    Args:
        source: The file.

    Yields:
        Every word with its BIOUL tag.

    Raises:
        InputError: See read_entities.
    """
    for instance in read_entities(source):
        yield Instance(instance.tokens, tuple(to_bioul([str(label) for label in instance.labels])), None)


def to_bioul(labels: Sequence[str]) -> list[str]:
    """Recodes IOB1 (or IOB2) tags.

    Args:
        labels: O, B-TYPE or I-TYPE.

    Returns:
        O, or TYPE after B- (begin), I- (inside), L- (last) or U- (only word).
    """
    recoded = []
    for position, label in enumerate(labels):
        if label == "O":
            recoded.append("O")
            continue
        kind = label[2:]
        before = labels[position - 1] if position else "O"
        after = labels[position + 1] if position + 1 < len(labels) else "O"
        begins = label[0] == "B" or before == "O" or before[2:] != kind
        ends = after != f"I-{kind}"
        recoded.append({(1, 0): "B", (0, 0): "I", (0, 1): "L", (1, 1): "U"}[begins, ends] + f"-{kind}")
    return recoded
