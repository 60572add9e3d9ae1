"""How a result table is written and read; columns.py has their names and columns. CSV is the stored truth."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from probing_bridge.errors import InputError
from probing_bridge.formats.columns import BOUNDS, TABLES, Table
from probing_bridge.formats.csv_rows import csv_rows
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.text import file_bytes

LONGEST_NAME = 255  # characters of a cell; names are drawn, which takes time
_NO_NAMES = ("command", "signature", "source", "target")  # of any length: sentences are cut where they are shown
LARGEST = 1 << 53  # of a whole number: up to here a float64, through which pandas takes it, is exact
_MAY_BE_EMPTY = ("seed", "level_b", "position")  # numbers of keys: a mean over seeds, no second level, all positions
ROUNDING = 1e-6  # by which a value may be beyond its bound


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
        InputError: A missing column, a half-written row, a number of its key that is empty and may not be, a value of
            the wrong type or beyond its bounds, an interval that ends before it begins, or a row that is there twice.
    """
    return parse_table(file_bytes(path), name, path)


def parse_table(content: bytes, name: str, path: str | Path) -> pd.DataFrame:
    """The checked rows of a table's bytes; the path is only named in errors."""
    table = TABLES[name]
    header, rows, lines = csv_rows(content, path)
    missing = [column for column in table.columns if column not in header]
    if missing:
        raise InputError(f"is no {name} table: column {missing[0]!r} is missing", path, 1)
    if len(set(header)) < len(header):
        raise InputError(f"names a column twice: {next(c for c in header if header.count(c) > 1)!r:.80}", path, 1)
    texts = pd.DataFrame(rows, columns=header, dtype="str")
    columns = {
        column: (_texts(texts[column], path, lines) if dtype == "str" else _numbers(texts[column], dtype, path, lines))
        for column, dtype in table.columns.items()
    }
    frame = pd.DataFrame(columns)
    _check_rows(frame, table, path, lines)
    key = list(table.key)
    twice = frame.duplicated(key).to_numpy()
    if twice.any():
        raise InputError(f"a row is there twice: {', '.join(key)} are equal", path, lines[int(twice.argmax())])
    return frame


def _check_rows(frame: pd.DataFrame, table: Table, path: str | Path, lines: list[int]) -> None:
    """Refuses rows of no level and intervals the wrong way round."""
    for column in table.key:
        empty = frame[column].isna().to_numpy()
        if column not in _MAY_BE_EMPTY and empty.any():
            raise InputError(f"column {column!r} is empty; make the table again", path, lines[int(empty.argmax())])
    for column in (column for column in table.columns if column.endswith("low")):
        end = f"{column.removesuffix('low')}high"
        low, high = (frame[name].to_numpy(dtype="float64") for name in (column, end))
        turned = beyond(low, -np.inf, high)
        if turned.any():
            row = int(turned.argmax())
            raise InputError(f"column {column!r} has {low[row]}, above {end!r}: {high[row]}", path, lines[row])


def _texts(cells: pd.Series, path: str | Path, lines: list[int]) -> pd.Series:
    """A column of text, without names that are too long to be drawn."""
    too_long = np.fromiter(map(len, cells), np.int64, len(cells)) > LONGEST_NAME
    if cells.name not in _NO_NAMES and too_long.any():
        row = int(too_long.argmax())
        found = f"a text of {len(cells.iloc[row]):,} characters, at most {LONGEST_NAME}"
        raise InputError(f"column {str(cells.name)!r} has {found} are drawn: shorten it", path, lines[row])
    return cells


def _numbers(cells: pd.Series, dtype: str, path: str | Path, lines: list[int]) -> pd.Series:
    """A column of text as finite numbers of a dtype, within their bounds; empty cells are missing values."""
    texts = cells.to_numpy(object)
    empty = texts == ""
    values = pd.Series(pd.to_numeric(np.where(empty, np.nan, texts), errors="coerce"), cells.index)
    floats = values.to_numpy(float)
    wrong = ~np.isfinite(floats) & ~empty
    if dtype == "Int64":
        wrong |= ~empty & ((floats != np.trunc(floats)) | (np.abs(floats) > LARGEST))
    if wrong.any():
        row = int(wrong.argmax())
        kind = f"a whole number up to {LARGEST:,}" if dtype == "Int64" else "a finite number"
        raise InputError(f"column {str(cells.name)!r} has {cells.iloc[row]!r:.80}, not {kind}", path, lines[row])
    numbers: pd.Series = values.astype(dtype)  # type: ignore[call-overload]
    low, high = (0.0, float("inf")) if dtype == "Int64" else BOUNDS.get(str(cells.name), (-float("inf"), float("inf")))
    out = beyond(floats, low, high)
    if out.any():
        row = int(out.argmax())
        raise out_of_bounds(str(cells.name), numbers.iloc[row], (low, high), path, lines[row])
    return numbers


def beyond(values: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """Which values are below their least or above their largest one by more than rounding; what is NaN is not."""
    return (values < low - ROUNDING) | (values > high + ROUNDING)


def out_of_bounds(
    column: str, value: object, bounds: tuple[float, float], path: str | Path, line: int, what: str = ""
) -> InputError:
    """The error of a value beyond its least or largest one, in a column and line of a file; `what` it is a score of."""
    low, high = bounds
    allowed = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
    of = f" of {what}" if what else ""
    return InputError(f"column {column!r} has {value}{of}, which should be {allowed}; make the table again", path, line)
