"""The authors' own numbers (results/paper.py) as the tables of a study of one run, to be judged by the same rules.

They come without intervals. The error of a score is that of a share of its test split's items; that of a change is as
large, as two levels answer about half of the items alike that they could answer differently. BLEU's is 0.2, of a
difference on 3003 sentences; k for 80 % of the variance is taken as exact.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from probing_bridge.claims.truths import PAPER_ITEMS
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.tables import empty_table
from probing_bridge.results.folder import RUN, Results, Run
from probing_bridge.results.paper import OTHERS, PROBES, SPARSITY
from probing_bridge.results.statistics import REACH

_BLEU_ERROR = 0.2


def interim_results() -> Results:
    """What the authors give of BLEU, of the best layer (the final one) of linear probes, and of spectra."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    rows["lth"] = [{"level": level, "sparsity": share} for level, share in enumerate(SPARSITY)]
    for task, scores in PROBES.items():
        dense = scores[0] or 0.0
        error = (dense * (1 - dense) / PAPER_ITEMS[task]) ** 0.5
        for level, score in enumerate(scores):
            if score is not None:
                about = {"task": task, "layer": "6", "probe": "linear", "metric": "accuracy", "level": level}
                rows["probes"].append({**about, **_interval("score", score, error)})
                rows["probes_differences"].append(
                    {**about, "other_level": 0, **_interval("difference", score - dense, error)}
                )
    of_bleu = {level: value for measure, _, level, value in OTHERS if measure == "bleu"}
    for level, score in of_bleu.items():
        about = {"test_set": "newstest2014", "metric": "bleu", "level": level, "other_level": 0}
        rows["bleu"].append({**about, **_interval("score", score, _BLEU_ERROR)})
        rows["bleu_differences"].append({**about, **_interval("difference", score - of_bleu[0], _BLEU_ERROR)})
    for measure, component, level, k in OTHERS:
        if measure == "spectrum_k80":
            about = {"measure": measure, "variant": "centred", "component": component, "level_a": level, "layer_a": "6"}
            rows["similarity"].append({**about, "group": "", "layer_b": "", **_interval("score", k, 0.0)})
    tables = {name: _table(name, found) for name, found in rows.items()}
    return Results(tables, (Run("Movva & Zhao 2020, interim", "interim", {}),))


def _interval(name: str, value: float, error: float) -> dict[str, float]:
    return {name: value, "low": value - REACH * error, "high": value + REACH * error}


def _table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows with every column of their table, of run 1."""
    empty = empty_table(name)
    if not rows:
        return empty.assign(**{RUN: 1})
    frame = pd.DataFrame(rows).reindex(columns=list(dict.fromkeys([*empty.columns, *(rows[0] if rows else ())])))
    texts = [column for column, kind in TABLES[name].columns.items() if kind == "str"]
    frame[texts] = frame[texts].fillna("")
    kinds = {column: kind for column, kind in TABLES[name].columns.items() if kind != "str"}
    return frame.astype(kinds).assign(**{RUN: 1})
