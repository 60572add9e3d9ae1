"""Figures of Section 5: neurons, layers, spectra, token groups and attention (Fig. 4, 5, 6, A4-A8)."""

from __future__ import annotations

import re

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
)  # fmt: skip
from probing_bridge.results import summaries
from probing_bridge.results.folder import Results
from probing_bridge.results.summaries import rows_of

COMPONENTS = {
    "encoder": "encoder",
    "decoder": "decoder",
    "encoder_self": "encoder self-attention",
    "encoder_decoder": "encoder-decoder attention",
    "decoder_self": "decoder self-attention",
}
_BINS = np.round(np.linspace(-1, 1, 81), 6)
_GROUP_KINDS = {"frequency": "frequency rank", "pos": "part of speech", "semtag": "semantic tag"}


def neuron_data(results: Results) -> pd.DataFrame:
    """NeuronSim of every layer with the same layer of LTH0 (Fig. 4)."""
    return summaries.to_dense(results, "neuron_similarity")


def cka_data(results: Results) -> pd.DataFrame:
    """Linear CKA of every layer with the same layer of LTH0 (Fig. A5)."""
    return summaries.to_dense(results, "linear_cka")


def draw_to_dense(frame: pd.DataFrame) -> Figure:
    """Similarity to the dense model over levels, one line a layer, one panel a component (Fig. 4, A5)."""
    frame = frame.dropna(subset=["score"])
    if not len(frame):
        return empty(width=WIDE)
    components = [name for name in COMPONENTS if name in set(frame["component"])]
    figure = new_figure(WIDE if len(components) > 1 else COLUMN + 0.6, 2.5)
    grid = np.atleast_1d(figure.subplots(1, len(components), sharey=True))
    labels, layers = level_labels(frame), summaries.layer_order(list(frame["layer"]))
    for axes, component in zip(grid, components, strict=True):
        for index, layer in enumerate(layers):
            line = frame[(frame["component"] == component) & (frame["layer"] == layer)].sort_values("level")
            gids = [
                mark(
                    f"{component}, layer {layer}, LTH{row.level}: {number(row.score, row.low, row.high)}",
                    row.level,
                    layer,
                )
                for row in rows_of(line)
            ]
            curve(
                axes,
                line,
                "level",
                "score",
                f"layer {layer}",
                (ramp(index, len(layers)), MARKERS[index % 5], "-"),
                gids,
            )
        axes.set_xticks(list(labels), [label.replace("LTH", "") for label in labels.values()])
        axes.set(title=COMPONENTS[component], xlabel="level and sparsity")
        axes.grid(axis="y")
    grid[0].set_ylabel("similarity to LTH0")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def distribution_rows(results: Results) -> pd.DataFrame:
    """Neurons of LTH0 with their own counterparts in the same layer of every pruned level; layers 1 to L."""
    rows = summaries.real_layers(results["neurons"], "layer_a", "layer_b")
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] != 0) & (rows["layer_a"] == rows["layer_b"])]
    return rows.dropna(subset=["own_correlation"])


def distribution_data(results: Results) -> pd.DataFrame:
    """Distribution of the neurons' correlations with the same neuron of LTH0 (Fig. A4), first and last layer.

    Returns:
        component, layer, level, sparsity, bin_low, bin_high, share, n (neurons).
    """
    rows = distribution_rows(results)
    frames = []
    for component, part in rows.groupby("component"):
        order = summaries.layer_order(list(part["layer_a"]))
        for layer in dict.fromkeys([order[0], order[-1]]):
            for level, neurons in part[part["layer_a"] == layer].groupby("level_b"):
                counts, _ = np.histogram(neurons["own_correlation"].clip(-1, 1), bins=_BINS)
                frame = pd.DataFrame({"bin_low": _BINS[:-1], "bin_high": _BINS[1:], "share": counts / counts.sum()})
                frames.append(frame.assign(component=component, layer=layer, level=level, n=counts.sum()))
    columns = ["component", "layer", "level", "sparsity", "bin_low", "bin_high", "share", "n"]
    if not frames:
        return pd.DataFrame(columns=columns)
    return summaries.with_sparsity(pd.concat(frames, ignore_index=True), results)[columns]


