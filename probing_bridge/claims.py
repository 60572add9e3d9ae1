"""The checkable statements of Movva & Zhao (2020), Sections 3.3 to 5.4, each with its test on the result tables.

A claim is one entry of CLAIMS: what the paper says, its number, the rule in words, the figure to look at and a small
function Results -> Judgement. Numbers of "the sparsest level" are those of the highest level that has the rows.
Place in the flow: summaries, trends, judging -> claims -> report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from probing_bridge import summaries
from probing_bridge.figures.pruning import modules_data, parts_data
from probing_bridge.figures.similarity import distribution_rows, groups_data
from probing_bridge.figures.tables import PAPER_KINDS, concentration_data, own_index_data
from probing_bridge.judging import (
    FAILS,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Judgement,
    MissingRows,
    Value,
    all_of,
    at_least,
    frame_trend,
    greater,
    mean_value,
    need,
    no_trends,
    task_trend,
)  # fmt: skip
from probing_bridge.results import Results
from probing_bridge.tasks import POS, SEMANTIC, SYNTACTIC

_PAPER_SPARSITY, _NEAR = 0.664, 0.05  # overall sparsity of the paper's LTH7, and what counts as the same


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Attributes:
        section: Where it stands.
        statement: What the paper says.
        paper: The paper's number.
        rule: The test in words.
        figure: Key of FIGURES to look at.
        test: Results -> Judgement; raises MissingRows where rows are missing.
    """

    section: str
    statement: str
    paper: str
    rule: str
    figure: str
    test: Callable[[Results], Judgement]


def judge(claim: Claim, results: Results) -> Judgement:
    """The verdict on one claim; `not run` names the rows that are missing."""
    try:
        return claim.test(results)
    except MissingRows as missing:
        return Judgement(NOT_RUN, detail=f"needs {missing}")


# Section 3


def _bleu(results: Results) -> pd.DataFrame:
    """Score of the first test set and metric, by level, with sparsity."""
    rows = need(summaries.with_sparsity(results["bleu"], results), "bleu.csv")
    rows = rows[(rows["test_set"] == rows["test_set"].iloc[0]) & (rows["metric"] == rows["metric"].iloc[0])]
    rows = rows.dropna(subset=["score"]).sort_values("level")
    need(rows[rows["level"] == 0], "BLEU of level 0")
    return need(rows.dropna(subset=["sparsity"]), "sparsity of the levels")


def _bleu_kept(results: Results) -> Judgement:
    rows = _bleu(results)
    distance = (rows["sparsity"] - _PAPER_SPARSITY).abs()
    row, dense = rows.iloc[int(distance.to_numpy().argmin())], float(rows.iloc[0]["score"])
    if dense <= 0:
        return Judgement(UNDECIDED, detail="BLEU of LTH0 is 0: the model has learnt nothing that could be kept")
    kept = Value(*(float(row[end]) / dense for end in ("score", "low", "high")))
    ours = f"{kept} of BLEU at {100 * row['sparsity']:.1f} % (LTH{row['level']})"
    if distance.min() > _NEAR:
        return Judgement(UNDECIDED, ours, "no level within 5 points of 66.4 % overall sparsity")
    return Judgement(HOLDS if kept.score >= 0.99 else FAILS, ours, "point estimate against 0.99")


def _bleu_last_drop(results: Results) -> Judgement:
    rows = _bleu(results)
    if rows["sparsity"].max() < _PAPER_SPARSITY or len(rows) < 3:
        return Judgement(UNDECIDED, detail="no pruning beyond 66.4 % overall sparsity")
    drops = -rows["score"].diff().iloc[1:]
    last, before = Value(float(drops.iloc[-1])), Value(float(drops.iloc[:-1].mean()))
    return greater(last, before, ("last pruning", "mean of those before"))


def _shares(results: Results, kind: str, component: str) -> pd.DataFrame:
    """Sparsity of one kind of module by layer and level, column score."""
    rows = modules_data(results).rename(columns={"module_sparsity": "score"})
    rows = rows[(rows["kind"] == kind) & (rows["component"] == component) & (rows["level"] > 0)]
    return need(rows, f"{component} {kind} in lth_modules.csv")


