"""Figures of Section 5: neurons, layers, spectra, token groups and attention (Fig. 4, 5, 6, A4-A8)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from probing_bridge.figures.style import (
    COLUMN,
    INK,
    MARKERS,
    MUTED,
    SEQUENTIAL,
    SERIES,
    WIDE,
    color_bar,
    curve,
    empty,
    heat_map,
    level_labels,
    mark,
    new_figure,
    number,
    ramp,
    run_lines,
)  # fmt: skip
from probing_bridge.results.naming import COMPONENTS, layer_label, layer_order, rows_of
from probing_bridge.results.runs import mean_of_runs

_GROUP_KINDS = {"frequency": "frequency rank", "pos": "part of speech", "semtag": "semantic tag"}


def draw_to_dense(frame: pd.DataFrame) -> Figure:
    """Similarity to the dense model over levels, one line a layer, one panel a component (Fig. 4, A5)."""
    frame = frame.dropna(subset=["score"])
    if not len(frame):
        return empty(width=WIDE)
    components = [name for name in COMPONENTS if name in set(frame["component"])]
    figure = new_figure(WIDE if len(components) > 1 else COLUMN + 0.6, 2.5)
    grid = np.atleast_1d(figure.subplots(1, len(components), sharey=True))
    labels, layers = level_labels(frame), layer_order(list(frame["layer"]))
    for axes, component in zip(grid, components, strict=True):
        for index, layer in enumerate(layers):
            part = frame[(frame["component"] == component) & (frame["layer"] == layer)].sort_values(["run", "level"])
            line, color = mean_of_runs(part, ["level"]), ramp(index, len(layers))
            run_lines(axes, part, "level", "score", color)
            gids = [
                mark(
                    f"{component}, {layer_label(layer)}, LTH{row.level}: {number(row.score, row.low, row.high)}",
                    row.level,
                    layer,
                )
                for row in rows_of(line)
            ]
            curve(axes, line, "level", "score", layer_label(layer), (color, MARKERS[index % 5], "-"), gids)
        axes.set_xticks(list(labels), [label.replace("LTH", "") for label in labels.values()])
        axes.set(title=COMPONENTS[component], xlabel="level and sparsity")
        axes.grid(axis="y")
    grid[0].set_ylabel("similarity to LTH0")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def draw_distribution(frame: pd.DataFrame) -> Figure:
    """Share of neurons by correlation, one line a level, a row of panels a component (Fig. A4)."""
    if not len(frame):
        return empty(width=WIDE)
    frame = mean_of_runs(frame, ["component", "layer", "level", "bin_low"], "share")
    components = [name for name in COMPONENTS if name in set(frame["component"])]
    layers = layer_order(list(frame["layer"]))
    levels = sorted(frame["level"].unique())
    figure = new_figure(WIDE, 0.5 + 1.7 * len(components))
    grid = figure.subplots(len(components), len(layers), sharex=True, squeeze=False)
    for i, component in enumerate(components):
        for j, layer in enumerate(layers):
            axes = grid[i][j]
            part = frame[(frame["component"] == component) & (frame["layer"] == layer)]
            for index, level in enumerate(levels):
                line = part[part["level"] == level]
                if len(line):
                    edges = np.r_[line["bin_low"].to_numpy(), line["bin_high"].iloc[-1]]
                    axes.stairs(100 * line["share"], edges, color=ramp(index, len(levels)), label=f"LTH{level}",
                                linewidth=1, gid=mark(f"LTH{level}", level, layer))  # fmt: skip
            axes.set_title(f"{component}, {layer_label(layer)}")
            axes.set_ylim(bottom=0)
            axes.grid(axis="y")
        grid[i][0].set_ylabel("neurons (%)")
    drawn = frame[frame["share"] > 0]
    grid[0][0].set_xlim(max(-1.0, drawn["bin_low"].min() - 0.05), 1.0)
    for axes in grid[-1] if len(layers) < 3 else grid[-1][1:2]:  # more of these labels would overlap
        axes.set_xlabel("correlation with the same neuron of LTH0")
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside right center")
    return figure


def draw_pairs(frame: pd.DataFrame) -> Figure:
    """Layer x layer maps dense-dense, sparse-sparse, dense-sparse; a row of panels a component (Fig. 5, 6, A6, A8)."""
    frame = frame.dropna(subset=["score"])
    if not len(frame):
        return empty(width=WIDE)
    frame = mean_of_runs(frame, ["component", "level_a", "layer_a", "level_b", "layer_b"])
    components = [name for name in COMPONENTS if name in set(frame["component"])]
    sparse = int(frame["level_b"].max())
    panels = list(dict.fromkeys([(0, 0), (sparse, sparse), (0, sparse)]))
    layers = layer_order([*frame["layer_a"], *frame["layer_b"]])[::-1]
    side = (WIDE - 0.9) / 3
    figure = new_figure(0.9 + side * len(panels), (side + 0.35) * len(components))
    grid = figure.subplots(len(components), len(panels), squeeze=False)
    norm = Normalize(min(0.0, float(frame["score"].min())), 1.0)
    for i, component in enumerate(components):
        for axes, (a, b) in zip(grid[i], panels, strict=True):
            part = frame[(frame["component"] == component) & (frame["level_a"] == a) & (frame["level_b"] == b)]
            _pair_map(axes, part, layers, (a, b), norm)
            axes.set_title(f"LTH{a} v LTH{b}" if a != b else f"within LTH{a}")
        if len(components) > 1:
            grid[i][0].annotate(
                COMPONENTS[component], (0, 1.16), xycoords="axes fraction", fontweight="bold", fontsize=7.5
            )
    color_bar(figure, list(grid.flat), norm, SEQUENTIAL, "linear CKA")
    return figure


def _pair_map(axes: Axes, part: pd.DataFrame, layers: list[str], pair: tuple[int, int], norm: Normalize) -> None:
    """One layer x layer map: rows the first level's layers, highest on top; columns the second's."""
    across = layers[::-1]
    values = part.pivot(index="layer_a", columns="layer_b", values="score").reindex(index=layers, columns=across)
    cells = values.to_numpy(dtype="float64")

    def gid(i: int, j: int) -> str:
        text = "not run" if np.isnan(cells[i, j]) else f"{cells[i, j]:.3f}"
        what = f"LTH{pair[0]} {layer_label(layers[i])}, LTH{pair[1]} {layer_label(across[j])}: {text}"
        return mark(what, f"{pair[0]} {pair[1]}", f"{layers[i]} {across[j]}")

    heat_map(axes, values, norm, SEQUENTIAL, ".2f", gid, size=6 if len(layers) <= 8 else 4.5)
    axes.set_aspect("equal")
    axes.set(xlabel=f"layer of LTH{pair[1]}", ylabel=f"layer of LTH{pair[0]}")


def draw_spectrum(frame: pd.DataFrame) -> Figure:
    """Cumulative variance over the first k directions, one line a level, with the 80 % line (Fig. A7)."""
    if not len(frame):
        return empty(width=WIDE)
    order = [name for name in ("encoder", "decoder") if name in set(frame["component"])]
    panels = [(name, layer) for name in order for layer in frame.loc[frame["component"] == name, "layer"].unique()]
    levels = sorted(frame["level"].unique())
    across = "k, number of principal directions" if len(panels) < 3 else "k, directions"
    figure = new_figure(WIDE, 2.5)
    grid = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axes, (component, layer) in zip(grid, panels, strict=True):
        part = frame[(frame["component"] == component) & (frame["layer"] == layer)]
        for index, level in enumerate(levels):
            rows = part[part["level"] == level].sort_values(["run", "k"])
            rows, color = rows.assign(share=100 * rows["cumulative_variance"]), ramp(index, len(levels))
            run_lines(axes, rows, "k", "share", color)
            line = mean_of_runs(rows, ["k"], "share")
            axes.plot(line["k"], line["share"], color=color, label=f"LTH{level}",
                      gid=mark(f"{component}, LTH{level}", level), linewidth=1)  # fmt: skip
        axes.axhline(80, color=MUTED, linewidth=0.7, linestyle=":")
        axes.set(
            title=f"{component}, {layer_label(layer)}",
            xlabel=across,
            ylim=(0, 102),
        )
        axes.set_xlim(left=0)
        axes.grid(axis="y")
    grid[0].set_ylabel("variance of the first k (%)")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def draw_groups(frame: pd.DataFrame) -> Figure:
    """Similarity of the two models on each group of tokens, with intervals; a panel a kind of group, a row a layer."""
    frame = frame.dropna(subset=["score"])
    if not len(frame):
        return empty()
    frame = mean_of_runs(frame, ["kind", "layer", "group"])
    kinds, layers = list(dict.fromkeys(frame["kind"])), list(dict.fromkeys(frame["layer"]))
    tallest = int(frame.groupby(["kind", "layer"]).size().max())
    figure = new_figure(max(COLUMN, WIDE * len(kinds) / 3), (0.8 + 0.15 * max(tallest, 6)) * len(layers))
    grid = figure.subplots(len(layers), len(kinds), sharex=True, squeeze=False)
    for panels, layer in zip(grid, layers, strict=True):
        for index, (axes, kind) in enumerate(zip(panels, kinds, strict=True)):
            part = frame[(frame["kind"] == kind) & (frame["layer"] == layer)]
            title = _GROUP_KINDS.get(kind, kind) + (f", {layer_label(layer)}" if len(layers) > 1 else "")
            _group_points(axes, part, SERIES[index % 5], 7 if tallest <= 25 else 5)
            axes.set(title=title, xlabel="linear CKA", ylim=(len(part) - 0.4, -0.6))
            axes.grid(axis="x")
    return figure


def _group_points(axes: Axes, part: pd.DataFrame, color: str, size: float) -> None:
    """One kind of group: a point and its interval a group, from top to bottom."""
    places = np.arange(len(part))
    axes.hlines(places, part["low"].astype(float), part["high"].astype(float), color=color, linewidth=1)
    for place, row in zip(places, rows_of(part), strict=True):
        text = f"{row.group}: {number(row.score, row.low, row.high)}, n = {row.n}"
        axes.plot([row.score], [place], "o", color=color, gid=mark(text, row.level, row.layer))
    axes.set_yticks(places, [str(group) for group in part["group"]], fontsize=size, color=INK)
