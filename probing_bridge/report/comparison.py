"""Two experiments side by side: magnitude v random pruning, LR v weight rewinding, a run v the paper's numbers.

Both sides become one frame of measures (what, of which part, at which level); rows that both have are laid side by
side. Levels are matched by their number, and the sparsity of both is shown. Place in the flow: summaries -> comparison
-> report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from probing_bridge.errors import BridgeError, InputError
from probing_bridge.figures.pruning import bleu_data, draw_bleu, run_name
from probing_bridge.figures.style import COLUMN, DIVERGING, WIDE, color_bar, heat_map, mark, new_figure, number
from probing_bridge.figures.tables import concentration_data, draw_table, own_index_data
from probing_bridge.results import summaries
from probing_bridge.results.folder import Results, read_results
from probing_bridge.results.paper import COLUMNS, paper_measures, read_reference
from probing_bridge.results.summaries import rows_of, task_label

PAPER = "paper"


@dataclass(frozen=True)
class Side:
    """One of the two: a name, its measures, and its tables unless it is a list of numbers."""

    name: str
    measures: pd.DataFrame
    results: Results | None


@dataclass(frozen=True)
class ComparedExhibit:
    """One figure or table of a comparison; see figures.Exhibit."""

    name: str
    paper: str
    title: str
    caption: str
    draw: Callable[[pd.DataFrame], Figure]
    show: Callable[[pd.DataFrame], pd.DataFrame] | None = None


@dataclass(frozen=True)
class Comparison:
    """Two sides and what they share."""

    a: Side
    b: Side

    def table(self) -> pd.DataFrame:
        """Measures that both sides have: measure, part, level, score_a, low_a, high_a, score_b, low_b, high_b."""
        keys = list(COLUMNS[:3])
        return self.a.measures.merge(self.b.measures, on=keys, suffixes=("_a", "_b"))

    def exhibits(self) -> list[tuple[ComparedExhibit, pd.DataFrame]]:
        """The figures and tables that have rows, with their frames."""
        names = (self.a.name, self.b.name)
        table = self.table()
        shown: list[tuple[ComparedExhibit, pd.DataFrame]] = []
        curves = [_bleu_curve(side) for side in (self.a, self.b)]
        if all(len(curve) for curve in curves):
            caption = (
                "Score of each level against its overall sparsity, one line an experiment; bars are 95 % intervals."
            )
            exhibit = ComparedExhibit("bleu", "Table A1", "BLEU against sparsity, both", caption, draw_bleu)
            shown.append((exhibit, pd.concat(curves, ignore_index=True)))
        probes = table[table["measure"] == "linear probe"]
        if len(probes):
            caption = f"Best layer's score of {names[0]} minus that of {names[1]}, in points of 100; linear probes."
            exhibit = ComparedExhibit("probes", "Fig. 1", "Linear probes, difference", caption, draw_differences)
            shown.append((exhibit, probes))

        def show(frame: pd.DataFrame) -> pd.DataFrame:
            return show_measures(frame, names)

        caption = "Every measure that both sides have, at LTH0 and at the highest level they share; intervals of 95 %."
        exhibit = ComparedExhibit("measures", "all", "Measure by measure", caption, lambda f: draw_table(show(f)), show)
        shown.append((exhibit, _ends(table)))
        return shown


def compare(a: str, b: str, allow_mixed: bool = False) -> Comparison:
    """Reads two sides.

    Args:
        a: A results folder, a JSON file of reference numbers, or the word `paper`.
        b: The other.
        allow_mixed: See results.read_results.

    Returns:
        The comparison.

    Raises:
        InputError: A side cannot be read.
        BridgeError: The two share no measure at all.
    """
    sides = [_side(a, allow_mixed), _side(b, allow_mixed)]
    if sides[0].name == sides[1].name:
        sides = [
            Side(f"{side.name} ({letter})", side.measures, side.results)
            for side, letter in zip(sides, "AB", strict=True)
        ]
    comparison = Comparison(*sides)
    if not len(comparison.table()):
        raise BridgeError(f"--compare: {a} and {b} have no measure in common; run the same steps on both")
    return comparison


def _side(where: str, allow_mixed: bool) -> Side:
    """One side of a comparison from its path."""
    path = Path(where)
    if path.is_dir():
        results = read_results(path, allow_mixed)
        name = run_name(results)
        return Side(name, measures(results), results)
    if path.is_file():
        return Side(path.stem, read_reference(path), None)
    if where == PAPER:
        return Side("Movva & Zhao 2020", paper_measures(), None)
    raise InputError(f"no such results folder or file of reference numbers (or the word {PAPER!r})", path)


def measures(results: Results) -> pd.DataFrame:
    """Everything comparable of one experiment.

    Returns:
        measure, part, level, score, low, high.
    """
    levels = summaries.levels(results).dropna(subset=["sparsity"])
    frames = [_rows("sparsity", levels.assign(part="all weights", score=levels["sparsity"]))]
    bleu = summaries.with_sparsity(results["bleu"], results)
    if len(bleu):
        first = bleu[(bleu["test_set"] == bleu["test_set"].iloc[0]) & (bleu["metric"] == bleu["metric"].iloc[0])]
        name = str(first["metric"].iloc[0])
        frames.append(_rows("bleu" if "bleu" in name.lower() else name, first.assign(part="test")))
    for probe in ("linear", "mlp"):
        best = summaries.best_layers(summaries.probe_scores(results, probe))
        frames.append(_rows(f"{probe} probe", best.assign(part=best["task"])))
    for measure in ("neuron_similarity", "linear_cka", "attention_cka"):
        rows = summaries.to_dense(results, measure)
        rows = rows[rows["level"] > 0]
        frames.append(_rows(f"{measure} to LTH0", rows.assign(part=rows["component"] + ", layer " + rows["layer"])))
    for measure in ("linear_cka", "attention_cka"):
        rows = summaries.off_diagonal(results, measure)
        rows = rows[rows["layer"].isin(["all", "1"])]  # what the paper speaks of
        frames.append(
            _rows(f"{measure} of different layers", rows.assign(part=rows["component"] + ", layer " + rows["layer"]))
        )
    k80 = summaries.one_layer(results, "spectrum_k80")
    for component, rows in k80.groupby("component"):
        last = rows[rows["layer"] == summaries.final_layer(list(rows["layer"]))]
        frames.append(_rows("spectrum_k80", last.assign(part=component)))
    shares = concentration_data(results)
    shares = shares[shares["layer"] == "all"]
    frames.append(_rows("attention_concentration", shares.assign(part=shares["component"])))
    frames += _own_index(results)
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _own_index(results: Results) -> list[pd.DataFrame]:
    """Own-index shares of neurons: each component, and both together."""
    own = own_index_data(results)
    own = own[(own["layer"] == "all") & own["component"].isin(["encoder", "decoder"])]
    own = own.assign(hits=own["share"] * own["n"])
    both = own.groupby("level", as_index=False)[["hits", "n"]].sum()
    return [
        _rows("own index, neurons", own.assign(part=own["component"], score=own["share"])),
        _rows("own index, neurons", both.assign(part="encoder and decoder", score=both["hits"] / both["n"])),
    ]


def _rows(measure: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of one measure with the columns of COLUMNS."""
    frame = frame.assign(measure=measure).reindex(columns=list(COLUMNS))
    return frame.dropna(subset=["score"]).astype({"level": int, "score": float, "low": float, "high": float})


