"""What probes find, by task, level and layer: the frames of Section 4 (Fig. 1, 2, 3, A3, Tables A2, A3).

Everything here selects, averages over seeds or standardises rows that are in the tables; nothing is estimated anew.
Place in the flow: results tables -> probing -> figures, claims, report.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from probing_bridge.corpora.tasks import POS, SEMANTIC, SYNTACTIC
from probing_bridge.probes.baselines import BASELINES
from probing_bridge.probes.measures import side_metrics
from probing_bridge.probes.problem import PROBES
from probing_bridge.results.folder import Results
from probing_bridge.results.levels import with_sparsity
from probing_bridge.results.naming import layer_order, model_layers, task_category, task_order
from probing_bridge.results.statistics import task_trends

SIDES = {"selectivity": "selectivity", "mdl_compression": "MDL compression"}


def probe_scores(results: Results, probe: str, metric: str | None = None) -> pd.DataFrame:
    """Scores of one kind of probe, averaged over seeds.

    Args:
        results: The tables.
        probe: Value of the column `probe`, e.g. linear.
        metric: A metric that stands beside the task's own one; None for the task's own.

    Returns:
        One row a task, level and layer: task, level, sparsity, layer, metric, score, low, high, n (items), seeds.
        The interval is the mean of the seeds' intervals.
    """
    rows = results["probes"]
    rows = rows[(rows["probe"] == probe) & rows["level"].notna()]
    rows = rows[~rows["metric"].isin(side_metrics())] if metric is None else rows[rows["metric"] == metric]
    grouped = rows.groupby(["task", "level", "layer", "metric"], as_index=False)
    scores = grouped.agg(
        score=("score", "mean"), low=("low", "mean"), high=("high", "mean"), n=("n", "max"), seeds=("seed", "nunique")
    )
    return with_sparsity(scores, results)


def z_scores(frame: pd.DataFrame, by: str = "task", column: str = "score") -> pd.Series:
    """Standard scores within each group (population standard deviation; 0 where all values are equal)."""
    grouped = frame.groupby(by)[column]
    spread = grouped.transform(lambda values: values.std(ddof=0))
    return ((frame[column] - grouped.transform("mean")) / spread).where(spread > 0, 0.0)


def best_layer(scores: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The row of the best layer of each group: this is what `best layer` means wherever it is shown or printed.

    The best of layers 1 to L and, of a pre-norm model, its final norm; of equal ones the lowest. The embeddings are a
    baseline and a learned mix is no layer: neither is ever the best layer (Movva & Zhao 2020, Section 4.1 and Fig. 1,
    probes layers 1 to 6).

    Args:
        scores: Rows with the columns layer, score and `by`, one a layer of each group.
        by: The columns whose values make a group, e.g. task and level.

    Returns:
        Those of the rows, ordered by `by`.
    """
    scores = model_layers(scores, "layer").dropna(subset=["score"])
    height = {layer: rank for rank, layer in enumerate(layer_order(list(scores["layer"])))}
    scores = scores.assign(height=scores["layer"].map(height)).sort_values([*by, "height"])
    return scores.loc[scores.groupby(list(by))["score"].idxmax()].drop(columns="height")


def best_scores(probes: pd.DataFrame) -> pd.DataFrame:
    """The best layer of every task, model and kind of probe beside the baselines, for printing.

    Args:
        probes: Rows of the table of probes, of levels or of any other models.

    Returns:
        task, experiment, model, probe, metric, layer, score (mean over seeds), gain (score less that of layer 0), a
        column for each of SIDES, at the same layer, and one a baseline; NaN where something was not measured; in the
        order of the table.
    """
    rows = probes[~probes["metric"].isin(side_metrics())]
    place = ["task", "experiment", "model", "probe", "metric"]
    means = rows.groupby([*place, "layer"], as_index=False, sort=False)["score"].mean()
    best = best_layer(means[means["probe"].isin(PROBES)], place).sort_index()
    embeddings = means[means["layer"] == "0"].rename(columns={"score": "embeddings"})
    best = best.merge(embeddings[[*place, "embeddings"]], on=place, how="left")
    best["gain"] = best["score"] - best.pop("embeddings")
    at = ["task", "experiment", "model", "probe", "layer"]
    for side in SIDES:
        part = probes[probes["metric"] == side].groupby(at, as_index=False).agg(**{side: ("score", "mean")})
        best = best.merge(part, on=at, how="left")
    about = ["task", "experiment", "metric"]
    for baseline in BASELINES:
        part = means[means["probe"] == baseline].rename(columns={"score": baseline})
        best = best.merge(part[[*about, baseline]], on=about, how="left")
    return best


