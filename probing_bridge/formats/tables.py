"""The result tables: their names and columns, and how one is written and read. CSV is the stored truth.

A row is a checkpoint x layer x measure x seed. Levels are numbers (0 = dense), sparsity is a fraction in [0, 1],
layer 0 is the embeddings. `experiment` is the identity that training wrote into its checkpoints; it travels through
dumps and representations into every row, so rows of different experiments are never mixed by accident. Missing
values are empty cells.

Words used in the cells of the probes table: `probe` is linear, mlp, majority or word_majority (baselines: layer `-`),
or linear_control, mlp_control (control task); `metric` is the task's own metric (accuracy, f1, pearson) or, beside
it, selectivity, mdl_bits, mdl_compression, f0.5.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from probing_bridge.errors import InputError
from probing_bridge.formats.csv_rows import csv_rows
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.text import unpacked


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

# Least and largest value of what means the same in every table. Counts, seeds and levels are natural numbers; bounds of
# scores and differences are those of their measures.
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("sparsity", "sparsity_prunable", "module_sparsity", "rate", "threshold"), (0.0, 1.0)),
    **dict.fromkeys(("p", "cumulative_variance"), (0.0, 1.0)),
    **dict.fromkeys(("correlation", "own_correlation"), (-1.0, 1.0)),
    **dict.fromkeys(("lr", "lr_before"), (0.0, float("inf"))),
}
ROUNDING = 1e-6  # by which a value may be beyond its bound

TABLES: dict[str, Table] = {
    "bleu": Table(
        {
            "experiment": "str", "level": "Int64", "test_set": "str", "metric": "str", "score": "float64",
            "low": "float64", "high": "float64", "n": "Int64", "signature": "str", **_PROVENANCE,
        },
        ("experiment", "level", "test_set", "metric"),
        "translation quality of one level on one test set",
    ),
    "bleu_differences": Table(
        {
            "experiment": "str", "level": "Int64", "test_set": "str", "metric": "str", "other_experiment": "str",
            "other_level": "Int64", "difference": "float64", "p": "float64", "n": "Int64", "signature": "str",
            **_PROVENANCE,
        },
        ("experiment", "level", "test_set", "metric", "other_experiment", "other_level"),
        "score of one level less that of another, and p of a two-sided test that is paired over sentences",
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
            "level": "Int64", "other_level": "Int64", "difference": "float64", "low": "float64", "high": "float64",
            "p": "float64", "n": "Int64",
        },
        ("experiment", "task", "layer", "probe", "seed", "metric", "level", "other_level"),
        "score of a level less that of another, with a bootstrap over sentences that is paired between the two",
    ),
    "similarity": Table(
        {
            "experiment": "str", "measure": "str", "variant": "str", "component": "str", "level_a": "Int64",
            "layer_a": "str", "level_b": "Int64", "layer_b": "str", "group": "str", "threshold": "float64",
            "score": "float64", "low": "float64", "high": "float64", "n": "Int64", "sentence_hash": "str",
            "hash_a": "str", "hash_b": "str", **_PROVENANCE,
        },
        ("experiment", "measure", "variant", "component", "level_a", "layer_a", "level_b", "layer_b", "group"),
        "one similarity of two layers (or one property of one layer: level_b and layer_b empty); variant is the "
        "estimator or the centring, threshold the mass from which attention is concentrated",
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
        {
            "experiment": "str", "level": "Int64", "epoch": "Int64", "updates": "Int64", "lr": "float64",
            "sparsity_prunable": "float64", "sparsity": "float64", "weights": "Int64", "prunable_weights": "Int64",
            "pruned_weights": "Int64", "rate": "float64", "score": "str", "scope": "str", "seed": "Int64",
            "masks_from": "str", "rewind": "str", "rewind_epoch": "Int64", "lr_before": "float64", "lr_rise": "float64",
            "updates_before": "Int64", "updates_after": "Int64",
            "parent": "str", "mask_hash": "str", "wall_seconds": "float64", "checkpoint": "str",
            "checkpoint_hash": "str",
        },
        ("experiment", "level"),
        "one level of a run: sparsity of the prunable and of all weights; how it was pruned and rewound (empty for the "
        "dense level; seed of what is drawn, masks_from the experiment whose masks were used); `lr` is the learning "
        "rate after the rewind, `lr_rise` by what share of the rate before it is higher",
    ),
    "interpolation": Table(
        {
            "experiment": "str", "level": "Int64", "other_experiment": "str", "other_level": "Int64",
            "alpha": "float64", "loss": "float64",
        },
        ("experiment", "level", "other_experiment", "other_level", "alpha"),
        "validation loss of a mixture of two levels' weights; alpha is the share of the other level",
    ),
    "lth_modules": Table(
        {
            "experiment": "str", "level": "Int64", "module": "str", "component": "str", "layer": "Int64",
            "kind": "str", "projection": "str", "weights": "Int64", "pruned": "Int64", "module_sparsity": "float64",
        },
        ("experiment", "level", "module"),
        "how many weights of one module are pruned at one level, and their share",
    ),
}  # fmt: skip


def empty_table(name: str) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame({column: pd.Series(dtype=dtype) for column, dtype in TABLES[name].columns.items()})


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
        texts = frame[[column for column, dtype in table.columns.items() if dtype == "str"]]
        returns = (
            texts.astype(str).apply(lambda cells: cells.str.contains("\r")).any(axis=None)
        )  # not quoted unless told
        quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
        frame.to_csv(beside, index=False, quoting=quoting, errors="backslashreplace")


def read_table(path: str | Path, name: str) -> pd.DataFrame:
    """Reads and checks a table.

    Args:
        path: The CSV file.
        name: A key of TABLES.

    Returns:
        The rows with the dtypes of the table.

    Raises:
        InputError: A missing column, a half-written row, a value of the wrong type or beyond its bounds, or a row that
            is there twice.
    """
    return parse_table(table_bytes(Path(path)), name, path)


def table_bytes(path: Path) -> bytes:
    """The bytes of a table, unpacked if it is compressed."""
    try:
        return unpacked(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"cannot be read ({error})", path) from error


def parse_table(content: bytes, name: str, path: str | Path) -> pd.DataFrame:
    """The checked rows of a table's bytes; the path is only named in errors."""
    table = TABLES[name]
    header, rows, lines = csv_rows(content, path)
    missing = [column for column in table.columns if column not in header]
    if missing:
        raise InputError(f"is no {name} table: column {missing[0]!r} is missing", path, 1)
    frame = pd.DataFrame(rows, columns=header, dtype="str")
    for column, dtype in table.columns.items():
        if dtype != "str":
            frame[column] = _numbers(frame[column], dtype, path, lines)
            low, high = (0.0, float("inf")) if dtype == "Int64" else BOUNDS.get(column, (-float("inf"), float("inf")))
            beyond = ~frame[column].between(low - ROUNDING, high + ROUNDING).fillna(True) & frame[column].notna()
            if beyond.any():
                row = int(beyond.to_numpy().argmax())
                raise out_of_bounds(column, frame[column].iloc[row], (low, high), path, lines[row])
    key = list(table.key)
    twice = frame.duplicated(key).to_numpy()
    if twice.any():
        raise InputError(f"a row is there twice: {', '.join(key)} are equal", path, lines[int(twice.argmax())])
    return frame[list(table.columns)]


def _numbers(cells: pd.Series, dtype: str, path: str | Path, lines: list[int]) -> pd.Series:
    """A column of text as finite numbers of a dtype; empty cells are missing values."""
    empty = cells == ""
    values = pd.to_numeric(cells.mask(empty), errors="coerce")
    wrong = ~np.isfinite(values.to_numpy(float)) & ~empty.to_numpy()
    if dtype == "Int64":
        wrong |= (values.notna() & (values % 1 != 0)).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        kind = "a whole number" if dtype == "Int64" else "a finite number"
        raise InputError(f"column {str(cells.name)!r} has {cells.iloc[row]!r}, not {kind}", path, lines[row])
    return values.astype(dtype)  # type: ignore[call-overload]


def out_of_bounds(
    column: str, value: object, bounds: tuple[float, float], path: str | Path, line: int, what: str = ""
) -> InputError:
    """The error of a value beyond its least or largest one, in a column and line of a file; `what` it is a score of."""
    low, high = bounds
    allowed = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
    of = f" of {what}" if what else ""
    return InputError(f"column {column!r} has {value}{of}, which should be {allowed}; make the table again", path, line)
