"""Output distributions and the path on which damage arrives: two figures and two tables beyond the paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from probing_bridge.figures.style import (
    MARKERS,
    MUTED,
    SERIES,
    WIDE,
    curve,
    empty,
    mark,
    new_figure,
    number,
    ramp,
    run_lines,
)
from probing_bridge.results.naming import layer_label, layer_order, rows_of
from probing_bridge.results.outputs import BLEU, EMBEDDINGS, PATH, PROBABILITIES, STATES
from probing_bridge.results.runs import mean_of_runs
from probing_bridge.similarity.measures.registry import LOWER, OUTPUT_MEASURES, UPPER

_TITLES = {
    "js_divergence": "Jensen-Shannon, bits",
    "kl_divergence": "Kullback-Leibler, bits",
    "best_token_agreement": "same best token",
    "gold_rank": "mean rank of gold",
    "gold_reciprocal_rank": "mean 1 / rank of gold",
    "calibration_error": "calibration error",
}
_UNITS = {PROBABILITIES: "Jensen-Shannon, bits", BLEU: "BLEU lost"}
_SHOWN, _LETTERS = 10, 40  # rows of sentences and of tokens in the table, letters of a text; the CSV has all


def draw_damage_path(frame: pd.DataFrame) -> Figure:
    """Distance from LTH0 over levels, one panel a stage, each with its own axis and unit."""
    if not len(frame):
        return empty(width=WIDE)
    figure = new_figure(WIDE, 4.2)
    levels = sorted(frame["level"].unique())
    for axes, stage in zip(figure.subplots(2, 3).flat, PATH, strict=True):
        part = frame[frame["stage"] == stage]
        _stage_lines(axes, stage, part, layer_order(list(frame["layer"])))
        axes.set_xticks(levels, [str(level) for level in levels])
        axes.set(title=stage, ylabel=_UNITS.get(stage, "1 − linear CKA"))
        axes.grid(axis="y")
        if not len(part):
            axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", color=MUTED)
        elif len(axes.get_legend_handles_labels()[1]) > 1:
            axes.legend(loc="upper left", ncols=2, fontsize=5.5)
    for axes in figure.axes[3:]:
        axes.set_xlabel("level")
    return figure


def _stage_lines(axes: Axes, stage: str, part: pd.DataFrame, layers: list[str]) -> None:
    """The lines of one panel: a component of the embeddings, a layer of a stack, or one."""
    for index, (key, rows) in enumerate(part.groupby(["component", "layer"], sort=False)):
        component, layer = map(str, key)
        name = component if stage == EMBEDDINGS else layer_label(layer) if layer else stage
        color = SERIES[index] if stage in (EMBEDDINGS, STATES) or not layer else ramp(layers.index(layer), len(layers))
        run_lines(axes, rows, "level", "value", color)
        line = mean_of_runs(rows, ["level"], "value")
        if stage == PROBABILITIES:
            line = _up_to(line, rows, "level", "high")
        gids = [
            mark(f"{stage}, {name}, LTH{row.level}: {number(row.value, row.low, row.high)}", row.level, row.layer)
            for row in rows_of(line)
        ]
        shown = line if line["low"].notna().any() else line.drop(columns=["low", "high"])
        curve(axes, shown, "level", "value", name, (color, MARKERS[index % 5], "-"), gids)


def _up_to(line: pd.DataFrame, rows: pd.DataFrame, by: str, upper: str) -> pd.DataFrame:
    """The mean over several runs of a lower bound with a bar up to the end of the interval that an upper one has."""
    several = rows["run"].nunique() > 1
    return line.assign(high=mean_of_runs(rows, [by], upper)["high"]) if several else line


def draw_output_groups(frame: pd.DataFrame) -> Figure:
    """Jensen-Shannon divergence by group of positions, one line a level, one panel a kind of group."""
    if not len(frame):
        return empty(width=WIDE)
    kinds, levels = list(dict.fromkeys(frame["kind"])), sorted(frame["level"].unique())
    titles = {"position": "position in the target sentence", "frequency": "frequency rank of the gold token"}
    figure = new_figure(WIDE, 2.6)
    grid = np.atleast_1d(figure.subplots(1, len(kinds), sharey=True))
    for axes, kind in zip(grid, kinds, strict=True):
        part = frame[frame["kind"] == kind]
        for index, level in enumerate(levels):
            rows, color = part[part["level"] == level], ramp(index, len(levels))
            run_lines(axes, rows, "place", "score", color)
            line = mean_of_runs(rows, ["place"]).assign(upper=mean_of_runs(rows, ["place"], "upper")["upper"])
            line = _up_to(line, rows, "place", "upper")
            gids = [
                mark(f"{kind} {row.group}, LTH{level}: {row.score:.3f} to {row.upper:.3f}, n = {row.n}", level)
                for row in rows_of(line)
            ]
            curve(axes, line, "place", "score", f"LTH{level}", (color, MARKERS[index % 5], "-"), gids)
        groups = part.drop_duplicates("place").sort_values("place")
        axes.set_xticks(groups["place"].astype(float), list(groups["group"]))
        axes.set(xlabel=titles.get(kind, kind))
        axes.grid(axis="y")
    grid[0].set(ylabel="Jensen-Shannon, bits", ylim=(0, None))
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def show_damage(frame: pd.DataFrame) -> pd.DataFrame:
    """Distance from LTH0 beside the controls: one row a stage, two columns a control."""
    rows: dict[str, dict[str, str]] = {}
    for (stage, experiment, level), part in frame.groupby(["stage", "experiment", "level"], sort=False):
        cells = rows.setdefault(str(stage), {"stage": str(stage), "unit": _UNITS.get(str(stage), "1 − linear CKA")})
        known = {}
        for column in ("value", "excess"):
            mean = next(rows_of(mean_of_runs(part.assign(low=float("nan"), high=float("nan")), ["stage"], column)))
            known[column] = number(getattr(mean, column), mean.low, mean.high)
        cells[f"LTH{level}, {experiment}"] = known["value"].replace("-", "−")
        if part["excess"].notna().any():
            cells[f"more than {experiment}"] = known["excess"].replace("-", "−")
    return pd.DataFrame(list(rows.values())).fillna("not run")


def show_outputs(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a level, one column a measure; a divergence between its two bounds."""
    frame = mean_of_runs(frame, ["measure", "variant", "level"])
    levels = sorted(frame["level"].unique())
    table = pd.DataFrame({"level": [f"LTH{level}" for level in levels]})
    for name in (name for name in OUTPUT_MEASURES if name in set(frame["measure"])):
        part = frame[frame["measure"] == name].set_index(["variant", "level"])
        table[_TITLES[name]] = [_cell(part, int(level)) for level in levels]
    return table


