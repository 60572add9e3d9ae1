"""Attention: AttentionSim's blocks are moments of heads over word pairs; here is what single distributions look like.

Share of attention distributions with more than a threshold of their mass on one position (Movva & Zhao 2020, Section
5.4.3: 30 % encoder self, 16 % encoder-decoder, 40 % decoder self above 0.95), and their entropy in nats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from probing_bridge.similarity.run.scoring import Score
from probing_bridge.similarity.sums import resampling
from probing_bridge.similarity.sums.blocks import MomentsError


def distribution_statistics(rows: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest mass and entropy of attention distributions.

    Args:
        rows: (n_rows, n_heads), the masses of one distribution after the other.
        starts: (n_distributions,) first row of each distribution, the first 0.

    Returns:
        (n_distributions, n_heads) largest mass, and entropy in nats (0 = all mass on one position).
    """
    largest = np.maximum.reduceat(rows, starts, axis=0)
    logarithms = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    logarithms *= rows
    return largest, -np.add.reduceat(logarithms, starts, axis=0, dtype=np.float64)


class DistributionCounter:
    """Adds up the statistics of all distributions, block by block; a callback of `accumulate`."""

    def __init__(self, n_layers: int, n_blocks: int, units: np.ndarray, threshold: float) -> None:
        """Starts at zero.

        Args:
            n_layers: Number of layers.
            n_blocks: Number of blocks.
            units: Rows at which a distribution starts, and the end.
            threshold: Mass from which a distribution counts as concentrated.
        """
        self._units = units
        self._threshold = threshold
        self._counts = np.zeros((n_layers, n_blocks))
        self._concentrated = np.zeros((n_layers, n_blocks))
        self._entropy = np.zeros((n_layers, n_blocks))

    def __call__(self, block: int, layer: int, start: int, rows: np.ndarray) -> None:
        """Adds a chunk of whole distributions."""
        first, last = np.searchsorted(self._units, [start, start + len(rows)])
        largest, entropy = distribution_statistics(rows, self._units[first:last] - start)
        self._counts[layer, block] += largest.size
        self._concentrated[layer, block] += (largest > self._threshold).sum()
        self._entropy[layer, block] += entropy.sum()

    def scores(self, draws: np.ndarray) -> Iterator[tuple[int, int, Sequence[Score]]]:
        """Mean over distributions and heads.

        Args:
            draws: (R, n_blocks) resamples.

        Yields:
            Layer, number of distributions (of all heads), scores.
        """
        rows = zip(self._counts, self._concentrated, self._entropy, strict=True)
        for layer, (counts, concentrated, entropy) in enumerate(rows):
            scores = []
            for name, variant, sums, bounds in (
                ("attention_concentration", f"{self._threshold:g}", concentrated, (0.0, 1.0)),
                ("attention_entropy", "", entropy, (0.0, np.inf)),
            ):
                if not np.isfinite(sums).all():
                    raise MomentsError(f"layer {layer}: attention with values that are not finite")
                value = float(sums.sum() / counts.sum())
                low, high = resampling.interval(value, draws @ sums / (draws @ counts), len(counts), bounds)
                scores.append(Score(name, variant, value, low, high))
            yield layer, int(counts.sum()), scores
