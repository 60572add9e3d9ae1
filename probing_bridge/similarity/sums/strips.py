"""Which layers are multiplied with which at once: few, wide products instead of one for each pair."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from probing_bridge.similarity.sums.gemm import Gemm
from probing_bridge.similarity.sums.store import Pair, ProductStore

STRIP_COLUMNS = 1024  # neighbouring layers are multiplied together until they are this wide


@dataclass(frozen=True)
class Strip:
    """One matrix product: layers `rows` against layers `columns`, as ranges of layer numbers."""

    rows: range
    columns: range


def plan_strips(widths: Sequence[int], wanted: Collection[Pair]) -> list[Strip]:
    """Covers the wanted pairs (i <= j) with few, wide products: each layer against all later ones at once.

    Args:
        widths: Width of each layer.
        wanted: Pairs of layer numbers with i <= j.

    Returns:
        Strips; those with equal rows and columns are symmetric products, at half the cost.
    """
    strips = []
    for rows in _row_groups(widths):
        columns = sorted({j for i, j in wanted if i in rows})
        if columns and columns[0] in rows:
            strips.append(Strip(rows, rows))
        strips.extend(Strip(rows, run) for run in _runs([j for j in columns if j >= rows.stop]))
    return strips


def _row_groups(widths: Sequence[int]) -> Iterable[range]:
    start, columns = 0, 0
    for layer, width in enumerate(widths):
        columns += width
        if columns >= STRIP_COLUMNS or layer == len(widths) - 1:
            yield range(start, layer + 1)
            start, columns = layer + 1, 0


def _runs(numbers: Sequence[int]) -> Iterable[range]:
    """Runs of consecutive numbers of a rising sequence."""
    ends = [k for k, (a, b) in enumerate(pairwise(numbers)) if b != a + 1]
    bounds = [0, *(k + 1 for k in ends), len(numbers)]
    return [range(numbers[a], numbers[b - 1] + 1) for a, b in pairwise(bounds) if b > a]


class StripProducts:
    """Multiplies the strips of a chunk and hands finished blocks to the store."""

    def __init__(self, columns: np.ndarray, strips: Sequence[Strip], gemm: Gemm, store: ProductStore) -> None:
        """Prepares.

        Args:
            columns: First column of each layer in a chunk, and the end.
            strips: What is multiplied.
            gemm: How to multiply.
            store: Gets the products.
        """
        self._columns, self._strips, self._gemm, self._store = columns, strips, gemm, store
        sizes = [self._width(strip.rows) * self._width(strip.columns) for strip in strips]
        self._buffer = np.empty(max(sizes, default=0), store.dtype)
        self._totals: dict[Strip, np.ndarray] = {}

    def _slice(self, layers: range) -> slice:
        return slice(int(self._columns[layers.start]), int(self._columns[layers.stop]))

    def _width(self, layers: range) -> int:
        return int(self._columns[layers.stop] - self._columns[layers.start])

    def add(self, block: int, chunk: np.ndarray, last: bool, alone: bool) -> None:
        """Adds one chunk; `last` of its block; `alone` when it is the whole block and needs no float64 total."""
        placed = self._gemm.place(chunk)
        for strip in self._strips:
            shape = self._width(strip.rows), self._width(strip.columns)
            out = self._buffer[: shape[0] * shape[1]].reshape(shape)
            self._gemm.multiply(placed, self._slice(strip.rows), self._slice(strip.columns), out)
            if alone:
                self._put(block, strip, out)
                continue
            total = self._totals.setdefault(strip, np.zeros(shape))
            total += out
            if last:
                self._put(block, strip, total)
                total.fill(0.0)

    def _put(self, block: int, strip: Strip, products: np.ndarray) -> None:
        first_row, first_column = self._columns[strip.rows.start], self._columns[strip.columns.start]
        for i in strip.rows:
            own_rows = products[self._columns[i] - first_row : self._columns[i + 1] - first_row]
            for j in strip.columns:
                if (i, j) in self._store:
                    own = own_rows[:, self._columns[j] - first_column : self._columns[j + 1] - first_column]
                    self._store.put((i, j), block, own)