def _cell(part: pd.DataFrame, level: int) -> str:
    if (LOWER, level) in part.index:
        low, high = (float(part["score"][variant, level]) for variant in (LOWER, UPPER))
        return f"{low:.3f} to {high:.3f}"
    if ("", level) not in part.index:
        return "–"
    return number(*part.loc[("", level), ["score", "low", "high"]])


def show_disagreements(frame: pd.DataFrame) -> pd.DataFrame:
    """The sentences, then the target tokens, with the largest divergence; texts are cut."""
    level = frame["level_b"].iloc[0]
    sentences, tokens = frame[frame["position"].isna()].head(_SHOWN), frame[frame["position"].notna()].head(_SHOWN)
    rows, several = [], frame["run"].nunique() > 1
    for row in (*rows_of(sentences), *rows_of(tokens)):
        whole = pd.isna(row.position)
        rows.append(
            {
                **({"run": str(row.run)} if several else {}),
                "sentence": str(row.sentence),
                "token": "–" if whole else f"{row.position}: {_cut(row.gold)}",
                "bits": f"{row.divergence_low:.3f} to {row.divergence_high:.3f}",
                "best of LTH0": "–" if whole else _cut(row.best_a),
                f"best of LTH{level}": "–" if whole else _cut(row.best_b),
                "gold by LTH0": number(row.probability_a),
                f"gold by LTH{level}": number(row.probability_b),
                "target": _cut(row.target),
            }
        )
    return pd.DataFrame(rows)


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…"
