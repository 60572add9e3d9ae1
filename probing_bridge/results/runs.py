"""Several runs of one experiment, and the experiments beside it: read, checked to be a study, put into one.

A study is several runs of an experiment, of its controls and of its baselines. The runs of an experiment differ in
their seed alone; run r of whatever stands beside it is paired with its run r.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from probing_bridge.errors import Faults, InputError
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.origin import lineage
from probing_bridge.results.folder import MUST_AGREE, RUN, Results, read_results, require_one
from probing_bridge.results.naming import layer_order

# All that is shown of a baseline.
_OF_BASELINES = ("bleu", "bleu_differences", "lth")

# Columns of keys whose values are a run's own: its name, what was drawn for it, what it found.
_OWN = ("experiment", "other_experiment", "model", "seed", "sentence", "position")

# Table -> what its rows have alike in runs of one experiment, and what only within a hundredth: updates that overflow
# in half precision are left out, and the learning rate follows the updates.
_ALIKE = {
    "lth": ("epoch", "weights", "prunable_weights", "rate", "score", "scope", "calibration_batches", "rewind",
            "rewind_epoch"),
    "lth_modules": ("weights",),
    "bleu": ("n", "signature"),
    "probes": ("n", "data_hash"),
    "similarity": ("threshold", "n", "sentence_hash"),
}  # fmt: skip
_CLOSE = {"lth": ("updates", "lr")}


def read_runs(
    folders: Sequence[str | Path], allow_mixed: bool = False, names: Sequence[str] = tuple(TABLES)
) -> Results:
    """Reads the runs of one experiment.

    Args:
        folders: The results folder of each, as read_results takes it.
        allow_mixed: As for read_results; also takes runs of several package versions.
        names: Which tables to read.

    Returns:
        The tables of all runs; those of the first folder are of run 1.

    Raises:
        BridgeError: What read_results refuses, a run given twice, or folders that differ in more than the seed: another
            setting, other test data, a level or a row that one has and another lacks.
    """
    faults = Faults()
    found = [faults.of(read_results, folder, allow_mixed, names) for folder in folders]
    runs = [run for run in found if run is not None]
    faults.tell()
    for number, run in enumerate(runs):
        if number:
            faults.of(_require_new, run, runs[:number], Path(folders[number]))
            faults.of(_require_alike, (runs[0], Path(folders[0])), (run, Path(folders[number])), allow_mixed)
    faults.tell()
    tables = {name: _stacked([run[name] for run in runs]) for name in runs[0].tables}
    return Results(tables, tuple(run.runs[0] for run in runs))


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of one table of every run, under the run's number."""
    numbered = [frame.assign(**{RUN: number}) for number, frame in enumerate(frames, 1)]
    return pd.concat([frame for frame in numbered if len(frame)] or numbered[:1], ignore_index=True)


def _require_new(run: Results, before: Sequence[Results], folder: Path) -> None:
    """Refuses a run that stands before it already."""
    own = run.runs[0]
    for other in (results.runs[0] for results in before):
        if own.hashes == other.hashes or (own.experiment and own.experiment == other.experiment):
            raise InputError(
                f"is run {own.experiment or own.name} once more; a study has each run once, with a seed of its own",
                folder,
            )


def _require_alike(first: tuple[Results, Path], other: tuple[Results, Path], allow_mixed: bool) -> None:
    """Refuses a run that differs from the first in more than the seed, and names a difference."""
    (one, there), (two, folder) = first, other
    if not allow_mixed:
        _require_one_version(one, two, folder)
    difference = _other_levels(one, two) or next(
        filter(None, (_difference(name, one[name], two[name]) for name in one.tables)), ""
    )
    if difference:
        raise InputError(f"{difference} in {there}: runs of one experiment differ in their seed alone", folder)


def _require_one_version(one: Results, two: Results, folder: Path) -> None:
    both = {f"{run.runs[0].name} {name}": table for run in (one, two) for name, table in run.tables.items()}
    require_one(both, "package_version", MUST_AGREE["package_version"], folder)


def _other_levels(one: Results, two: Results) -> str:
    """Which levels one of two runs lacks; empty if none."""
    levels = [
        {
            int(level)
            for frame in run.tables.values()
            for column in ("level", "level_a", "level_b")
            if column in frame.columns
            for level in frame[column].dropna().unique()
        }
        for run in (one, two)
    ]
    apart = sorted(levels[0] ^ levels[1])
    if not apart:
        return ""
    named = ", ".join(f"LTH{level}" for level in apart)
    return f"has no {named}, which is" if apart[0] in levels[0] else f"has {named}, which is not"


def _difference(name: str, one: pd.DataFrame, two: pd.DataFrame) -> str:
    """A row of a table that only one of two runs has, or that says something else in each; empty if there is none."""
    key = [column for column in TABLES[name].key if column not in _OWN]
    alike, close = _ALIKE.get(name, ()), _CLOSE.get(name, ())
    one, two = (frame[[*key, *alike, *close]].drop_duplicates(key) for frame in (one, two))
    both = one.merge(two, on=key, how="outer", suffixes=("", "_two"), indicator="side")
    lone = both[both["side"] != "both"]
    if len(lone):
        row, lacks = lone.iloc[0], lone.iloc[0]["side"] == "left_only"
        which = ("no", "which is") if lacks else ("a", "which is not")
        return f"{name}.csv has {which[0]} row of {_about(row[key])}, {which[1]}"
    for column in (*alike, *close):
        ours, theirs = both[f"{column}_two"], both[column]
        unlike = ~((ours == theirs).fillna(False) | (ours.isna() & theirs.isna()))
        if column in close:
            apart = (ours.astype("float64") - theirs.astype("float64")).abs() > 0.01 * theirs.astype("float64").abs()
            unlike &= apart | (ours.isna() != theirs.isna())
        if unlike.any():
            row = both[unlike.astype(bool)].iloc[0]
            values = (f"{str(row[side])[:40] or 'nothing'}" for side in (f"{column}_two", column))
            return "{}.csv, {}: {} is {}, and {}".format(name, _about(row[key]), column, *values)
    return ""


