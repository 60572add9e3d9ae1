"""Figures of Section 4: what probes find, by task, level and layer (Fig. 1, 2, 3, A3; MDL and selectivity)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from probing_bridge.corpora.tasks import POS, SEMANTIC, SYNTACTIC
from probing_bridge.figures.style import (
    COLUMN,
    DIVERGING,
    INK,
    MUTED,
    WIDE,
    cell_text_color,
    color_bar,
    empty,
    heat_map,
    level_labels,
    mark,
    new_figure,
    number,
    percent,
)  # fmt: skip
from probing_bridge.results.naming import (
    TASK_NAMES,
    layer_label,
    layer_order,
    rows_of,
    task_category,
    task_label,
    task_order,
)
from probing_bridge.results.probing import SIDES
from probing_bridge.results.runs import mean_of_runs

MLP_TASKS = ("ps_fxn", "ps_role", "coref", "syn_arc_prediction", "sem_arc_prediction")


def draw_best(frame: pd.DataFrame) -> Figure:
    """z-scores of the best layer's score, levels (rows) by tasks (columns) (Fig. 1, 2)."""
    if not len(frame):
        return empty(width=WIDE)
    frame = _mean_with_z(frame, ["task", "level"])
    tasks, missing = shown_tasks(frame)
    labels = level_labels(frame)
    width = min(WIDE, 1.6 + 0.42 * len(tasks))
    figure = new_figure(max(width, COLUMN), 0.95 + 0.27 * len(labels))
    axes = figure.subplots()
    bound = max(1.0, float(frame["z"].abs().max()))
    norm = TwoSlopeNorm(0, -bound, bound)
    values = frame.pivot(index="level", columns="task", values="z").reindex(index=list(labels), columns=tasks)
    rows = {(row.task, row.level): row for row in rows_of(frame)}

    def gid(i: int, j: int) -> str:
        level, task = list(labels)[i], tasks[j]
        row = rows.get((task, level))
        if row is None:
            return mark(f"{task_label(task)}, LTH{level}: not run", level)
        score = f"{row.metric} {number(row.score, row.low, row.high)}, z {row.z:+.2f}"
        return mark(f"{task_label(task)}, LTH{level}, {layer_label(row.layer)}: {score}", level, row.layer)

    heat_map(axes, values, norm, DIVERGING, ".1f", gid)
    axes.set_yticklabels([label.replace("\n", "  ") for label in labels.values()])
    axes.set_xticklabels([task_label(task) for task in tasks], rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_ylabel("level, sparsity")
    _group_bars(axes, tasks)
    color_bar(figure, axes, norm, DIVERGING, "z-score within the task")
    if missing:
        figure.supxlabel(f"not run: {len(missing)} of the paper's {len(TASK_NAMES)} tasks", fontsize=7, color=MUTED)
    return figure


def _mean_with_z(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Scores and z-scores as their means over runs."""
    mean = mean_of_runs(frame, by)
    return mean.assign(z=mean_of_runs(frame, by, "z")["z"])


def shown_tasks(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Tasks that get a column, and those of the paper that are only named.

    A task without results is a hatched column while those are fewer than half of the columns; more would drown what
    was run.
    """
    run = task_order(list(frame["task"]))
    missing = [task for task in TASK_NAMES if task not in run]
    if len(missing) < len(run):
        return task_order(run + missing), []
    return run, missing


def _group_bars(axes: Axes, tasks: list[str]) -> None:
    """A line under the columns of each category with its name."""
    categories = [task_category(task) for task in tasks]
    for category in dict.fromkeys(categories):
        columns = [index for index, name in enumerate(categories) if name == category]
        if not category or columns != list(range(columns[0], columns[-1] + 1)):
            continue
        across = axes.get_xaxis_transform()
        axes.plot(
            [columns[0] + 0.08, columns[-1] + 0.92],
            [-0.02, -0.02],
            color=INK,
            linewidth=0.8,
            transform=across,
            clip_on=False,
        )
        axes.text(
            (columns[0] + columns[-1] + 1) / 2, -0.04, category, ha="center", va="top", fontsize=7, transform=across
        )


def draw_layers(frame: pd.DataFrame) -> Figure:
    """Mean z-score by layer (rows, highest on top) and level (columns), one panel a category (Fig. 3, A3)."""
    if not len(frame):
        return empty()
    frame = mean_of_runs(frame, ["category", "level", "layer"], "z")
    categories = list(dict.fromkeys(frame["category"]))
    categories.sort(key=[POS, SYNTACTIC, SEMANTIC].index)
    labels, layers = level_labels(frame), layer_order(list(frame["layer"]))[::-1]
    width = min(WIDE, (1.2 if len(categories) == 1 else 0.9) + len(categories) * max(1.5, 0.36 * len(labels)))
    figure = new_figure(max(width, COLUMN), 0.9 + 0.26 * len(layers))
    grid = np.atleast_1d(figure.subplots(1, len(categories), sharey=True))
    bound = max(1.0, float(frame["z"].abs().max()))
    norm = TwoSlopeNorm(0, -bound, bound)
    for axes, category in zip(grid, categories, strict=True):
        part = frame[frame["category"] == category]
        values = part.pivot(index="layer", columns="level", values="z").reindex(index=layers, columns=list(labels))
        cells = values.to_numpy()

        def gid(i: int, j: int, cells: np.ndarray = cells, category: str = category) -> str:
            level, layer, value = list(labels)[j], layers[i], cells[i, j]
            text = "not run" if np.isnan(value) else f"mean z {value:+.2f}"
            return mark(f"{category}, {layer_label(layer)}, LTH{level}: {text}", level, layer)

        heat_map(axes, values, norm, DIVERGING, ".1f", gid)
        axes.set_xticklabels([str(level) for level in labels])
        tasks = int(part["tasks"].max())
        axes.set(title=f"{category} ({tasks} task{'s' * (tasks > 1)})", xlabel="level (LTH)")
    grid[0].set_ylabel("layer")
    color_bar(figure, list(grid), norm, DIVERGING, "mean z-score")
    return figure


def draw_sides(frame: pd.DataFrame) -> Figure:
    """Score, selectivity and MDL compression as numbers, coloured by their z-score within the task."""
    if not len(frame):
        return empty(width=WIDE)
    frame = _mean_with_z(frame, ["measure", "task", "level"])
    tasks = task_order(list(frame["task"]))
    labels = level_labels(frame)
    names = {"score": "score of the task", **SIDES}
    figure = new_figure(max(COLUMN, min(WIDE, 1.6 + 0.4 * len(tasks))), 0.8 + len(names) * (0.35 + 0.21 * len(labels)))
    grid = figure.subplots(len(names), 1, sharex=True)
    bound = max(1.0, float(frame["z"].abs().max()))
    norm = TwoSlopeNorm(0, -bound, bound)
    for axes, (measure, title) in zip(grid, names.items(), strict=True):
        part = frame[frame["measure"] == measure]
        z, scores = (
            part.pivot(index="level", columns="task", values=column).reindex(index=list(labels), columns=tasks)
            for column in ("z", "score")
        )
        raw = scores.to_numpy(dtype="float64")

        def gid(i: int, j: int, raw: np.ndarray = raw, title: str = title) -> str:
            text = "not run" if np.isnan(raw[i, j]) else f"{raw[i, j]:.4f}"
            return mark(f"{task_label(tasks[j])}, LTH{list(labels)[i]}: {title} {text}", list(labels)[i])

        heat_map(axes, z, norm, DIVERGING, None, gid)
        _write_numbers(axes, z, raw, norm, measure != "mdl_compression")
        axes.set_title(title, loc="left")
        axes.set_yticklabels([f"LTH{level}" for level in labels])
    grid[-1].set_xticklabels([task_label(task) for task in tasks], rotation=40, ha="right", rotation_mode="anchor")
    color_bar(figure, list(grid), norm, DIVERGING, "z-score within the task")
    return figure


def _write_numbers(axes: Axes, z: pd.DataFrame, raw: np.ndarray, norm: TwoSlopeNorm, in_percent: bool) -> None:
    """Writes the raw numbers into cells that are coloured by their z-scores, those up to 1 in per cent if asked."""
    colormap = colormaps[DIVERGING]
    for i, row in enumerate(z.to_numpy(dtype="float64")):
        for j, value in enumerate(row):
            if not np.isnan(value):
                color = cell_text_color(colormap(norm(value)))
                text = percent(raw[i, j], 0)[:-2] if in_percent and raw[i, j] <= 1 else f"{raw[i, j]:.1f}"
                label = axes.text(j + 0.5, i + 0.52, text, ha="center", va="center", color=color, fontsize=6)
                label.set_in_layout(False)