def best_layers(scores: pd.DataFrame) -> pd.DataFrame:
    """The best layer of each task and level, with its z-score over the levels of the task.

    Args:
        scores: What probe_scores returns.

    Returns:
        Those rows of `scores`, and z; by task (paper's order) and level.
    """
    best = best_layer(scores, ["task", "level"])
    if not len(best):
        return best.assign(z=pd.Series(dtype="float64"))
    best["z"] = z_scores(best)
    order = {task: rank for rank, task in enumerate(task_order(list(best["task"])))}
    return best.sort_values(["task", "level"], key=lambda c: c.map(order) if c.name == "task" else c, ignore_index=True)


def layer_z_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean z-score over the tasks of each category, per layer and level (Fig. 3, A3).

    Standardised per task over all its layers and levels; a layer or level that one task of a category lacks is averaged
    over the tasks that have it, and `tasks` counts them.

    Args:
        scores: What probe_scores returns.

    Returns:
        category, level, sparsity, layer, z, tasks.
    """
    scores = model_layers(scores, "layer").dropna(subset=["score"])
    scores = scores.assign(category=scores["task"].map(task_category), z=z_scores(scores))
    means = scores.groupby(["category", "level", "layer"], as_index=False).agg(
        z=("z", "mean"), tasks=("task", "nunique"), sparsity=("sparsity", "first")
    )
    return means


def linear_data(results: Results) -> pd.DataFrame:
    """Best layer of every task and level, linear probe: task, level, layer, metric, score, low, high, n, z, ..."""
    return best_layers(probe_scores(results, "linear"))


def mlp_data(results: Results) -> pd.DataFrame:
    """Best layer of every task and level, MLP probe."""
    return best_layers(probe_scores(results, "mlp"))


def scores_data(results: Results, probe: str) -> pd.DataFrame:
    """Best layers of one probe with the majority baselines (Tables A2, A3)."""
    best = best_layers(probe_scores(results, probe))
    rows = results["probes"]
    for baseline in ("majority", "word_majority"):
        part = rows[(rows["probe"] == baseline) & ~rows["metric"].isin(side_metrics())]
        best[baseline] = best["task"].map(part.groupby("task")["score"].mean())
    return best


def linear_scores_data(results: Results) -> pd.DataFrame:
    """Raw scores behind Fig. 1 (Table A2)."""
    return scores_data(results, "linear")


def mlp_scores_data(results: Results) -> pd.DataFrame:
    """Raw scores behind Fig. 2 (Table A3)."""
    return scores_data(results, "mlp")


def trends_data(results: Results) -> pd.DataFrame:
    """Each task called invariant, degrading or improving (Section 4.2): task, tau, p, p_holm, n, kind, first, last."""
    best = best_layers(probe_scores(results, "linear"))
    if not len(best):
        return pd.DataFrame(columns=["task", "tau", "p", "p_holm", "n", "kind", "first", "last"])
    ends = best.groupby("task")["score"].agg(["first", "last"]).reset_index()
    return task_trends(best).merge(ends, on="task").drop(columns=["p_up", "p_down", "p_up_holm", "p_down_holm"])


def layers_data(results: Results) -> pd.DataFrame:
    """Mean z-score over the tasks of each category, by layer and level: category, level, sparsity, layer, z, tasks."""
    return layer_z_scores(probe_scores(results, "linear"))


def category_data(results: Results) -> pd.DataFrame:
    """layers_data of the syntactic and the semantic tasks (Fig. 3)."""
    rows = layers_data(results)
    return rows[rows["category"].isin([SYNTACTIC, SEMANTIC])].reset_index(drop=True)


def pos_data(results: Results) -> pd.DataFrame:
    """layers_data of part-of-speech tagging (Fig. A3)."""
    rows = layers_data(results)
    return rows[rows["category"] == POS].reset_index(drop=True)


def sides_data(results: Results) -> pd.DataFrame:
    """Score, selectivity and MDL compression of each task and level at the best layer of the score.

    Returns:
        measure (score, selectivity, mdl_compression), task, level, sparsity, layer, score, z.
    """
    best = linear_data(results)
    frames = [best.assign(measure="score")]
    for metric in SIDES:
        side = probe_scores(results, "linear", metric)
        keys = best[["task", "level", "layer"]]
        side = keys.merge(side, on=["task", "level", "layer"]).assign(measure=metric)
        frames.append(side.assign(z=z_scores(side)))
    columns = ["measure", "task", "level", "sparsity", "layer", "score", "z"]
    if not any(len(frame) for frame in frames[1:]):
        return frames[0].iloc[:0].reindex(columns=columns)
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)[columns]
