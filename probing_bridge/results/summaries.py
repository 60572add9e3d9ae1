"""What figures and claims read off the result tables: levels, best layers, z-scores, pairs of layers.

Everything here selects, averages over seeds or standardises rows that are in the tables; nothing is estimated anew
and a missing row stays missing. Place in the flow: results tables -> summaries -> figures, claims, report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from probing_bridge.corpora.tasks import TASKS
from probing_bridge.results.folder import Results

# Task key -> its short name and group in Movva & Zhao (2020), in the order of its Fig. 1.
TASK_NAMES: dict[str, tuple[str, str]] = {name: (task.title, task.group) for name, task in TASKS.items()}

# Metrics that stand beside a task's own one and are never a task's score.
SIDE_METRICS = ("selectivity", "mdl_bits", "mdl_compression", "f0.5")
# Of several variants of a measure, the one the paper uses.
PAPER_VARIANTS = {"linear_cka": "biased", "neuron_similarity": "signed", "attention_cka": "biased"}
SYMMETRIC = ("linear_cka", "attention_cka", "svcca", "procrustes")


def task_label(task: str) -> str:
    """The paper's short name of a task; the key itself for a task the paper does not have."""
    return TASK_NAMES[task][0] if task in TASK_NAMES else task


def task_group(task: str) -> str:
    """The paper's group of a task: POS, syntactic or semantic; empty for a task the paper does not have."""
    return TASK_NAMES[task][1] if task in TASK_NAMES else ""


def task_order(tasks: Sequence[str]) -> list[str]:
    """Tasks in the order of the paper's Fig. 1, others behind them by name."""
    known = list(TASK_NAMES)
    return sorted(set(tasks), key=lambda task: (known.index(task) if task in known else len(known), task))


def layer_order(layers: Sequence[str]) -> list[str]:
    """Layer names by height: numbers first, then names such as `norm`."""
    return sorted(set(layers), key=lambda layer: (not layer.isdigit(), int(layer) if layer.isdigit() else 0, layer))


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame as named tuples, whose fields are the columns of its table."""
    yield from frame.itertuples(index=False)


def real_layers(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows whose layers are the model's own, 1 to L: not the embeddings, a mix, a final norm or a baseline."""
    keep = pd.Series(True, index=frame.index)
    for column in columns:
        keep &= frame[column].str.isdigit() & (frame[column] != "0")
    return frame[keep]


def final_layer(layers: Sequence[str]) -> str:
    """The layer whose output the model uses: the final norm of a pre-norm model, else the highest layer."""
    return layer_order(layers)[-1]


def levels(results: Results) -> pd.DataFrame:
    """The levels of an experiment with their sparsity.

    Args:
        results: The tables.

    Returns:
        One row a level: level, sparsity, sparsity_prunable (fractions; NaN where no table tells), by level.
    """
    if len(results["lth"]):
        return results["lth"][["level", "sparsity", "sparsity_prunable"]].sort_values("level", ignore_index=True)
    probes = results["probes"].dropna(subset=["level"])
    sparsity = probes.groupby("level")["sparsity"].first()
    named = set(probes["level"]) | set(results["bleu"]["level"].dropna())
    for column in ("level_a", "level_b"):
        named |= set(results["similarity"][column].dropna())
    known = sorted(int(level) for level in named if level >= 0)
    return pd.DataFrame(
        {
            "level": pd.array(known, dtype="Int64"),
            "sparsity": [float(sparsity.get(level, float("nan"))) for level in known],
            "sparsity_prunable": float("nan"),
        }
    )


def with_sparsity(frame: pd.DataFrame, results: Results, column: str = "level") -> pd.DataFrame:
    """Adds the columns sparsity and sparsity_prunable of the level in `column`; empty where it is not known."""
    known = levels(results).rename(columns={"level": column})
    return frame.drop(columns=["sparsity", "sparsity_prunable"], errors="ignore").merge(known, on=column, how="left")


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
    rows = rows[~rows["metric"].isin(SIDE_METRICS)] if metric is None else rows[rows["metric"] == metric]
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


def best_layers(scores: pd.DataFrame) -> pd.DataFrame:
    """The best of the layers 1 to L of each task and level, with its z-score over the levels of the task.

    Args:
        scores: What probe_scores returns.

    Returns:
        Those rows of `scores`, and z; by task (paper's order) and level.
    """
    scores = real_layers(scores, "layer").dropna(subset=["score"])
    if not len(scores):
        return scores.assign(z=pd.Series(dtype="float64"))
    scores = scores.assign(height=scores["layer"].astype(int)).sort_values(["task", "level", "height"])
    best = scores.loc[scores.groupby(["task", "level"])["score"].idxmax()].drop(columns="height")
    best["z"] = z_scores(best)
    order = {task: rank for rank, task in enumerate(task_order(list(best["task"])))}
    return best.sort_values(["task", "level"], key=lambda c: c.map(order) if c.name == "task" else c, ignore_index=True)


