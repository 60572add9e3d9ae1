"""The tidy result tables: their names, columns, and how they are written and read. CSV is the stored truth.

A results folder holds one experiment: one CSV file per table below, a row per checkpoint x layer x measure x seed; and,
if its lth.csv says that it branched off a level of another, rows of that one's levels up to there.
Levels are numbers (0 = dense), sparsity is a fraction in [0, 1], layer 0 is the embeddings. `experiment` is the
identity that training wrote into its checkpoints; it travels through dumps and representations into every row, so
rows of different runs are never mixed by accident. Missing values are empty cells.

Words used in the cells of the probes table: `probe` is linear, mlp, majority or word_majority (baselines: layer `-`),
or linear_control, mlp_control (control task); `metric` is the task's own metric (accuracy, f1, pearson) or, beside
it, selectivity, mdl_bits, mdl_compression, f0.5.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from probing_bridge.descent import Origin, common_experiment
from probing_bridge.errors import InputError
from probing_bridge.files import written_beside
from probing_bridge.readers.source import unpacked


@dataclass(frozen=True)
class Table:
    """One result table.

    Attributes:
        columns: Column name -> pandas dtype, in file order.
        key: The columns that identify a row; no two rows may share them.
        about: What a row is.
        open: Whether further columns are kept (as text) when the table is read.
    """

    columns: dict[str, str]
    key: tuple[str, ...]
    about: str
    open: bool = False


_PROVENANCE = {"package_version": "str", "command": "str"}

TABLES: dict[str, Table] = {
    "bleu": Table(
        {
            "experiment": "str", "level": "Int64", "test_set": "str", "metric": "str", "score": "float64",
            "low": "float64", "high": "float64", "n": "Int64", "signature": "str", **_PROVENANCE,
        },
        ("experiment", "level", "test_set", "metric"),
        "translation quality of one level on one test set",
    ),
    "probes": Table(
        {
            "experiment": "str", "model": "str", "level": "Int64", "sparsity": "float64", "task": "str",
            "layer": "str", "probe": "str", "seed": "Int64", "metric": "str", "score": "float64", "low": "float64",
            "high": "float64", "n": "Int64", "best_epoch": "Int64", "data_hash": "str", "reps_hash": "str",
            **_PROVENANCE,
        },
        ("experiment", "model", "task", "layer", "probe", "seed", "metric"),
        "one score of one probe on the test split; layer is a number, or `mix`, or `-` for baselines",
    ),
    "probes_details": Table(
        {
            "experiment": "str", "model": "str", "level": "Int64", "task": "str", "layer": "str", "probe": "str",
            "seed": "Int64", "label": "str", "metric": "str", "score": "float64", "n": "Int64",
        },
        ("experiment", "model", "task", "layer", "probe", "seed", "label", "metric"),
        "a further score of the same test predictions: another metric (label empty), or one label by itself",
    ),
    "probes_differences": Table(
        {
            "experiment": "str", "task": "str", "layer": "str", "probe": "str", "seed": "Int64", "metric": "str",
            "level_a": "Int64", "level_b": "Int64", "difference": "float64", "low": "float64", "high": "float64",
            "p": "float64", "n": "Int64",
        },
        ("experiment", "task", "layer", "probe", "seed", "metric", "level_a", "level_b"),
        "score of level b less that of level a, with a bootstrap over sentences that is paired between the two",
    ),
    "similarity": Table(
        {
            "experiment": "str", "measure": "str", "variant": "str", "component": "str", "level_a": "Int64",
            "layer_a": "str", "level_b": "Int64", "layer_b": "str", "group": "str", "score": "float64",
            "low": "float64", "high": "float64", "n": "Int64", "sentence_hash": "str", "hash_a": "str",
            "hash_b": "str", **_PROVENANCE,
        },
        ("experiment", "measure", "variant", "component", "level_a", "layer_a", "level_b", "layer_b", "group"),
        "one similarity of two layers (or one property of one layer: level_b and layer_b empty)",
    ),
    "neurons": Table(
        {
            "experiment": "str", "component": "str", "level_a": "Int64", "layer_a": "str", "level_b": "Int64",
            "layer_b": "str", "neuron": "Int64", "best_match": "Int64", "correlation": "float64",
            "own_correlation": "float64",
        },
        ("experiment", "component", "level_a", "layer_a", "level_b", "layer_b", "neuron"),
        "one neuron of layer a, its best match in layer b and its correlation with the neuron of its own index",
    ),
    "heads": Table(
        {
            "experiment": "str", "component": "str", "level_a": "Int64", "layer_a": "str", "level_b": "Int64",
            "layer_b": "str", "head": "Int64", "best_match": "Int64", "correlation": "float64",
            "own_correlation": "float64",
        },
        ("experiment", "component", "level_a", "layer_a", "level_b", "layer_b", "head"),
        "one attention head of layer a and its best match in layer b",
    ),
    "spectrum": Table(
        {
            "experiment": "str", "component": "str", "level": "Int64", "layer": "str", "variant": "str",
            "k": "Int64", "cumulative_variance": "float64",
        },
        ("experiment", "component", "level", "layer", "variant", "k"),
        "share of a layer's variance in its first k principal directions",
    ),
    "lth": Table(
        {"level": "Int64", "sparsity_prunable": "float64", "sparsity": "float64"},
        ("level",),
        "one level of a run, as fairseq_lth writes it: sparsity of the prunable and of all weights",
        open=True,
    ),
    "lth_modules": Table(
        {
            "level": "Int64", "module": "str", "component": "str", "layer": "Int64", "kind": "str", "part": "str",
            "weights": "Int64", "pruned": "Int64",
        },
        ("level", "module"),
        "how many weights of one module are pruned at one level, as fairseq_lth writes it",
        open=True,
    ),
}  # fmt: skip


def write_table(frame: pd.DataFrame, name: str, path: str | Path) -> None:
    """Writes a table whole, beside its final name, and renames it: a reader never sees half a table.

    Args:
        frame: Rows; columns of the table that are missing are written empty.
        name: A key of TABLES.
        path: The CSV file.

    Raises:
        ValueError: A column the table does not have, or two rows with the same key.
    """
    table = TABLES[name]
    unknown = [column for column in frame.columns if column not in table.columns]
    if unknown:
        raise ValueError(f"table {name} has no column {unknown[0]!r}; it has {', '.join(table.columns)}")
    frame = frame.reindex(columns=list(table.columns))
    twice = frame.duplicated(list(table.key))
    if twice.any():
        raise ValueError(f"table {name} has two rows for {frame.loc[twice, list(table.key)].iloc[0].to_dict()}")
    with written_beside(path, shared=True) as beside:  # jobs of a cluster finish levels of one table at the same time
        frame.to_csv(beside, index=False)


def read_table(path: str | Path, name: str) -> pd.DataFrame:
    """Reads and checks a table.

    Args:
        path: The CSV file.
        name: A key of TABLES.

    Returns:
        The rows with the dtypes of the table.

    Raises:
        InputError: A missing column, a half-written row, a value of the wrong type, or a row that is there twice.
    """
    return _parse(_content(Path(path)), name, path)


def _content(path: Path) -> bytes:
    """The bytes of a table, unpacked if it is compressed."""
    try:
        return unpacked(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"cannot be read ({error})", path) from error


def _parse(content: bytes, name: str, path: str | Path) -> pd.DataFrame:
    """The checked rows of a table's bytes; the path is only named in errors."""
    table = TABLES[name]
    header, rows = _rows(content, path)
    missing = [column for column in table.columns if column not in header]
    if missing:
        raise InputError(f"is no {name} table: column {missing[0]!r} is missing", path, 1)
    frame = pd.DataFrame(rows, columns=header, dtype="str")
    for column, dtype in table.columns.items():
        if dtype == "str":
            continue
        empty = frame[column] == ""
        values = pd.to_numeric(frame[column].mask(empty), errors="coerce")
        wrong = values.isna() & ~empty
        if dtype == "Int64":
            wrong |= values.notna() & (values % 1 != 0)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            kind = "a whole number" if dtype == "Int64" else "a number"
            raise InputError(f"column {column!r} has {frame[column].iloc[row]!r}, not {kind}", path, row + 2)
        frame[column] = values.astype(dtype)  # type: ignore[call-overload]
    key = [*table.key, "experiment"] if table.open and "experiment" in header else list(table.key)
    twice = frame.duplicated(key).to_numpy()
    if twice.any():
        raise InputError(f"a row is there twice: {', '.join(key)} are equal", path, int(twice.argmax()) + 2)
    return frame if table.open else frame[list(table.columns)]


