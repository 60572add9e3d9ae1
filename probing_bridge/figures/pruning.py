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
)  # fmt: skip
from probing_bridge.formats.origin import lineage
from probing_bridge.results import summaries
from probing_bridge.results.folder import Results
from probing_bridge.results.summaries import rows_of

KINDS = {"self_attn": "self-attention", "encoder_attn": "encoder-decoder attention", "fc": "fully connected"}
PARTS = {"q": "Wq", "k": "Wk", "v": "Wv", "out": "Wo"}


def bleu_data(results: Results) -> pd.DataFrame:
    """BLEU of every level with its sparsity, of the experiment and its baselines.

    Returns:
        run, level, sparsity, test_set, metric, score, low, high, n; by test set, metric, run (the experiment first).
    """
    frames = [scores.merge(levels, on="level", how="left").assign(run=run) for run, scores, levels in _runs(results)]
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    rank = {run: index for index, run in enumerate(rows["run"].unique())}
    order = ["test_set", "metric", "run", "level"]
    rows = rows.sort_values(order, key=lambda c: c.map(rank) if c.name == "run" else c, ignore_index=True)
    return rows[["run", "level", "sparsity", "test_set", "metric", "score", "low", "high", "n"]]


def levels_data(results: Results) -> pd.DataFrame:
    """Sparsity and BLEU of every level (Table A1), of the experiment and its baselines.

    Returns:
        level, sparsity, sparsity_prunable, run, test_set, metric, score, low, high, n.
    """
    columns = ["level", "test_set", "metric", "score", "low", "high", "n"]
    frames = [
        levels.assign(run=run).merge(scores[columns], on="level", how="left") for run, scores, levels in _runs(results)
    ]
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _runs(results: Results) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Name, BLEU and levels of the experiment and of its baselines.

    A baseline that branched off a level of the experiment has the levels up to there too: they are the same models.
    """
    own_scores, own_levels = results["bleu"], summaries.levels(results)
    found = []
    for run, name in _named(results):
        shared = _shared_level(run, results)
        found.append(
            (
                name,
                _and_shared(run["bleu"], own_scores, shared),
                _and_shared(summaries.levels(run), own_levels, shared),
            )
        )
    return found


def _named(results: Results) -> list[tuple[Results, str]]:
    """The experiment and its baselines, each with a name of its own."""
    runs = (results, *results.baselines)
    names = [run_name(run) for run in runs]
    return [
        (run, f"{name} ({run.experiment})" if names.count(name) > 1 else name)
        for run, name in zip(runs, names, strict=True)
    ]


def differences_data(results: Results) -> pd.DataFrame:
    """Paired tests of BLEU, of the experiment and its baselines.

    Returns:
        run, level, other, test_set, metric, difference, p, n. `other` is LTH0, or the run (or, if it is not shown, the
        experiment) whose level of the same number it is.
    """
    runs = _named(results)
    rows = pd.concat([run["bleu_differences"].assign(run=name) for run, name in runs], ignore_index=True)
    rows = rows.dropna(subset=["difference", "p"])
    names = {run.experiment: name for run, name in runs}
    others = rows["other_experiment"].map(lambda experiment: names.get(experiment, experiment))
    rows["other"] = others.where(rows["other_level"] == rows["level"], "LTH" + rows["other_level"].astype(str))
    return rows[["run", "level", "other", "test_set", "metric", "difference", "p", "n"]]


def _shared_level(run: Results, results: Results) -> float:
    """The highest level of an experiment that is a run's too, as the run's lth.csv says in `parent`; -1 for none."""
    lth = run["lth"]
    parents = lth["parent"].unique() if "parent" in lth.columns else ()
    found = (lineage(run.experiment, {run.experiment: parent}).get(results.experiment, -1) for parent in parents)
    return max(found, default=-1)


def _and_shared(rows: pd.DataFrame, own: pd.DataFrame, shared: float) -> pd.DataFrame:
    """The rows of a run, after those of the experiment's levels that it shares and has no rows of."""
    before = own[(own["level"] <= shared) & ~own["level"].isin(rows["level"])]
    return pd.concat([before, rows], ignore_index=True) if len(before) else rows


def run_name(results: Results) -> str:
    """What a run is called in legends: how it chose and rewound, where lth.csv says so, else its experiment."""
    lth = results["lth"]
    words = [
        "/".join(sorted({value for value in lth[column] if value and value not in ("none", "-")}))
        for column in ("score", "rewind")
        if column in lth.columns
    ]
    if not any(words):
        return results.experiment or results.name
    score, rewind = [*words, ""][:2]
    rewinding = {"lr": "LR rewinding", "weights": "weight rewinding", "": ""}.get(rewind, rewind)
    return ", ".join(word for word in (f"{score} pruning" if score else "", rewinding) if word)