def _last(frame: pd.DataFrame, column: str = "level") -> pd.DataFrame:
    """The rows of the sparsest level."""
    return frame[frame[column] == frame[column].max()]


def _layers_trend(results: Results, kind: str, components: tuple[str, ...], up: bool) -> Judgement:
    parts = [(c, frame_trend(_last(_shares(results, kind, c)), up, kind, "layer")) for c in components]
    return all_of(parts)


def _fc_gap(results: Results) -> Judgement:
    rows = _shares(results, "fc", "decoder")
    table = rows.pivot(index="level", columns="layer", values="score")
    gaps = table[table.columns.max()] - table[table.columns.min()]
    ours = f"{100 * gaps.min():+.1f} to {100 * gaps.max():+.1f} points".replace("-", "−")
    return Judgement(HOLDS if (gaps > 0).all() else FAILS, ours, f"{len(gaps)} levels, exact")


def _self_attention_rank(results: Results, first: bool) -> Judgement:
    """Whether layer 1 is pruned most (or the last layer second most) of the self-attention layers at LTH1."""
    parts = []
    for component in ("encoder", "decoder"):
        rows = _shares(results, "self_attn", component)
        ranked = rows[rows["level"] == rows["level"].min()].sort_values("score", ascending=False)
        need(ranked.iloc[2:], "at least three layers")
        wanted = ranked["layer"].min() if first else ranked["layer"].max()
        found = ranked["layer"].iloc[0 if first else 1]
        ours = f"layer {found} ({100 * ranked['score'].iloc[0 if first else 1]:.1f} %)"
        parts.append((component, Judgement(HOLDS if found == wanted else FAILS, ours, "exact")))
    return all_of(parts)


def _cross_least(results: Results) -> Judgement:
    rows = _last(modules_data(results))
    sums = need(rows, "lth_modules.csv").groupby(["component", "kind"])[["pruned", "weights"]].sum()
    shares = (sums["pruned"] / sums["weights"]).astype(float)
    if ("decoder", "encoder_attn") not in shares.index or len(shares) < 2:
        raise MissingRows("encoder-decoder attention in lth_modules.csv")
    cross = shares.pop(("decoder", "encoder_attn"))
    ours = f"{100 * cross:.1f} % v {100 * shares.min():.1f} % of the next"
    return Judgement(HOLDS if cross < shares.min() else FAILS, ours, "exact")


def _values_outputs(results: Results) -> Judgement:
    rows = need(_last(parts_data(results)), "lth_modules.csv")
    parts = []
    for (component, kind), part in rows.groupby(["component", "kind"]):
        late, early = (part[part["part"].isin(names)] for names in (("v", "out"), ("q", "k")))
        need(late, "Wv, Wo"), need(early, "Wq, Wk")
        low, high = late["module_sparsity"].min(), early["module_sparsity"].max()
        ours = f"{100 * late['module_sparsity'].mean():.1f} % v {100 * early['module_sparsity'].mean():.1f} %"
        parts.append((f"{component} {kind}", Judgement(HOLDS if low > high else FAILS, ours)))
    return all_of(parts)


# Section 4


def _best(results: Results, probe: str = "linear") -> pd.DataFrame:
    """Best layers; only tasks with at least two levels can tell anything."""
    return need(summaries.best_layers(summaries.probe_scores(results, probe)), f"probes.csv, probe {probe}")


def _task(results: Results, task: str, up: bool, probe: str = "linear") -> Judgement:
    return task_trend(_best(results, probe), task, up)


def _invariant(results: Results) -> Judgement:
    tasks = [task for task, kind in PAPER_KINDS.items() if kind == "invariant"]
    best = _best(results)
    judgement = no_trends(best[best["task"].isin(tasks)], "task", "probes of the ten invariant tasks")
    missing = [summaries.task_label(task) for task in tasks if task not in set(best["task"])]
    note = f"; not run: {', '.join(missing)}" if missing else ""
    return Judgement(judgement.verdict, judgement.ours, judgement.detail + note)


