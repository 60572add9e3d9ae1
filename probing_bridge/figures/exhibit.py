"""What FIGURES says of one figure or table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import matplotlib.figure
import pandas as pd

from probing_bridge.figures.style import drawn
from probing_bridge.results.folder import Results


@dataclass(frozen=True)
class Exhibit:
    """One figure or table.

    Attributes:
        paper: Its name in the paper.
        title: What it shows, in a few words.
        section: Section of the page, a key of SECTIONS.
        data: Results -> the frame that is drawn; empty if the results are missing.
        draw: That frame -> figure.
        caption: What a reader must know to read it; where that depends on what was run, frame -> caption.
        source: Result table, and column -> values of the rows it comes from (for sample sizes, seeds and commands).
        command: Command that makes those rows.
        show: For tables: the frame -> rows of text, as they stand on the page.
        wide: Whether it takes the full width of a page.
        by_level: Whether `data` also takes a level, of which it then gives the frame (by default the sparsest).
    """

    paper: str
    title: str
    section: str
    data: Callable[..., pd.DataFrame]
    draw: Callable[[pd.DataFrame], matplotlib.figure.Figure]
    caption: str | Callable[[pd.DataFrame], str]
    source: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    command: str = ""
    show: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    wide: bool = True
    by_level: bool = False

    def __call__(self, frame: pd.DataFrame) -> matplotlib.figure.Figure:
        """Draws a frame with the style of the report."""
        return drawn(self.draw, frame)

    def describe(self, frame: pd.DataFrame) -> str:
        """The caption of a frame; nothing where it depends on rows and there are none."""
        if isinstance(self.caption, str):
            return self.caption
        return self.caption(frame) if len(frame) else ""

    def rows(self, results: Results) -> pd.DataFrame:
        """The rows of the result table that it is made of."""
        frame = results[self.source]
        for column, values in self.where.items():
            frame = frame[frame[column].isin(values)]
        return frame
