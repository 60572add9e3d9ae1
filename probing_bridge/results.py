"""The tidy result tables: their names, columns, and how they are written and read. CSV is the stored truth.

A results folder holds one experiment: one CSV file per table below, a row per checkpoint x layer x measure x seed.
Levels are numbers (0 = dense), sparsity is a fraction in [0, 1], layer 0 is the embeddings. `experiment` is the
identity that training wrote into its checkpoints; it travels through dumps and representations into every row, so
rows of different runs are never mixed by accident. Missing values are empty cells.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from probing_bridge.errors import InputError


@dataclass(frozen=True)
class Table:
    """One result table.

    Attributes:
        columns: Column name -> pandas dtype, in file order.
        key: The columns that identify a row; no two rows may share them.
        about: What a row is.
    """

    columns: dict[str, str]
    key: tuple[str, ...]
    about: str


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
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    frame.to_csv(beside, index=False)
    os.replace(beside, path)


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
    table = TABLES[name]
    try:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", path) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"not a whole CSV table ({str(error).splitlines()[0]})", path) from error
    missing = [column for column in table.columns if column not in frame.columns]
    if missing:
        raise InputError(f"is no {name} table: column {missing[0]!r} is missing", path, 1)
    for column, dtype in table.columns.items():
        if dtype == "str":
            continue
        values = pd.to_numeric(frame[column].where(frame[column] != ""), errors="coerce")
        wrong = values.isna() & (frame[column] != "")
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(f"column {column!r} has {frame[column].iloc[row]!r}, not a number", path, row + 2)
        frame[column] = values.astype(dtype)  # type: ignore[call-overload]
    twice = frame.duplicated(list(table.key)).to_numpy()
    if twice.any():
        raise InputError(f"a row is there twice: {', '.join(table.key)} are equal", path, int(twice.argmax()) + 2)
    return frame[list(table.columns)]