def _prediction_below(results: Results) -> Judgement:
    best, parts = _best(results), []
    for kind in ("syn_arc", "sem_arc"):
        means = [
            mean_value(best[best["task"] == f"{kind}_{name}"], f"probes of {kind}_{name}")
            for name in ("classification", "prediction")
        ]
        parts.append((kind[:3] + ".", greater(means[0], means[1])))
    return all_of(parts)


def _mlp_higher(results: Results) -> Judgement:
    keys = ["task", "level"]
    both = _best(results, "mlp").merge(_best(results), on=keys, suffixes=("_mlp", "_linear"))
    gains = (
        (both["score_mlp"] - both["score_linear"]).groupby(need(both, "the same tasks with both probes")["task"]).mean()
    )
    ours = f"{(gains > 0).sum()} of {len(gains)} tasks higher, mean {gains.mean():+.3f}".replace("-", "−")
    return Judgement(HOLDS if (gains > 0).all() else FAILS, ours, "mean over levels of each task's difference")


def _mlp_no_gain(results: Results) -> Judgement:
    best = _best(results, "mlp")
    return no_trends(best[best["task"].str.endswith("arc_prediction")], "task", "MLP probes of arc prediction")


def _mlp_degrading(results: Results) -> Judgement:
    return all_of([(summaries.task_label(t), _task(results, t, False, "mlp")) for t in ("ps_fxn", "ps_role", "coref")])


def _final_best(results: Results) -> Judgement:
    scores = summaries.real_layers(summaries.probe_scores(results, "linear"), "layer").dropna(subset=["score"])
    need(scores, "probes.csv, probe linear")
    final = summaries.final_layer(list(scores["layer"]))
    last = scores[scores["layer"] == final].set_index(["task", "level"])
    best = summaries.best_layers(scores).set_index(["task", "level"])
    both = best.join(last[["score", "low", "high"]], rsuffix="_final").dropna(subset=["score_final"])
    beaten = both["low"].fillna(both["score"]) > both["high_final"].fillna(both["score_final"])
    ours = f"no layer is better in {len(both) - beaten.sum()} of {len(both)} (task, level)"
    return Judgement(FAILS if beaten.any() else HOLDS, ours, "better: intervals apart")


def _layer_group(results: Results, group: str, final: bool) -> pd.DataFrame:
    """Mean z of a group in the last layer, or in the layers below it, as score."""
    rows = summaries.layer_z_scores(summaries.probe_scores(results, "linear"))
    rows = need(rows[rows["group"] == group], f"probes of {group} tasks").rename(columns={"z": "score"})
    last = summaries.final_layer(list(rows["layer"]))
    return rows[(rows["layer"] == last) == final].assign(all=group)


def _early_rises(results: Results, group: str) -> Judgement:
    return frame_trend(_layer_group(results, group, False), True, f"layers below the last, {group} tasks", digits=2)


def _late_equal(results: Results) -> Judgement:
    return no_trends(_layer_group(results, SYNTACTIC, True), "all", "last layer, syntactic tasks")


def _late_semantic(results: Results) -> Judgement:
    return frame_trend(_layer_group(results, SEMANTIC, True), False, "last layer, semantic tasks", digits=2)


# Sections 5.2, 5.3


def _own_index(results: Results) -> Judgement:
    rows = own_index_data(results)
    rows = _last(rows[rows["component"].isin(["encoder", "decoder"]) & (rows["layer"] == "all")])
    need(rows, "neurons.csv")
    share = float((rows["share"] * rows["n"]).sum() / rows["n"].sum())
    return at_least(Value(share), 0.99)


def _all_neurons(results: Results) -> Judgement:
    rows = need(distribution_rows(results), "neurons.csv")
    keys = ["component", "layer_a", "neuron"]
    ends = [
        rows[rows["level_b"] == level].set_index(keys)["own_correlation"]
        for level in (rows["level_b"].min(), rows["level_b"].max())
    ]
    if rows["level_b"].nunique() < 2:
        return Judgement(UNDECIDED, detail="one pruned level only")
    change = (ends[1] - ends[0]).dropna()
    return at_least(Value(float((change < 0).mean())), 0.95)


