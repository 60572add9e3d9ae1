"""The predictions that `probe` kept beside the tables: every score again, in bootstrap samples of its test sentences.

A table has the interval of each score and of each change from LTH0. What two of them have in common, and so how sure
another sum of scores is, only the predictions tell. The samples are those of the tables. Place in the flow:
probes.parts -> kept -> claims.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from probing_bridge.errors import InputError
from probing_bridge.exchange.npz import check_sizes
from probing_bridge.probes.intervals import Resampled, over_seeds, resample, resampled
from probing_bridge.probes.measures import side_metrics
from probing_bridge.probes.metrics import METRICS, Predictions
from probing_bridge.probes.parts import PARTS, PartKey, load_part
from probing_bridge.probes.problem import PROBES
from probing_bridge.results.naming import rows_of
from probing_bridge.results.statistics import Draws

_SAME = 1e-6  # tables are written with more digits than this


@dataclass(frozen=True)
class _Row:
    """A row of the probes table, of one run and seed."""

    run: int
    seed: int
    path: Path
    metric: str
    score: float


class KeptPredictions:
    """The predictions behind the scores of some runs."""

    def __init__(self, probes: pd.DataFrame, folders: Sequence[Path | None]) -> None:
        """Finds out which files there would be; reads none.

        Args:
            probes: The table of probes, of all runs.
            folders: That of each run's tables; None if they are of no folder.
        """
        self._runs = len(folders)
        self._read: dict[tuple[str, str, str], dict[int, Draws]] = {}
        self._at: dict[tuple[str, str, str], dict[int, list[_Row]]] = {}  # (probe, task, layer) -> level -> rows
        known = probes["level"].notna() & probes["seed"].notna() & probes["score"].notna()
        rows = probes[known & probes["probe"].isin(PROBES)]
        for row in rows_of(rows[~rows["metric"].isin(side_metrics())]):
            folder = folders[row.run - 1]
            if folder is not None:
                key = PartKey(row.experiment, row.model, row.task, row.probe, int(row.seed), "score", row.layer)
                found = _Row(row.run, int(row.seed), key.path(folder / PARTS), row.metric, row.score)
                at = self._at.setdefault((row.probe, row.task, row.layer), {})
                at.setdefault(int(row.level), []).append(found)

    def lacking(self) -> set[int]:
        """The runs of which the predictions behind some row are not there."""
        rows = [row for levels in self._at.values() for some in levels.values() for row in some]
        lacking = {row.run for row in rows if not row.path.is_file()}
        return lacking | (set(range(1, self._runs + 1)) - {row.run for row in rows})

    def scores(self, probe: str, task: str, layer: str) -> Mapping[int, Draws]:
        """Level -> its score in each run and sample, as a fraction.

        Nothing of a level that lacks a run's predictions, or whose score is not defined in some sample.

        Raises:
            InputError: A file of predictions that is damaged, or whose score is not that of the table.
        """
        place = (probe, task, layer)
        if place not in self._read:
            self._read[place] = self._scores(self._at.get(place, {}))
        return self._read[place]

    def _scores(self, levels: Mapping[int, list[_Row]]) -> dict[int, Draws]:
        """Reads the predictions of one probe, task and layer."""
        found = {level: self._of_level(rows) for level, rows in levels.items()}
        known = {level: numbers for level, numbers in found.items() if numbers is not None}
        sizes = {number.offsets.tobytes() for numbers in known.values() for number in numbers}
        if len(sizes) > 1:  # not the same test sentences
            return {}
        draws = {
            level: Draws(np.stack([number.sampled for number in numbers]), len(numbers[0].offsets) - 1)
            for level, numbers in known.items()
        }
        return {level: own for level, own in draws.items() if own.sentences > 1 and np.isfinite(own.values).all()}

    def _of_level(self, rows: list[_Row]) -> list[Resampled] | None:
        """A number a run, the mean over its seeds; None if one lacks."""
        if {row.run for row in rows} != set(range(1, self._runs + 1)) or not all(row.path.is_file() for row in rows):
            return None
        numbers = []
        for run in range(1, self._runs + 1):
            seeds = [_resampled(row) for row in sorted(rows, key=lambda row: row.seed) if row.run == run]
            numbers.append(_mean(seeds) if self._runs > 1 or len(seeds) == 1 else over_seeds(seeds))
        return numbers


def _mean(seeds: Sequence[Resampled]) -> Resampled:
    """The mean over seeds, none drawn: of several runs, what seeds do is in what sets these apart."""
    sampled = np.mean([one.sampled for one in seeds], axis=0)
    return Resampled(float(np.mean([one.value for one in seeds])), sampled, seeds[0].offsets)


def _resampled(row: _Row) -> Resampled:
    """The score of a row, in samples."""
    predictions, metric = _predictions(row.path)
    try:
        statistics = METRICS[metric].statistics(predictions)
        value = float(METRICS[metric].score(statistics.sum(axis=0)))
    except (ValueError, IndexError, TypeError, AssertionError) as error:
        raise InputError("is not what `probe` writes", row.path) from error
    if METRICS[metric].name != row.metric or not abs(value - row.score) < _SAME:
        raise InputError(
            f"scores {value:.6g} ({METRICS[metric].name}), and probes.csv has {row.score:.6g} ({row.metric}): "
            f"gather both again, or remove {PARTS} and the intervals of the tables are taken",
            row.path,
        )
    return resampled(statistics, METRICS[metric].score, predictions.offsets, resample(len(statistics)))


def _predictions(path: Path) -> tuple[Predictions, str]:
    """The predictions in a file, and the key of their metric."""
    try:
        check_sizes(path)
        part = load_part(path)
    except (OSError, zipfile.BadZipFile, ValueError, TypeError, AttributeError, EOFError, KeyError) as error:
        raise InputError(f"is not what `probe` writes ({error})", path) from error
    if part is None or part.outcome.predictions is None or part.metric not in METRICS:
        raise InputError("is not what `probe` writes", path)
    found = part.outcome.predictions
    arrays: tuple[Any, ...] = (found.gold, found.predicted, found.offsets)
    ends = found.offsets.ravel()[[0, -1]].tolist() if found.offsets.size else []
    if any(array.ndim != 1 for array in arrays) or ends != [0, len(found.gold)] or (np.diff(found.offsets) < 0).any():
        raise InputError("is not what `probe` writes: offsets are not those of its items", path)
    return found, part.metric
