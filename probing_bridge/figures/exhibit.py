"""What FIGURES says of one figure or table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import matplotlib.figure
import pandas as pd

from probing_bridge.figures.style import drawn
from probing_bridge.results.folder import RUN, Results
from probing_bridge.results.naming import about_text

MEAN, LINES, ROWS = "mean", "lines", "rows"


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
        interval: What the intervals of one run are, as a sentence without its end; empty where there are none.
        runs: How several runs are shown: MEAN, LINES (the mean, and each run as a thin line) or ROWS (each for itself).
        wide: Whether it takes the full width of a page.
        by_level: Whether `data` also takes a level, of which it then gives the frame (by default the sparsest).
        tables: Of a picture: keys of the tables that have its numbers in rows, the nearest first.
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
    interval: str = ""
    runs: str = MEAN
    wide: bool = True
    by_level: bool = False
    tables: tuple[str, ...] = ()

    def __call__(self, frame: pd.DataFrame) -> matplotlib.figure.Figure:
        """Draws a frame with the style of the report."""
        return drawn(self.draw, frame)

    def describe(self, frame: pd.DataFrame) -> str:
        """The caption of a frame, and what its intervals are over; nothing where it needs rows and has none."""
        if not isinstance(self.caption, str) and not len(frame):
            return ""
        text = self.caption if isinstance(self.caption, str) else self.caption(frame)
        return " ".join(part for part in (text, self._of_runs(frame)) if part)

    def _of_runs(self, frame: pd.DataFrame) -> str:
        """How many runs a frame is of and what its intervals are over."""
        runs = frame[RUN].nunique() if RUN in frame.columns else 1
        if runs < 2:
            return f"{self.interval}{about_text(frame)}, of these checkpoints." if self.interval and len(frame) else ""
        if self.runs == ROWS:
            return f"Of {runs} runs."
        over = f"; intervals of 95 % are over runs, by t with {runs - 1} degrees of freedom" if self.interval else ""
        return f"Mean of {runs} runs{', each a thin line' if self.runs == LINES else ''}{over}."

    def rows(self, results: Results) -> pd.DataFrame:
        """The rows of the result table that it is made of."""
        frame = results[self.source]
        for column, values in self.where.items():
            frame = frame[frame[column].isin(values)]
        return frame
