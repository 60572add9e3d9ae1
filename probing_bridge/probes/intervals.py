"""How sure a score is: bootstrap samples of the sentences of a split, for a score, a difference and a mean over seeds.

Percentile intervals as in Efron & Tibshirani (1993, An Introduction to the Bootstrap, chapter 13). Seeds are drawn
beside sentences, independently of them, as the runs of Sellam et al. (2022, The MultiBERTs, Section 4.1).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from probing_bridge.probes.metrics import METRICS, Predictions

N_RESAMPLES = 1000
_AT_A_TIME = 1000  # samples that are multiplied at a time: as float64 they take four times what they take here


@dataclass(frozen=True)
class Resampled:
    """A number and what it is in bootstrap samples of the sentences that it is of; two of the same ones subtract.

    Attributes:
        value: The number; nan where it is not defined.
        sampled: (n_resamples,) what it is in each sample; nan where it is not defined.
        offsets: (n_sentences + 1,) where the items of each sentence begin and end.
    """

    value: float
    sampled: np.ndarray
    offsets: np.ndarray

    def __sub__(self, other: Resampled) -> Resampled:
        """The difference, paired over sentences.

        Raises:
            ValueError: The two are not of the same items.
        """
        if not np.array_equal(self.offsets, other.offsets):
            raise ValueError("a paired comparison needs the same items on both sides")
        return Resampled(self.value - other.value, self.sampled - other.sampled, self.offsets)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % percentile interval; nan where no sample is defined."""
        defined = self.sampled[np.isfinite(self.sampled)]
        if not len(defined):
            return float("nan"), float("nan")
        low, high = np.percentile(defined, [2.5, 97.5])
        return float(low), float(high)

    @property
    def p(self) -> float:
        """Two-sided p-value of a difference from 0.

        Twice the smaller share of samples that are <= 0 or >= 0 (each with one added, so that it is never 0), at
        most 1.
        """
        defined = self.sampled[np.isfinite(self.sampled)]
        tail = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
        return min(1.0, 2 * (tail + 1) / (len(defined) + 1))


@functools.lru_cache(maxsize=4)
def resample(n_sentences: int, n_resamples: int = N_RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draws bootstrap samples of the sentences of a split.

    Args:
        n_sentences: How many there are.
        n_resamples: How many samples.
        seed: Of the generator; the same seed and numbers give the same samples, so differences are paired.

    Returns:
        (n_resamples, n_sentences) uint16: how often each sentence is in each sample.
    """
    rng = np.random.default_rng(seed)
    shares = np.full(n_sentences, 1 / n_sentences)
    return np.concatenate(
        [
            rng.multinomial(n_sentences, shares, size=min(_AT_A_TIME, n_resamples - first)).astype(np.uint16)
            for first in range(0, n_resamples, _AT_A_TIME)
        ]
    )


def resampled(
    statistics: np.ndarray, score: Callable[[np.ndarray], np.ndarray], offsets: np.ndarray, samples: np.ndarray
) -> Resampled:
    """A score of summed statistics, in the whole split and in samples of its sentences.

    Args:
        statistics: (n_sentences, k) float64.
        score: Summed statistics (..., k) -> (...) scores.
        offsets: (n_sentences + 1,) the items of each sentence.
        samples: (n_resamples, n_sentences) from `resample`.

    Returns:
        The number and its samples.
    """
    sums = [samples[i : i + _AT_A_TIME].astype(np.float64) @ statistics for i in range(0, len(samples), _AT_A_TIME)]
    return Resampled(float(score(statistics.sum(axis=0))), score(np.concatenate(sums)), offsets)


def resampled_score(metric: str, predictions: Predictions, samples: np.ndarray) -> Resampled:
    """A score of predictions.

    Args:
        metric: A key of METRICS.
        predictions: Answers and gold.
        samples: (n_resamples, n_sentences) from `resample`.

    Returns:
        The number and its samples.
    """
    chosen = METRICS[metric]
    return resampled(chosen.statistics(predictions), chosen.score, predictions.offsets, samples)


def over_seeds(numbers: Sequence[Resampled]) -> Resampled:
    """The mean over seeds; in each sample of the sentences the seeds too are drawn, as many as there are.

    Args:
        numbers: One of each seed, of the same sentences.

    Returns:
        The mean and its samples.
    """
    n = len(numbers)
    sampled = np.stack([one.sampled for one in numbers])
    drawn = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), size=sampled.shape[1]).T
    terms = np.where(drawn > 0, drawn * sampled, 0.0)  # a seed that was not drawn may be undefined
    return Resampled(float(np.mean([one.value for one in numbers])), terms.sum(axis=0) / n, numbers[0].offsets)
