"""Semantic dependencies in SDP columns (Oepen et al. 2015), in two layouts told apart by content.

Official SDP 2015: id, form, lemma, POS, top, pred, frame, arguments. Augmented, the one that the original reads: a
HEAD and a relation before `top`. The original takes the wrong columns of an official file; here both are read right,
in compat too.
"""

from __future__ import annotations

from collections.abc import Iterator

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.arcs import Arc, arc_instance
from probing_bridge.corpora.readers.source import Block, Source

ID, FORM = 0, 1
PRED_OFFICIAL, PRED_AUGMENTED = 5, 7
SIGNS = ("+", "-")


def read_arcs(source: Source) -> Iterator[Instance]:
    """Arcs (argument, predicate) with their role, argument by argument.

    Args:
        source: An SDP file.

    Yields:
        The sentences that have an arc.

    Raises:
        InputError: Neither layout, a mixture, argument columns that do not fit the predicates, withheld words, or no
            arc in the whole file.
    """
    pred: int | None = None
    found = False
    for block in source.blocks(comments=True):
        if pred is None:
            pred = _pred_column(source, block)
        rows = [(number, line.split("\t")) for number, line in block]
        _check(source, rows, pred)
        predicates = [position for position, (_, row) in enumerate(rows) if row[pred] == "+"]
        n_columns = pred + 2 + len(predicates)
        arcs: list[Arc] = []
        for position, (number, row) in enumerate(rows):
            arguments = row[pred + 2 :]
            surplus = source.compat and len(row) > n_columns and all(role == "_" for role in row[n_columns:])
            if len(row) != n_columns and not surplus:
                message = f"expected {n_columns} columns ({len(predicates)} predicates), found {len(row)}"
                if len(row) == n_columns - 1:
                    message += "; SDP 2014 has no frame: put a column of _ behind pred"
                raise source.fault(message, number)
            arcs += [(position, predicates[k], role) for k, role in enumerate(arguments) if role != "_"]
        if arcs:
            yield arc_instance(source.words([row[FORM] for _, row in rows], rows[0][0]), arcs)
            found = True
    if not found:
        raise source.nothing("every argument column is _")


def _pred_column(source: Source, block: Block) -> int:
    """The column of `pred` in the layout of the file, by its first word."""
    number, line = block[0]
    row = line.split("\t")
    for pred in (PRED_AUGMENTED, PRED_OFFICIAL):  # a frame and an argument are never two signs
        if len(row) > pred and row[pred - 1] in SIGNS and row[pred] in SIGNS:
            return pred
    layouts = "top and pred (+ or -) in columns 5 and 6, or 7 and 8 of the augmented layout"
    raise source.fault(f"expected SDP columns with tabs between: {layouts}", number)


def _check(source: Source, rows: list[tuple[int, list[str]]], pred: int) -> None:
    """Faults of lines by themselves."""
    for position, (number, row) in enumerate(rows, 1):
        if len(row) <= pred or row[pred] not in SIGNS:
            found = repr(row[pred]) if len(row) > pred else f"{len(row)} columns"
            raise source.fault(f"expected + or - in column {pred + 1} (pred), found {found}", number)
        if source.compat:
            continue
        if row[ID] != str(position):
            raise source.fault(f"expected word number {position} in column 1, found {row[ID]!r}", number)
        if row[pred - 1] not in SIGNS:
            raise source.fault(f"expected + or - in column {pred} (top), found {row[pred - 1]!r}", number)
        if not row[FORM] or "" in row[pred:]:
            raise source.fault("the word (column 2), the frame or an argument is empty", number)
