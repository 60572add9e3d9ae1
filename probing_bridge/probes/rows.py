"""From finished jobs to the rows of the result tables: scores with intervals, details, selectivity, differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from probing_bridge import __version__
from probing_bridge.formats.activations.layout import layer_order
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.locks import locked
from probing_bridge.formats.origin import lineage
from probing_bridge.formats.tables import empty_table, write_table
from probing_bridge.probes.intervals import interval, paired_difference, percentiles, resample, sampled_difference
from probing_bridge.probes.measures import MEASURES, SELECTIVITY, Outcome
from probing_bridge.probes.metrics import METRICS, Predictions, label_statistics, score
from probing_bridge.probes.parts import Part, PartKey, all_parts, load_part

_LABEL_SCORES = {name: METRICS[f"{name}_i"].score for name in ("precision", "recall", "f1")}


def _finite(value: float) -> float | None:
    """Undefined scores are empty cells."""
    return float(value) if np.isfinite(value) else None


def _row(name: str, value: float, n: int, low: float = np.nan, high: float = np.nan) -> dict[str, Any]:
    return {"metric": name, "score": _finite(value), "low": _finite(low), "high": _finite(high), "n": n}


def score_rows(outcome: Outcome, metric: str) -> list[dict[str, Any]]:
    """The rows of the probes table that one outcome gives.

    Args:
        outcome: Of one layer.
        metric: That of its predictions, a key of METRICS.

    Returns:
        metric, score, low, high, n of each row.
    """
    rows = [_row(name, value, outcome.n_items) for name, value in outcome.values.items()]
    if (predictions := outcome.predictions) is None:
        return rows
    samples = resample(predictions.n_sentences)
    return rows + [
        _row(METRICS[key].name, score(key, predictions), outcome.n_items, *interval(key, predictions, samples))
        for key in (metric, *METRICS[metric].beside)
    ]


def detail_rows(predictions: Predictions, metric: str) -> list[dict[str, Any]]:
    """Further scores of the same predictions: other metrics (label empty), and each label by itself.

    Args:
        predictions: On the test split.
        metric: The task's own metric.

    Returns:
        label, metric, score, n (items; of a label its gold items) of each row.
    """
    keys = [key for key in METRICS[metric].details if key != "accuracy3" or predictions.top3 is not None]
    rows = [
        {"label": "", "metric": METRICS[key].name, "score": _finite(score(key, predictions)), "n": predictions.n_items}
        for key in keys
    ]
    for label in predictions.labels or ():
        sums = label_statistics(label)(predictions).sum(axis=0)
        rows += [
            {"label": label, "metric": name, "score": _finite(float(of(sums))), "n": int(sums[2])}
            for name, of in _LABEL_SCORES.items()
        ]
    return rows


def _frame_rows(parts: Iterable[Part], rows_of: str) -> list[dict[str, Any]]:
    return [
        {**{name: part.fingerprint.get(name) for name in _FROM_FINGERPRINT}, **_identity(part.key), **row}
        for part in parts
        for row in getattr(part, rows_of)
    ]


_FROM_FINGERPRINT = ("level", "sparsity", "data_hash", "reps_hash", "package_version", "command")


def _identity(key: PartKey) -> dict[str, Any]:
    probe = key.probe + (MEASURES[key.measure].suffix if key.measure in MEASURES else "")
    identity = {"experiment": key.experiment, "model": key.model, "task": key.task, "layer": key.layer}
    return {**identity, "probe": probe, "seed": key.seed}


def _with_measure(key: PartKey, measure: str) -> PartKey:
    return PartKey(key.experiment, key.model, key.task, key.probe, key.seed, measure, key.layer)


def selectivity_rows(parts: Sequence[Part], folder: Path) -> list[dict[str, Any]]:
    """Selectivity wherever a probe and its control were both scored (Hewitt & Liang 2019, Section 1).

    Args:
        parts: All parts.
        folder: Where their predictions are.

    Returns:
        Rows of the probes table: accuracy (r for a regression) less that of the control task, with its interval.
    """
    rows = []
    keys = {part.key for part in parts}
    for part in parts:
        control_key = _with_measure(part.key, "control")
        if part.key.measure != "score" or control_key not in keys:
            continue
        real, control = (load_part(key.path(folder)) for key in (part.key, control_key))
        if real is None or control is None or real.predictions is None or control.predictions is None:
            continue
        difference, sampled = sampled_difference(
            control.metric, control.predictions, real.predictions, resample(real.predictions.n_sentences)
        )
        low, high = percentiles(sampled)
        common = {name: part.fingerprint.get(name) for name in _FROM_FINGERPRINT}
        values = _row(SELECTIVITY, difference, real.predictions.n_items, low, high)
        rows.append({**common, **_identity(part.key), **values, "best_epoch": None})
    return rows


def difference_rows(parts: Sequence[Part], folder: Path) -> list[dict[str, Any]]:
    """How much each level differs from the lowest level of its experiment, with a paired bootstrap over sentences.

    The levels of a branch start with those of the experiment it branched off, if they are among the parts.

    Args:
        parts: All parts.
        folder: Where their predictions are.

    Returns:
        Rows of the probes_differences table.
    """
    groups: dict[tuple[Any, ...], list[Part]] = {}
    for part in parts:
        if part.key.measure == "score" and part.origin.level is not None:
            key = part.key
            same = (key.task, key.layer, key.probe, key.seed, part.fingerprint["data_hash"])
            groups.setdefault(same, []).append(part)
    rows: list[dict[str, Any]] = []
    for group in groups.values():
        parents = {part.origin.experiment: part.origin.parent for part in group}
        for experiment in parents:
            last = lineage(experiment, parents)
            levels = {
                part.origin.level or 0: part
                for part in group
                if (part.origin.level or 0) <= last.get(part.origin.experiment, -1)
            }
            rows += _differences(levels, experiment, folder)
    return rows


def _differences(levels: dict[int, Part], experiment: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Each level that is the experiment's own against the lowest one."""
    base = min(levels)
    own = sorted(level for level, part in levels.items() if level != base and part.key.experiment == experiment)
    first = load_part(levels[base].key.path(folder)) if own else None
    if first is None or first.predictions is None:
        return
    samples = resample(first.predictions.n_sentences)
    for level in own:
        key = levels[level].key
        other = load_part(key.path(folder))
        if other is None or other.predictions is None:
            continue
        value, low, high, p = paired_difference(first.metric, first.predictions, other.predictions, samples)
        row = _row(METRICS[first.metric].name, value, first.predictions.n_items, low, high)
        row["difference"] = row.pop("score")
        identity = {"experiment": experiment, "task": key.task, "layer": key.layer, "probe": key.probe}
        yield {**identity, "seed": key.seed, "level": level, "other_level": base, **row, "p": _finite(p)}


