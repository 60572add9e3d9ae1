"""Tests of the claims of Section 3: what pruning keeps, and where the weights go."""

from __future__ import annotations

import pandas as pd

from probing_bridge.claims.judging import (
    FAILS,
    HOLDS,
    UNDECIDED,
    Judgement,
    MissingRows,
    Value,
    all_of,
    frame_trend,
    greater,
    last_level,
    need,
)
from probing_bridge.results import levels
from probing_bridge.results.folder import Results
from probing_bridge.results.levels import modules_data, projections_data
from probing_bridge.results.statistics import ALPHA

_BOTH = ("magnitude", "random")
_PAPER_SPARSITY, _NEAR = 0.664, 0.05  # overall sparsity of the paper's LTH7, and what counts as the same


def bleu(results: Results) -> pd.DataFrame:
    """Score of the first test set and metric, by level, with sparsity."""
    rows = need(levels.with_sparsity(results["bleu"], results), "bleu.csv")
    rows = rows[(rows["test_set"] == rows["test_set"].iloc[0]) & (rows["metric"] == rows["metric"].iloc[0])]
    rows = rows.dropna(subset=["score"]).sort_values("level")
    need(rows[rows["level"] == 0], "BLEU of level 0")
    return need(rows.dropna(subset=["sparsity"]), "sparsity of the levels")


def bleu_kept(results: Results) -> Judgement:
    """Whether 99 % of BLEU is left at the paper's sparsity."""
    rows = bleu(results)
    distance = (rows["sparsity"] - _PAPER_SPARSITY).abs()
    row, dense = rows.iloc[int(distance.to_numpy().argmin())], float(rows.iloc[0]["score"])
    if dense <= 0:
        return Judgement(UNDECIDED, detail="BLEU of LTH0 is 0: the model has learnt nothing that could be kept")
    kept = Value(*(float(row[end]) / dense for end in ("score", "low", "high")))
    ours = f"{kept} of BLEU at {100 * row['sparsity']:.1f} % (LTH{row['level']})"
    if distance.min() > _NEAR:
        return Judgement(UNDECIDED, ours, "no level within 5 points of 66.4 % overall sparsity")
    return Judgement(HOLDS if kept.score >= 0.99 else FAILS, ours, "point estimate against 0.99")


def bleu_last_drop(results: Results) -> Judgement:
    """Whether the last pruning costs more than those before."""
    rows = bleu(results)
    if rows["sparsity"].max() < _PAPER_SPARSITY or len(rows) < 3:
        return Judgement(UNDECIDED, detail="no pruning beyond 66.4 % overall sparsity")
    drops = -rows["score"].diff().iloc[1:]
    last, before = Value(float(drops.iloc[-1])), Value(float(drops.iloc[:-1].mean()))
    return greater(last, before, ("last pruning", "mean of those before"))


def beats_random(results: Results) -> Judgement:
    """Whether magnitude pruning keeps more BLEU than random pruning at the sparsest level that both have."""
    runs = {score: run for run in (*reversed(results.beside), results) for score in [_pruned_by(run)]}
    found = {name: need(runs[name]["bleu"], f"bleu.csv of {name} pruning") for name in _BOTH if name in runs}
    if len(found) < 2:
        raise MissingRows("BLEU of magnitude and of random pruning (report --baseline DIR)")
    keys = ["level", "test_set", "metric"]
    both = found["magnitude"].merge(found["random"], on=keys, suffixes=("", "_random"))
    both = both[both["level"] > 0].dropna(subset=["score", "score_random"])
    row = last_level(need(both, "BLEU of a pruned level, test set and metric of both")).iloc[0]
    known = [levels.known_levels(runs[name]).set_index("level")["sparsity"] for name in _BOTH]
    sparsities = [float(levels.get(row["level"], float("nan"))) for levels in known]
    if abs(sparsities[0] - sparsities[1]) > 0.01:
        return Judgement(UNDECIDED, detail=f"LTH{row['level']} of the two differ in sparsity")
    ends = ("score", "low", "high")
    more, less = (Value(*(float(row[f"{end}{suffix}"]) for end in ends)) for suffix in ("", "_random"))
    judgement = _paired(runs, row) or greater(more, less, _BOTH)
    ours = f"magnitude {more} v random {less} (LTH{row['level']})"
    return Judgement(judgement.verdict, ours, judgement.detail)