def _about(row: pd.Series) -> str:
    """What a row is about, in words."""
    return ", ".join(f"{column} {value}" for column, value in row.items() if not pd.isna(value) and value != "")


def with_baseline(results: Results, folders: Sequence[str | Path], allow_mixed: bool = False) -> Results:
    """Puts another experiment's translation quality beside an experiment.

    Args:
        results: The experiment that a report is about.
        folders: The results folders of the other one's runs, paired in this order; only lth.csv and the tables of BLEU
            are read.
        allow_mixed: As for read_runs.

    Returns:
        The same tables with this baseline after those that they have.

    Raises:
        BridgeError: What read_runs refuses, another number of runs, runs of another order, an experiment that is there
            already, one without BLEU, or one of another package version.
    """
    other = _beside(results, folders, allow_mixed, _OF_BASELINES)
    if not len(other["bleu"]):
        raise InputError("no bleu.csv: a baseline is shown by its translation quality", folders[0])
    return replace(results, baselines=(*results.baselines, other))


def with_control(results: Results, folders: Sequence[str | Path], allow_mixed: bool = False) -> Results:
    """Puts a control, with all its tables, beside an experiment.

    Args:
        results: The experiment that a report is about.
        folders: The results folders of the control's runs, paired in this order.
        allow_mixed: As for read_runs.

    Returns:
        The same tables with this control after those that they have.

    Raises:
        BridgeError: As with_baseline; a control needs no BLEU, but if its lth.csv names what it branched off, it has
            that from the run that it is paired with.
    """
    other = _beside(results, folders, allow_mixed, tuple(TABLES))
    for number, folder in enumerate(folders, 1):
        kin = _family(other, number)
        if len(kin) > 1 and not kin & _family(results, number):
            of = results.runs[number - 1].name
            raise InputError(f"branched off {sorted(kin)[0]}, so it is no control of run {number} ({of})", folder)
    return replace(results, controls=(*results.controls, other))


def _beside(results: Results, folders: Sequence[str | Path], allow_mixed: bool, names: Sequence[str]) -> Results:
    """The runs of another experiment, paired with those of the first."""
    if len(folders) != len(results.runs):
        raise InputError(
            f"{_count(len(folders))} beside {_count(len(results.runs))} of the experiment: run by run they are paired",
            folders[0],
        )
    other = read_runs(folders, allow_mixed, names)
    known = {run.experiment for one in (results, *results.beside) for run in one.runs}
    for number, (folder, run) in enumerate(zip(folders, other.runs, strict=True), 1):
        if run.experiment in known:
            raise InputError(f"is experiment {run.experiment} once more; what stands beside it is another", folder)
        kin = _family(other, number)
        related = [r for r in range(1, len(results.runs) + 1) if kin & _family(results, r)]
        if related and number not in related:
            raise InputError(
                f"belongs to run {related[0]}, and stands here as run {number}: give them in order", folder
            )
    if not allow_mixed:
        _require_one_version(results, other, Path(folders[0]))
    return other


def _count(runs: int) -> str:
    return f"{runs} run{'s' * (runs > 1)}"


def _family(results: Results, number: int) -> set[str]:
    """The experiment of a run and those that it branched off, as far as lth.csv tells."""
    lth = results["lth"]
    parents = dict(lth.loc[lth[RUN] == number, ["experiment", "parent"]].itertuples(index=False, name=None))
    own = results.runs[number - 1].experiment
    return set(lineage(own, parents)) if own else set()


def mean_of_runs(frame: pd.DataFrame, by: Sequence[str], value: str = "score") -> pd.DataFrame:
    """A value as its mean over runs, with the interval that is over runs.

    Args:
        frame: Rows of several runs (column `run`), with the columns of `by` and `value`.
        by: The columns whose values a row is about.
        value: The column of numbers.

    Returns:
        One row a value of `by`, in order of appearance. Of one run these are the rows as they are. Of several, low and
        high are the mean ± t(0.975, R - 1) standard errors over the R runs that have the value, layers that differ
        stand beside each other (`5/6`), and other columns are those of the first run.
    """
    if frame[RUN].nunique() < 2:
        return frame
    from scipy.stats import t

    grouped = frame.groupby(list(by), sort=False, dropna=False)
    table = grouped.first()
    values = grouped[value].agg(["mean", "std", "count"]).astype("float64")
    half = t.ppf(0.975, values["count"] - 1) * values["std"] / values["count"] ** 0.5
    table = table.assign(**{value: values["mean"], "low": values["mean"] - half, "high": values["mean"] + half})
    if "layer" in frame.columns and (grouped["layer"].nunique() > 1).any():
        table["layer"] = grouped["layer"].agg(lambda layers: "/".join(layer_order(list(layers))))
    return table.reset_index()[[*frame.columns, *(end for end in ("low", "high") if end not in frame.columns)]]
