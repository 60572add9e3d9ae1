"""Levels, translation quality and where the weights go: the frames of Section 3 (Table A1, Fig. A1, A2).

Everything here selects or sums rows that are in the tables; a missing row stays missing. Place in the flow: results
tables -> levels -> figures, claims, report.
"""

from __future__ import annotations

import pandas as pd

from probing_bridge.formats.origin import lineage
from probing_bridge.results.folder import RUN, Results
from probing_bridge.results.statistics import holm

KINDS = {"self_attn": "self-attention", "encoder_decoder": "encoder-decoder attention", "fc": "fully connected"}
_REWINDING = {"lr": "LR rewinding", "weights": "weight rewinding", "none": "", "reinit": "weights drawn anew"}
PROJECTIONS = {"q": "Wq", "k": "Wk", "v": "Wv", "out": "Wo"}


def known_levels(results: Results) -> pd.DataFrame:
    """The levels of an experiment with their sparsity.

    Args:
        results: The tables.

    Returns:
        One row a run and level: run, level, sparsity, sparsity_prunable (fractions; NaN where no table tells), by run
        and level.
    """
    if len(results["lth"]):
        columns = [RUN, "level", "sparsity", "sparsity_prunable"]
        return results["lth"][columns].sort_values([RUN, "level"], ignore_index=True)
    named = [
        results[table][[RUN, column]].rename(columns={column: "level"})
        for table, column in (
            ("probes", "level"), ("bleu", "level"), ("similarity", "level_a"), ("similarity", "level_b"),
        )
    ]  # fmt: skip
    levels = pd.concat(named).dropna().drop_duplicates().sort_values([RUN, "level"], ignore_index=True)
    probes = results["probes"].dropna(subset=["level"])
    sparsity = probes.groupby([RUN, "level"], as_index=False)["sparsity"].first()
    known = levels[levels["level"] >= 0].merge(sparsity, on=[RUN, "level"], how="left")
    return known.assign(sparsity=known["sparsity"].astype("float64"), sparsity_prunable=float("nan"))


def with_sparsity(frame: pd.DataFrame, results: Results, column: str = "level") -> pd.DataFrame:
    """Adds the columns sparsity and sparsity_prunable of the level in `column`; empty where it is not known."""
    known = known_levels(results).rename(columns={"level": column})
    frame = frame.drop(columns=["sparsity", "sparsity_prunable"], errors="ignore")
    return frame.merge(known, on=[RUN, column], how="left")


def judged_test(results: Results) -> tuple[str, str] | None:
    """Test set and metric of the first BLEU in the table: what translation is judged by, here and of all beside it."""
    rows = results["bleu"].dropna(subset=["score"])
    rows = rows[rows["metric"].str.lower().str.contains("bleu")]
    return (str(rows["test_set"].iloc[0]), str(rows["metric"].iloc[0])) if len(rows) else None


def of_test(rows: pd.DataFrame, test: tuple[str, str] | None) -> pd.DataFrame:
    """The rows of one test set and metric; none of None."""
    return rows[(rows["test_set"] == test[0]) & (rows["metric"] == test[1])] if test else rows.iloc[:0]


def bleu_data(results: Results) -> pd.DataFrame:
    """BLEU of every level with its sparsity, of the experiment and those beside it.

    Returns:
        experiment (its name), run, level, sparsity, test_set, metric, score, low, high, n; by test set, metric (as in
        the table), experiment (the first is the results' own) and run.
    """
    place = [RUN, "level"]
    frames = [
        scores.merge(levels, on=place, how="left").assign(experiment=name)
        for name, scores, levels in _with_shared(results)
    ]
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    for column in ("experiment", "metric"):
        rows[column] = pd.Categorical(rows[column], rows[column].unique())
    rows = rows.sort_values(["test_set", "metric", "experiment", RUN, "level"], ignore_index=True)
    rows = rows.astype({"experiment": "str", "metric": "str"})
    return rows[["experiment", RUN, "level", "sparsity", "test_set", "metric", "score", "low", "high", "n"]]


def levels_data(results: Results) -> pd.DataFrame:
    """Sparsity and BLEU of every level (Table A1), of the experiment and those beside it.

    Returns:
        experiment (its name), run, level, sparsity, sparsity_prunable, test_set, metric, score, low, high, n, and
        lr_rise, the share by which the learning rate rose at the level's rewind (0.095 for 9.5 %).
    """
    columns = [RUN, "level", "test_set", "metric", "score", "low", "high", "n"]
    frames = [
        levels.assign(experiment=name).merge(scores[columns], on=[RUN, "level"], how="left")
        for name, scores, levels in _with_shared(results)
    ]
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    rises = pd.concat([one["lth"][[RUN, "level", "lr_rise"]].assign(experiment=name) for one, name in named(results)])
    return rows.merge(rises, on=["experiment", RUN, "level"], how="left")