def _to_dense(results: Results, measure: str, component: str) -> pd.DataFrame:
    rows = summaries.to_dense(results, measure)
    rows = rows[(rows["component"] == component) & (rows["level"] > 0)]
    return need(rows, f"{measure} of LTH0 and pruned levels, {component}")


def _diverges(results: Results, measure: str) -> Judgement:
    """Similarity to LTH0 falls with the level, mean over layers."""
    return all_of([(c, frame_trend(_to_dense(results, measure, c), False, measure)) for c in ("encoder", "decoder")])


def _height(results: Results, measure: str, components: tuple[str, ...]) -> Judgement:
    """At the sparsest level, similarity to LTH0 falls with the height of the layer."""
    return all_of(
        [(c, frame_trend(_last(_to_dense(results, measure, c)), False, measure, "layer")) for c in components]
    )


def _decoder_top(results: Results) -> Judgement:
    rows = _to_dense(results, "linear_cka", "decoder")
    table = rows.pivot(index="level", columns="layer", values="score")
    order = summaries.layer_order(list(table.columns))
    if len(order) < 2:
        raise MissingRows("two decoder layers")
    gaps = (table[order[-1]] - table[order[-2]]).dropna()
    ours = f"layer {order[-1]} higher at {(gaps > 0).sum()} of {len(gaps)} levels"
    return Judgement(HOLDS if (gaps > 0).all() else FAILS, ours, "point estimates")


def _decoder_apart(results: Results) -> Judgement:
    rows = summaries.off_diagonal(results, "linear_cka")
    rows = rows[(rows["level"] == 0) & (rows["layer"] == "all")]
    means = {
        c: mean_value(rows[rows["component"] == c], f"linear_cka within LTH0, {c}") for c in ("encoder", "decoder")
    }
    return greater(means["encoder"], means["decoder"], ("encoder", "decoder"))


def _early_late(results: Results, component: str) -> pd.DataFrame:
    """CKA of the layers below the last with the last, within each level."""
    rows = summaries.real_layers(summaries.similarity(results, "linear_cka", component), "layer_a", "layer_b")
    rows = rows[rows["level_a"] == rows["level_b"]]
    last = summaries.final_layer(list(need(rows, f"linear_cka within levels, {component}")["layer_b"]))
    rows = rows[(rows["layer_b"] == last) & (rows["layer_a"] != last)]
    return rows.rename(columns={"level_a": "level"})


def _early_closer(results: Results) -> Judgement:
    parts = [(c, frame_trend(_early_late(results, c), True, "layer pairs")) for c in ("encoder", "decoder")]
    return all_of(parts)


def _sparse_to_dense_final(results: Results) -> Judgement:
    within = _early_late(results, "decoder")
    dense = within[within["level"] == 0].set_index("layer_a")["score"]
    rows = summaries.real_layers(summaries.similarity(results, "linear_cka", "decoder"), "layer_a", "layer_b")
    last = summaries.final_layer(list(rows["layer_a"]))
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] > 0) & (rows["layer_a"] == last) & (rows["layer_b"] != last)]
    sparse = _last(need(rows, "linear_cka between LTH0 and pruned levels"), "level_b").set_index("layer_b")["score"]
    gains = (sparse - dense).dropna()
    if not len(gains):
        raise MissingRows("linear_cka of early and final layers")
    ours = f"{(gains > 0).sum()} of {len(gains)} layers closer, mean {gains.mean():+.3f}".replace("-", "−")
    return Judgement(HOLDS if (gains > 0).mean() > 0.5 else FAILS, ours, "point estimates; holds for more than half")


def _spectrum(results: Results) -> Judgement:
    rows, parts = summaries.one_layer(results, "spectrum_k80"), []
    for component in ("encoder", "decoder"):
        part = need(rows[rows["component"] == component], f"spectrum_k80, {component}")
        part = part[part["layer"] == summaries.final_layer(list(part["layer"]))]
        parts.append((component, frame_trend(part, False, "spectrum_k80", digits=0)))
    return all_of(parts)


