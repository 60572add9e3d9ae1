"""STREUSLE's own .conllulex: adposition supersenses without the detour over JSON (Schneider et al. 2018).

Its 19 columns are those of CoNLL-U and the lexical ones; what they say of single words is what the converter writes
to "swes", so that both files give the same instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.conllu import FORM, words
from probing_bridge.corpora.readers.source import Source

SMWE, ROLE, FUNCTION = 10, 13, 14
N_COLUMNS = 19


def read_supersenses(source: Source, column: int) -> Iterator[Instance]:
    """Adposition supersenses of words that are not part of a strong multiword expression.

    Args:
        source: A .conllulex file.
        column: ROLE or FUNCTION.

    Yields:
        The sentences in which some word has a supersense `p.*`.

    Raises:
        InputError: Another number of columns, or words not numbered 1, 2, ...
    """
    for block in source.blocks(comments=True):
        rows = [row for _, row in words(source, block, N_COLUMNS)]
        items = [position for position, row in enumerate(rows) if row[SMWE] == "_" and row[column].startswith("p.")]
        if items:
            labels = tuple(rows[position][column] for position in items)
            yield Instance(tuple(row[FORM] for row in rows), labels, tuple(items))


read_roles = partial(read_supersenses, column=ROLE)
read_functions = partial(read_supersenses, column=FUNCTION)