def layer_z_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean z-score over the tasks of each group, per layer and level (Fig. 3, A3).

    Standardised per task over all its layers and levels; a layer or level that one task of a group lacks is averaged
    over the tasks that have it, and `tasks` counts them.

    Args:
        scores: What probe_scores returns.

    Returns:
        group, level, sparsity, layer, z, tasks.
    """
    scores = real_layers(scores, "layer").dropna(subset=["score"])
    scores = scores.assign(group=scores["task"].map(task_group), z=z_scores(scores))
    means = scores.groupby(["group", "level", "layer"], as_index=False).agg(
        z=("z", "mean"), tasks=("task", "nunique"), sparsity=("sparsity", "first")
    )
    return means


def similarity(results: Results, measure: str, component: str | None = None, group: str = "") -> pd.DataFrame:
    """Rows of one similarity measure; those of a symmetric measure in both directions.

    Of several variants the paper's is taken: biased linear CKA, signed correlations, centred spectra.

    Args:
        results: The tables.
        measure: e.g. linear_cka.
        component: e.g. encoder; None for all.
        group: The token group; empty for all tokens.

    Returns:
        Rows of the similarity table.
    """
    rows = results["similarity"]
    rows = rows[(rows["measure"] == measure) & (rows["group"] == group)]
    if component is not None:
        rows = rows[rows["component"] == component]
    rows = _one_variant(rows, PAPER_VARIANTS.get(measure, "centred"))
    if measure in SYMMETRIC:
        swap = {"level_a": "level_b", "level_b": "level_a", "layer_a": "layer_b", "layer_b": "layer_a"}
        mirrored = rows.rename(columns=swap)[list(rows.columns)]
        pair = ["component", "variant", "level_a", "layer_a", "level_b", "layer_b"]
        rows = pd.concat([rows, mirrored], ignore_index=True).drop_duplicates(pair)
    return rows.reset_index(drop=True)


def _one_variant(rows: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """The rows of the wanted variant, or of the first one where that is missing: never two variants of one score."""
    variants = list(rows["variant"].unique())
    return rows[rows["variant"] == (wanted if wanted in variants else variants[0])] if len(variants) > 1 else rows


def to_dense(results: Results, measure: str) -> pd.DataFrame:
    """Similarity of every layer of the dense model (level 0) to the same layer of each level.

    Returns:
        component, layer, level, sparsity, score, low, high, n; layers 1 to L.
    """
    rows = real_layers(similarity(results, measure), "layer_a", "layer_b")
    rows = rows[(rows["level_a"] == 0) & (rows["layer_a"] == rows["layer_b"])]
    rows = rows.rename(columns={"layer_b": "layer", "level_b": "level"})
    rows = with_sparsity(rows[["component", "layer", "level", "score", "low", "high", "n"]], results)
    return _by_height(rows)


def layer_pairs(results: Results, measure: str, component: str, level: int | None = None) -> pd.DataFrame:
    """Similarity of every two layers within the dense model, within a level, and between the two (Fig. 5, 6).

    Args:
        results: The tables.
        measure: e.g. linear_cka.
        component: e.g. encoder.
        level: The level; None for the sparsest that was compared.

    Returns:
        component, level_a, layer_a, level_b, layer_b, score, low, high, n; layers 1 to L.
    """
    rows = real_layers(similarity(results, measure, component), "layer_a", "layer_b")
    if level is None:
        level = rows["level_b"].max() if len(rows) else 0
    wanted = [(0, 0), (level, level), (0, level)]
    keep = [pair in wanted for pair in zip(rows["level_a"], rows["level_b"], strict=True)]
    columns = ["component", "level_a", "layer_a", "level_b", "layer_b", "score", "low", "high", "n"]
    return rows.loc[keep, columns].drop_duplicates(columns[:5]).reset_index(drop=True)


def off_diagonal(results: Results, measure: str) -> pd.DataFrame:
    """Mean similarity of different layers within each level.

    Returns:
        component, level, sparsity, layer (`all`, or one layer with all others), score, low, high (means of the pairs'
        intervals), pairs.
    """
    rows = real_layers(similarity(results, measure), "layer_a", "layer_b")
    rows = rows[(rows["level_a"] == rows["level_b"]) & (rows["layer_a"] != rows["layer_b"])]
    rows = rows.rename(columns={"level_a": "level", "layer_a": "layer"})
    values = {"score": ("score", "mean"), "low": ("low", "mean"), "high": ("high", "mean"), "pairs": ("score", "size")}
    whole = rows.groupby(["component", "level"], as_index=False).agg(**values)
    whole["pairs"] //= 2
    each = rows.groupby(["component", "level", "layer"], as_index=False).agg(**values)
    both = pd.concat([whole.assign(layer="all"), each], ignore_index=True)
    return _by_height(with_sparsity(both, results))


def one_layer(results: Results, measure: str) -> pd.DataFrame:
    """A property of single layers, e.g. attention_concentration or spectrum_k80.

    Returns:
        component, variant, layer, level, sparsity, score, low, high, n.
    """
    rows = similarity(results, measure).rename(columns={"level_a": "level", "layer_a": "layer"})
    columns = ["component", "variant", "layer", "level", "score", "low", "high", "n"]
    return _by_height(with_sparsity(rows[columns], results))


def _by_height(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by component, height of the layer and level."""
    rank = {layer: index for index, layer in enumerate(layer_order(list(frame["layer"])))}
    return frame.sort_values(
        ["component", "layer", "level"], key=lambda c: c.map(rank) if c.name == "layer" else c, ignore_index=True
    )
