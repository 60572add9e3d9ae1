"""From finished jobs to the rows of the result tables: scores, what is made of two of them, details, differences.

Everything with an interval is an `Resampled` here until it is written. Where there are several seeds, a row without a
seed is their mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from probing_bridge.formats.activations.layout import layer_order
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.locks import locked
from probing_bridge.formats.origin import lineage
from probing_bridge.formats.tables import empty_table, write_table
from probing_bridge.probes.intervals import N_RESAMPLES, Resampled, over_seeds, resample, resampled, resampled_score
from probing_bridge.probes.measures import CODE_SCORES, GAIN, MEASURES, SELECTIVITY
from probing_bridge.probes.metrics import METRICS, Predictions, label_sums, score
from probing_bridge.probes.parts import Part, PartKey, current_parts, load_part

_LABEL_SCORES = {name: METRICS[f"{name}_i"].score for name in ("precision", "recall", "f1")}
_EMBEDDINGS = "0"

Row = dict[str, Any]
Numbers = Mapping[PartKey, Mapping[str, Resampled]]


def _finite(value: float | None) -> float | None:
    """Undefined scores are empty cells."""
    return None if value is None or not np.isfinite(value) else float(value)


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
    if predictions.labels is None:
        return rows
    for label, sums in zip(predictions.labels, label_sums(predictions), strict=True):
        rows += [
            {"label": label, "metric": name, "score": _finite(float(of(sums))), "n": int(sums[2])}
            for name, of in _LABEL_SCORES.items()
        ]
    return rows


def _numbers(parts: Sequence[Part], folder: Path, n_resamples: int) -> dict[PartKey, dict[str, Resampled]]:
    """Part -> key of METRICS or of CODE_SCORES -> what it scored; each part's arrays are read once, and not kept."""
    metrics = {part.key: part.metric for part in parts}
    found = {}
    for part in sorted(parts, key=lambda part: (part.key.task, part.key.measure)):  # those of the same samples
        read = load_part(part.key.path(folder))
        outcome = part.outcome if read is None else read.outcome
        own: dict[str, Resampled] = {}
        if outcome.predictions is not None:
            control = metrics.get(_with_measure(part.key, "control"), part.metric)
            samples = resample(outcome.predictions.n_sentences, n_resamples)
            for metric in dict.fromkeys((part.metric, *METRICS[part.metric].beside, control)):
                own[metric] = resampled_score(metric, outcome.predictions, samples)
        if outcome.code is not None and outcome.offsets is not None:
            samples = resample(len(outcome.code), n_resamples)
            for name, of_sums in CODE_SCORES.items():
                own[name] = resampled(outcome.code, of_sums, outcome.offsets, samples)
        found[part.key] = own
    return found


_FROM_FINGERPRINT = ("level", "sparsity", "features", "data_hash", "reps_hash", "package_version", "command")


def _about(part: Part) -> Row:
    """What a row says of the part that it is about; of details only some of it."""
    key = part.key
    probe = key.probe + (MEASURES[key.measure].suffix if key.measure in MEASURES else "")
    identity = {"experiment": key.experiment, "model": key.model, "task": key.task, "layer": key.layer}
    fingerprint = {name: part.fingerprint.get(name) for name in _FROM_FINGERPRINT}
    return {**fingerprint, **identity, "probe": probe, "seed": key.seed}


def _with_measure(key: PartKey, measure: str) -> PartKey:
    return PartKey(key.experiment, key.model, key.task, key.probe, key.seed, measure, key.layer)


def _at_embeddings(key: PartKey) -> PartKey:
    return PartKey(key.experiment, key.model, key.task, key.probe, key.seed, key.measure, _EMBEDDINGS)


def probe_rows(parts: Sequence[Part], found: Numbers) -> list[Row]:
    """The rows of the probes table, each with a `number` in place of score, low and high.

    Beside what was measured, wherever both of its terms were: the gain, the score less that of layer 0 by the same
    probe (the same capacity, so what is left is what the layers add); and selectivity, accuracy (r for a regression)
    less that of the control task (Hewitt & Liang 2019, Section 1).

    Args:
        parts: All parts.
        found: Their numbers.

    Returns:
        A row for each probe, seed and metric, and for each mean over seeds.
    """
    rows: list[Row] = []
    for part in parts:
        key, outcome, own = part.key, part.outcome, found[part.key]
        about = {**_about(part), "n": outcome.n_items, "best_epoch": outcome.best_epoch, "dev_score": outcome.dev_score}
        plain = {**about, "best_epoch": None, "dev_score": None}
        for name, value in outcome.values.items():
            rows.append({**plain, "metric": name, "number": Resampled(value, np.empty(0), np.empty(0))})
        for name in (part.metric, *METRICS[part.metric].beside, *CODE_SCORES):
            if name in own:
                shown = METRICS[name].name if name in METRICS else name
                rows.append({**about, "metric": shown, "number": own[name]})
        if key.measure != "score":
            continue
        below, control = found.get(_at_embeddings(key), {}), found.get(_with_measure(key, "control"), {})
        if key.layer != _EMBEDDINGS and part.metric in below:
            rows.append({**plain, "metric": GAIN, "number": own[part.metric] - below[part.metric]})
        for name, of_control in control.items():
            rows.append({**plain, "metric": SELECTIVITY, "number": own[name] - of_control})
    return rows + _means(rows, ("experiment", "model", "task", "layer", "probe", "metric"))