def _groups(results: Results, kind: str, high: Callable[[str], bool], low: Callable[[str], bool]) -> Judgement:
    """Tokens of some groups are more alike in the dense and the sparse model than those of others."""
    rows = groups_data(results)
    rows = need(rows[rows["kind"] == kind], f"linear_cka by group {kind}:...")
    more, less = rows[rows["group"].map(high)], rows[rows["group"].map(low)]
    top = mean_value(more, f"{kind} groups named in the paper")
    groups = need(less, f"{kind} groups named in the paper").groupby("group", sort=False)
    parts = [(str(group), greater(top, mean_value(part, kind))) for group, part in groups]
    return all_of(parts)


def _rank(group: str) -> int:
    """Lowest frequency rank of a bin such as `100-500`, `2500-` or `>=2500`."""
    digits = "".join(letter if letter.isdigit() else " " for letter in group).split()
    return int(digits[0]) if digits else -1


# Section 5.4


def _attention_stays(results: Results, kind: str, bound: float, skip_first: bool) -> Judgement:
    rows = _last(_to_dense(results, "attention_cka", kind))
    if skip_first:
        rows = need(rows[rows["layer"] != "1"], "layers above the first")
    lowest = rows.sort_values("score").iloc[0]
    judgement = at_least(Value(*(float(lowest[end]) for end in ("score", "low", "high"))), bound)
    return Judgement(judgement.verdict, f"lowest {judgement.ours} (layer {lowest['layer']})", judgement.detail)


def _first_layer_differs(results: Results) -> Judgement:
    rows = _last(_to_dense(results, "attention_cka", "encoder_self"))
    first = mean_value(rows[rows["layer"] == "1"], "encoder_self, layer 1")
    others = need(rows[rows["layer"] != "1"], "layers above the first").sort_values("score").iloc[0]
    rest = Value(*(float(others[end]) for end in ("score", "low", "high")))
    return greater(rest, first, ("lowest of the others", "layer 1"))


def _off_diagonal(results: Results, kind: str, layer: str = "all") -> pd.DataFrame:
    rows = summaries.off_diagonal(results, "attention_cka")
    rows = rows[(rows["component"] == kind) & (rows["layer"] == layer)]
    return need(rows, f"attention_cka of different layers, {kind}")


def _dense_off_diagonal(results: Results, kind: str) -> Value:
    rows = _off_diagonal(results, kind)
    return mean_value(rows[rows["level"] == 0], f"attention_cka within LTH0, {kind}")


def _ordered(values: dict[str, Value], top: str) -> Judgement:
    """One value above all others."""
    return all_of([(f"than {name}", greater(values[top], other)) for name, other in values.items() if name != top])


def _cross_varies(results: Results) -> Judgement:
    cross = _dense_off_diagonal(results, "encoder_decoder")
    kinds = ("encoder_self", "decoder_self")
    return all_of([(kind, greater(_dense_off_diagonal(results, kind), cross, ("", "cross"))) for kind in kinds])


def _cross_halves(results: Results) -> Judgement:
    rows = summaries.layer_pairs(results, "attention_cka", "encoder_decoder")
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] == 0) & (rows["layer_a"] != rows["layer_b"])]
    need(rows, "attention_cka within LTH0, encoder_decoder")
    half = max(int(layer) for layer in rows["layer_a"]) / 2
    same = (rows["layer_a"].astype(int) <= half) == (rows["layer_b"].astype(int) <= half)
    within, between = mean_value(rows[same], "layers of one half"), mean_value(rows[~same], "layers of both halves")
    return greater(within, between, ("within halves", "between"))


def _decoder_self_homogeneous(results: Results) -> Judgement:
    kinds = ("decoder_self", "encoder_self", "encoder_decoder")
    return _ordered({kind: _dense_off_diagonal(results, kind) for kind in kinds}, "decoder_self")


