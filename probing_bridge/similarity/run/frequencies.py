"""Whose counts rank the pieces for groups by frequency: the dumped sentences, a text of the side, or the dictionary.

A joined dictionary counts the pieces of both languages together, so its ranks are of neither side: "," is frequent in
both, "the" in one. The paper's groups are by such a dictionary, so it can be asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from probing_bridge.errors import BridgeError, Faults, InputError
from probing_bridge.formats.activations.reader import SIDES
from probing_bridge.formats.text import numbered_lines
from probing_bridge.formats.words import FILLER, SPECIAL
from probing_bridge.similarity.run.dumps import DumpSet
from probing_bridge.similarity.run.plan import Plan

KNOWN_SHARE = 0.5  # of a text's pieces; fewer are in the dictionary if it is in whole words, or of another language


def frequency_counts(plan: Plan, dumps: DumpSet, side: str) -> np.ndarray:
    """How often each symbol of a side occurs, (n_symbols,) int64, where the request says.

    Args:
        plan: The request.
        dumps: The open dumps.
        side: "source" or "target".

    Raises:
        BridgeError: There is no text of the side, or it is not in its pieces; or it is to be the dictionary, which has
            placeholders or was not dumped.
    """
    symbols = dumps.symbols(side)
    if plan.frequencies == "dump":
        return np.bincount(dumps.tokens(side), minlength=len(symbols))
    if plan.frequencies == "text":
        texts = dict(plan.texts)
        if side not in texts:
            raise BridgeError(f"--frequencies: a text of the {side} side is missing: give {side}=FILE as well")
        return count_pieces(Path(texts[side]), tuple(symbols))
    counts = dumps.counts(side)
    if are_placeholders(counts, symbols):
        raise BridgeError(
            f"{plan.dumps[0]}: the {side} dictionary gives every piece the same count, so it says nothing of "
            "frequency: rank pieces by the dumped sentences, without --frequencies dictionary, or by the training text "
            f"in pieces, with --frequencies {side}=FILE"
        )
    return counts


def are_placeholders(counts: np.ndarray, symbols: Sequence[str]) -> bool:
    """Whether a dictionary gives all of its pieces one count, as vocabularies made into a dict.txt do."""
    own = counts[[symbol not in SPECIAL and not symbol.startswith(FILLER) for symbol in symbols]]
    return len(own) > 1 and bool((own == own[0]).all())


@cache
def count_pieces(path: Path, symbols: tuple[str, ...]) -> np.ndarray:
    """How often each symbol is in a text, (n_symbols,) int64; pieces that are no symbol are left out.

    Args:
        path: Text in pieces, as it was binarised, with spaces between them.
        symbols: The dictionary.

    Raises:
        InputError: It cannot be read, or most of its pieces are not in the dictionary.
    """
    counts: Counter[str] = Counter()
    for _, line in numbered_lines(path):
        counts.update(line.split())
    found = np.array([counts[symbol] for symbol in symbols], dtype=np.int64)
    if found.sum() <= KNOWN_SHARE * counts.total():
        raise InputError(
            f"{found.sum():,} of its {counts.total():,} pieces are in the dictionary of the dumps: give the text of "
            "this side in pieces, as it was binarised",
            path,
        )
    return found


def check_frequencies(plan: Plan, dumps: DumpSet, faults: Faults) -> None:
    """Adds what keeps tokens from being grouped by frequency to the faults."""
    sides = {side for name, side in SIDES.items() if name in dumps.components}
    for side in sorted(sides | ({"target"} if dumps.n_best else set())):
        faults.of(frequency_counts, plan, dumps, side)
