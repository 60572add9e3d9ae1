"""Figures of Section 3: BLEU against sparsity, and where the weights go (Fig. A1, A2)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from probing_bridge.figures.style import (
    COLUMN,
    DASHES,
    GRID,
    MARKERS,
    MUTED,
    SERIES,
    WIDE,
    curve,
    empty,
    mark,
    new_figure,
    number,
    percent,
    ramp,
    run_lines,
)  # fmt: skip
from probing_bridge.results.levels import KINDS, PROJECTIONS
from probing_bridge.results.naming import metric_label, rows_of
from probing_bridge.results.runs import mean_of_runs


def draw_bleu(frame: pd.DataFrame) -> Figure:
    """BLEU against the sparsity of all weights, one line an experiment, one panel a test set and metric.

    An experiment that prunes nothing stands where the first one is at the same level.
    """
    frame = frame.dropna(subset=["score", "sparsity"])
    if not len(frame):
        return empty()
    reached = frame[frame["experiment"] == frame["experiment"].iloc[0]].groupby("level")["sparsity"].mean()
    control = frame.groupby("experiment")["sparsity"].transform("max") == 0
    frame = frame.assign(sparsity=frame["sparsity"].mask(control, frame["level"].map(reached)))
    panels = list(frame.groupby(["test_set", "metric"], sort=False))
    names = frame["experiment"].nunique()
    figure = new_figure(COLUMN + 0.4, 2.3 * len(panels) + 0.15 * names)
    for axes, ((test_set, metric), panel) in zip(np.atleast_1d(figure.subplots(len(panels), 1)), panels, strict=True):
        panel = panel.assign(sparsity=100 * panel["sparsity"])
        for index, (name, part) in enumerate(panel.groupby("experiment", sort=False)):
            line = mean_of_runs(part, ["level"])
            gids = [
                mark(f"{name}, LTH{row.level}: {number(row.score, row.low, row.high, 2)}", row.level)
                for row in rows_of(line)
            ]
            look = (SERIES[index % 5], MARKERS[index % 5], DASHES[index % 5])
            run_lines(axes, part, "sparsity", "score", look[0])
            curve(axes, line, "sparsity", "score", str(name), look, gids)
        axes.set(xlabel="sparsity of all weights (%)", ylabel=f"{metric_label(str(metric))}, {test_set}")
        axes.grid(axis="y")
        axes.margins(y=0.12)
    if names > 1:
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left")
    return figure


def draw_modules(frame: pd.DataFrame) -> Figure:
    """Sparsity of a module against that of all prunable weights, one line a layer (Fig. A1)."""
    if not len(frame):
        return empty(width=WIDE)
    panels = [(c, k) for c in ("encoder", "decoder") for k in KINDS if not (c == "encoder" and k == "encoder_decoder")]
    layers = sorted(frame["layer"].unique())
    figure = new_figure(WIDE, 3.9)
    grid = figure.subplots(2, 3, sharex=True, sharey=True)
    places = [grid[0][0], grid[0][1], grid[1][0], grid[1][1], grid[1][2]]
    for axes, (component, kind) in zip(places, panels, strict=True):
        panel = frame[(frame["component"] == component) & (frame["kind"] == kind)]
        for index, layer in enumerate(layers):
            line = panel[panel["layer"] == layer].sort_values(["run", "level"])
            _share_curve(axes, line, f"layer {layer}", (ramp(index, len(layers)), MARKERS[index % 5], "-"), layer)
        axes.set_title(f"{component}, {KINDS[kind]}")
        _share_axes(axes, panel)
    handles, labels = places[0].get_legend_handles_labels()
    grid[0][2].set_axis_off()
    grid[0][2].legend(handles, labels, loc="center", ncols=2)
    grid[0][1].tick_params(labelbottom=True)
    for axes in grid[1]:
        axes.set_xlabel("all prunable weights (%)")
    for axes in (grid[0][0], grid[1][0]):
        axes.set_ylabel("sparsity of the module (%)")
    return figure


def draw_projections(frame: pd.DataFrame) -> Figure:
    """Sparsity of Wq, Wk, Wv, Wo against that of all prunable weights (Fig. A2)."""
    if not len(frame):
        return empty(width=WIDE)
    panels = [("encoder", "self_attn"), ("decoder", "self_attn"), ("decoder", "encoder_decoder")]
    figure = new_figure(WIDE, 2.3)
    grid = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (component, kind) in zip(grid, panels, strict=True):
        panel = frame[(frame["component"] == component) & (frame["kind"] == kind)]
        for index, (name, label) in enumerate(PROJECTIONS.items()):
            line = panel[panel["projection"] == name].sort_values(["run", "level"])
            _share_curve(axes, line, label, (SERIES[index], MARKERS[index], DASHES[index]), "")
        axes.set(title=f"{component}, {KINDS[kind]}", xlabel="all prunable weights (%)")
        _share_axes(axes, panel)
    grid[0].set_ylabel("sparsity of the matrix (%)")
    grid[0].legend(loc="upper left")
    return figure


def _share_curve(axes: Axes, line: pd.DataFrame, label: str, look: tuple[str, str, object], layer: object) -> None:
    scaled = line.assign(x=100 * line["sparsity_prunable"], y=100 * line["module_sparsity"])
    mean = mean_of_runs(scaled, ["level"], "y")
    gids = [mark(f"{label}, LTH{row.level}: {percent(row.y / 100)}", row.level, layer) for row in rows_of(mean)]
    run_lines(axes, scaled, "x", "y", look[0])
    curve(axes, mean, "x", "y", label, look, gids)


def _share_axes(axes: Axes, panel: pd.DataFrame) -> None:
    """Grid, and the line on which a module is pruned as much as the whole; a gap is said."""
    axes.axline((0, 0), slope=1, color=MUTED, linewidth=0.6, linestyle=":")
    axes.grid(color=GRID)
    if not len(panel):
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", color=MUTED)
