"""A sample of the corpus's tokens for measures of pairs of tokens, whose memory may not grow with the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probing_bridge.similarity.sums.layers import Layer

SAMPLE_TOKENS = 1000
SEED = 0


@dataclass(frozen=True)
class Sample:
    """Some tokens of one layer.

    Attributes:
        rows: (n_tokens, width) activations, in the order of the corpus.
        blocks: (n_tokens,) rising, the block of each.
    """

    rows: np.ndarray
    blocks: np.ndarray


class Sampler:
    """Keeps the same 1000 tokens of every layer, all where there are fewer; a callback of `accumulate`."""

    def __init__(self, layers: Sequence[Layer], borders: np.ndarray) -> None:
        """Draws the tokens, without replacement, by a generator with a fixed seed.

        Args:
            layers: The layers of the pass.
            borders: (n_blocks + 1,) first row of each block, and the number of rows.
        """
        n = min(SAMPLE_TOKENS, int(borders[-1]))
        self._places = np.sort(np.random.default_rng(SEED).choice(int(borders[-1]), n, replace=False))
        self._blocks = np.searchsorted(borders, self._places, side="right") - 1
        self._rows = [np.empty((n, layer.width)) for layer in layers]

    def __call__(self, block: int, layer: int, start: int, rows: np.ndarray) -> None:
        """Keeps the tokens of a chunk that are in the sample."""
        first, last = np.searchsorted(self._places, [start, start + len(rows)])
        self._rows[layer][first:last] = rows[self._places[first:last] - start]

    def sample(self, layer: int) -> Sample:
        """The tokens of a layer, after the pass."""
        return Sample(self._rows[layer], self._blocks)
