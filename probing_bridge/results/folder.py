"""A results folder: the result tables of one run of an experiment, read together and checked that they belong together.

A folder holds one CSV file per table; and, if its lth.csv says that the experiment branched off a level of another,
rows of that one's levels up to there. Several runs, and experiments beside them, are put together in runs.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from probing_bridge.errors import InputError
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.origin import Origin, common_experiment
from probing_bridge.formats.tables import empty_table, parse_table
from probing_bridge.formats.text import file_bytes
from probing_bridge.results.bounds import check_scores

RUN = "run"  # the column of a run's number that every frame has


@dataclass(frozen=True)
class Run:
    """Where the rows of one run come from.

    Attributes:
        name: The folder's name.
        experiment: Whose levels these are: the identity that training gave, of which the seed is a part; several, with
            ` + ` between, if they were mixed on purpose.
        hashes: File name -> sha256 of its bytes (unpacked), for those that are there.
        folder: Where they were read; None if from no folder.
    """

    name: str
    experiment: str
    hashes: dict[str, str]
    folder: Path | None = None


@dataclass(frozen=True)
class Results:
    """The tables of one or several runs of an experiment.

    Attributes:
        tables: Name of a table -> its rows, with the number of their run (1, 2, ...; column `run`); a table without a
            file has no rows.
        runs: Run number r is `runs[r - 1]`.
        baselines: Other experiments whose translation quality is shown beside this one's, such as random pruning; run r
            of each is paired with run r of this one.
        controls: Other experiments with all their tables, paired alike: each branched off the same level and differs in
            one thing, such as training on with nothing pruned.
    """

    tables: dict[str, pd.DataFrame]
    runs: tuple[Run, ...]
    baselines: tuple[Results, ...] = ()
    controls: tuple[Results, ...] = ()

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The rows of one table, of all runs."""
        return self.tables[name]

    @property
    def beside(self) -> tuple[Results, ...]:
        """The other experiments, baselines first."""
        return (*self.baselines, *self.controls)

    def one_run(self, number: int) -> Results:
        """The rows of one run, and of what is paired with it; they keep its number."""
        tables = {name: frame[frame[RUN] == number] for name, frame in self.tables.items()}
        beside = [tuple(other.one_run(number) for other in group) for group in (self.baselines, self.controls)]
        return Results(tables, self.runs, *beside)


def read_results(folder: str | Path, allow_mixed: bool = False, names: Sequence[str] = tuple(TABLES)) -> Results:
    """Reads every table of one run's results folder and checks that they belong together.

    Args:
        folder: The folder; its tables are NAME.csv or NAME.csv.gz.
        allow_mixed: Take rows of several experiments, package versions, data or sentences as one experiment's.
        names: Which tables to read.

    Returns:
        The tables; those without a file, and those not asked for, are empty.

    Raises:
        InputError: No folder or no table in it, a faulty table, a score that cannot be, or rows that do not
            belong together: different experiments, package versions, sentences, probing data or files of words (unless
            allowed), or, if allowed, two rows that only differ in their experiment.
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
        for column, where in MUST_AGREE.items():
            if column != "experiment" or one is None:
                require_one(tables, column, where, folder)
    if len(experiments) > 1:
        _require_distinct(tables, folder)
    for name in TABLES:
        if name not in tables:
            tables[name] = empty_table(name)
    hashes = {f"{name}.csv": hashlib.sha256(read).hexdigest() for name, read in contents.items()}
    run = Run(folder.resolve().name, one or " + ".join(experiments), hashes, folder)
    return Results({name: frame.assign(**{RUN: 1}) for name, frame in tables.items()}, (run,))


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


# What must be the same in all rows of a folder: column -> its name in a message, and the columns within which it must.
MUST_AGREE: dict[str, tuple[str, tuple[str, ...]]] = {
    "experiment": ("experiments", ()),
    "package_version": ("package versions", ()),
    "sentence_hash": ("sentences", ()),
    "data_hash": ("data of one task", ("task",)),
    "reps_hash": ("files of one model", ("experiment", "model")),
    "model": ("files of one level", ("experiment", "level")),
}


def _values(frame: pd.DataFrame, column: str) -> list[str]:
    """The different values of a column, without empty cells; none if there is no such column."""
    return [value for value in frame[column].unique() if value] if column in frame.columns else []


def require_one(tables: dict[str, pd.DataFrame], column: str, rule: tuple[str, tuple[str, ...]], folder: Path) -> None:
    """Refuses a folder in which a column that identifies the experiment has several values."""
    what, within = rule
    seen: dict[tuple[object, ...], dict[str, str]] = {}
    for name, frame in tables.items():
        if column not in frame.columns:
            continue
        filled = frame.loc[frame[column] != "", [*within, column]].drop_duplicates().dropna()
        for *place, value in filled.itertuples(index=False):
            seen.setdefault(tuple(place), {}).setdefault(value, f"{name}.csv")
    for group, values in seen.items():
        if len(values) > 1:
            listed = ", ".join(f"{value[:40]} ({where})" for value, where in sorted(values.items()))
            inside = f" {' '.join(map(str, group))}" if group else ""
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