def _paired(runs: dict[str, Results], row: pd.Series) -> Judgement | None:
    """Decides by the paired test of the two prunings at a row's level, test set and metric; None if there is none."""
    names = {name: {run.experiment for run in runs[name].runs} for name in _BOTH}
    both = names["magnitude"] | names["random"]
    tested = pd.concat([runs[name]["bleu_differences"] for name in _BOTH]).dropna(subset=["difference", "p"])
    wanted = {"level": row["level"], "other_level": row["level"], "test_set": row["test_set"], "metric": row["metric"]}
    for column, value in wanted.items():
        tested = tested[tested[column] == value]
    tested = tested[tested["experiment"].isin(both) & tested["other_experiment"].isin(both)]
    if not len(tested):
        return None
    found = tested.iloc[0]
    gain = float(found["difference"]) * (1 if found["experiment"] in names["magnitude"] else -1)
    verdict = UNDECIDED if found["p"] >= ALPHA else HOLDS if gain > 0 else FAILS
    return Judgement(verdict, detail=f"difference {gain:+.2f}, paired test p = {found['p']:.2g}".replace("-", "−"))


def _pruned_by(run: Results) -> str:
    """What a run chose its masks by, as lth.csv says; empty if it does not, or not the same at all levels."""
    scores = set(run["lth"]["score"]) - {""}
    return scores.pop() if len(scores) == 1 else ""


def shares(results: Results, kind: str, component: str) -> pd.DataFrame:
    """Sparsity of one kind of module by layer and level, column score."""
    rows = modules_data(results).rename(columns={"module_sparsity": "score"})
    rows = rows[(rows["kind"] == kind) & (rows["component"] == component) & (rows["level"] > 0)]
    return need(rows, f"{component} {kind} in lth_modules.csv")


def layers_trend(results: Results, kind: str, components: tuple[str, ...], up: bool) -> Judgement:
    """Trend of a kind of module's sparsity over layers, sparsest level."""
    parts = [(c, frame_trend(last_level(shares(results, kind, c)), up, kind, "layer")) for c in components]
    return all_of(parts)


def fc_gap(results: Results) -> Judgement:
    """Whether the last decoder layer's FC weights are the sparser ones at every level."""
    rows = shares(results, "fc", "decoder")
    table = rows.pivot(index="level", columns="layer", values="score")
    gaps = table[table.columns.max()] - table[table.columns.min()]
    ours = f"{100 * gaps.min():+.1f} to {100 * gaps.max():+.1f} points".replace("-", "−")
    return Judgement(HOLDS if (gaps > 0).all() else FAILS, ours, f"{len(gaps)} levels, exact")


def self_attention_rank(results: Results, first: bool) -> Judgement:
    """Whether layer 1 is pruned most (or the last layer second most) of the self-attention layers at LTH1."""
    parts = []
    for component in ("encoder", "decoder"):
        rows = shares(results, "self_attn", component)
        ranked = rows[rows["level"] == rows["level"].min()].sort_values("score", ascending=False)
        need(ranked.iloc[2:], "at least three layers")
        wanted = ranked["layer"].min() if first else ranked["layer"].max()
        found = ranked["layer"].iloc[0 if first else 1]
        ours = f"layer {found} ({100 * ranked['score'].iloc[0 if first else 1]:.1f} %)"
        parts.append((component, Judgement(HOLDS if found == wanted else FAILS, ours, "exact")))
    return all_of(parts)


def cross_least(results: Results) -> Judgement:
    """Whether encoder-decoder attention is pruned least."""
    rows = last_level(modules_data(results))
    sums = need(rows, "lth_modules.csv").groupby(["component", "kind"])[["pruned", "weights"]].sum()
    shares = (sums["pruned"] / sums["weights"]).astype(float)
    if ("decoder", "encoder_decoder") not in shares.index or len(shares) < 2:
        raise MissingRows("encoder-decoder attention in lth_modules.csv")
    cross = shares.pop(("decoder", "encoder_decoder"))
    ours = f"{100 * cross:.1f} % v {100 * shares.min():.1f} % of the next"
    return Judgement(HOLDS if cross < shares.min() else FAILS, ours, "exact")


def values_outputs(results: Results) -> Judgement:
    """Whether Wv and Wo are sparser than Wq and Wk."""
    rows = need(last_level(projections_data(results)), "lth_modules.csv")
    judged = []
    for (component, kind), same in rows.groupby(["component", "kind"]):
        late, early = (same[same["projection"].isin(names)] for names in (("v", "out"), ("q", "k")))
        need(late, "Wv, Wo"), need(early, "Wq, Wk")
        low, high = late["module_sparsity"].min(), early["module_sparsity"].max()
        ours = f"{100 * late['module_sparsity'].mean():.1f} % v {100 * early['module_sparsity'].mean():.1f} %"
        judged.append((f"{component} {kind}", Judgement(HOLDS if low > high else FAILS, ours)))
    return all_of(judged)