def _rows(content: bytes, path: str | Path) -> tuple[list[str], list[list[str]]]:
    """The header and rows of a CSV file as text; every row must have as many cells as the header."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"cannot be read ({error})", path) from error
    if not text.strip():
        raise InputError("is empty: a table has at least its header", path)
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        header = next(reader)
        rows = []
        for row in reader:
            if len(row) != len(header):
                message = f"half-written row: {len(row)} cells where the header names {len(header)}; write it again"
                raise InputError(message, path, reader.line_num)
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"not a whole CSV table ({error})", path, reader.line_num) from error
    if not text.endswith("\n"):
        raise InputError("half-written row: the last line has no end; write the table again", path, reader.line_num)
    return header, rows


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
        InputError: No folder or no table in it, a faulty table, or rows that do not belong together: different
            experiments, package versions, sentences or probing data (unless allowed), or, if allowed, two rows
            that only differ in their experiment.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", folder)
    found = {name: path for name in names if (path := _table_file(folder, name)) is not None}
    if not found:
        raise InputError(f"no results here: none of {', '.join(f'{name}.csv' for name in names)}", folder)
    contents = {name: _content(path) for name, path in found.items()}
    tables = {name: _parse(content, name, found[name]) for name, content in contents.items()}
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
            columns = {column: pd.Series(dtype=dtype) for column, dtype in TABLES[name].columns.items()}
            tables[name] = pd.DataFrame(columns)
    hashes = {f"{name}.csv": hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return Results(folder.resolve().name, one or " + ".join(experiments), tables, hashes)


def _origins(tables: dict[str, pd.DataFrame]) -> set[Origin]:
    """Every level of an experiment that has rows, with the level that the experiment branched off."""
    lth = tables.get("lth")
    known = lth is not None and {"experiment", "parent"} <= set(lth.columns)
    parents = dict(zip(lth["experiment"], lth["parent"], strict=True)) if lth is not None and known else {}
    return {
        Origin(experiment, None if pd.isna(level) else int(level), parents.get(experiment, ""))
        for frame in tables.values()
        if "experiment" in frame.columns
        for column in ("level", "level_a", "level_b")
        if column in frame.columns
        for experiment, level in frame[["experiment", column]].drop_duplicates().itertuples(index=False)
        if experiment
    }


def _table_file(folder: Path, name: str) -> Path | None:
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
        folders: Results folders of its baselines; of their tables only bleu.csv and lth.csv are read.
        allow_mixed: As for read_results; also takes other package versions.

    Returns:
        The same tables with their baselines.

    Raises:
        InputError: What read_results refuses, a folder of an experiment that is there already, one without BLEU, or
            one of another package version.
    """
    runs = [results]
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
_OF_BASELINES = ("bleu", "lth")

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
    """Refuses a folder in which a column that identifies the run has several values."""
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
