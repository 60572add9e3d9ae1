"""A number of each run with its error over test sentences, and sums of such numbers.

Sums and differences add their errors: the test sentences are shared, so the error of a difference is at most the sum of
both, whatever they have in common. Where the predictions were kept, what they have in common is known, and numbers
are added sample by sample of the test sentences. Place in the flow: numbers -> per_run -> estimates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from probing_bridge.results.folder import RUN
from probing_bridge.results.statistics import REACH, Draws, Estimate, fitted_weights, from_draws, over_runs


class MissingRows(Exception):
    """The rows that a claim needs are not there; the message names them."""


@dataclass(frozen=True)
class PerRun:
    """A number of each run.

    Attributes:
        values: (R,); NaN for a run without it.
        errors: (R,) standard errors over test sentences; 0 where exact, NaN where not known.
        draws: Task -> its part of the number in samples of the task's test sentences; empty where they are not known.
    """

    values: np.ndarray
    errors: np.ndarray
    draws: Mapping[str, Draws] = field(default_factory=dict)

    def __add__(self, other: PerRun) -> PerRun:
        """Run by run."""
        return PerRun(self.values + other.values, self.errors + other.errors, _added((self, other), (1, 1)))

    def __sub__(self, other: PerRun) -> PerRun:
        """Run by run, paired."""
        return PerRun(self.values - other.values, self.errors + other.errors, _added((self, other), (1, -1)))

    def __mul__(self, factor: float | np.ndarray) -> PerRun:
        """Times a number, or one of each run."""
        each = np.reshape(factor, (-1, 1))  # of each run, or of all
        draws = {task: Draws(own.values * each, own.sentences) for task, own in self.draws.items()}
        return PerRun(self.values * factor, self.errors * np.abs(factor), draws)

    def less(self, constant: float) -> PerRun:
        """Less a number that is exact."""
        return replace(self, values=self.values - constant)

    def estimate(self) -> Estimate:
        """The mean over runs and how sure it is.

        Raises:
            MissingRows: No run has the number.
        """
        if not np.isfinite(self.values).any():
            raise MissingRows("scores that are numbers")
        return from_draws(self.values, list(self.draws.values())) if self.draws else over_runs(self.values, self.errors)


def weighted(numbers: Sequence[PerRun], weights: Iterable[float]) -> PerRun:
    """The sum of numbers times weights."""
    factors = np.asarray(list(weights))
    values, errors = (np.stack([getattr(n, name) for n in numbers]) for name in ("values", "errors"))
    return PerRun(factors @ values, np.abs(factors) @ errors, _added(numbers, factors))


def _added(numbers: Sequence[PerRun], factors: Iterable[float]) -> dict[str, Draws]:
    """The sum of their draws times factors, by task; nothing where one has none."""
    found: dict[str, Draws] = {}
    if not all(number.draws for number in numbers):
        return found
    for number, factor in zip(numbers, factors, strict=True):
        for task, own in number.draws.items():
            before = found[task].values if task in found else 0.0
            found[task] = Draws(before + factor * own.values, own.sentences)
    return found


def of_levels(changes: Sequence[PerRun], weights: Sequence[float] | np.ndarray) -> PerRun:
    """The sum of levels times weights that add up to 0, from each level's paired change from the first one.

    The error is at most half the sum of the weights' sizes times the largest error of a change: the difference of two
    groups of levels cannot vary more, if no two levels answer less alike than the first and the one least like it.

    Args:
        changes: Of every level but the first, whose change is 0.
        weights: Of every level, the first too.

    Raises:
        MissingRows: There are no changes.
    """
    if not changes:
        raise MissingRows("at least two levels")
    factors = np.asarray(weights, dtype=np.float64)
    values, errors = (np.stack([getattr(n, name) for n in changes]) for name in ("values", "errors"))
    reach = np.abs(factors).sum() / 2 * errors.max(axis=0)
    return PerRun(factors[1:] @ values, reach, _added(changes, factors[1:]))


def mean(numbers: Sequence[PerRun], what: str = "rows to average") -> PerRun:
    """Their mean.

    Raises:
        MissingRows: There are none.
    """
    if not numbers:
        raise MissingRows(what)
    return weighted(numbers, [1 / len(numbers)] * len(numbers))


def trend(numbers: Sequence[PerRun], at: Sequence[float]) -> PerRun:
    """The change of each run's fitted line from the first place to the last.

    Raises:
        MissingRows: Fewer than two places.
    """
    if len(numbers) < 2:
        raise MissingRows("at least two levels or layers")
    return weighted(numbers, fitted_weights(at))


def collected(frame: pd.DataFrame, keys: Sequence[str], value: str, runs: int) -> dict[tuple[Any, ...], PerRun]:
    """The numbers of a frame: means over the rows of each key and run, with the mean of their errors.

    Args:
        frame: Rows with the columns run, `keys` and `value`; and low and high, if it has an error over sentences.
        keys: The columns that say what a number is of.
        value: The column of the number.
        runs: How many runs there are.

    Returns:
        Key -> number; exact where the frame has no intervals.
    """
    places: dict[tuple[Any, ...], int] = {}
    columns = [frame[key].tolist() for key in keys]
    rows = [places.setdefault(key, len(places)) for key in zip(*columns, strict=True)]
    cells = np.asarray(rows, dtype=np.int64) * runs + frame[RUN].to_numpy(dtype=np.int64) - 1
    errors = np.zeros(len(frame))
    if {"low", "high"} <= set(frame.columns):
        width = frame["high"].to_numpy(dtype=np.float64) - frame["low"].to_numpy(dtype=np.float64)
        errors = np.maximum(width, 0.0) / (2 * REACH)  # one that is exact may be narrower than nothing, by rounding
    size = len(places) * runs
    counts = np.bincount(cells, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means, spreads = (
            (np.bincount(cells, weights=part, minlength=size) / counts).reshape(-1, runs)
            for part in (frame[value].to_numpy(dtype=np.float64), errors)
        )
    return {key: PerRun(means[place], spreads[place]) for key, place in places.items()}
