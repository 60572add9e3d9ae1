"""What two translations of the same sentences differ by: an interval of the difference and of the quotient, and a test.

Intervals are the 2.5th and 97.5th percentile over 1000 bootstrap samples of the sentences, the same of both (Koehn
2004, Section 5; percentiles: Efron & Tibshirani 1993, An Introduction to the Bootstrap, Section 13.3). p is two-sided,
by paired approximate randomisation over sentences (Riezler & Maxwell 2005, Section 4.1). Sacrebleu's own paired tests
(2.6.0) are not used: its bootstrap centres absolute differences, as Moses did, so that its p is neither one- nor
two-sided (0.41 for a difference of 0.001 BLEU), and its randomisation leaves out trials that differ just as much as the
two do, so that equal translations have p = 0.0001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probing_bridge.translation.metrics import BOOTSTRAP, Metric, Texts

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer

TRIALS, CHUNK, SEED = 10000, 500, 12345
ENDS = (2.5, 97.5)


@dataclass(frozen=True)
class Difference:
    """One translation's score less another's, in points, and as a share of it; NaN where the other scores 0.

    Attributes:
        difference: In points.
        low: Lower end of its 95 % interval.
        high: Upper end.
        ratio: Share of the other's score, 1 = as good.
        ratio_low: Lower end of its 95 % interval.
        ratio_high: Upper end.
        p: Of no difference, two-sided, in (0, 1].
        signature: What it was made with.
    """

    difference: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    p: float
    signature: str


def compare(metric: Metric, one: Texts, other: Texts) -> Difference:
    """Compares two translations of the same references.

    Args:
        metric: One of METRICS.
        one: The translations of a test set.
        other: Others, with the same references.
    """
    scorer = metric.scorer(one)
    a, b = (statistics(scorer, texts) for texts in (one, other))
    scores = np.array([[score(scorer, side.sum(axis=0)) for side in (a, b)]])
    drawn = np.random.default_rng(SEED).multinomial(len(a), np.full(len(a), 1 / len(a)), BOOTSTRAP)
    resampled = np.array([[score(scorer, row) for row in pair] for pair in zip(drawn @ a, drawn @ b, strict=True)])
    signature = f"{scorer.get_signature()}|bs:{BOOTSTRAP}|ar:{TRIALS}|seed:{SEED}{metric.suffix}"
    return Difference(
        *_with_ends(scores[:, 0] - scores[:, 1], resampled[:, 0] - resampled[:, 1]),
        *_with_ends(_quotients(scores), _quotients(resampled)),
        randomised_p(scorer, a, b),
        signature,
    )


def _with_ends(value: np.ndarray, resampled: np.ndarray) -> tuple[float, float, float]:
    """A number with the ends of its interval; no interval where some samples have no number."""
    low, high = np.percentile(resampled, ENDS)
    return float(value[0]), float(low), float(high)


def _quotients(scores: np.ndarray) -> np.ndarray:
    """First column by second, (n,); NaN where that is 0."""
    return np.divide(scores[:, 0], scores[:, 1], out=np.full(len(scores), np.nan), where=scores[:, 1] > 0)


def randomised_p(scorer: Scorer, a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p of two translations by approximate randomisation.

    Each trial swaps the two translations of every sentence with probability 1/2. p is the share of the trials, the
    actual outcome among them, whose difference in score is at least the actual one.

    Args:
        scorer: Of both.
        a: `statistics` of the one.
        b: Those of the other.

    Returns:
        p in (0, 1].
    """
    sums_a, sums_b = a.sum(axis=0), b.sum(axis=0)
    actual = apart(scorer, sums_a, sums_b)
    random = np.random.default_rng(SEED)
    moved = [random.integers(2, size=(CHUNK, len(a))) @ (b - a) for _ in range(TRIALS // CHUNK)]
    rows, counts = np.unique(np.concatenate(moved), axis=0, return_counts=True)  # few sentences: often the same sums
    reached = [apart(scorer, sums_a + row, sums_b - row) >= actual for row in rows]
    return (1 + int(counts[reached].sum())) / (TRIALS + 1)


def statistics(scorer: Scorer, texts: Texts) -> np.ndarray:
    """What a metric adds up over sentences, (n_sentences, k): counts of matching and of all n-grams, and lengths."""
    return np.array(scorer._extract_corpus_statistics(texts.hypotheses, [texts.references]))


def score(scorer: Scorer, sums: np.ndarray) -> float:
    """Score in percent of a sum of statistics."""
    return float(scorer._compute_score_from_stats(sums.tolist()).score)


def apart(scorer: Scorer, a: np.ndarray, b: np.ndarray) -> float:
    """Absolute difference in score of two sums of statistics."""
    return abs(score(scorer, a) - score(scorer, b))
