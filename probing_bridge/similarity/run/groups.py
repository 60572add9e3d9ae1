"""Groups of tokens, by frequency rank or by a tag of their word, and linear CKA over one group (Section 5.3).

For a group of few tokens the Gram matrices of the tokens are smaller than the covariances of the neurons: L layers
of width d and n tokens cost about L n^2 d instead of n (L d)^2 operations. Both ways give the same numbers, and both
give the inner products between blocks of sentences from which CKA is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from probing_bridge.formats.tags import read_tags
from probing_bridge.formats.words import NO_WORDS, SPECIAL, bpe_of, word_starts
from probing_bridge.similarity.measures.cka import HsicBlocks
from probing_bridge.similarity.sums.blocks import Blocks
from probing_bridge.similarity.sums.layers import Layer

FREQUENCY_EDGES = (0, 5, 25, 100, 500, 2500)  # the paper names 0-5, 100-500 and from 2500 on
READ_ROWS = 8192
GRAM_ROWS = 256
FEW_TOKENS = 200  # groups below this take float64 Gram matrices


def frequency_groups(tokens: np.ndarray, symbols: Sequence[str], counts: np.ndarray) -> dict[str, np.ndarray]:
    """Tokens by the rank of their frequency, that of the most frequent symbol being 0.

    Args:
        tokens: (n_tokens,) ids, indices into `symbols`.
        symbols: The dictionary.
        counts: (n_symbols,) how often each symbol occurs; of equals the first in the dictionary has the lower rank.

    Returns:
        Group name, e.g. "frequency:100-500" for ranks 100 to 499, -> rising rows; special symbols are in none.
    """
    ordinary = np.array([symbol not in SPECIAL for symbol in symbols])
    order = np.argsort(np.where(ordinary, -counts, 1), kind="stable")
    ranks = np.full(len(symbols), -1)
    ranks[order[: ordinary.sum()]] = np.arange(ordinary.sum())
    rank = ranks[tokens]
    groups = {}
    for low, high in pairwise([*FREQUENCY_EDGES, len(symbols)]):
        name = f"frequency:{low}-" if low == FREQUENCY_EDGES[-1] else f"frequency:{low}-{high}"
        groups[name] = np.flatnonzero((rank >= low) & (rank < high))
    return {name: rows for name, rows in groups.items() if len(rows)}


def tag_groups(
    path: Path, kind: str, tokens: np.ndarray, symbols: Sequence[str], offsets: np.ndarray
) -> dict[str, np.ndarray]:
    """Tokens by the tag of their word; subwords take their word's tag, end-of-sentence symbols have none.

    Args:
        path: The tag file.
        kind: Name of the tags, e.g. "pos".
        tokens: (n_tokens,) ids.
        symbols: The dictionary.
        offsets: (n_sentences + 1,) first token of each sentence.

    Returns:
        Group name, e.g. "pos:NNP", -> rising rows.

    Raises:
        InputError: As read_tags.
    """
    bpe = bpe_of(symbols)
    places, begins = [], []
    for start, stop in pairwise(offsets.tolist()):
        places.append([row for row in range(start, stop) if symbols[tokens[row]] not in NO_WORDS])
        begins.append(word_starts([symbols[tokens[row]] for row in places[-1]], bpe))
    rows: dict[str, list[int]] = {}
    sentences = read_tags(path, [sum(starts) for starts in begins])
    for tags, words, starts in zip(sentences, places, begins, strict=True):
        for row, word in zip(words, accumulate(starts), strict=True):
            rows.setdefault(f"{kind}:{tags[word - 1]}", []).append(row)
    return {name: np.array(rows[name], dtype=np.int64) for name in sorted(rows)}


def group_layer(layer: Layer, rows: np.ndarray) -> Layer:
    """A layer's rows of one group; `rows` rising. Reads at most 8192 rows of the corpus at once."""

    def read(start: int, stop: int) -> np.ndarray:
        wanted = rows[start:stop]
        pieces = []
        for first in range(int(wanted[0]), int(wanted[-1]) + 1, READ_ROWS):
            last = min(first + READ_ROWS, int(wanted[-1]) + 1)
            inside = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, last)]
            if len(inside):
                pieces.append(layer.read(first, last)[inside - first])
        return np.concatenate(pieces)

    return Layer(layer.name, layer.width, read)


def takes_grams(n_rows: int, n_layers: int, width: int) -> bool:
    """Whether Gram matrices of the tokens cost less than products of the neurons, for all pairs of the layers."""
    return n_rows < n_layers * width


