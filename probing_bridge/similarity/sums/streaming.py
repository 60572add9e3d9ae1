"""The one pass over the tokens: means, covariances and cross-covariances of layers, block by block.

A block of tokens of all layers is read, shifted by a pilot mean (the mean of about 2000 spread tokens) and multiplied
in float32: one product per layer against the columns of all later layers. Blocks are added in float64. The shift is
what makes float32 enough: without it, E[ab] - E[a]E[b] loses 1.7e-2 in r when a mean is 50 standard deviations from
zero; with it CKA is within 1e-7 and r within 5e-6 of float64, because the rounding of many products averages out.
Where few neurons hold the variance (narrow layers, attention heads, outlier neurons) it does not, and the products
are made in float64. Memory is one chunk of tokens and the block sums, whatever the number of tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from probing_bridge.similarity.sums.blocks import Blocks, MomentsError
from probing_bridge.similarity.sums.gemm import Gemm
from probing_bridge.similarity.sums.moments import LayerSums, PairBlocks
from probing_bridge.similarity.sums.store import Pair, ProductStore

PILOT_ROWS = 2000
PILOT_RUN = 16  # neighbouring rows read at once
STRIP_COLUMNS = 1024  # neighbouring layers are multiplied together until they are this wide
NARROW = 256  # layers below this (attention heads) are shifted together, not one by one
FEW_NEURONS = 400  # effective number of neurons below which products are made in float64


@dataclass(frozen=True)
class Layer:
    """The activations of one layer as the pass sees them.

    Attributes:
        name: For messages, e.g. "LTH0.h5 encoder layer 3".
        width: Number of neurons (or heads).
        read: Rows start to stop as an array (stop - start, width), float32 or float64.
    """

    name: str
    width: int
    read: Callable[[int, int], np.ndarray]


def array_layer(name: str, array: np.ndarray) -> Layer:
    """A layer held in memory, array (n_tokens, width)."""
    array = np.asarray(array)
    if array.ndim != 2:
        raise MomentsError(f"{name}: activations must be (n_tokens, n_neurons), not of shape {array.shape}")
    return Layer(name, array.shape[1], lambda start, stop: array[start:stop])


@dataclass(frozen=True)
class Pilot:
    """What about 2000 rows spread over the corpus say of a layer before the pass.

    Attributes:
        mean: (width,) float64; exactly the value of a feature that is constant over the pilot rows.
        effective: (sum of variances)^2 / sum of their squares: how many neurons share the variance; fewer if their
            values have heavy tails, so that few tokens hold it.
    """

    mean: np.ndarray
    effective: float


def take_pilot(layer: Layer, n_rows: int) -> Pilot:
    """Reads the pilot rows of a layer.

    Args:
        layer: The layer.
        n_rows: Rows of the corpus.

    Returns:
        Their mean and effective number of neurons.
    """
    n_runs = max(1, min(PILOT_ROWS, n_rows) // PILOT_RUN)
    starts = np.unique(np.linspace(0, max(0, n_rows - PILOT_RUN), n_runs).astype(np.int64))
    rows = np.concatenate([layer.read(int(start), min(n_rows, int(start) + PILOT_RUN)) for start in starts])
    first = rows[0].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found in the pass, and named
        shifted = rows - first
        mean: np.ndarray = (first + shifted.mean(axis=0)).astype(rows.dtype).astype(np.float64)
        squares = (shifted - shifted.mean(axis=0)) ** 2
        variances = squares.mean(axis=0)
        # the second is the same for a normal distribution, but counts heavy tails, half as strictly
        spread = max((variances**2).sum(), (squares**2).mean() * len(variances) / 6, np.finfo(float).tiny)
    effective = float(variances.sum() ** 2 / spread)
    return Pilot(mean, effective)


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


@dataclass
class Moments:
    """Block sums of several layers, made by `accumulate` and joined by `merge`.

    Attributes:
        borders: First row of each block and the end of the last one: which part of the corpus was added.
        layers: First-order sums of each layer.
        norm_products: (n_blocks, n_layers, n_layers) sum of |x|^2 |y|^2.
        norm_sums: (n_blocks, n_layers, total width) sum of |x|^2 y.
        store: The products of the wanted pairs.
        columns: First column of each layer in norm_sums, and the end.
    """

    borders: np.ndarray
    layers: list[LayerSums]
    norm_products: np.ndarray
    norm_sums: np.ndarray
    store: ProductStore
    columns: np.ndarray = field(repr=False)

    def pair(self, i: int, j: int) -> PairBlocks:
        """Sums of layer i with layer j, which must be among the wanted pairs in one order or the other."""
        if (i, j) not in self.store and (j, i) in self.store:
            return self.pair(j, i).flipped()
        own_i, own_j = (slice(int(self.columns[k]), int(self.columns[k + 1])) for k in (i, j))
        return PairBlocks(
            self.layers[i], self.layers[j], self.store.get((i, j)), self.norm_products[:, i, j],
            self.norm_sums[:, i, own_j], self.norm_sums[:, j, own_i],
        )  # fmt: skip


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is found in the sums and named
def accumulate(
    layers: Sequence[Layer],
    pilots: Sequence[Pilot],
    blocks: Blocks,
    wanted: Collection[Pair],
    gemm: Gemm,
    folder: Path | None = None,
    on_chunk: Callable[[int, int, int, np.ndarray], None] | None = None,
    on_block: Callable[[int], object] | None = None,
) -> Moments:
    """The one pass over the data.

    Args:
        layers: Layers over the same rows.
        pilots: `take_pilot` of each layer; the same for all parts that will be merged.
        blocks: The rows to add; a part of the corpus's blocks gives moments that `merge` joins with the others'.
        wanted: Pairs of layer numbers (i, j), i <= j.
        gemm: How to multiply.
        folder: Where block products go; memory if None.
        on_chunk: Called with (block, layer, first row, raw rows) for every chunk read.
        on_block: Called with the number of rows after each block.

    Returns:
        The block sums.

    Raises:
        MomentsError: A value that is not finite, with its layer and token.
    """
    columns = np.concatenate([[0], np.cumsum([layer.width for layer in layers])]).astype(np.int64)
    strips = plan_strips([layer.width for layer in layers], wanted)
    n_blocks, n_layers, total = blocks.n_blocks, len(layers), int(columns[-1])
    dtype = np.float64 if any(not pilot.effective >= FEW_NEURONS for pilot in pilots) else np.float32
    shapes = {(i, j): (layers[i].width, layers[j].width) for i, j in wanted}
    store = ProductStore(shapes, n_blocks, folder, dtype)
    sums = np.zeros((n_blocks, 1 + n_layers, total))  # of the rows, then weighted by each layer's |x|^2
    norms = np.zeros((n_blocks, n_layers))
    norm_products = np.zeros((n_blocks, n_layers, n_layers))
    rows = np.empty((blocks.largest_chunk, total), dtype)
    weights = np.ones((blocks.largest_chunk, 1 + n_layers), dtype)
    product = _StripProducts(columns, strips, gemm, store)
    for b, chunks in enumerate(blocks.chunks):
        for start, stop in chunks:
            chunk, weight = rows[: stop - start], weights[: stop - start]
            raw = [layer.read(start, stop) for layer in layers]
            if on_chunk is not None:
                for k, own in enumerate(raw):
                    on_chunk(b, k, start, own)
            _shift(raw, pilots, columns, chunk)
            _square_lengths(chunk, columns, weight[:, 1:])
            sums[b] += weight.T @ chunk
            norms[b] += weight[:, 1:].sum(axis=0, dtype=np.float64)
            norm_products[b] += weight[:, 1:].T @ weight[:, 1:]
            _require_finite(sums[b, 0], layers, columns, start, stop)
            product.add(b, chunk, last=stop == chunks[-1][1], alone=len(chunks) == 1)
        if on_block is not None:
            on_block(int(blocks.borders[b + 1] - blocks.borders[b]))
    counts = np.diff(blocks.borders).astype(np.float64)
    layer_sums = [
        LayerSums(layer.name, pilot.mean, counts, sums[:, 0, columns[k] : columns[k + 1]], norms[:, k])
        for k, (layer, pilot) in enumerate(zip(layers, pilots, strict=True))
    ]
    return Moments(blocks.borders, layer_sums, norm_products, sums[:, 1:], store, columns)


def _shift(raw: Sequence[np.ndarray], pilots: Sequence[Pilot], columns: np.ndarray, out: np.ndarray) -> None:
    """Writes the rows of all layers, less their pilot means, side by side into `out`."""
    if out.shape[1] < NARROW * len(raw):
        joined = np.concatenate(raw, axis=1)
        np.subtract(joined, np.concatenate([pilot.mean for pilot in pilots]), out=out, casting="same_kind")
        return
    for k, (rows, pilot) in enumerate(zip(raw, pilots, strict=True)):
        mean = pilot.mean if out.dtype == np.float64 else pilot.mean.astype(rows.dtype)
        np.subtract(rows, mean, out=out[:, columns[k] : columns[k + 1]], casting="same_kind")


def _square_lengths(rows: np.ndarray, columns: np.ndarray, out: np.ndarray) -> None:
    """Squared length of each layer's rows, (n_rows, n_layers)."""
    if rows.shape[1] < NARROW * out.shape[1]:
        np.add.reduceat(rows * rows, columns[:-1], axis=1, out=out)
        return
    for k in range(out.shape[1]):
        own = rows[:, columns[k] : columns[k + 1]]
        np.einsum("ij,ij->i", own, own, out=out[:, k])


