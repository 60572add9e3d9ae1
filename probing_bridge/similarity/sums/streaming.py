"""The one pass over the tokens: means, covariances and cross-covariances of layers, block by block.

A block of tokens of all layers is read, shifted by a pilot mean (the mean of about 2000 spread tokens) and multiplied
in float32: one product per layer against the columns of all later layers. Blocks are added in float64. The shift is
what makes float32 enough: without it, E[ab] - E[a]E[b] loses 1.7e-2 in r when a mean is 50 standard deviations from
zero; with it CKA is within 1e-7 and r within 5e-6 of float64, because the rounding of many products averages out.
Where few neurons hold the variance (narrow layers, attention heads, outlier neurons) it does not, and the products
are made in float64. Memory is one chunk of tokens and the block sums, whatever the number of tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from probing_bridge.similarity.sums.blocks import Blocks, MomentsError
from probing_bridge.similarity.sums.gemm import Gemm
from probing_bridge.similarity.sums.layers import Layer, Pilot
from probing_bridge.similarity.sums.moments import LayerSums, PairBlocks
from probing_bridge.similarity.sums.store import Pair, ProductStore
from probing_bridge.similarity.sums.strips import StripProducts, plan_strips

CACHED_ROWS = 256
NARROW = 256  # layers below this (attention heads) are shifted together, not one by one
FEW_NEURONS = 400  # effective number of neurons below which products are made in float64


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
    n_blocks, n_layers, total = blocks.n_blocks, len(layers), int(columns[-1])
    store = _store(layers, pilots, wanted, n_blocks, folder)
    sums = np.zeros((n_blocks, 1 + n_layers, total))  # of the rows, then weighted by each layer's |x|^2
    norms = np.zeros((n_blocks, n_layers))
    norm_products = np.zeros((n_blocks, n_layers, n_layers))
    rows = np.empty((blocks.largest_chunk, total), store.dtype)
    weights = np.ones((blocks.largest_chunk, 1 + n_layers), store.dtype)
    product = StripProducts(columns, plan_strips([layer.width for layer in layers], wanted), gemm, store)
    for b, chunks in enumerate(blocks.chunks):
        for start, stop in chunks:
            chunk, weight = rows[: stop - start], weights[: stop - start]
            raw = [layer.read(start, stop) for layer in layers]
            if on_chunk is not None:
                for k, own in enumerate(raw):
                    on_chunk(b, k, start, own)
            for piece in _pieces(stop - start):
                _shift([own[piece] for own in raw], pilots, columns, chunk[piece])
                _square_lengths(chunk[piece], columns, weight[piece, 1:])
                sums[b] += weight[piece].T @ chunk[piece]
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


def _store(
    layers: Sequence[Layer], pilots: Sequence[Pilot], wanted: Collection[Pair], n_blocks: int, folder: Path | None
) -> ProductStore:
    """Room for the products of the wanted pairs, in float64 where few neurons hold the variance of a layer."""
    dtype = np.float64 if any(not pilot.effective >= FEW_NEURONS for pilot in pilots) else np.float32
    return ProductStore({(i, j): (layers[i].width, layers[j].width) for i, j in wanted}, n_blocks, folder, dtype)


def _pieces(n_rows: int) -> Iterator[slice]:
    """Rows of a chunk that stay in the cache from being shifted to being summed."""
    for start in range(0, n_rows, CACHED_ROWS):
        yield slice(start, start + CACHED_ROWS)


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
