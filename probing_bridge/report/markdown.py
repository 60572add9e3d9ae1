"""Tables as Markdown, for pages that are written by hand beside a report. Place in the flow: figures -> report."""

from __future__ import annotations

import pandas as pd


def to_markdown(table: pd.DataFrame, text_columns: int = 1) -> str:
    """A table of texts as Markdown (pipes, one line a row).

    Args:
        table: What a `show_` function of figures.tables returns, or any other frame of texts.
        text_columns: How many of the first columns are flush left; the others, numbers, are flush right.

    Returns:
        The table with a line end.
    """
    rule = ["---" if index < text_columns else "---:" for index in range(len(table.columns))]
    rows = [[str(name) for name in table.columns], rule, *([str(cell) for cell in row] for row in table.to_numpy())]
    return "".join(f"| {' | '.join(_in_cell(text) for text in row)} |\n" for row in rows)


def _in_cell(text: str) -> str:
    """A text that neither ends its cell nor its row."""
    return " ".join(text.replace("|", "\\|").split())