def draw_distribution(frame: pd.DataFrame) -> Figure:
    """Share of neurons by correlation, one line a level, a row of panels a component (Fig. A4)."""
    if not len(frame):
        return empty(width=WIDE)
    components = [name for name in COMPONENTS if name in set(frame["component"])]
    layers = summaries.layer_order(list(frame["layer"]))
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
            axes.set_title(f"{component}, layer {layer}")
            axes.set_ylim(bottom=0)
            axes.grid(axis="y")
        grid[i][0].set_ylabel("neurons (%)")
    drawn = frame[frame["share"] > 0]
    grid[0][0].set_xlim(max(-1.0, drawn["bin_low"].min() - 0.05), 1.0)
    for axes in grid[-1]:
        axes.set_xlabel("correlation with the same neuron of LTH0")
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside right center")
    return figure


def encoder_pairs_data(results: Results, level: int | None = None) -> pd.DataFrame:
    """Linear CKA of encoder layers within and between LTH0 and a level, by default the sparsest (Fig. 5)."""
    return summaries.layer_pairs(results, "linear_cka", "encoder", level)


def decoder_pairs_data(results: Results, level: int | None = None) -> pd.DataFrame:
    """Linear CKA of decoder layers within and between LTH0 and a level, by default the sparsest (Fig. A6)."""
    return summaries.layer_pairs(results, "linear_cka", "decoder", level)


def encoder_attention_data(results: Results, level: int | None = None) -> pd.DataFrame:
    """AttentionSim of encoder self-attention (Fig. 6)."""
    return summaries.layer_pairs(results, "attention_cka", "encoder_self", level)


def decoder_attention_data(results: Results, level: int | None = None) -> pd.DataFrame:
    """AttentionSim of encoder-decoder attention and decoder self-attention (Fig. A8)."""
    kinds = [
        summaries.layer_pairs(results, "attention_cka", kind, level) for kind in ("encoder_decoder", "decoder_self")
    ]
    filled = [kind for kind in kinds if len(kind)]
    return pd.concat(filled, ignore_index=True) if filled else kinds[0]


def draw_pairs(frame: pd.DataFrame) -> Figure:
    """Layer x layer maps dense-dense, sparse-sparse, dense-sparse; a row of panels a component (Fig. 5, 6, A6, A8)."""
    frame = frame.dropna(subset=["score"])
    if not len(frame):
        return empty(width=WIDE)
    components = [name for name in COMPONENTS if name in set(frame["component"])]
    sparse = int(frame["level_b"].max())
    panels = list(dict.fromkeys([(0, 0), (sparse, sparse), (0, sparse)]))
    layers = summaries.layer_order([*frame["layer_a"], *frame["layer_b"]])[::-1]
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
        what = f"LTH{pair[0]} layer {layers[i]}, LTH{pair[1]} layer {across[j]}: {text}"
        return mark(what, f"{pair[0]} {pair[1]}", f"{layers[i]} {across[j]}")

    heat_map(axes, values, norm, SEQUENTIAL, ".2f", gid, size=6 if len(layers) <= 8 else 4.5)
    axes.set_aspect("equal")
    axes.set(xlabel=f"layer of LTH{pair[1]}", ylabel=f"layer of LTH{pair[0]}")


def spectrum_data(results: Results) -> pd.DataFrame:
    """Cumulative variance of the last encoder and decoder layer (Fig. A7): component, layer, variant, level, k, ..."""
    rows = results["spectrum"]
    frames = []
    for _, part in rows.groupby("component"):
        part = part[part["layer"] == summaries.final_layer(list(part["layer"]))]
        variant = "centred" if (part["variant"] == "centred").any() else part["variant"].iloc[0]
        frames.append(part[part["variant"] == variant])
    columns = ["component", "layer", "variant", "level", "sparsity", "k", "cumulative_variance"]
    if not frames:
        return pd.DataFrame(columns=columns)
    return summaries.with_sparsity(pd.concat(frames, ignore_index=True), results)[columns]