def assemble(parts: Sequence[Part], folder: Path) -> dict[str, pd.DataFrame]:
    """Makes the tables.

    Args:
        parts: The finished parts.
        folder: Where their predictions are.

    Returns:
        Name of the table -> its rows.
    """
    rows = _frame_rows(parts, "rows") + selectivity_rows(parts, folder)
    frame = pd.DataFrame(rows)
    if len(frame):
        order = ["experiment", "level", "model", "task", "probe", "seed", "layer", "metric"]
        frame = frame.sort_values(order, key=_by_number, kind="stable", ignore_index=True)
    details = pd.DataFrame(_frame_rows(parts, "details"))
    details = details.drop(columns=[name for name in _FROM_FINGERPRINT if name != "level"], errors="ignore")
    differences = pd.DataFrame(difference_rows(parts, folder))
    return {"probes": frame, "probes_details": details, "probes_differences": differences}


def _by_number(column: pd.Series) -> pd.Series:
    """Layers sort as numbers, with `-`, `mix` and `norm` last."""
    if column.name != "layer":
        return column
    order = {layer: place for place, layer in enumerate(sorted(set(column), key=layer_order))}
    return column.map(order)


def write_tables(
    output: Path, folder: Path, data_hashes: dict[str, str], reps_hashes: dict[tuple[str, str], str]
) -> dict[str, pd.DataFrame]:
    """Writes the tables from all finished parts, each whole or not at all.

    Parts of this run's tasks on other data, or of this run's models from other files, are out of date: they stay on
    disk but not in the tables.

    Args:
        output: The results folder.
        folder: The folder of parts.
        data_hashes: Task -> hash of its data in this run.
        reps_hashes: (experiment, model) -> hash of its file in this run.

    Returns:
        Name of the table -> its rows.
    """
    with locked(folder / "tables.lock", wait=True):  # parts are listed in it: the last tables written have all rows
        tables = assemble(_current_parts(folder, data_hashes, reps_hashes), folder)
        for name, rows in tables.items():
            frame = tables[name] = rows if len(rows) else empty_table(name)
            for column, dtype in TABLES[name].columns.items():
                if dtype == "Int64" and column in frame.columns:
                    frame[column] = frame[column].astype("Int64")
            write_table(frame, name, output / f"{name}.csv")
    return tables


def _current_parts(folder: Path, data_hashes: dict[str, str], reps_hashes: dict[tuple[str, str], str]) -> list[Part]:
    """The parts of this package's version that are of the same data and files as this run's, or of none of this run."""
    current = []
    for part in all_parts(folder):
        key, found = part.key, part.fingerprint
        same_data = data_hashes.get(key.task, found["data_hash"]) == found["data_hash"]
        same_file = reps_hashes.get((key.experiment, key.model), found["reps_hash"]) == found["reps_hash"]
        if same_data and same_file and found["package_version"] == __version__:
            current.append(part)
    return current