def _concentrated(results: Results) -> Judgement:
    rows = concentration_data(results)
    rows = need(_last(rows[rows["layer"] != "all"]), "attention_concentration")
    kinds = ("decoder_self", "encoder_self", "encoder_decoder")
    values = [mean_value(rows[rows["component"] == kind], f"attention_concentration, {kind}") for kind in kinds]
    return all_of([("", greater(values[0], values[1], kinds[:2])), ("", greater(values[1], values[2], kinds[1:]))])


def _one_sided(what: str) -> str:
    return f"Kendall's τ of {what}, one-sided, p < 0.05"


_TASK_RULE = "Kendall's τ of the best layer's score over levels, one-sided, Holm over the tasks, p < 0.05"
_BOTH = ("encoder", "decoder")

CLAIMS: tuple[Claim, ...] = (
    Claim("3.3", "At 66 % overall sparsity over 99 % of BLEU is kept", "0.994 (27.61 of 27.77)",
          "BLEU of the level within 5 points of 66.4 % over that of LTH0, at least 0.99", "fig_bleu_sparsity",
          _bleu_kept),
    Claim("3.3", "Beyond that, BLEU drops more rapidly", "0.4 BLEU in one pruning",
          "drop of the last pruning above the mean of those before, beyond 66.4 % overall", "fig_bleu_sparsity",
          _bleu_last_drop),
    Claim("3.4", "Later layers have sparser fully connected weights", "up to 25 % sparser",
          _one_sided("FC sparsity over layers, sparsest level; both stacks"), "fig_a1_modules",
          partial(_layers_trend, kind="fc", components=_BOTH, up=True)),
    Claim("3.4", "The last decoder layer's FC weights are sparser than the first's", "as much as 25 %",
          "difference above 0 at every pruned level", "fig_a1_modules", _fc_gap),
    Claim("3.4", "Of the self-attention layers, layer 1 is pruned most, above all at low sparsity", "layer 1",
          "layer 1 has the highest sparsity at LTH1; both stacks", "fig_a1_modules",
          partial(_self_attention_rank, first=True)),
    Claim("3.4", "The last self-attention layer is pruned next most", "layer 6",
          "the last layer ranks second at LTH1; both stacks", "fig_a1_modules",
          partial(_self_attention_rank, first=False)),
    Claim("3.4", "Encoder-decoder attention is pruned least of all modules", "55 % where all are 79 %",
          "lowest sparsity of the five kinds of module, sparsest level", "fig_a1_modules", _cross_least),
    Claim("3.4", "Late encoder-decoder attention is pruned slightly less than early", "–",
          _one_sided("its sparsity over layers, sparsest level"), "fig_a1_modules",
          partial(_layers_trend, kind="encoder_attn", components=("decoder",), up=False)),
    Claim("3.4", "Wv and Wo are sparser than Wq and Wk in all attention types", "25 % sparser",
          "each of Wv, Wo above each of Wq, Wk, sparsest level; all three types", "fig_a2_projections",
          _values_outputs),
    Claim("4.2", "Ten tasks do not depend on sparsity (POS, CCG, ancestors, Chunk, Conj, arc classification, ST)",
          "10 tasks", "no task of the ten has a trend (Kendall, two-sided, Holm over them, p < 0.05)",
          "table_4_2_trends", _invariant),
    Claim("4.2", "PS-Fxn degrades with sparsity", "0.858 → 0.828 (interim)", _TASK_RULE, "fig_1_linear_probes",
          partial(_task, task="ps_fxn", up=False)),
    Claim("4.2", "PS-Role degrades with sparsity", "0.740 → 0.721 (interim)", _TASK_RULE, "fig_1_linear_probes",
          partial(_task, task="ps_role", up=False)),
    Claim("4.2", "Coreference degrades with sparsity", "0.772 → 0.749 (interim)", _TASK_RULE, "fig_1_linear_probes",
          partial(_task, task="coref", up=False)),
    Claim("4.2", "Syntactic arc prediction improves with sparsity", "0.905 → 0.921 (interim)", _TASK_RULE,
          "fig_1_linear_probes", partial(_task, task="syn_arc_prediction", up=True)),
    Claim("4.2", "Semantic arc prediction improves with sparsity", "0.892 → 0.917 (interim)", _TASK_RULE,
          "fig_1_linear_probes", partial(_task, task="sem_arc_prediction", up=True)),
    Claim("4.2", "Arc prediction scores below arc classification", "0.905 v 0.956; 0.892 v 0.928 (interim)",
          "means over levels, intervals apart; syntactic and semantic", "table_a2_linear_scores", _prediction_below),
    Claim("4.3", "MLP probes score higher than linear ones across the board", "–",
          "each task's mean difference over levels above 0", "table_a3_mlp_scores", _mlp_higher),
    Claim("4.3", "With an MLP, arc prediction no longer improves with sparsity", "no trend",
          "no trend in either (Kendall, two-sided, Holm, p < 0.05)", "fig_2_mlp_probes", _mlp_no_gain),
    Claim("4.3", "An MLP does not rescue PS-Fxn, PS-Role and Coref", "nearly as linear",
          f"{_TASK_RULE}; all three", "fig_2_mlp_probes", _mlp_degrading),
    Claim("4.4", "The final layer always probes best", "always",
          "no layer has an interval above the final one's, in any task and level", "fig_3_layers", _final_best),
    Claim("4.4", "Layers below the last encode syntax better as sparsity grows", "layers 1–5",
          _one_sided("their mean z over levels"), "fig_3_layers", partial(_early_rises, group=SYNTACTIC)),
    Claim("4.4", "In the last layer, syntax is equal across sparsities", "no trend",
          "no trend of its mean z over levels (Kendall, two-sided, p < 0.05)", "fig_3_layers", _late_equal),
    Claim("4.4", "POS tagging shows the same in the layers below the last", "layers 1–5",
          _one_sided("their mean z over levels"), "fig_a3_pos_layers",
          partial(_early_rises, group=POS)),
    Claim("4.4", "In the final layers dense models are better at semantic tasks", "–",
          _one_sided("the last layer's mean z over levels"), "fig_3_layers", _late_semantic),
    Claim("5.2", "Nearly all neurons of LTH0 have their own index as best match in the sparsest level", "99.8 %",
          "share over encoder and decoder layers, at least 0.99", "table_own_index", _own_index),
    Claim("5.2", "NeuronSim with LTH0 drops steadily with sparsity", "decoder layer 1: 0.82, layer 6: 0.71 at LTH8",
          _one_sided("the mean over layers, over levels; both stacks"), "fig_4_neuron_similarity",
          partial(_diverges, measure="neuron_similarity")),
    Claim("5.2", "Neurons of higher layers diverge more", "0.82 → 0.71 over the decoder's layers",
          _one_sided("NeuronSim with LTH0 over layers, sparsest level; both stacks"), "fig_4_neuron_similarity",
          partial(_height, measure="neuron_similarity", components=_BOTH)),
    Claim("5.2", "All neurons become less similar, not some", "all",
          "share of neurons less correlated with LTH0 at the sparsest level than at LTH1, at least 0.95",
          "fig_a4_neuron_distribution", _all_neurons),
    Claim("5.2", "LayerSim with LTH0 decreases with sparsity", "–",
          _one_sided("the mean linear CKA over layers, over levels; both stacks"), "fig_a5_layers_to_dense",
          partial(_diverges, measure="linear_cka")),
    Claim("5.2", "Higher encoder layers diverge most", "–",
          _one_sided("linear CKA with LTH0 over encoder layers, sparsest level"), "fig_5_encoder_layers",
          partial(_height, measure="linear_cka", components=("encoder",))),
    Claim("5.2", "The decoder's last layer is closer to LTH0 than the one below", "consistently",
          "linear CKA with LTH0, last layer above the one below at every level", "fig_a5_layers_to_dense",
          _decoder_top),
    Claim("5.2", "Decoder layers differ more from each other than encoder layers", "–",
          "mean linear CKA of different layers within LTH0", "fig_a6_decoder_layers", _decoder_apart),
    Claim("5.2", "Early layers move towards the final one as sparsity grows",
          "encoder 2–6: 0.67 → 0.74; decoder 4–6: 0.80 → 0.92",
          _one_sided("mean linear CKA of the other layers with the last, over levels; both stacks"),
          "fig_5_encoder_layers", _early_closer),
    Claim("5.2", "Early sparse decoder layers are often closer to the dense final layer than dense ones are",
          "2–6: 0.55 v 0.49", "linear CKA with LTH0's last layer above LTH0's own for more than half of the layers",
          "fig_a6_decoder_layers", _sparse_to_dense_final),
    Claim("5.3", "Fewer directions hold 80 % of the final layers' variance as sparsity grows",
          "encoder 290 → 176, decoder 283 → 139", _one_sided("k over levels; both stacks"), "fig_a7_spectrum",
          _spectrum),
    Claim("5.3", "Mid-frequency tokens (rank 100–500) are most alike; common and rare ones less", "0.95 v 0.87, 0.87",
          "linear CKA dense v sparsest, last encoder layer: bin from 100 above those from 0 and from 2500 on",
          "fig_groups", partial(_groups, kind="frequency", high=lambda g: _rank(g) == 100,
                                low=lambda g: _rank(g) == 0 or _rank(g) >= 2500)),
    Claim("5.3", "Conjunctions and superlatives are most alike; names, particles, possessives and periods least",
          "0.98, 0.97 v 0.85, 0.86, 0.79, 0.84", "linear CKA of CC and JJS above each of NNP, RP, POS and the period",
          "fig_groups", partial(_groups, kind="pos", high=lambda g: g in ("CC", "JJS"),
                                low=lambda g: g in ("NNP", "RP", "POS", "."))),
    Claim("5.4.1", "Encoder self-attention of layers 2 to L stays nearly the same", "very close to 1",
          "lowest linear CKA with LTH0 of those layers, sparsest level, at least 0.9", "fig_6_encoder_attention",
          partial(_attention_stays, kind="encoder_self", bound=0.9, skip_first=True)),
    Claim("5.4.1", "Layer 1 of encoder self-attention is the exception", "0.62",
          "linear CKA of layer 1 with LTH0 below that of every other layer, sparsest level", "fig_6_encoder_attention",
          _first_layer_differs),
    Claim("5.4.1", "Layer 1's attention becomes more like that of later layers", "0.18 → 0.41",
          _one_sided("its mean linear CKA with the other layers, over levels"), "table_off_diagonal",
          lambda r: frame_trend(_off_diagonal(r, "encoder_self", "1"), True, "encoder_self")),
    Claim("5.4.2", "Encoder-decoder attention varies most between layers", "0.63; many above 0.85 in self-attention",
          "mean linear CKA of different layers within LTH0 below that of both self-attentions", "table_off_diagonal",
          _cross_varies),
    Claim("5.4.2", "The first half of encoder-decoder layers differs from the second", "layers 1–3 v 4–6",
          "mean linear CKA within LTH0: within halves above between halves", "fig_a8_decoder_attention",
          _cross_halves),
    Claim("5.4.2", "Encoder-decoder layers become more alike with sparsity", "0.63 → 0.69",
          _one_sided("mean linear CKA of different layers, over levels"), "table_off_diagonal",
          lambda r: frame_trend(_off_diagonal(r, "encoder_decoder"), True, "encoder_decoder")),
    Claim("5.4.3", "Decoder self-attention is almost identical to that of LTH0", "0.99",
          "lowest linear CKA with LTH0 over layers, sparsest level, at least 0.95", "fig_a8_decoder_attention",
          partial(_attention_stays, kind="decoder_self", bound=0.95, skip_first=False)),
    Claim("5.4.3", "Decoder self-attention is the most concentrated, encoder-decoder attention the least",
          "40 %, 30 %, 16 %", "mean share over layers, sparsest level: decoder self > encoder self > encoder-decoder",
          "table_concentration", _concentrated),
    Claim("5.4.3", "Decoder self-attention is the most alike across layers", "–",
          "mean linear CKA of different layers within LTH0 above that of both others", "table_off_diagonal",
          _decoder_self_homogeneous),
)  # fmt: skip
