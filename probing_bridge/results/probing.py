"""What probes find, by task, level and layer: the frames of Section 4 (Fig. 1, 2, 3, A3, Tables A2, A3).

Everything here selects, averages over seeds or standardises rows that are in the tables; nothing is estimated anew.
Place in the flow: results tables -> chosen -> probing -> figures, claims, report.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from probing_bridge.corpora.tasks import POS, SEMANTIC, SYNTACTIC
from probing_bridge.probes.baselines import BASELINES
from probing_bridge.probes.measures import GAIN, side_metrics
from probing_bridge.results.chosen import best_layer, chosen_layer
from probing_bridge.results.folder import RUN, Results
from probing_bridge.results.levels import with_sparsity
from probing_bridge.results.naming import model_layers, task_category, task_order
from probing_bridge.results.statistics import REACH, over_runs

SIDES = {"selectivity": "selectivity", "mdl_compression": "MDL compression"}
_PLACE = (RUN, "experiment", "model", "level", "other_level", "task", "layer", "probe", "metric")  # all but the seed
FIRST_EPOCHS = 1  # a probe whose best epoch, counted from 0, is no later has hardly been trained


def seed_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows of a table of probes those without a seed, the means over several, and those of a seed that is alone."""
    place = [rows[name] for name in _PLACE if name in rows.columns]
    has_mean = rows["seed"].isna().groupby(place, dropna=False).transform("any").astype(bool)
    return rows[rows["seed"].isna() | ~has_mean]


def probe_scores(results: Results, probe: str, metric: str | None = None) -> pd.DataFrame:
    """Scores of one kind of probe, means over seeds.

    Args:
        results: The tables.
        probe: Value of the column `probe`, e.g. linear.
        metric: A metric that stands beside the task's own one; None for the task's own.

    Returns:
        One row a run, task, level and layer: run, task, level, layer, metric, score, low, high, n (items), dev_score,
        seeds, best_epoch (the earliest of the seeds), features, sparsity. The interval is that of the table's row of
        the mean; NaN where the table has several seeds and no such row.
    """
    rows = results["probes"]
    rows = rows[(rows["probe"] == probe) & rows["level"].notna()]
    rows = rows[~rows["metric"].isin(side_metrics())] if metric is None else rows[rows["metric"] == metric]
    place = [RUN, "task", "level", "layer", "metric"]
    seeds = rows.groupby(place, as_index=False).agg(
        seeds=("seed", "nunique"), best_epoch=("best_epoch", "min"), features=("features", "first")
    )
    grouped = seed_means(rows).groupby(place, as_index=False)
    scores = grouped.agg(
        score=("score", "mean"),
        low=("low", _alone),
        high=("high", _alone),
        n=("n", "max"),
        dev_score=("dev_score", "mean"),
    )
    return with_sparsity(scores.merge(seeds, on=place), results)


def _alone(ends: pd.Series) -> float:
    """An interval's end, if there is one: the mean of several is no end of the interval of the mean."""
    return float(ends.iloc[0]) if len(ends) == 1 else float("nan")


def z_scores(
    frame: pd.DataFrame, by: Sequence[str] = (RUN, "task"), column: str = "score", *, plain: bool = False
) -> pd.Series:
    """Standard scores within each group; 0 where all values are equal.

    Args:
        frame: Rows with the columns `by` and `column`, and `low` and `high` if they have intervals.
        by: What makes a group.
        column: What is standardised.
        plain: Whether to divide by the population standard deviation whatever it is, as the paper does: that blows
            the noise of a group in which nothing changes up to as much as what changes elsewhere.

    Returns:
        Values less their mean, divided by their standard deviation or, where that is larger, by the mean standard
        error that their intervals have.
    """
    grouped = frame.groupby(list(by))[column]
    spread = grouped.transform(lambda values: values.std(ddof=0))
    if not plain and {"low", "high"} <= set(frame.columns):
        errors = _standard_errors(frame["low"], frame["high"])
        spread = spread.where(
            spread == 0, spread.clip(lower=errors.groupby([frame[name] for name in by]).transform("mean").fillna(0))
        )
    return ((frame[column] - grouped.transform("mean")) / spread).where(spread > 0, 0.0)