def draw_spectrum(frame: pd.DataFrame) -> Figure:
    """Cumulative variance over the first k directions, one line a level, with the 80 % line (Fig. A7)."""
    if not len(frame):
        return empty(width=WIDE)
    components = [name for name in ("encoder", "decoder") if name in set(frame["component"])]
    levels = sorted(frame["level"].unique())
    figure = new_figure(WIDE, 2.5)
    grid = np.atleast_1d(figure.subplots(1, len(components), sharey=True))
    for axes, component in zip(grid, components, strict=True):
        for index, level in enumerate(levels):
            line = frame[(frame["component"] == component) & (frame["level"] == level)].sort_values("k")
            axes.plot(line["k"], 100 * line["cumulative_variance"], color=ramp(index, len(levels)), label=f"LTH{level}",
                      gid=mark(f"{component}, LTH{level}", level), linewidth=1)  # fmt: skip
        axes.axhline(80, color=MUTED, linewidth=0.7, linestyle=":")
        layer = frame.loc[frame["component"] == component, "layer"].iloc[0]
        axes.set(title=f"{component}, layer {layer}", xlabel="k, number of principal directions", ylim=(0, 102))
        axes.set_xlim(left=0)
        axes.grid(axis="y")
    grid[0].set_ylabel("variance of the first k (%)")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def groups_data(results: Results) -> pd.DataFrame:
    """Linear CKA of LTH0 and the sparsest level, last encoder layer, by group of tokens (Section 5.3).

    Returns:
        kind (frequency, pos, semtag), group, layer, level, score, low, high, n; by kind, then score or rank.
    """
    rows = results["similarity"]
    rows = rows[(rows["measure"] == "linear_cka") & (rows["group"] != "") & (rows["component"] == "encoder")]
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] != 0) & (rows["layer_a"] == rows["layer_b"])]
    if (rows["variant"] == "biased").any():
        rows = rows[rows["variant"] == "biased"]
    columns = ["kind", "group", "layer", "level", "score", "low", "high", "n"]
    if not len(rows):
        return pd.DataFrame(columns=columns)
    rows = rows[
        (rows["level_b"] == rows["level_b"].max()) & (rows["layer_b"] == summaries.final_layer(list(rows["layer_b"])))
    ]
    names = rows["group"].str.partition(":")
    rows = rows.assign(kind=names[0], group=names[2], layer=rows["layer_b"], level=rows["level_b"])
    order = [_group_order(row.kind, row.group, row.score) for row in rows_of(rows)]
    return rows.assign(order=order).sort_values("order", ignore_index=True)[columns]


def _group_order(kind: str, group: str, score: float) -> tuple[str, float]:
    """Frequency bins by their lowest rank, other groups by their score."""
    rank = re.search(r"\d+", group)
    return (kind, float(rank.group()) if kind == "frequency" and rank else -float(score))


def draw_groups(frame: pd.DataFrame) -> Figure:
    """Similarity of the two models on each group of tokens, with intervals; one panel a kind of group."""
    frame = frame.dropna(subset=["score"])
    if not len(frame):
        return empty()
    kinds = list(dict.fromkeys(frame["kind"]))
    tallest = max(int((frame["kind"] == kind).sum()) for kind in kinds)
    figure = new_figure(max(COLUMN, WIDE * len(kinds) / 3), 0.8 + 0.15 * max(tallest, 6))
    for index, (axes, kind) in enumerate(
        zip(np.atleast_1d(figure.subplots(1, len(kinds), sharex=True)), kinds, strict=True)
    ):
        part = frame[frame["kind"] == kind]
        places = np.arange(len(part))
        axes.hlines(places, part["low"].astype(float), part["high"].astype(float), color=SERIES[index % 5], linewidth=1)
        for place, row in zip(places, rows_of(part), strict=True):
            text = f"{row.group}: {number(row.score, row.low, row.high)}, n = {row.n}"
            axes.plot([row.score], [place], "o", color=SERIES[index % 5], gid=mark(text, row.level, row.layer))
        axes.set_yticks(places, [str(group) for group in part["group"]], fontsize=7 if tallest <= 25 else 5, color=INK)
        axes.set(title=_GROUP_KINDS.get(kind, kind), xlabel="linear CKA", ylim=(len(part) - 0.4, -0.6))
        axes.grid(axis="x")
    return figure
