"""The stage `summary`: what a results folder says, in a screen of text, with the numbers of the report's tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from probing_bridge.results.folder import Results, read_results
from probing_bridge.results.levels import levels_data
from probing_bridge.results.naming import metric_label
from probing_bridge.results.probed import with_interval
from probing_bridge.results.probing import linear_data


def summary(folder: Path) -> str:
    """Levels with sparsity and BLEU (Table A1); the linear probes with their baselines (Table A2).

    Args:
        folder: The results folder.

    Raises:
        InputError: As read_results.
    """
    results = read_results(folder, names=("lth", "bleu", "probes"))
    parts = [level_lines(results), probe_lines(results)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def level_lines(results: Results) -> list[str]:
    """A line a level for each test set and metric; without any, for the sparsities alone."""
    lines: list[str] = []
    levels, bleu = levels_data(results), results["bleu"]
    every = levels.drop_duplicates("level")[["level", "sparsity", "sparsity_prunable"]]
    for (test_set, metric), scores in levels.dropna(subset=["score"]).groupby(["test_set", "metric"], sort=False):
        first = bleu[(bleu["test_set"] == test_set) & (bleu["metric"] == metric)].iloc[0]
        rows = every.merge(scores[["level", "score", "low", "high"]], on="level", how="left")
        lines += [""] * bool(lines) + [f"{test_set}: {metric} with 95 % interval, {first['n']} sentences"]
        name = "BLEU" if "bleu" in str(metric) else metric_label(str(metric))
        lines += [f"{'level':6} {'pruned':>7} {'of all':>7} {name:>6}", *(_level(row) for _, row in rows.iterrows())]
        lines += [str(first["signature"])]
    if not lines and len(levels):
        lines = [f"{'level':6} {'pruned':>7} {'of all':>7}", *(_level(row) for _, row in levels.iterrows())]
    return lines


def _level(row: pd.Series) -> str:
    shares = " ".join(_or_dash(row[column], "7.1%") for column in ("sparsity_prunable", "sparsity"))
    score = "" if pd.isna(row["score"]) else f" {row['score']:6.2f} ({row['low']:.1f}-{row['high']:.1f})"
    return f"LTH{row['level']:<3} {shares}{score}"


def _or_dash(value: float, form: str) -> str:
    return f"{'-':>7}" if pd.isna(value) else format(value, form)


def probe_lines(results: Results) -> list[str]:
    """Task and metric x level: the score of the chosen layer; the layer, its gain at the lowest level, baselines."""
    rows = linear_data(results)
    if not len(rows):
        return []
    rows["level"] = "LTH" + rows["level"].astype(str)
    scores = rows.pivot_table(index=["task", "metric"], columns="level", values="score", sort=False)
    first = rows.groupby(["task", "metric"])[
        ["layer", "gain", "gain_low", "gain_high", "word_majority", "majority"]
    ].first()
    first["gain"] = [with_interval(row["gain"], row["gain_low"], row["gain_high"]) for _, row in first.iterrows()]
    first = first.drop(columns=["gain_low", "gain_high"]).rename(columns={"word_majority": "per-word"})
    scores = scores.join(first)
    scores.columns.name = None
    text = scores.reset_index().to_string(index=False, float_format="{:.3f}".format, na_rep="-")
    about = (
        "linear probes, one layer for all levels; gain over layer 0 at the lowest level, with its 95 % interval; "
        "majority: the most frequent label, per-word: of each word"
    )
    return [about, *text.split("\n")]
