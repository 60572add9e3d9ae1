"""Attention: AttentionSim's blocks are moments of heads over word pairs; here is what single distributions look like.

Share of attention distributions with more than a threshold of their mass on one position (Movva & Zhao 2020, Section
5.4.3: 30 % encoder self, 16 % encoder-decoder, 40 % decoder self above 0.95), and their entropy in nats (Shannon
1948, Section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.records import Estimate


@dataclass(frozen=True)
class DistributionMeasure:
    """A mean over the attention distributions of one layer, of all heads.

    Attributes:
        function: From rows (n_rows, n_heads), the masses of one distribution after the other, the first row
            (n_distributions,) of each, and the threshold, to the values (n_distributions, n_heads).
        bounds: Smallest and largest value.
        citation: Where it comes from.
        takes_threshold: Whether the values depend on the threshold.
    """

    function: Callable[[np.ndarray, np.ndarray, float], np.ndarray]
    bounds: tuple[float, float]
    citation: str
    takes_threshold: bool = False


def concentrated(rows: np.ndarray, starts: np.ndarray, threshold: float) -> np.ndarray:
    """Whether a distribution has more than `threshold` of its mass on one position; see DistributionMeasure."""
    return np.maximum.reduceat(rows, starts, axis=0) > threshold


def entropy(rows: np.ndarray, starts: np.ndarray, threshold: float) -> np.ndarray:
    """Entropy of each distribution in nats, 0 = all mass on one position; see DistributionMeasure."""
    logarithms = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    logarithms *= rows
    return -np.add.reduceat(logarithms, starts, axis=0, dtype=np.float64)


class DistributionCounter:
    """Adds up the values of all distributions, block by block; a callback of `accumulate`."""

    def __init__(
        self,
        measures: Mapping[str, DistributionMeasure],
        n_layers: int,
        n_blocks: int,
        units: np.ndarray,
        threshold: float,
    ) -> None:
        """Starts at zero.

        Args:
            measures: What to add up, by name.
            n_layers: Number of layers.
            n_blocks: Number of blocks.
            units: Rows at which a distribution starts, and the end.
            threshold: Mass from which a distribution counts as concentrated.
        """
        self._measures = measures
        self._units = units
        self._threshold = threshold
        self._counts = np.zeros((n_layers, n_blocks))
        self._sums = {name: np.zeros((n_layers, n_blocks)) for name in measures}

    def __call__(self, block: int, layer: int, start: int, rows: np.ndarray) -> None:
        """Adds a chunk of whole distributions."""
        first, last = np.searchsorted(self._units, [start, start + len(rows)])
        starts = self._units[first:last] - start
        self._counts[layer, block] += len(starts) * rows.shape[1]
        for name, measure in self._measures.items():
            self._sums[name][layer, block] += measure.function(rows, starts, self._threshold).sum()

    def estimates(self, weights: np.ndarray) -> Iterator[tuple[int, int, dict[str, Estimate]]]:
        """Means over distributions and heads.

        Args:
            weights: (R, n_blocks) of the blocks, one left out in each row.

        Yields:
            Layer, number of distributions (of all heads), and the estimate of each measure.

        Raises:
            MomentsError: Attention that is not finite.
        """
        for layer, counts in enumerate(self._counts):
            estimates = {}
            for name, sums in self._sums.items():
                own = sums[layer]
                if not np.isfinite(own).all():
                    raise MomentsError(f"layer {layer}: attention with values that are not finite")
                estimates[name] = Estimate(float(own.sum() / counts.sum()), weights @ own / (weights @ counts))
            yield layer, int(counts.sum()), estimates
