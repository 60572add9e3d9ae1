"""Levels, translation quality and where the weights go: the frames of Section 3 (Table A1, Fig. A1, A2).

Everything here selects or sums rows that are in the tables; a missing row stays missing. Place in the flow: results
tables -> levels -> figures, claims, report.
"""

from __future__ import annotations

import pandas as pd

from probing_bridge.formats.origin import lineage
from probing_bridge.results.folder import Results
from probing_bridge.results.statistics import holm

KINDS = {"self_attn": "self-attention", "encoder_decoder": "encoder-decoder attention", "fc": "fully connected"}
_REWINDING = {"lr": "LR rewinding", "weights": "weight rewinding", "none": "", "reinit": "weights drawn anew"}
PROJECTIONS = {"q": "Wq", "k": "Wk", "v": "Wv", "out": "Wo"}


def known_levels(results: Results) -> pd.DataFrame:
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
    known = known_levels(results).rename(columns={"level": column})
    return frame.drop(columns=["sparsity", "sparsity_prunable"], errors="ignore").merge(known, on=column, how="left")


def bleu_data(results: Results) -> pd.DataFrame:
    """BLEU of every level with its sparsity, of the experiment and its baselines.

    Returns:
        run, level, sparsity, test_set, metric, score, low, high, n; by test set, metric (as in the table), run (the
        experiment first).
    """
    frames = [scores.merge(levels, on="level", how="left").assign(run=run) for run, scores, levels in _runs(results)]
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    for column in ("run", "metric"):
        rows[column] = pd.Categorical(rows[column], rows[column].unique())
    rows = rows.sort_values(["test_set", "metric", "run", "level"], ignore_index=True)
    rows = rows.astype({"run": "str", "metric": "str"})
    return rows[["run", "level", "sparsity", "test_set", "metric", "score", "low", "high", "n"]]


def levels_data(results: Results) -> pd.DataFrame:
    """Sparsity and BLEU of every level (Table A1), of the experiment and its baselines.

    Returns:
        level, sparsity, sparsity_prunable, run, test_set, metric, score, low, high, n, and lr_rise, the share by which
        the learning rate rose at the level's rewind (0.095 for 9.5 %).
    """
    columns = ["level", "test_set", "metric", "score", "low", "high", "n"]
    frames = [
        levels.assign(run=run).merge(scores[columns], on="level", how="left") for run, scores, levels in _runs(results)
    ]
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    rises = pd.concat([run["lth"][["level", "lr_rise"]].assign(run=name) for run, name in _named(results)])
    return rows.merge(rises, on=["run", "level"], how="left")


def _runs(results: Results) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Name, BLEU and levels of the experiment and of its baselines.

    A baseline that branched off a level of the experiment has the levels up to there too: they are the same models.
    """
    own_scores, own_levels = results["bleu"], known_levels(results)
    found = []
    for run, name in _named(results):
        shared = _shared_level(run, results)
        found.append(
            (
                name,
                _and_shared(run["bleu"], own_scores, shared),
                _and_shared(known_levels(run), own_levels, shared),
            )
        )
    return found


def _named(results: Results) -> list[tuple[Results, str]]:
    """The experiment and its baselines, each with a name of its own."""
    runs = (results, *results.baselines)
    names = [run_name(run) for run in runs]
    return [
        (run, f"{name} ({run.experiment})" if names.count(name) > 1 else name)
        for run, name in zip(runs, names, strict=True)
    ]


def differences_data(results: Results) -> pd.DataFrame:
    """Paired tests of BLEU, of the experiment and its baselines.

    Returns:
        run, level, other, test_set, metric, difference and ratio, each with the ends of its interval, p, p_holm, n.
        `other` is LTH0, or the run (or, if it is not shown, the experiment) whose level of the same number it is;
        p_holm is corrected over the levels of a run, test set and metric that are compared with it.
    """
    runs = _named(results)
    rows = pd.concat([run["bleu_differences"].assign(run=name) for run, name in runs], ignore_index=True)
    rows = rows.dropna(subset=["difference", "p"])
    names = {run.experiment: name for run, name in runs}
    others = rows["other_experiment"].map(lambda experiment: names.get(experiment, experiment))
    rows["other"] = others.where(rows["other_level"] == rows["level"], "LTH" + rows["other_level"].astype(str))
    family = ["run", "other", "test_set", "metric"]
    rows["p_holm"] = rows.groupby(family)["p"].transform(lambda p: holm(p.tolist()))
    intervals = ["difference", "low", "high", "ratio", "ratio_low", "ratio_high"]
    return rows[["run", "level", "other", "test_set", "metric", *intervals, "p", "p_holm", "n"]]


def _shared_level(run: Results, results: Results) -> float:
    """The highest level of an experiment that is a run's too, as the run's lth.csv says in `parent`; -1 for none."""
    parents = run["lth"]["parent"].unique()
    found = (lineage(run.experiment, {run.experiment: parent}).get(results.experiment, -1) for parent in parents)
    return max(found, default=-1)


def _and_shared(rows: pd.DataFrame, own: pd.DataFrame, shared: float) -> pd.DataFrame:
    """The rows of a run, after those of the experiment's levels that it shares and has no rows of."""
    before = own[(own["level"] <= shared) & ~own["level"].isin(rows["level"])]
    return pd.concat([before, rows], ignore_index=True) if len(before) else rows


def run_name(results: Results) -> str:
    """What a run is called in legends: how it chose and rewound, where lth.csv says so, else its experiment."""
    lth = results["lth"]
    score, rewind = ("/".join(sorted(set(lth[column]) - {""})) for column in ("score", "rewind"))
    if not (score or rewind):
        return results.experiment or results.name
    rewinding = _REWINDING.get(rewind, rewind)
    experiments = "/".join(sorted(set(lth["masks_from"]) - {""}))
    pruning = {"": "", "none": "no pruning", "masks_from": f"masks of {experiments}"}.get(score, f"{score} pruning")
    seeds = [f"seed {seed}" for seed in sorted(set(lth["seed"].dropna()) - {1})]  # 1: the one that nobody chose
    return ", ".join(word for word in (pruning, rewinding, *seeds) if word)


def modules_data(results: Results) -> pd.DataFrame:
    """Sparsity of each module: component, kind, layer, level, sparsity_prunable, weights, pruned, module_sparsity."""
    return _shares(results, ["component", "kind", "layer", "level"])


def projections_data(results: Results) -> pd.DataFrame:
    """Sparsity of Wq, Wk, Wv and Wo over all layers: component, kind, projection, level, sparsity_prunable, ..."""
    rows = _shares(results, ["component", "kind", "projection", "level"])
    of_attention = rows["projection"].isin(PROJECTIONS) & rows["kind"].isin(["self_attn", "encoder_decoder"])
    return rows[of_attention].reset_index(drop=True)


def _shares(results: Results, by: list[str]) -> pd.DataFrame:
    """Pruned weights as a share of all weights, over the modules that agree in `by`."""
    rows = results["lth_modules"]
    rows = rows[rows["kind"].isin(list(KINDS))]
    sums = rows.groupby(by, as_index=False)[["weights", "pruned"]].sum()
    sums["module_sparsity"] = sums["pruned"].astype(float) / sums["weights"].astype(float)
    return with_sparsity(sums, results).drop(columns="sparsity")