def _bleu_curve(side: Side) -> pd.DataFrame:
    """BLEU over sparsity of one side, on one name of test set and metric so that both share a panel."""
    if side.results is not None:
        rows = bleu_data(side.results)
        rows = rows[rows["metric"] == rows["metric"].iloc[0]] if len(rows) else rows
        return (
            rows[rows["test_set"] == rows["test_set"].iloc[0]].assign(run=side.name, test_set="test", metric="bleu")
            if len(rows)
            else rows
        )
    table = side.measures
    sparsity = table[table["measure"] == "sparsity"].set_index("level")["score"]
    rows = table[table["measure"] == "bleu"]
    rows = rows.assign(run=side.name, sparsity=rows["level"].map(sparsity), test_set="test", metric="bleu", n=np.nan)
    return rows[["run", "level", "sparsity", "test_set", "metric", "score", "low", "high", "n"]]


def draw_differences(frame: pd.DataFrame) -> Figure:
    """Differences of probe scores in points of 100, levels (rows) by tasks (columns)."""
    tasks, levels = summaries.task_order(list(frame["part"])), sorted(frame["level"].unique())
    gaps = frame.assign(gap=100 * (frame["score_a"] - frame["score_b"]))
    values = gaps.pivot(index="level", columns="part", values="gap").reindex(index=levels, columns=tasks)
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


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    """Of every measure and part, the first and the highest level that both sides have."""
    levels = table.groupby(["measure", "part"])["level"]
    keep = (table["level"] == levels.transform("min")) | (table["level"] == levels.transform("max"))
    return table[keep].reset_index(drop=True)


def show_measures(frame: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    """Measures side by side as text, with their difference."""
    rows = []
    for row in rows_of(frame):
        digits = 1 if row.measure.startswith("spectrum") else 2 if row.measure == "bleu" else 3
        gap = f"{row.score_a - row.score_b:+.{digits}f}".replace("-", "−")
        part = task_label(row.part) if row.measure.endswith("probe") else row.part
        a = number(row.score_a, row.low_a, row.high_a, digits)
        b = number(row.score_b, row.low_b, row.high_b, digits)
        rows.append((row.measure.replace("_", " "), part.replace("_", " "), f"LTH{row.level}", a, b, gap))
    return pd.DataFrame(rows, columns=["measure", "part", "level", names[0], names[1], "difference"])
