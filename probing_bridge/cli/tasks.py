"""`tasks`: the table of probing tasks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from probing_bridge.corpora.readers.formats import FORMATS
from probing_bridge.corpora.tasks import TASKS

HEADER = ("TASK", "CATEGORY", "FAMILY", "METRIC", "FORMATS (the first if the file's name tells none)", "FROM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares no options."""


def run(arguments: argparse.Namespace) -> None:
    """Prints the tasks, and how file names tell formats.

    Args:
        arguments: What add_arguments declares.
    """
    rows = [HEADER]
    for task in TASKS.values():
        rows.append((task.name, task.category, task.family, task.metric, ", ".join(task.formats), task.citation))
    print_columns(rows)
    print()
    print_columns(
        [("FORMAT", "NAME ENDS IN (.gz may follow)", "WHAT IT IS")]
        + [(key, " ".join(form.endings), form.title) for key, form in FORMATS.items()]
    )


def print_columns(rows: Sequence[tuple[str, ...]]) -> None:
    """Prints rows as aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
