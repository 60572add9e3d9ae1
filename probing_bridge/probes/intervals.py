"""How sure a score is: bootstrap samples of the sentences of a split, for one score or for the difference of two.

Percentile intervals as in Efron & Tibshirani (1993, An Introduction to the Bootstrap, chapter 13).
"""

from __future__ import annotations

import functools

import numpy as np

from probing_bridge.probes.metrics import METRICS, Predictions

N_RESAMPLES = 1000


@functools.lru_cache(maxsize=4)
def resample(n_sentences: int, seed: int = 0) -> np.ndarray:
    """Draws bootstrap samples of the sentences of a split.

    Args:
        n_sentences: How many there are.
        seed: Of the generator; the same seed and number give the same samples, so intervals of differences are paired.

    Returns:
        (1000, n_sentences) float64: how often each sentence is in each sample.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_sentences, np.full(n_sentences, 1 / n_sentences), size=N_RESAMPLES).astype(np.float64)


def interval(metric: str, predictions: Predictions, samples: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of a score, over sentences.

    Args:
        metric: A key of METRICS.
        predictions: Answers and gold.
        samples: (n_samples, n_sentences) from `resample`.

    Returns:
        Lower and upper bound; nan where no sample has a defined score.
    """
    chosen = METRICS[metric]
    return percentiles(chosen.score(samples @ chosen.statistics(predictions)))


def sampled_difference(metric: str, a: Predictions, b: Predictions, samples: np.ndarray) -> tuple[float, np.ndarray]:
    """The difference of two scores on the same sentences, whole and in every bootstrap sample of them.

    Args:
        metric: A key of METRICS.
        a: Answers of one probe.
        b: Answers of another, perhaps to other questions, but item for item about the same sentences.
        samples: (n_samples, n_sentences) from `resample`.

    Returns:
        score(b) - score(a), and the (up to n_samples,) sampled differences that are defined.

    Raises:
        ValueError: The two are not about the same items.
    """
    if not np.array_equal(a.offsets, b.offsets):
        raise ValueError("a paired comparison needs the same items on both sides")
    chosen = METRICS[metric]
    stats = [chosen.statistics(predictions) for predictions in (a, b)]
    difference = float(chosen.score(stats[1].sum(axis=0)) - chosen.score(stats[0].sum(axis=0)))
    sampled = chosen.score(samples @ stats[1]) - chosen.score(samples @ stats[0])
    return difference, sampled[np.isfinite(sampled)]


def paired_difference(
    metric: str, a: Predictions, b: Predictions, samples: np.ndarray
) -> tuple[float, float, float, float]:
    """How much better `b` is than `a` on the same items, with a paired bootstrap over sentences.

    Args:
        metric: A key of METRICS.
        a: Answers of one model.
        b: Answers of the other.
        samples: (n_samples, n_sentences) from `resample`.

    Returns:
        score(b) - score(a), its 95 % interval, and the two-sided p-value: twice the smaller share of samples whose
        difference is <= 0 or >= 0 (each with one added, so that it is never 0), at most 1.

    Raises:
        ValueError: The two are not about the same items with the same gold answers.
    """
    if not np.array_equal(a.gold, b.gold):
        raise ValueError("a paired comparison needs the same gold answers on both sides")
    difference, sampled = sampled_difference(metric, a, b, samples)
    low, high = percentiles(sampled)
    tail = min(int((sampled <= 0).sum()), int((sampled >= 0).sum()))
    return difference, low, high, min(1.0, 2 * (tail + 1) / (len(sampled) + 1))


def percentiles(scores: np.ndarray) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of bootstrap scores; nan where there are none.

    Args:
        scores: (n,) with undefined scores as nan.

    Returns:
        Lower and upper bound.
    """
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return float("nan"), float("nan")
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)
