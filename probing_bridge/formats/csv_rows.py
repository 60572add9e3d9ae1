"""The rows of a CSV file as text, each with the line that it begins on, so that a fault can be named by its line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from probing_bridge.errors import InputError


def line_of(content: bytes, row: int, path: str | Path) -> int:
    """The line where a row of a table's bytes begins; the first row is number 0."""
    return csv_rows(content, path)[2][row]


def csv_rows(content: bytes, path: str | Path) -> tuple[list[str], list[list[str]], list[int]]:
    """The header and rows of a CSV file as text, and the line of each row, which has as many cells as the header."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot be read ({error})", path) from error
    if (at := text.find("\0")) >= 0:
        raise InputError("a zero byte is not text", path, text.count("\n", 0, at) + 1)
    if not text.strip():
        raise InputError("is empty: a table has at least its header", path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        header = next(reader)
        start = reader.line_num + 1
        for row in reader:
            if len(row) != len(header):
                message = f"half-written row: {len(row)} cells where the header names {len(header)}; write it again"
                raise InputError(message, path, start)
            rows.append(row)
            lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"not a whole CSV table ({error})", path, reader.line_num) from error
    if not text.endswith("\n"):
        raise InputError("half-written row: the last line has no end; write the table again", path, reader.line_num)
    return header, rows, lines