def center(rows: np.ndarray) -> np.ndarray:
    """Rows about their mean, which is taken in float64; float64 too for so few rows that rounding would show."""
    shifted = rows - rows[0].astype(np.float64)
    shifted -= shifted.mean(axis=0)
    return shifted if len(rows) < FEW_TOKENS else shifted.astype(np.float32)


def gram_cka(layers: Sequence[np.ndarray]) -> np.ndarray:
    """Linear CKA, biased, of all pairs of layers over a group of few tokens.

    Args:
        layers: Arrays (n_tokens, width); widths may differ.

    Returns:
        (n_layers, n_layers) in [0, 1]; NaN for a layer whose neurons are all constant.
    """
    n = len(layers[0])
    centred = [center(rows) for rows in layers]
    inner = np.zeros((len(layers), len(layers)))
    for start in range(0, n, GRAM_ROWS):  # the upper half of the Gram matrices, a strip of all layers at a time
        strip = np.stack([rows[start : start + GRAM_ROWS] @ rows[start:].T for rows in centred])
        inner += 2 * _inner_products(strip) - _inner_products(strip[:, :, : strip.shape[1]])
    norms = np.sqrt(np.diagonal(inner))
    with np.errstate(invalid="ignore"):
        scores: np.ndarray = np.minimum(inner / np.outer(norms, norms), 1.0)
    return scores


def _inner_products(strip: np.ndarray) -> np.ndarray:
    """(n_layers, n_layers) inner products of matrices (n_layers, n_rows, n_columns), added in float64."""
    parts = (strip[:, row : row + 16].reshape(len(strip), -1) for row in range(0, strip.shape[1], 16))
    inner = np.zeros((len(strip), len(strip)))
    for part in parts:
        inner += part @ part.T
    return inner


def gram_blocks(x: np.ndarray, y: np.ndarray, block: np.ndarray, n_blocks: int) -> list[HsicBlocks]:
    """Inner products between blocks from the Gram matrices of the tokens.

    Args:
        x: (n_tokens, width_x) rows of the group.
        y: (n_tokens, width_y) the same rows of another layer.
        block: (n_tokens,) rising block numbers.
        n_blocks: Number of blocks.

    Returns:
        Of x with y, x with x and y with y.
    """
    grams = [centred @ centred.T for centred in (center(x), center(y))]
    starts = np.searchsorted(block, np.arange(n_blocks + 1))
    sums = [_add_blocks(gram, starts, axis=1) for gram in grams]  # (n_tokens, B): k(i, all of block)
    diagonals = [np.diagonal(gram).astype(np.float64) for gram in grams]
    return [_hsic_blocks(grams, sums, diagonals, starts, a, b) for a, b in ((0, 1), (0, 0), (1, 1))]


def _hsic_blocks(
    grams: list[np.ndarray], sums: list[np.ndarray], diagonals: list[np.ndarray], starts: np.ndarray, a: int, b: int
) -> HsicBlocks:
    spans = list(pairwise(starts.tolist()))
    middle = np.stack([sums[a][first:last].T @ sums[b][first:last] for first, last in spans])
    return HsicBlocks(
        counts=np.diff(starts).astype(np.float64),
        gram=_add_blocks(_add_blocks(grams[a] * grams[b], starts, axis=1), starts, axis=0),
        middle=middle,
        means_x=_add_blocks(sums[a], starts, axis=0),
        means_y=_add_blocks(sums[b], starts, axis=0),
        norms_x=_add_blocks(diagonals[a], starts, axis=0),
        norms_y=_add_blocks(diagonals[b], starts, axis=0),
        norm_products=_add_blocks(diagonals[a] * diagonals[b], starts, axis=0),
        x_norm_y=_add_blocks(diagonals[a][:, None] * sums[b], starts, axis=0),
        y_norm_x=_add_blocks(diagonals[b][:, None] * sums[a], starts, axis=0),
    )


def _add_blocks(values: np.ndarray, starts: np.ndarray, axis: int) -> np.ndarray:
    """Sums over the rows (axis 0) or columns (axis 1) of each block, empty ones too, in float64."""
    spans = pairwise(starts.tolist())
    parts = [(values[a:b] if axis == 0 else values[:, a:b]).sum(axis=axis, dtype=np.float64) for a, b in spans]
    return np.stack(parts, axis=axis)


def blocks_of_group(blocks: Blocks, rows: np.ndarray, max_rows: int) -> Blocks:
    """The blocks of a corpus, restricted to the rows of a group; empty ones are left out."""
    borders = np.unique(np.searchsorted(rows, blocks.borders)).astype(np.int64)
    chunks = tuple(
        tuple((first, min(first + max_rows, stop)) for first in range(start, stop, max_rows))
        for start, stop in pairwise(borders.tolist())
    )
    return Blocks(borders, chunks)
