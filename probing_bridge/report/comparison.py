"""The figures and tables of a comparison: two experiments side by side, level by level.

Place in the flow: compared -> comparison -> report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from probing_bridge.figures.pruning import draw_bleu
from probing_bridge.figures.style import COLUMN, DIVERGING, WIDE, color_bar, heat_map, mark, new_figure, number
from probing_bridge.figures.tables import draw_table
from probing_bridge.results.compared import Comparison, bleu_curves, ends
from probing_bridge.results.naming import rows_of, task_label, task_order
from probing_bridge.results.paper import BEST_ON_TEST
from probing_bridge.translation.metrics import METRICS


@dataclass(frozen=True)
class ComparedExhibit:
    """One figure or table of a comparison; see figures.Exhibit."""

    name: str
    paper: str
    title: str
    caption: str
    draw: Callable[[pd.DataFrame], Figure]
    show: Callable[[pd.DataFrame], pd.DataFrame] | None = None


def exhibits(comparison: Comparison) -> list[tuple[ComparedExhibit, pd.DataFrame]]:
    """The figures and tables that have rows, with their frames."""
    names = (comparison.a.name, comparison.b.name)
    table = comparison.table()
    shown: list[tuple[ComparedExhibit, pd.DataFrame]] = []
    curves = bleu_curves(comparison)
    if all(len(curve) for curve in curves):
        caption = "Score of each level against its overall sparsity, one line an experiment. "
        caption += "Bars are 95 % intervals over sentences, of these checkpoints."
        exhibit = ComparedExhibit("bleu", "Table A1", "BLEU against sparsity, both", caption, draw_bleu)
        shown.append((exhibit, pd.concat(curves, ignore_index=True)))
    probes, way = table[table["measure"] == "linear probe"], "one layer a task for all levels"
    if not len(probes):
        probes, way = table[table["measure"] == BEST_ON_TEST], "the best layer of each level on the test split"
    if len(probes):
        caption = f"Score of {names[0]} minus that of {names[1]}, in points of 100; linear probes, {way}."
        exhibit = ComparedExhibit("probes", "Fig. 1", "Linear probes, difference", caption, draw_differences)
        shown.append((exhibit, probes))

    def show(frame: pd.DataFrame) -> pd.DataFrame:
        return show_measures(frame, names)

    caption = "Every measure that both sides have, at LTH0 and at the highest level they share; "
    caption += "intervals of 95 % are over sentences, of these checkpoints."
    exhibit = ComparedExhibit("measures", "all", "Measure by measure", caption, lambda f: draw_table(show(f)), show)
    shown.append((exhibit, ends(table)))
    return shown


def draw_differences(frame: pd.DataFrame) -> Figure:
    """Differences of probe scores in points of 100, levels (rows) by tasks (columns)."""
    tasks, levels = task_order(list(frame["subject"])), sorted(frame["level"].unique())
    gaps = frame.assign(gap=100 * (frame["score_a"] - frame["score_b"]))
    values = gaps.pivot(index="level", columns="subject", values="gap").reindex(index=levels, columns=tasks)
    cells = values.to_numpy(dtype="float64")
    figure = new_figure(max(COLUMN, min(WIDE, 1.6 + 0.42 * len(tasks))), max(1.9, 0.95 + 0.25 * len(levels)))
    axes = figure.subplots()
    bound = max(1.0, float(np.nanmax(np.abs(cells))))
    norm = TwoSlopeNorm(0, -bound, bound)

    def gid(i: int, j: int) -> str:
        text = "not run" if np.isnan(cells[i, j]) else f"{cells[i, j]:+.2f} points"
        return mark(f"{task_label(tasks[j])}, LTH{levels[i]}: {text}", levels[i])

    heat_map(axes, values, norm, DIVERGING, ".1f", gid, size=6)
    axes.set_yticklabels([f"LTH{level}" for level in levels])
    axes.set_xticklabels([task_label(task) for task in tasks], rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    color_bar(figure, axes, norm, DIVERGING, "difference (points)")
    return figure


def show_measures(frame: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    """Measures side by side as text, with their difference."""
    rows = []
    for row in rows_of(frame):
        digits = 1 if row.measure.startswith("spectrum") else 2 if row.measure in ("bleu", *METRICS) else 3
        gap = f"{row.score_a - row.score_b:+.{digits}f}".replace("-", "−")
        subject = task_label(row.subject) if " probe" in row.measure else row.subject
        a = number(row.score_a, row.low_a, row.high_a, digits)
        b = number(row.score_b, row.low_b, row.high_b, digits)
        rows.append((row.measure.replace("_", " "), subject.replace("_", " "), f"LTH{row.level}", a, b, gap))
    return pd.DataFrame(rows, columns=["measure", "subject", "level", names[0], names[1], "difference"])
