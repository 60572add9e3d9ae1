"""Tests of the claims of Section 4: what probes find at each level and layer."""

from __future__ import annotations

import pandas as pd

from probing_bridge.claims.judging import (
    FAILS,
    HOLDS,
    Judgement,
    all_of,
    at_final,
    frame_trend,
    greater,
    mean_value,
    need,
    no_trends,
    task_trend,
)
from probing_bridge.corpora.tasks import SEMANTIC, SYNTACTIC
from probing_bridge.results import probing
from probing_bridge.results.folder import Results
from probing_bridge.results.naming import NORM, layers_below, model_layers, task_label
from probing_bridge.results.paper import PAPER_KINDS


def best_rows(results: Results, probe: str = "linear") -> pd.DataFrame:
    """Each task at its one layer for all levels; only tasks with at least two levels can tell anything."""
    return need(probing.chosen_layers(probing.probe_scores(results, probe)), f"probes.csv, probe {probe}")


def task(results: Results, task: str, up: bool, probe: str = "linear") -> Judgement:
    """Whether a task rises or falls with the level."""
    return task_trend(best_rows(results, probe), task, up)


def invariant(results: Results) -> Judgement:
    """Whether the ten tasks of the paper show no trend."""
    tasks = [task for task, kind in PAPER_KINDS.items() if kind == "invariant"]
    best = best_rows(results)
    judgement = no_trends(best[best["task"].isin(tasks)], "task", "probes of the ten invariant tasks")
    missing = [task_label(task) for task in tasks if task not in set(best["task"])]
    note = f"; not run: {', '.join(missing)}" if missing else ""
    return Judgement(judgement.verdict, judgement.ours, judgement.detail + note)


def prediction_below(results: Results) -> Judgement:
    """Whether arc prediction scores below arc classification."""
    best, parts = best_rows(results), []
    for kind in ("syn_arc", "sem_arc"):
        means = [
            mean_value(best[best["task"] == f"{kind}_{name}"], f"probes of {kind}_{name}")
            for name in ("classification", "prediction")
        ]
        parts.append((kind[:3] + ".", greater(means[0], means[1])))
    return all_of(parts)


def mlp_higher(results: Results) -> Judgement:
    """Whether every task scores higher with an MLP."""
    keys = ["task", "level"]
    both = best_rows(results, "mlp").merge(best_rows(results), on=keys, suffixes=("_mlp", "_linear"))
    gains = (
        (both["score_mlp"] - both["score_linear"]).groupby(need(both, "the same tasks with both probes")["task"]).mean()
    )
    ours = f"{(gains > 0).sum()} of {len(gains)} tasks higher, mean {gains.mean():+.3f}".replace("-", "−")
    return Judgement(HOLDS if (gains > 0).all() else FAILS, ours, "mean over levels of each task's difference")


def mlp_no_gain(results: Results) -> Judgement:
    """Whether arc prediction shows no trend with an MLP."""
    best = best_rows(results, "mlp")
    return no_trends(best[best["task"].str.endswith("arc_prediction")], "task", "MLP probes of arc prediction")


def mlp_degrading(results: Results) -> Judgement:
    """Whether the three degrading tasks still degrade with an MLP."""
    return all_of([(task_label(t), task(results, t, False, "mlp")) for t in ("ps_fxn", "ps_role", "coref")])


def final_best(results: Results) -> Judgement:
    """Whether no layer is better than the final one."""
    scores = model_layers(probing.probe_scores(results, "linear"), "layer").dropna(subset=["score"])
    need(scores, "probes.csv, probe linear")
    return at_final(scores["layer"], lambda final: _none_better(scores, final))


def _none_better(scores: pd.DataFrame, final: str) -> Judgement:
    """Whether no layer is better than one of them; a layer L is not held against its own norm."""
    last = scores[scores["layer"] == final].set_index(["task", "level"])
    best = probing.best_layers(scores if final == NORM else scores[scores["layer"] != NORM])
    best = best.set_index(["task", "level"])
    both = best.join(last[["score", "low", "high"]], rsuffix="_final").dropna(subset=["score_final"])
    beaten = both["low"].fillna(both["score"]) > both["high_final"].fillna(both["score_final"])
    ours = f"no layer is better in {len(both) - beaten.sum()} of {len(both)} (task, level)"
    return Judgement(FAILS if beaten.any() else HOLDS, ours, "better: intervals apart")


def layer_category(results: Results, category: str) -> pd.DataFrame:
    """Mean z of a category by layer and level, as score."""
    rows = probing.layers_data(results)
    return need(rows[rows["category"] == category], f"probes of {category} tasks").rename(columns={"z": "score"})


def early_rises(results: Results, category: str) -> Judgement:
    """Whether the layers below the last rise with the level."""
    rows = layer_category(results, category)
    early = rows[rows["layer"].isin(layers_below(rows["layer"]))]
    return frame_trend(early, True, f"layers below the last, {category} tasks", digits=2)


def late_equal(results: Results) -> Judgement:
    """Whether the final layer shows no trend on syntax."""
    rows = layer_category(results, SYNTACTIC)

    def test(final: str) -> Judgement:
        return no_trends(rows[rows["layer"] == final].assign(all=SYNTACTIC), "all", "final layer, syntactic tasks")

    return at_final(rows["layer"], test)


def late_semantic(results: Results) -> Judgement:
    """Whether the final layer falls on semantics."""
    rows = layer_category(results, SEMANTIC)

    def test(final: str) -> Judgement:
        return frame_trend(rows[rows["layer"] == final], False, "final layer, semantic tasks", digits=2)

    return at_final(rows["layer"], test)