def _with_shared(results: Results) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Name, BLEU and levels of the experiment and of those beside it.

    One that branched off a level of the experiment has the levels up to there too: they are the same models.
    """
    own_scores, own_levels = results["bleu"], known_levels(results)
    found = []
    for one, name in named(results):
        shared = _shared_levels(one, results)
        scores = _and_shared(one["bleu"], own_scores, shared)
        found.append((name, scores, _and_shared(known_levels(one), own_levels, shared)))
    return found


def named(results: Results) -> list[tuple[Results, str]]:
    """The experiment and those beside it, each with a name of its own."""
    experiments = (results, *results.beside)
    names = [experiment_name(one) for one in experiments]
    return [
        (one, f"{name} ({one.runs[0].experiment})" if names.count(name) > 1 else name)
        for one, name in zip(experiments, names, strict=True)
    ]


def differences_data(results: Results) -> pd.DataFrame:
    """Paired tests of BLEU, of the experiment and those beside it.

    Returns:
        experiment (its name), run, level, other, test_set, metric, difference and ratio, each with the ends of its
        interval, p, p_holm, n. `other` is LTH0, or the experiment (its identity, if it is not shown) whose level of the
        same number it is; p_holm is corrected over the levels of a run, test set and metric that are compared with it.
    """
    shown = named(results)
    rows = pd.concat([one["bleu_differences"].assign(experiment=name) for one, name in shown], ignore_index=True)
    rows = rows.dropna(subset=["difference", "p"])
    names = {run.experiment: name for one, name in shown for run in one.runs}
    others = rows["other_experiment"].map(lambda experiment: names.get(experiment, experiment))
    rows["other"] = others.where(rows["other_level"] == rows["level"], "LTH" + rows["other_level"].astype(str))
    family = ["experiment", RUN, "other", "test_set", "metric"]
    rows["p_holm"] = rows.groupby(family)["p"].transform(lambda p: holm(p.tolist()))
    intervals = ["difference", "low", "high", "ratio", "ratio_low", "ratio_high"]
    return rows[["experiment", RUN, "level", "other", "test_set", "metric", *intervals, "p", "p_holm", "n"]]


def _shared_levels(other: Results, results: Results) -> dict[int, float]:
    """Run -> the highest level of the results' run that is the other's too (`parent` in its lth.csv); -1 for none."""
    shared = {}
    for number, (run, own) in enumerate(zip(other.runs, results.runs, strict=True), 1):
        lth = other["lth"]
        parents = lth.loc[lth[RUN] == number, "parent"].unique()
        found = (lineage(run.experiment, {run.experiment: parent}).get(own.experiment, -1) for parent in parents)
        shared[number] = max(found, default=-1)
    return shared


def _and_shared(rows: pd.DataFrame, own: pd.DataFrame, shared: dict[int, float]) -> pd.DataFrame:
    """The rows of an experiment, after those of the results' levels that it shares and has no rows of."""
    has = pd.MultiIndex.from_frame(own[[RUN, "level"]]).isin(pd.MultiIndex.from_frame(rows[[RUN, "level"]]))
    before = own[(own["level"] <= own[RUN].map(shared)) & ~has]
    return pd.concat([before, rows], ignore_index=True) if len(before) else rows


def experiment_name(results: Results) -> str:
    """What an experiment is called in legends: how it chose and rewound, where lth.csv says so, else its identity."""
    lth = results["lth"]
    score, rewind = ("/".join(sorted(set(lth[column]) - {""})) for column in ("score", "rewind"))
    if not (score or rewind):
        return results.runs[0].experiment or results.runs[0].name
    rewinding = _REWINDING.get(rewind, rewind)
    experiments = "/".join(sorted(set(lth["masks_from"]) - {""}))
    pruning = {"": "", "none": "no pruning", "masks_from": f"masks of {experiments}"}.get(score, f"{score} pruning")
    drawn = set(lth["seed"].dropna()) - {1}  # 1: the one that nobody chose
    seeds = [f"seed {seed}" for seed in sorted(drawn)] if len(results.runs) == 1 else []
    return ", ".join(word for word in (pruning, rewinding, *seeds) if word)


def modules_data(results: Results) -> pd.DataFrame:
    """Sparsity of each module: run, component, kind, layer, level, sparsity_prunable, pruned, module_sparsity, ..."""
    return _shares(results, ["component", "kind", "layer", "level"])


def kinds_data(results: Results) -> pd.DataFrame:
    """Sparsity of each kind of module over all layers: component, kind, level, sparsity_prunable, weights, ..."""
    return _shares(results, ["component", "kind", "level"])


def projections_data(results: Results) -> pd.DataFrame:
    """Sparsity of Wq, Wk, Wv and Wo over all layers: run, component, kind, projection, level, sparsity_prunable, ..."""
    rows = _shares(results, ["component", "kind", "projection", "level"])
    of_attention = rows["projection"].isin(PROJECTIONS) & rows["kind"].isin(["self_attn", "encoder_decoder"])
    return rows[of_attention].reset_index(drop=True)


def _shares(results: Results, by: list[str]) -> pd.DataFrame:
    """Pruned weights as a share of all weights, over the modules that agree in `by`."""
    rows = results["lth_modules"]
    rows = rows[rows["kind"].isin(list(KINDS))]
    sums = rows.groupby([RUN, *by], as_index=False)[["weights", "pruned"]].sum()
    sums["module_sparsity"] = sums["pruned"].astype(float) / sums["weights"].astype(float)
    return with_sparsity(sums, results).drop(columns="sparsity")
