"""An effect over runs and sentences: its mean, its standard error and how sure that error is.

Runs (trainings with other seeds) and test sentences are two samples, and an effect is measured on every pair of them: a
run's error is its own, an error of the test set is shared by all runs and does not shrink with their number. Both are
resampled by themselves in the Multi-Bootstrap (Sellam et al. 2022, The MultiBERTs, arXiv 2106.16163, Section 3), which
needs many runs: R resampled runs have only (R - 1) / R of their variance, and a normal interval around three of them is
too short. Here the part of the runs is their sample variance, with t on R - 1 degrees; the part of the sentences is
resampled; and the degrees of the sum are Satterthwaite's (1946, An Approximate Distribution of Estimates of Variance
Components). The slow test in tests/probing_bridge/results/test_statistics.py simulates how often such intervals cover.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95
REACH = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # standard errors from an estimate to each end of its interval

Effect = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """An effect and how sure it is.

    Attributes:
        effect: Mean over runs, in its unit.
        error: Standard error of that mean, over runs and sentences (one run: over sentences alone).
        degrees: Degrees of freedom of the error; infinite where it is as good as known.
        runs: How many runs.
        of_runs: Standard deviation between runs, without what their sentences explain; NaN for one run.
        of_sentences: The part of the error that further runs do not take away.
    """

    effect: float
    error: float
    degrees: float
    runs: int
    of_runs: float
    of_sentences: float

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Low and high end; (NaN, NaN) where the error is not known, the effect itself twice where it is exact."""
        from scipy.special import ndtri, stdtrit

        share = (1 + confidence) / 2
        reach = self.error * float(stdtrit(self.degrees, share) if math.isfinite(self.degrees) else ndtri(share))
        return self.effect - reach, self.effect + reach

    def of_study(self, runs: int, times: int = 1) -> Estimate:
        """The same effect in a study of so many runs and so many times the sentences, which spread as they do here.

        Its degrees are those of the part of the runs, the only one that is estimated; without such a part these ones.
        """
        own = 0.0 if runs == 1 else self.of_runs**2 / runs
        total = own + self.of_sentences**2 / times
        degrees = total**2 / (own**2 / (runs - 1)) if own else self.degrees
        return replace(self, error=total**0.5, degrees=degrees, runs=runs)

    def p_above(self, null: float = 0.0) -> float:
        """One-sided p of an effect that is not above `null`; NaN where the error is not known."""
        from scipy.special import ndtr, stdtr

        if math.isnan(self.error):
            return math.nan
        away = null - self.effect
        if self.error == 0:
            return 0.0 if away < 0 else 1.0
        return float(stdtr(self.degrees, away / self.error) if math.isfinite(self.degrees) else ndtr(away / self.error))

    def p_below(self, null: float = 0.0) -> float:
        """One-sided p of an effect that is not below `null`."""
        return Estimate(-self.effect, self.error, self.degrees, self.runs, 0.0, 0.0).p_above(-null)

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of an effect that is `null`: twice the smaller of the two, at most 1."""
        return min(1.0, 2 * min(self.p_above(null), self.p_below(null)))


def over_runs(effects: Sequence[float] | np.ndarray, errors: Sequence[float] | np.ndarray | float = 0.0) -> Estimate:
    """An effect from one number a run, and what is known of each number's error over sentences.

    The errors count as shared by the runs, as if all of them came from the test set: what of them is a run's own is
    counted twice, so the interval is wide rather than short. `multi_bootstrap` tells the two apart.

    Args:
        effects: (R,) paired differences, in any unit; NaN leaves a run out.
        errors: (R,) standard errors over test sentences (an interval's width / 3.92), or one for all. 0: exact numbers,
            such as shares of pruned weights; NaN: not known, and the estimate is over runs alone.

    Returns:
        The estimate; of one run its error is that over sentences, NaN if that is not known.

    Raises:
        ValueError: No run at all, or negative errors.
    """
    values = np.asarray(effects, dtype=np.float64).ravel()
    spread = np.broadcast_to(np.asarray(errors, dtype=np.float64), values.shape)
    known = np.isfinite(values)
    values, spread = values[known], spread[known]
    if not len(values):
        raise ValueError("an effect needs at least one run")
    if (spread < 0).any():
        raise ValueError("a standard error is not negative")
    sentences = float(spread.mean())
    if len(values) == 1:
        return Estimate(float(values[0]), sentences, math.inf, 1, math.nan, sentences)
    variance, shared = float(values.var(ddof=1)) / len(values), 0.0 if math.isnan(sentences) else sentences**2
    return _added(float(values.mean()), len(values), variance, 0.0, shared, math.inf)


@dataclass(frozen=True)
class Draws:
    """An effect of each run in bootstrap samples of the sentences of one test set, the same samples for all runs.

    Attributes:
        values: (R, n_samples); NaN in a sample where it is not defined.
        sentences: How many sentences the test set has.
    """

    values: np.ndarray
    sentences: int


def from_draws(effects: np.ndarray, draws: Sequence[Draws]) -> Estimate:
    """An effect over runs and sentences, from what it is in samples of the sentences (the Multi-Bootstrap).

    Args:
        effects: (R,) the effect of each run.
        draws: Of it, or of each of its terms that are of different test sets. What test sets have in common is not
            known, so their errors add.

    Returns:
        The estimate; with one run over sentences alone.

    Raises:
        ValueError: The effect is not defined, in a run or in all samples but one.
    """
    parts = []
    for drawn in draws:
        known = drawn.values[:, np.isfinite(drawn.values).all(axis=0)].T
        scale = drawn.sentences / (drawn.sentences - 1) / max(len(known) - 1, 1)
        parts.append(_parts(known, scale))
    both = sum(both for both, _ in parts)
    sentences = sum(sentences**0.5 for _, sentences in parts) ** 2
    return _estimate(effects, both, sentences, min(drawn.sentences for drawn in draws) - 1)


def multi_bootstrap(sums: np.ndarray, effect: Effect, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """An effect over runs and sentences, from what each sentence adds to the sums that it is computed of.

    Args:
        sums: (R, n_sentences, k) float: of run r, what sentence s adds to k sums, such as correct answers and answers
            of two levels. The sentences are the same in all runs.
        effect: (..., k) sums -> (...) effects, such as one level's accuracy less the other's.
        resamples: How often the sentences are drawn.
        seed: Of the draws.

    Returns:
        The estimate; with one run over sentences alone.

    Raises:
        ValueError: Another shape, fewer than two sentences, or sums without a defined effect.
    """
    n_sentences = _sentences(sums)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_sentences, np.full(n_sentences, 1 / n_sentences), size=resamples).astype(np.float64)
    values, draws = _effects(sums, effect, weights)
    return from_draws(values, [Draws(draws.T, n_sentences)])


def multi_jackknife(sums: np.ndarray, effect: Effect) -> Estimate:
    """As `multi_bootstrap`, leaving out one sentence (or block of sentences) at a time.

    For sums of blocks: a block that is drawn twice resembles itself and raises CKA and best matches; one that is left
    out does not (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 11).

    Args:
        sums: (R, n_blocks, k), k sums of each block.
        effect: (..., k) sums -> (...) effects.

    Returns:
        The estimate, on n_blocks - 1 degrees for its part of the sentences.

    Raises:
        ValueError: As for multi_bootstrap.
    """
    n_blocks = _sentences(sums)
    values, draws = _effects(sums, effect, 1 - np.eye(n_blocks))
    draws = draws[np.isfinite(draws).all(axis=1)]
    return _estimate(values, *_parts(draws, (n_blocks - 1) / n_blocks), n_blocks - 1)


def _sentences(sums: np.ndarray) -> int:
    if sums.ndim != 3 or not len(sums) or sums.shape[1] < 2:
        raise ValueError(f"sums are (runs, sentences, k), of at least two sentences, not {sums.shape}")
    return int(sums.shape[1])


def _effects(sums: np.ndarray, effect: Effect, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R,) effects, and (n_samples, R) those of weighted sentences."""
    values = np.asarray(effect(sums.sum(axis=1)), dtype=np.float64)
    return values, np.asarray(effect(np.einsum("bs,rsk->brk", weights, sums, optimize=True)), dtype=np.float64)


def _parts(draws: np.ndarray, scale: float) -> tuple[float, float]:
    """Two variances of the mean over runs: what sentences explain of that between runs, and that over sentences.

    Args:
        draws: (n_samples, R).
        scale: Makes a sum of squares over samples a variance.
    """
    if len(draws) < 2:
        raise ValueError("the effect is not defined in samples of the sentences")
    means, runs = draws.mean(axis=1), draws.shape[1]
    sentences = float(scale * ((means - means.mean()) ** 2).sum())
    apart = draws - means[:, None]  # what sentences do to one run and not to the mean
    both = float(scale * ((apart - apart.mean(axis=0)) ** 2).sum()) / (runs * (runs - 1)) if runs > 1 else 0.0
    return both, sentences


def _estimate(values: np.ndarray, both: float, sentences: float, degrees: float) -> Estimate:
    """Of an effect of each run; the variances are those of _parts."""
    if not np.isfinite(values).all():
        raise ValueError("the effect is not defined in every run")
    runs = len(values)
    if runs == 1:
        return Estimate(float(values[0]), sentences**0.5, degrees, 1, math.nan, sentences**0.5)
    return _added(float(values.mean()), runs, float(values.var(ddof=1)) / runs, both, sentences, degrees)


def _added(effect: float, runs: int, of_runs: float, both: float, sentences: float, degrees: float) -> Estimate:
    """Adds variances of a mean: between runs, less what sentences explain of it (`both`), and over sentences."""
    own = max(of_runs - both, 0.0)
    total = own + sentences
    uncertain = (of_runs**2 / (runs - 1) if own else 0.0) + sentences**2 / degrees
    freedom = total**2 / uncertain if uncertain > 0 else math.inf
    return Estimate(effect, total**0.5, max(freedom, 1.0), runs, (own * runs) ** 0.5, sentences**0.5)
