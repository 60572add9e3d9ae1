"""Measures of output distributions: what a position adds, and how a score comes from the sums over positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probing_bridge.formats.activations.output import Output

BINS = 15  # of confidence, as Guo et al. 2017


def mean(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means over positions from (..., columns) sums and (...) counts."""
    return sums / counts[..., None]


@dataclass(frozen=True)
class OutputMeasure:
    """One measure of the output of a level, or of LTH0 and a level.

    Attributes:
        columns: From the output of LTH0 (of the level itself if the measure is of one level) and that of the level,
            n positions each, to what each position adds: (n, columns).
        bounds: Smallest and largest value.
        citation: Where it comes from.
        of_pair: Whether it compares LTH0 and a level.
        variants: Names of the scores.
        score: From (..., columns) sums over positions and their (...) number to the scores, (..., variants).
    """

    columns: Callable[[Output, Output], np.ndarray]
    bounds: tuple[float, float]
    citation: str
    of_pair: bool
    variants: tuple[str, ...] = ("",)
    score: Callable[[np.ndarray, np.ndarray], np.ndarray] = mean


def agreement(dense: Output, level: Output) -> np.ndarray:
    """Whether the best token is the same, (n, 1)."""
    return (dense.tokens[:, :1] == level.tokens[:, :1]).astype(np.float64)


def gold_rank(_: Output, level: Output) -> np.ndarray:
    """Rank of the gold token among all tokens, 1 = best, (n, 1)."""
    return level.gold_rank[:, None].astype(np.float64)


def gold_reciprocal_rank(_: Output, level: Output) -> np.ndarray:
    """1 / rank of the gold token, (n, 1); unlike the rank, its mean does not hang on a few tokens far down."""
    return 1.0 / level.gold_rank[:, None].astype(np.float64)


def calibration_gaps(_: Output, level: Output) -> np.ndarray:
    """(n, BINS): in the bin of the best token's probability, whether that token is gold, less the probability."""
    confidence = np.exp(level.log_probabilities[:, 0].astype(np.float64))
    gaps = np.zeros((len(level), BINS))
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps[np.arange(len(level)), bins] = (level.tokens[:, 0] == level.gold) - confidence
    return gaps


def calibration_error(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Expected calibration error from sums of gaps: |accuracy - confidence| of a bin, averaged over positions."""
    return (np.abs(sums).sum(axis=-1) / counts)[..., None]