def _standard_errors(low: pd.Series, high: pd.Series) -> pd.Series:
    """Those that 95 % intervals have."""
    return (high - low).astype("float64") / (2 * REACH)


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by task (paper's order), run and level."""
    order = {task: rank for rank, task in enumerate(task_order(list(rows["task"])))}
    return rows.sort_values(
        ["task", RUN, "level"], key=lambda c: c.map(order) if c.name == "task" else c, ignore_index=True
    )


def best_layers(scores: pd.DataFrame) -> pd.DataFrame:
    """The paper's way: the layer of the best test score of each run, task and level, with its plain z over levels.

    Args:
        scores: What probe_scores returns.

    Returns:
        Those rows of `scores`, and z; by task (paper's order) and level.
    """
    best = best_layer(scores, [RUN, "task", "level"])
    return _in_order(best.assign(z=z_scores(best, plain=True) if len(best) else pd.Series(dtype="float64")))


def chosen_layers(scores: pd.DataFrame) -> pd.DataFrame:
    """The layer that is chosen for each task (results.chosen), for all runs and levels, with its z over levels.

    Args:
        scores: What probe_scores returns.

    Returns:
        Those rows of `scores`, chosen_on and z; by task (paper's order) and level.
    """
    chosen = chosen_layer(scores, ["task"])
    return _in_order(chosen.assign(z=z_scores(chosen) if len(chosen) else pd.Series(dtype="float64")))


def is_informative(rows: pd.DataFrame) -> pd.Series:
    """Whether the layers of a model add anything to what the same probe finds in its embeddings, by task.

    Args:
        rows: One a run, task and level: task, level, gain, gain_low, gain_high.

    Returns:
        Task -> whether the interval of its gain at the lowest level, over runs and test sentences, lies above 0
        (without an interval the gain); True too where there is no gain to tell.
    """
    lowest = rows[rows["level"] == rows.groupby("task")["level"].transform("min")].dropna(subset="gain")
    told = {task: _is_above_zero(part) for task, part in lowest.groupby("task")}
    return pd.Series({task: told.get(task, True) for task in rows["task"].unique()}, dtype=bool)


def _is_above_zero(gains: pd.DataFrame) -> bool:
    """Whether a gain, one a run, is above zero."""
    found = over_runs(gains["gain"].to_numpy(), _standard_errors(gains["gain_low"], gains["gain_high"]).to_numpy())
    low = found.interval()[0]
    return bool((found.effect if np.isnan(low) else low) > 0)


def probed(results: Results, probe: str) -> pd.DataFrame:
    """Every task at its chosen layer, and what a score has to be held against (Fig. 1, 2, Tables A2, A3).

    Returns:
        The columns of chosen_layers, then gain, gain_low, gain_high (score less that of layer 0 by the same probe; if
        the table has no paired interval, the widest that those of the two scores allow), informative, best_layer and
        best_score (the paper's way, of each level), a column for each baseline, below_words (whether the score is below
        the per-word majority).
    """
    scores = probe_scores(results, probe)
    rows, place = chosen_layers(scores), [RUN, "task", "level", "layer"]
    gains = probe_scores(results, probe, GAIN)[[*place, "score", "low", "high"]]
    rows = rows.merge(gains.set_axis([*place, "gain", "gain_low", "gain_high"], axis=1), on=place, how="left")
    rows["informative"] = rows["task"].map(is_informative(rows)).astype(bool)
    rows = _with_widest(rows, scores[scores["layer"] == "0"])
    best = best_layers(scores)[[*place, "score"]]
    best = best.rename(columns={"layer": "best_layer", "score": "best_score"})
    rows = rows.merge(best, on=[RUN, "task", "level"], how="left")
    table = results["probes"]
    for baseline in BASELINES:
        part = table[(table["probe"] == baseline) & ~table["metric"].isin(side_metrics())]
        part = part.groupby([RUN, "task"], as_index=False).agg(**{baseline: ("score", "mean")})
        rows = rows.merge(part, on=[RUN, "task"], how="left").astype({baseline: "float64"})
    return rows.assign(below_words=rows["score"] < rows["word_majority"])


def _with_widest(rows: pd.DataFrame, embeddings: pd.DataFrame) -> pd.DataFrame:
    """Gains without an interval have the widest that both scores allow."""
    place = [RUN, "task", "level"]
    below = rows[place].merge(embeddings[[*place, "low", "high"]], on=place, how="left")
    low, high = widest(rows["gain"], rows, below)
    ends = {"gain_low": low, "gain_high": high}
    return rows.assign(**{name: rows[name].astype("float64").fillna(end) for name, end in ends.items()})


def widest(difference: pd.Series, one: pd.DataFrame, other: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Ends of the widest interval of a difference that those of its two scores, low and high, allow."""
    reach = (one["high"] - one["low"] + other["high"] - other["low"]).astype("float64") / 2
    return difference - reach, difference + reach


def linear_data(results: Results) -> pd.DataFrame:
    """`probed` by linear probes (Fig. 1, Table A2)."""
    return probed(results, "linear")


def mlp_data(results: Results) -> pd.DataFrame:
    """`probed` by MLP probes (Fig. 2, Table A3)."""
    return probed(results, "mlp")


def linear_best_data(results: Results) -> pd.DataFrame:
    """best_layers of linear probes."""
    return best_layers(probe_scores(results, "linear"))


def mlp_best_data(results: Results) -> pd.DataFrame:
    """best_layers of MLP probes."""
    return best_layers(probe_scores(results, "mlp"))


def layer_z_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean z-score over the tasks of each category, per layer and level (Fig. 3, A3).

    Standardised per run and task over all its layers and levels; a layer or level that one task of a category lacks is
    averaged over the tasks that have it, and `tasks` counts them.

    Args:
        scores: What probe_scores returns, of the tasks that are to count.

    Returns:
        run, category, level, sparsity, layer, z, tasks.
    """
    scores = model_layers(scores, "layer").dropna(subset=["score"])
    scores = scores.assign(category=scores["task"].map(task_category), z=z_scores(scores))
    means = scores.groupby([RUN, "category", "level", "layer"], as_index=False).agg(
        z=("z", "mean"), tasks=("task", "nunique"), sparsity=("sparsity", "first")
    )
    return means


def layers_data(results: Results) -> pd.DataFrame:
    """Mean z-score over the informative tasks of each category: category, level, sparsity, layer, z, tasks."""
    tasks = linear_data(results)
    informative = tasks.loc[tasks["informative"], "task"]
    scores = probe_scores(results, "linear")
    return layer_z_scores(scores[scores["task"].isin(informative)])


def category_data(results: Results) -> pd.DataFrame:
    """layers_data of the syntactic and the semantic tasks (Fig. 3)."""
    rows = layers_data(results)
    return rows[rows["category"].isin([SYNTACTIC, SEMANTIC])].reset_index(drop=True)


def pos_data(results: Results) -> pd.DataFrame:
    """layers_data of part-of-speech tagging (Fig. A3)."""
    rows = layers_data(results)
    return rows[rows["category"] == POS].reset_index(drop=True)


def sides_data(results: Results) -> pd.DataFrame:
    """Score, selectivity and MDL compression of each task and level at the layer chosen for the score.

    Returns:
        measure (score, selectivity, mdl_compression), run, task, level, sparsity, layer, score, z.
    """
    chosen = chosen_layers(probe_scores(results, "linear"))
    frames = [chosen.assign(measure="score")]
    for metric in SIDES:
        side = probe_scores(results, "linear", metric)
        place = [RUN, "task", "level", "layer"]
        side = chosen[place].merge(side, on=place).assign(measure=metric)
        frames.append(side.assign(z=z_scores(side)))
    columns = ["measure", RUN, "task", "level", "sparsity", "layer", "score", "z"]
    if not any(len(frame) for frame in frames[1:]):
        return frames[0].iloc[:0].reindex(columns=columns)
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)[columns]