def draw_bleu(frame: pd.DataFrame) -> Figure:
    """BLEU against the sparsity of all weights, one line a run, one panel a test set and metric."""
    frame = frame.dropna(subset=["score", "sparsity"])
    if not len(frame):
        return empty()
    panels = list(frame.groupby(["test_set", "metric"], sort=False))
    figure = new_figure(COLUMN + 0.4, 2.3 * len(panels))
    for axes, ((test_set, metric), part) in zip(np.atleast_1d(figure.subplots(len(panels), 1)), panels, strict=True):
        for index, (run, line) in enumerate(part.groupby("run", sort=False)):
            gids = [
                mark(f"{run}, LTH{row.level}: {number(row.score, row.low, row.high, 2)}", row.level)
                for row in rows_of(line)
            ]
            look = (SERIES[index % 5], MARKERS[index % 5], DASHES[index % 5])
            curve(axes, line.assign(sparsity=100 * line["sparsity"]), "sparsity", "score", str(run), look, gids)
        axes.set(xlabel="sparsity of all weights (%)", ylabel=f"{metric}, {test_set}".replace("bleu", "BLEU"))
        axes.grid(axis="y")
        axes.margins(y=0.12)
        if part["run"].nunique() > 1:
            axes.legend(loc="best")
    return figure


def modules_data(results: Results) -> pd.DataFrame:
    """Sparsity of each module: component, kind, layer, level, sparsity_prunable, weights, pruned, module_sparsity."""
    return _shares(results, ["component", "kind", "layer", "level"])


def parts_data(results: Results) -> pd.DataFrame:
    """Sparsity of Wq, Wk, Wv and Wo over all layers: component, kind, part, level, sparsity_prunable, ..."""
    rows = _shares(results, ["component", "kind", "part", "level"])
    return rows[rows["part"].isin(PARTS) & rows["kind"].isin(["self_attn", "encoder_attn"])].reset_index(drop=True)


def _shares(results: Results, by: list[str]) -> pd.DataFrame:
    """Pruned weights of groups of modules as a share of their weights."""
    rows = results["lth_modules"]
    rows = rows[rows["kind"].isin(list(KINDS))]
    sums = rows.groupby(by, as_index=False)[["weights", "pruned"]].sum()
    sums["module_sparsity"] = sums["pruned"].astype(float) / sums["weights"].astype(float)
    return summaries.with_sparsity(sums, results).drop(columns="sparsity")


def draw_modules(frame: pd.DataFrame) -> Figure:
    """Sparsity of a module against that of all prunable weights, one line a layer (Fig. A1)."""
    if not len(frame):
        return empty(width=WIDE)
    panels = [(c, k) for c in ("encoder", "decoder") for k in KINDS if not (c == "encoder" and k == "encoder_attn")]
    layers = sorted(frame["layer"].unique())
    figure = new_figure(WIDE, 3.9)
    grid = figure.subplots(2, 3, sharex=True, sharey=True)
    places = [grid[0][0], grid[0][1], grid[1][0], grid[1][1], grid[1][2]]
    for axes, (component, kind) in zip(places, panels, strict=True):
        part = frame[(frame["component"] == component) & (frame["kind"] == kind)]
        for index, layer in enumerate(layers):
            line = part[part["layer"] == layer].sort_values("level")
            _share_curve(axes, line, f"layer {layer}", (ramp(index, len(layers)), MARKERS[index % 5], "-"), layer)
        axes.set_title(f"{component}, {KINDS[kind]}")
        _share_axes(axes, part)
    handles, labels = places[0].get_legend_handles_labels()
    grid[0][2].set_axis_off()
    grid[0][2].legend(handles, labels, loc="center", ncols=2)
    grid[0][1].tick_params(labelbottom=True)
    for axes in grid[1]:
        axes.set_xlabel("all prunable weights (%)")
    for axes in (grid[0][0], grid[1][0]):
        axes.set_ylabel("sparsity of the module (%)")
    return figure


def draw_parts(frame: pd.DataFrame) -> Figure:
    """Sparsity of Wq, Wk, Wv, Wo against that of all prunable weights (Fig. A2)."""
    if not len(frame):
        return empty(width=WIDE)
    panels = [("encoder", "self_attn"), ("decoder", "self_attn"), ("decoder", "encoder_attn")]
    figure = new_figure(WIDE, 2.3)
    grid = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (component, kind) in zip(grid, panels, strict=True):
        part = frame[(frame["component"] == component) & (frame["kind"] == kind)]
        for index, (name, label) in enumerate(PARTS.items()):
            line = part[part["part"] == name].sort_values("level")
            _share_curve(axes, line, label, (SERIES[index], MARKERS[index], DASHES[index]), "")
        axes.set(title=f"{component}, {KINDS[kind]}", xlabel="all prunable weights (%)")
        _share_axes(axes, part)
    grid[0].set_ylabel("sparsity of the matrix (%)")
    grid[0].legend(loc="upper left")
    return figure


def _share_curve(axes: Axes, line: pd.DataFrame, label: str, look: tuple[str, str, object], layer: object) -> None:
    gids = [mark(f"{label}, LTH{row.level}: {percent(row.module_sparsity)}", row.level, layer) for row in rows_of(line)]
    scaled = line.assign(x=100 * line["sparsity_prunable"], y=100 * line["module_sparsity"])
    curve(axes, scaled, "x", "y", label, look, gids)


def _share_axes(axes: Axes, part: pd.DataFrame) -> None:
    """Grid, and the line on which a module is pruned as much as the whole; a gap is said."""
    axes.axline((0, 0), slope=1, color=MUTED, linewidth=0.6, linestyle=":")
    axes.grid(color=GRID)
    if not len(part):
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", color=MUTED)
