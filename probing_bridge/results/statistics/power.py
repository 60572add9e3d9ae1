"""What a study could have found: its power, and how many runs another one needs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from probing_bridge.results.statistics.estimates import CONFIDENCE, Estimate
from probing_bridge.results.statistics.questions import FALLS, KEPT, RISES, Question

MOST_RUNS = 100


def power(
    estimate: Estimate, claimed: str, paper: float, margin: float, confidence: float = CONFIDENCE, least: float = 0.0
) -> float:
    """How likely another study with this error finds what the paper says.

    Args:
        estimate: Its error and degrees are those of the other study.
        claimed: RISES, FALLS, SAME or KEPT.
        paper: The true effect, the paper's; NaN: not known.
        margin: What counts as no change.
        confidence: Of the interval that decides.
        least: How large a claimed rise or fall has to be.

    Returns:
        Probability of *holds* (noncentral t), or of *equivalent*; NaN where paper or error are not known.
    """
    if math.isnan(paper) or math.isnan(estimate.error):
        return math.nan
    reach = estimate.interval(confidence)[1] - estimate.effect
    if claimed in (RISES, FALLS):
        return _power_of_sign((paper if claimed == RISES else -paper) - least, estimate, reach)
    if claimed == KEPT:
        return _power_of_sign(paper + margin, estimate, reach)
    return _power_of_same(paper, margin, estimate, reach)


def _power_of_sign(beyond: float, estimate: Estimate, reach: float) -> float:
    """How likely an interval that reaches so far lies above 0, where the effect is `beyond` it."""
    from scipy.special import nctdtr, ndtr

    if estimate.error == 0:
        return float(beyond > 0)
    size, critical = beyond / estimate.error, reach / estimate.error
    if not math.isfinite(estimate.degrees):
        return float(ndtr(size - critical))
    return float(1 - nctdtr(estimate.degrees, size, critical))


def _power_of_same(paper: float, margin: float, estimate: Estimate, reach: float) -> float:
    """How likely a whole interval lies inside the margin, as a mean over the errors that a study may find."""
    from scipy.special import chdtri, ndtr

    if estimate.error == 0:
        return float(abs(paper) <= margin)
    shares = (np.arange(64) + 0.5) / 64
    known = not math.isfinite(estimate.degrees)
    found = np.ones(1) if known else np.sqrt(chdtri(estimate.degrees, shares) / estimate.degrees)
    room = np.maximum(margin - found * reach, 0.0)
    inside = ndtr((room - paper) / estimate.error) - ndtr((-room - paper) / estimate.error)
    return float(inside.mean())


def runs_needed(question: Question, confidence: float = CONFIDENCE, wanted: float = 0.8) -> int | None:
    """The smallest number of runs whose power for the paper's effect is `wanted`, if runs spread as they do here.

    Args:
        question: With the paper's effect and an estimate over at least two runs.
        confidence: Of the interval that decides.
        wanted: The power.

    Returns:
        Between 2 and 100; None where no such number is enough (the test sentences are too few), or one run tells
        nothing of how runs spread.
    """
    if math.isnan(question.estimate.of_runs):
        return None
    estimate = replace(question.estimate, degrees=math.inf)  # of sentences alone: as good as known
    for runs in range(2, MOST_RUNS + 1):
        study = estimate.of_study(runs)
        if power(study, question.claimed, question.paper, question.margin, confidence, question.least) >= wanted:
            return runs
    return None
