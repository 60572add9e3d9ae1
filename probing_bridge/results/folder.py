"""A results folder: the result tables of one experiment, read together and checked that they belong together.

A folder holds one CSV file per table; and, if its lth.csv says that the experiment branched off a level of another,
rows of that one's levels up to there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from probing_bridge.errors import InputError
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.origin import Origin, common_experiment
from probing_bridge.formats.tables import empty_table, parse_table
from probing_bridge.formats.text import file_bytes
from probing_bridge.results.bounds import check_scores


@dataclass(frozen=True)
class Results:
    """The tables of one results folder.

    Attributes:
        name: The folder's name.
        experiment: The experiment whose levels these are; several, with ` + ` between, if they were mixed on purpose.
        tables: Name of a table -> its rows; a table without a file has no rows.
        hashes: File name -> sha256 of its bytes (unpacked), for those that are there.
        baselines: Other experiments whose translation quality is shown beside this one's, such as random pruning.
    """

    name: str
    experiment: str
    tables: dict[str, pd.DataFrame]
    hashes: dict[str, str]
    baselines: tuple[Results, ...] = ()

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The rows of one table."""
        return self.tables[name]


def read_results(folder: str | Path, allow_mixed: bool = False, names: Sequence[str] = tuple(TABLES)) -> Results:
    """Reads every table of a results folder and checks that they belong together.

    Args:
        folder: The folder; its tables are NAME.csv or NAME.csv.gz.
        allow_mixed: Take rows of several experiments, package versions, data or sentences as one experiment's.
        names: Which tables to read.

    Returns:
        The tables; those without a file, and those not asked for, are empty.

    Raises:
        InputError: No folder or no table in it, a faulty table, a score that cannot be, or rows that do not
            belong together: different experiments, package versions, sentences or probing data (unless allowed), or,
            if allowed, two rows that only differ in their experiment.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", folder)
    found = {name: path for name in names if (path := table_file(folder, name)) is not None}
    if not found:
        raise InputError(f"no results here: none of {', '.join(f'{name}.csv' for name in names)}", folder)
    contents = {name: file_bytes(path) for name, path in found.items()}
    tables = {name: parse_table(read, name, found[name]) for name, read in contents.items()}
    for name, frame in tables.items():
        check_scores(frame, name, contents[name], found[name])
    experiments = sorted({value for frame in tables.values() for value in _values(frame, "experiment")})
    one = common_experiment(_origins(tables))
    if not allow_mixed:
        for column, where in _MUST_AGREE.items():
            if column != "experiment" or one is None:
                _require_one(tables, column, where, folder)
    if len(experiments) > 1:
        _require_distinct(tables, folder)
    for name in TABLES:
        if name not in tables:
            tables[name] = empty_table(name)
    hashes = {f"{name}.csv": hashlib.sha256(read).hexdigest() for name, read in contents.items()}
    return Results(folder.resolve().name, one or " + ".join(experiments), tables, hashes)


def _origins(tables: dict[str, pd.DataFrame]) -> set[Origin]:
    """Every level of an experiment that has rows, with the level that the experiment branched off."""
    lth = tables.get("lth")
    parents = {} if lth is None else dict(zip(lth["experiment"], lth["parent"], strict=True))
    return {
        Origin(experiment, None if pd.isna(level) else int(level), parents.get(experiment, ""))
        for frame in tables.values()
        if "experiment" in frame.columns
        for column in ("level", "level_a", "level_b")
        if column in frame.columns
        for experiment, level in frame[["experiment", column]].drop_duplicates().itertuples(index=False)
        if experiment
    }


def table_file(folder: Path, name: str) -> Path | None:
    """NAME.csv or, packed with gzip, NAME.csv.gz; None if there is neither.

    Raises:
        InputError: Both are there.
    """
    plain, packed = folder / f"{name}.csv", folder / f"{name}.csv.gz"
    if plain.is_file() and packed.is_file():
        raise InputError(f"is here as {packed.name} too; keep one of them", plain)
    return plain if plain.is_file() else packed if packed.is_file() else None


def with_baselines(results: Results, folders: Sequence[str | Path], allow_mixed: bool = False) -> Results:
    """Puts the experiments of further folders beside one experiment.

    Args:
        results: The experiment that a report is about.
        folders: Results folders of its baselines; of their tables only lth.csv and those of BLEU are read.
        allow_mixed: As for read_results; also takes other package versions.

    Returns:
        The same tables with these baselines after those that they have.

    Raises:
        InputError: What read_results refuses, a folder of an experiment that is there already, one without BLEU, or
            one of another package version.
    """
    runs = [results, *results.baselines]
    for folder in folders:
        baseline = read_results(folder, allow_mixed, _OF_BASELINES)
        if any(baseline.experiment == run.experiment for run in runs):
            raise InputError(f"is experiment {baseline.experiment} once more; a baseline is another experiment", folder)
        if not len(baseline["bleu"]):
            raise InputError("no bleu.csv: a baseline is shown by its translation quality", folder)
        if not allow_mixed:
            both = {
                f"{run.experiment} {name}": table for run in (results, baseline) for name, table in run.tables.items()
            }
            _require_one(both, "package_version", _MUST_AGREE["package_version"], Path(folder))
        runs.append(baseline)
    return replace(results, baselines=tuple(runs[1:]))


# All that is shown of a baseline.
_OF_BASELINES = ("bleu", "bleu_differences", "lth")

# What must be the same in all rows of a folder: column -> its name in a message, and the columns within which it must.
_MUST_AGREE: dict[str, tuple[str, tuple[str, ...]]] = {
    "experiment": ("experiments", ()),
    "package_version": ("package versions", ()),
    "sentence_hash": ("sentences", ()),
    "data_hash": ("data of one task", ("task",)),
}


def _values(frame: pd.DataFrame, column: str) -> list[str]:
    """The different values of a column, without empty cells; none if there is no such column."""
    return [value for value in frame[column].unique() if value] if column in frame.columns else []


def _require_one(tables: dict[str, pd.DataFrame], column: str, rule: tuple[str, tuple[str, ...]], folder: Path) -> None:
    """Refuses a folder in which a column that identifies the experiment has several values."""
    what, within = rule
    seen: dict[tuple[str, ...], dict[str, str]] = {}
    for name, frame in tables.items():
        if column not in frame.columns:
            continue
        filled = frame.loc[frame[column] != "", [*within, column]].drop_duplicates()
        for *place, value in filled.itertuples(index=False):
            seen.setdefault(tuple(place), {}).setdefault(value, f"{name}.csv")
    for group, values in seen.items():
        if len(values) > 1:
            listed = ", ".join(f"{value[:40]} ({where})" for value, where in sorted(values.items()))
            inside = f" {' '.join(group)}" if group else ""
            raise InputError(
                f"mixed {what}{inside}: {listed}; give each its own folder, or pass --allow-mixed to take them as one",
                folder,
            )


def _require_distinct(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Refuses rows of two experiments about the same thing: no one could say which of them a figure shows."""
    for name, frame in tables.items():
        key = [column for column in TABLES[name].key if column != "experiment"]
        twice = frame.duplicated(key, keep=False)
        if twice.any():
            row = frame.loc[twice, key].iloc[0]
            about = ", ".join(
                f"{column} {value}" for column, value in row.items() if not pd.isna(value) and value != ""
            )
            raise InputError(
                f"{name}.csv has rows of two experiments for {about}; use two folders: --baseline or --compare", folder
            )
