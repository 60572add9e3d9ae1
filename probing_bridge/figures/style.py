"""How every figure looks: sizes for print, colours that the colour-blind can tell apart, heat maps, lines, files.

Figures are drawn on a transparent ground with a fixed set of ink colours; each has a counterpart for dark pages, so
that the page can swap them (THEME). A drawn value carries its hover text in the artist's gid (`mark`), which svg.to_svg
turns into the SVG's own tooltip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from probing_bridge.results.folder import RUN

COLUMN, WIDE = 3.4, 7.0  # inches: one column and the full width of a two-column page
INK, MUTED, GRID, GAP = "#1b1f24", "#57606a", "#d5dae0", "#eceff2"
SERIES = ("#0072b2", "#c75300", "#00805d", "#a8487f", "#7a6200")
_SERIES_DARK = ("#5cb8ee", "#f2904f", "#3fcfa0", "#e39bc6", "#e3c04d")
MARKERS = ("o", "s", "^", "D", "v")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (3, 3)))
SEQUENTIAL, DIVERGING = "cividis", "PuOr_r"
_RAMP_STEPS = 16


def _ramp(low: float, high: float) -> tuple[str, ...]:
    """Steps of a perceptually even colour map, as hex colours."""
    return tuple(to_hex(mpl.colormaps["plasma"](t)) for t in np.linspace(low, high, _RAMP_STEPS))


_RAMP, _RAMP_DARK = _ramp(0.0, 0.66), _ramp(0.42, 0.98)

# Colour of a figure -> (name of the page's CSS variable, its colour on a dark page).
THEME: dict[str, tuple[str, str]] = {
    INK: ("ink", "#e8eaed"),
    MUTED: ("muted", "#a8b0b9"),
    GRID: ("grid", "#3a4149"),
    GAP: ("gap", "#262b31"),
    **{color: (f"series{i}", _SERIES_DARK[i]) for i, color in enumerate(SERIES)},
    **{color: (f"ramp{i}", _RAMP_DARK[i]) for i, color in enumerate(_RAMP)},
}

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "text.parse_math": False,  # names and labels come from data: a $ in them is a $
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
    "hatch.linewidth": 0.5,
    "hatch.color": MUTED,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "probing_bridge",
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": False,  # see new_figure and settle
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of the report, within a `with` block."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches; it belongs to no window and no global list."""
    return Figure(figsize=(width, height), layout="constrained")


def settle(figure: Figure) -> None:
    """Lays a figure out once and for all, so that its SVG, PDF and PNG are the same and none does it again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)  # a figure with an engine, even with one that does nothing, is drawn twice


def drawn(draw: Callable[[pd.DataFrame], Figure], frame: pd.DataFrame) -> Figure:
    """A frame drawn with the style of the report; its layout is settled once, so that every file shares it."""
    with style():
        figure = draw(frame)
        settle(figure)
    return figure


def empty(text: str = "not run", width: float = COLUMN) -> Figure:
    """A figure that says that its results are missing."""
    figure = new_figure(width, 0.9)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), 1, 1, facecolor=GAP, edgecolor=MUTED, hatch="////", linewidth=0.5))
    axes.text(0.5, 0.5, text, ha="center", va="center", bbox={"facecolor": GAP, "edgecolor": "none", "pad": 3})
    return figure


def mark(text: str, level: object = "", layer: object = "") -> str:
    """The gid of a drawn value: its hover text, and the level and layer a reader can pick on the page.

    Args:
        text: What is shown when a reader points at it.
        level: Level or levels (separated by spaces) it belongs to.
        layer: Layer or layers it belongs to.

    Returns:
        A gid for Artist.set_gid; to_svg takes it apart.
    """
    return f"mark|{level}|{layer}|{text}"


def ramp(index: int, count: int) -> str:
    """Colour number `index` of `count` ordered things (levels, layers), from dark to bright."""
    return _RAMP[round(index * (_RAMP_STEPS - 1) / max(count - 1, 1))]


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction as text in per cent; a dash for a missing one."""
    return "–" if pd.isna(fraction) else f"{100 * fraction:.{digits}f} %"


def level_labels(frame: pd.DataFrame, column: str = "level") -> dict[int, str]:
    """Level -> `LTHk` with its sparsity in a second line, where the frame has it."""
    sparsities = frame.groupby(column, as_index=False)["sparsity"].mean()
    labels = {}
    for level, sparsity in sparsities[[column, "sparsity"]].itertuples(index=False):
        labels[int(level)] = f"LTH{level}" + ("" if pd.isna(sparsity) else f"\n{percent(sparsity, 0)}")
    return labels