def _means(rows: Iterable[Row], key: Sequence[str]) -> list[Row]:
    """A row without a seed for all that several seeds have."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in key), []).append(row)
    means = []
    for group in groups.values():
        if len(group) > 1:
            mean = {**group[0], "seed": None, "number": over_seeds([row["number"] for row in group])}
            scores = [row.get("dev_score") for row in group]
            if None not in scores:
                mean |= {"best_epoch": None, "dev_score": float(np.mean(scores))}  # type: ignore[arg-type]
            means.append(mean)
    return means


def difference_rows(parts: Sequence[Part], found: Numbers) -> list[Row]:
    """How much each level differs from the lowest level of its experiment, with a paired bootstrap over sentences.

    The levels of a branch start with those of the experiment it branched off, if they are among the parts.

    Args:
        parts: All parts.
        found: Their numbers.

    Returns:
        Rows of the probes_differences table with a `number` in place of difference, low, high and p.
    """
    groups: dict[tuple[Any, ...], list[Part]] = {}
    for part in parts:
        if part.key.measure == "score" and part.origin.level is not None:
            key = part.key
            same = (key.task, key.layer, key.probe, key.seed, part.fingerprint["data_hash"])
            groups.setdefault(same, []).append(part)
    rows: list[Row] = []
    for group in groups.values():
        parents = {part.origin.experiment: part.origin.parent for part in group}
        for experiment in parents:
            last = lineage(experiment, parents)
            levels = {
                part.origin.level or 0: part
                for part in group
                if (part.origin.level or 0) <= last.get(part.origin.experiment, -1)
            }
            rows += _differences(levels, experiment, found)
    return rows + _means(rows, ("experiment", "task", "layer", "probe", "level", "other_level"))


def _differences(levels: dict[int, Part], experiment: str, found: Numbers) -> Iterator[Row]:
    """Each level that is the experiment's own against the lowest one."""
    base = min(levels)
    first = levels[base]
    for level in sorted(level for level, part in levels.items() if part.key.experiment == experiment):
        key = levels[level].key
        if level == base or not (first.metric in found[key] and first.metric in found[first.key]):
            continue
        identity = {"experiment": experiment, "task": key.task, "layer": key.layer, "probe": key.probe}
        yield {
            **identity,
            "seed": key.seed,
            "metric": METRICS[first.metric].name,
            "level": level,
            "other_level": base,
            "number": found[key][first.metric] - found[first.key][first.metric],
            "n": levels[level].outcome.n_items,
        }


def _written(row: Row, value: str) -> Row:
    """A row with the value of its number, under that name, and interval."""
    low, high = row["number"].interval
    cells = {value: _finite(row["number"].value), "low": _finite(low), "high": _finite(high)}
    return {name: cell for name, cell in row.items() if name != "number"} | cells


def assemble(parts: Sequence[Part], folder: Path, n_resamples: int = N_RESAMPLES) -> dict[str, pd.DataFrame]:
    """Makes the tables.

    Args:
        parts: The finished parts.
        folder: Where their predictions are.
        n_resamples: Bootstrap samples behind each interval and p-value.

    Returns:
        Name of the table -> its rows.
    """
    found = _numbers(parts, folder, n_resamples)
    frame = pd.DataFrame([_written(row, "score") for row in probe_rows(parts, found)])
    if len(frame):
        frame["dev_score"] = frame["dev_score"].map(_finite)
        order = ["experiment", "level", "model", "task", "probe", "seed", "layer", "metric"]
        frame = frame.sort_values(order, key=_by_number, kind="stable", ignore_index=True)
    details = pd.DataFrame([{**_about(part), **row} for part in parts for row in part.details])
    details = details.drop(columns=[name for name in _FROM_FINGERPRINT if name != "level"], errors="ignore")
    differences = pd.DataFrame(
        [
            {**_written(row, "difference"), "p": _finite(row["number"].p), "resamples": n_resamples}
            for row in difference_rows(parts, found)
        ]
    )
    return {"probes": frame, "probes_details": details, "probes_differences": differences}


def _by_number(column: pd.Series) -> pd.Series:
    """Layers sort as numbers, with `-`, `mix` and `norm` last."""
    if column.name != "layer":
        return column
    order = {layer: place for place, layer in enumerate(sorted(set(column), key=layer_order))}
    return column.map(order)


def write_tables(output: Path, folder: Path, n_resamples: int = N_RESAMPLES) -> dict[str, pd.DataFrame]:
    """Writes the tables from all finished parts that are not out of date, each whole or not at all.

    Args:
        output: The results folder.
        folder: The folder of parts.
        n_resamples: Bootstrap samples behind each interval and p-value.

    Returns:
        Name of the table -> its rows.
    """
    with locked(folder / "tables.lock", wait=True):  # parts are listed in it: the last tables written have all rows
        tables = assemble(current_parts(folder), folder, n_resamples)
        for name, rows in tables.items():
            frame = tables[name] = rows if len(rows) else empty_table(name)
            for column, dtype in TABLES[name].columns.items():
                if dtype == "Int64" and column in frame.columns:
                    frame[column] = frame[column].astype("Int64")
            write_table(frame, name, output / f"{name}.csv")
    return tables