class _StripProducts:
    """Multiplies the strips of a chunk and hands finished blocks to the store."""

    def __init__(self, columns: np.ndarray, strips: Sequence[Strip], gemm: Gemm, store: ProductStore) -> None:
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


def _require_finite(sums: np.ndarray, layers: Sequence[Layer], columns: np.ndarray, start: int, stop: int) -> None:
    """Refuses a chunk with NaN or infinity, naming the layer and the token."""
    if np.isfinite(sums).all():
        return
    column = int(np.flatnonzero(~np.isfinite(sums))[0])
    k = int(np.searchsorted(columns, column, side="right")) - 1
    values = layers[k].read(start, stop)[:, column - columns[k]]
    wrong = np.flatnonzero(~np.isfinite(values))
    if not len(wrong):
        raise MomentsError(f"{layers[k].name}: activations are too large for float32 sums")
    raise MomentsError(
        f"{layers[k].name}: row {start + wrong[0]}, neuron {column - columns[k]} is {values[wrong[0]]}; "
        "activations must be finite, dump this level again"
    )


def merge(parts: Sequence[Moments]) -> Moments:
    """Joins the moments of consecutive parts of a corpus, as shards or jobs made them.

    Blocks are put side by side, not added, so the result has the same bits as one pass over everything.

    Args:
        parts: In any order; together without gap or overlap, with the same layers, shifts and pairs.

    Returns:
        Moments of the whole.

    Raises:
        MomentsError: A missing or doubled part, other layers, other shifts.
    """
    parts = sorted(parts, key=lambda part: int(part.borders[0]))
    for a, b in pairwise(parts):
        if a.borders[-1] != b.borders[0]:
            raise MomentsError(f"parts do not fit: one ends at row {a.borders[-1]}, the next starts at {b.borders[0]}")
        if [x.name for x in a.layers] != [x.name for x in b.layers] or set(a.store.pairs) != set(b.store.pairs):
            raise MomentsError("parts do not fit: they have different layers or pairs")
        if any(not np.array_equal(x.shift, y.shift) for x, y in zip(a.layers, b.layers, strict=True)):
            raise MomentsError("parts do not fit: they were shifted by different pilot means")
    layers = [
        LayerSums(
            first.name, first.shift, *(np.concatenate([getattr(part.layers[k], name) for part in parts])
                                       for name in ("counts", "sums", "norms")),
        )
        for k, first in enumerate(parts[0].layers)
    ]  # fmt: skip
    return Moments(
        np.concatenate([parts[0].borders, *(part.borders[1:] for part in parts[1:])]),
        layers,
        np.concatenate([part.norm_products for part in parts]),
        np.concatenate([part.norm_sums for part in parts]),
        ProductStore.joined([part.store for part in parts]),
        parts[0].columns,
    )