def number(value: float, low: float | None = None, high: float | None = None, digits: int = 3) -> str:
    """A number with its interval as text."""
    if pd.isna(value):
        return "–"
    interval = "" if low is None or pd.isna(low) or pd.isna(high) else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{value:.{digits}f}{interval}"


def heat_map(
    axes: Axes,
    values: pd.DataFrame,
    norm: Normalize,
    colors: str,
    form: str | None,
    gid: Callable[[int, int], str],
    size: float = 6.5,
) -> None:
    """Draws one cell a value, first row on top; a missing value is a hatched gap.

    Args:
        axes: Where.
        values: Rows and columns as they stand, labels from index and columns.
        norm: Value -> place in the colour map.
        colors: Name of the colour map.
        form: Format of the numbers inside the cells, None for none.
        gid: (row, column) -> gid of the cell.
        size: Font size of the numbers.
    """
    colormap = mpl.colormaps[colors]
    for i, row in enumerate(values.to_numpy(dtype="float64")):
        for j, value in enumerate(row):
            missing = np.isnan(value)
            cell = Rectangle((j, i), 1, 1, linewidth=0.4, edgecolor="#ffffff")
            if missing:
                cell.set(facecolor=GAP, edgecolor=MUTED, hatch="//////")
            else:
                cell.set_facecolor(colormap(norm(value)))
            cell.set_gid(gid(i, j))
            cell.set_in_layout(False)  # it lies within the axes: the layout need not ask each cell
            axes.add_artist(cell)
            if form and not missing:
                text = format(value, form)
                text = text.replace("-", "−") if float(text) != 0 else text.replace("-", "")
                shade = cell_text_color(colormap(norm(value)))
                label = axes.text(j + 0.5, i + 0.52, text, ha="center", va="center", color=shade, fontsize=size)
                label.set_in_layout(False)
    axes.set(xlim=(0, values.shape[1]), ylim=(values.shape[0], 0))
    axes.set_xticks(np.arange(values.shape[1]) + 0.5, [str(label) for label in values.columns])
    axes.set_yticks(np.arange(values.shape[0]) + 0.5, [str(label) for label in values.index])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def cell_text_color(rgba: tuple[float, float, float, float]) -> str:
    """Black or white, whichever has the higher contrast on a colour (WCAG relative luminance)."""
    rgb = rgba[:3]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"


def color_bar(figure: Figure, axes: Axes | Sequence[Axes], norm: Normalize, colors: str, label: str) -> None:
    """A thin colour bar beside the axes."""
    source = mpl.cm.ScalarMappable(norm=norm, cmap=colors)
    bar = figure.colorbar(source, ax=axes, fraction=0.035, pad=0.015, aspect=25)
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)


def run_lines(axes: Axes, frame: pd.DataFrame, x: str, y: str, color: str) -> None:
    """The single runs of a curve as thin lines behind it, where there are several.

    Args:
        axes: Where.
        frame: Rows with the column `run`, in order of x within a run.
        x: Column of the x axis.
        y: Column of the y axis.
        color: That of the curve.
    """
    if frame[RUN].nunique() < 2:
        return
    for _, line in frame.dropna(subset=[x, y]).groupby(RUN):
        across, up = line[x].to_numpy(dtype="float64"), line[y].to_numpy(dtype="float64")
        axes.plot(across, up, color=color, linewidth=0.5, alpha=0.55, zorder=1.5)


def curve(
    axes: Axes,
    frame: pd.DataFrame,
    x: str,
    y: str,
    label: str,
    look: tuple[str, str, object],
    gids: Sequence[str],
) -> None:
    """A line through the rows' values with a marker each, and the interval low-high as a bar where it is known.

    Args:
        axes: Where.
        frame: Rows of one run, or of the mean of several (mean_of_runs), in order of x.
        x: Column of the x axis.
        y: Column of the y axis.
        label: For the legend.
        look: Colour, marker, dash.
        gids: One gid a row, for its marker.
    """
    color, marker, dash = look
    known = frame.assign(gid=list(gids)).dropna(subset=[x, y])
    across, up = known[x].to_numpy(dtype="float64"), known[y].to_numpy(dtype="float64")
    axes.plot(across, up, color=color, linestyle=dash, marker=marker, label=label, gid=f"line {label}")
    if {"low", "high"} <= set(known.columns):
        axes.vlines(across, known["low"].astype(float), known["high"].astype(float), color=color, linewidth=0.8)
    for left, height, gid in zip(across, up, known["gid"], strict=True):
        axes.plot([left], [height], color=color, marker=marker, linestyle="none", gid=gid, in_layout=False)
