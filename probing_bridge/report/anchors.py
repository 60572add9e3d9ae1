"""Where a number of the page has its row: ids of the rows of tables, and which of them an effect is about.

Place in the flow: tables of the page -> anchors -> verdicts, page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from probing_bridge.figures.tables import UNINFORMATIVE

Places = Mapping[str, Mapping[str, str]]  # figure or table of the page -> what a row is about -> the row's id


@dataclass(frozen=True)
class Part:
    """A table of the page, or one of several side by side.

    Attributes:
        title: What tells it from those beside it; empty for a whole table.
        frame: Its cells, as texts.
        ids: Of its rows.
    """

    title: str
    frame: pd.DataFrame
    ids: tuple[str, ...]

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """Each row's id and cells."""
        return list(zip(self.ids, self.frame.values.tolist(), strict=True))


def with_ids(name: str, tables: Sequence[tuple[str, pd.DataFrame]]) -> list[Part]:
    """Gives each row an id of its own, such as `table_4_2_trends-ps-fxn`.

    Args:
        name: Key of the table.
        tables: Its parts: title and cells.

    Returns:
        The parts.
    """
    seen: dict[str, int] = {}
    parts = []
    for title, frame in tables:
        ids = []
        for label in frame.iloc[:, 0]:
            own = f"{name}-{re.sub(r'[^a-z0-9]+', '-', f'{title} {label}'.lower()).strip('-')}"
            seen[own] = seen.get(own, 0) + 1
            ids.append(own if seen[own] == 1 else f"{own}-{seen[own]}")
        parts.append(Part(title, frame, tuple(ids)))
    return parts


def places_of(parts: Sequence[Part]) -> dict[str, str]:
    """What a row is about, as its first cell says -> its id; of several the first."""
    found: dict[str, str] = {}
    for part in parts:
        for row_id, cells in part.rows:
            found.setdefault(cells[0].removesuffix(UNINFORMATIVE).strip(), row_id)
    return found


def place_of(effect: str, figure: str, places: Places) -> str:
    """The id to which an effect's number links.

    Args:
        effect: What it is of, such as `PS-Fxn` or `POS, LTH0`.
        figure: The figure or table that its claim names.
        places: Those of the page.

    Returns:
        The row of what it is of, or of the first of several; the figure or table where no row is that; empty where the
        page does not have it.
    """
    rows = places.get(figure)
    if rows is None:
        return ""
    return next((rows[label] for label in (effect, *effect.split(", ")) if label in rows), figure)
