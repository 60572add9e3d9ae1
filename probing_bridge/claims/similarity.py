"""Tests of the claims of Section 5: neurons, layers, spectra, groups of tokens and attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from probing_bridge.claims.judging import (
    FAILS,
    HOLDS,
    UNDECIDED,
    Judgement,
    MissingRows,
    Value,
    all_of,
    at_final,
    at_least,
    frame_trend,
    greater,
    last_level,
    mean_value,
    need,
)
from probing_bridge.results import similarity
from probing_bridge.results.folder import Results
from probing_bridge.results.naming import layers_below, model_layers, numbered_layers
from probing_bridge.results.similarity import concentration_data, distribution_rows, groups_data, own_index_data


def own_index(results: Results) -> Judgement:
    """Whether 99 % of the neurons keep their own index."""
    rows = own_index_data(results)
    rows = last_level(rows[rows["component"].isin(["encoder", "decoder"]) & (rows["layer"] == "all")])
    need(rows, "neurons.csv")
    share = float((rows["share"] * rows["n"]).sum() / rows["n"].sum())
    return at_least(Value(share), 0.99)


def all_neurons(results: Results) -> Judgement:
    """Whether nearly all neurons are less correlated at the sparsest level than at the first."""
    rows = need(numbered_layers(distribution_rows(results), "layer_a"), "neurons.csv")
    keys = ["component", "layer_a", "neuron"]
    ends = [
        rows[rows["level_b"] == level].set_index(keys)["own_correlation"]
        for level in (rows["level_b"].min(), rows["level_b"].max())
    ]
    if rows["level_b"].nunique() < 2:
        return Judgement(UNDECIDED, detail="one pruned level only")
    change = (ends[1] - ends[0]).dropna()
    return at_least(Value(float((change < 0).mean())), 0.95)


def to_dense(results: Results, measure: str, component: str) -> pd.DataFrame:
    """Similarity of one component's layers 1 to L to LTH0, pruned levels only."""
    rows = numbered_layers(similarity.to_dense(results, measure), "layer")
    rows = rows[(rows["component"] == component) & (rows["level"] > 0)]
    return need(rows, f"{measure} of LTH0 and pruned levels, {component}")


def diverges(results: Results, measure: str) -> Judgement:
    """Similarity to LTH0 falls with the level, mean over layers."""
    return all_of([(c, frame_trend(to_dense(results, measure, c), False, measure)) for c in ("encoder", "decoder")])


def height(results: Results, measure: str, components: tuple[str, ...]) -> Judgement:
    """At the sparsest level, similarity to LTH0 falls with the height of the layer."""
    return all_of(
        [(c, frame_trend(last_level(to_dense(results, measure, c)), False, measure, "layer")) for c in components]
    )


def decoder_top(results: Results) -> Judgement:
    """Whether the decoder's final layer stays closer than layer L - 1."""
    rows = similarity.to_dense(results, "linear_cka")
    rows = rows[(rows["component"] == "decoder") & (rows["level"] > 0)]
    table = need(rows, "linear_cka of LTH0 and pruned levels, decoder").pivot(
        index="level", columns="layer", values="score"
    )
    below = layers_below(table.columns)
    if not below:
        raise MissingRows("two decoder layers")

    def test(final: str) -> Judgement:
        gaps = (table[final] - table[below[-1]]).dropna()
        ours = f"higher at {(gaps > 0).sum()} of {len(gaps)} levels"
        return Judgement(HOLDS if (gaps > 0).all() else FAILS, ours, "point estimates")

    return at_final(table.columns, test)


def decoder_apart(results: Results) -> Judgement:
    """Whether decoder layers differ more from each other than encoder layers."""
    rows = similarity.off_diagonal(results, "linear_cka")
    rows = rows[(rows["level"] == 0) & (rows["layer"] == "all")]
    means = {
        c: mean_value(rows[rows["component"] == c], f"linear_cka within LTH0, {c}") for c in ("encoder", "decoder")
    }
    return greater(means["encoder"], means["decoder"], ("encoder", "decoder"))


def early_late(results: Results, component: str) -> pd.DataFrame:
    """CKA of layers 1 to L - 1 with layer L and its norm, within each level."""
    rows = model_layers(similarity.similarity_rows(results, "linear_cka", component), "layer_a", "layer_b")
    rows = need(rows[rows["level_a"] == rows["level_b"]], f"linear_cka within levels, {component}")
    below = layers_below(rows["layer_a"])
    rows = rows[rows["layer_a"].isin(below) & ~rows["layer_b"].isin(below)]
    return need(rows, f"linear_cka of two layers, {component}").rename(columns={"level_a": "level"})


def early_closer(results: Results) -> Judgement:
    """Whether the layers below the last move towards the final one."""
    parts = []
    for component in ("encoder", "decoder"):
        rows = early_late(results, component)
        parts.append((component, at_final(rows["layer_b"], partial(_closer, rows))))
    return all_of(parts)


def _closer(rows: pd.DataFrame, final: str) -> Judgement:
    return frame_trend(rows[rows["layer_b"] == final], True, "layer pairs")


def sparse_to_dense_final(results: Results) -> Judgement:
    """Whether early sparse decoder layers are closer to the dense final layer than dense ones are."""
    within = early_late(results, "decoder")
    rows = model_layers(similarity.similarity_rows(results, "linear_cka", "decoder"), "layer_a", "layer_b")
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] > 0) & rows["layer_b"].isin(layers_below(rows["layer_b"]))]
    sparse = last_level(need(rows, "linear_cka between LTH0 and pruned levels"), "level_b")
    return at_final(
        within["layer_b"],
        lambda final: _crossed(within[within["layer_b"] == final], sparse[sparse["layer_a"] == final]),
    )


def _crossed(within: pd.DataFrame, sparse: pd.DataFrame) -> Judgement:
    """Layers of the sparse model and of the dense one (`within` its own), each with one layer of the dense one."""
    dense = within[within["level"] == 0].set_index("layer_a")["score"]
    gains = (sparse.set_index("layer_b")["score"] - dense).dropna()
    if not len(gains):
        raise MissingRows("linear_cka of early and final layers")
    ours = f"{(gains > 0).sum()} of {len(gains)} layers closer, mean {gains.mean():+.3f}".replace("-", "−")
    return Judgement(HOLDS if (gains > 0).mean() > 0.5 else FAILS, ours, "point estimates; holds for more than half")


def spectrum(results: Results) -> Judgement:
    """Whether k for 80 % of the variance falls."""
    rows, parts = similarity.one_layer(results, "spectrum_k80"), []
    for component in ("encoder", "decoder"):
        part = need(rows[rows["component"] == component], f"spectrum_k80, {component}")
        parts.append((component, at_final(part["layer"], partial(_falls, part))))
    return all_of(parts)


def _falls(rows: pd.DataFrame, final: str) -> Judgement:
    return frame_trend(rows[rows["layer"] == final], False, "spectrum_k80", digits=0)


def groups(results: Results, kind: str, high: Callable[[str], bool], low: Callable[[str], bool]) -> Judgement:
    """Tokens of some groups are more alike in the dense and the sparse model than those of others."""
    rows = groups_data(results)
    rows = need(rows[rows["kind"] == kind], f"linear_cka by group {kind}:...")
    return at_final(rows["layer"], lambda final: _more_alike(rows[rows["layer"] == final], kind, high, low))


def _more_alike(rows: pd.DataFrame, kind: str, high: Callable[[str], bool], low: Callable[[str], bool]) -> Judgement:
    """The same of one layer."""
    more, less = rows[rows["group"].map(high)], rows[rows["group"].map(low)]
    top = mean_value(more, f"{kind} groups named in the paper")
    groups = need(less, f"{kind} groups named in the paper").groupby("group", sort=False)
    parts = [(str(group), greater(top, mean_value(part, kind))) for group, part in groups]
    return all_of(parts)


def rank(group: str) -> int:
    """Lowest frequency rank of a bin such as `100-500`, `2500-` or `>=2500`."""
    digits = "".join(letter if letter.isdecimal() else " " for letter in group).split()
    return int(digits[0]) if digits else -1


def attention_stays(results: Results, kind: str, bound: float, skip_first: bool) -> Judgement:
    """Whether attention stays above a bound in every layer, sparsest level."""
    rows = last_level(to_dense(results, "attention_cka", kind))
    if skip_first:
        rows = need(rows[rows["layer"] != "1"], "layers above the first")
    lowest = rows.sort_values("score").iloc[0]
    judgement = at_least(Value(*(float(lowest[end]) for end in ("score", "low", "high"))), bound)
    return Judgement(judgement.verdict, f"lowest {judgement.ours} (layer {lowest['layer']})", judgement.detail)


def first_layer_differs(results: Results) -> Judgement:
    """Whether layer 1 of encoder self-attention has changed more than all others."""
    rows = last_level(to_dense(results, "attention_cka", "encoder_self"))
    first = mean_value(rows[rows["layer"] == "1"], "encoder_self, layer 1")
    others = need(rows[rows["layer"] != "1"], "layers above the first").sort_values("score").iloc[0]
    rest = Value(*(float(others[end]) for end in ("score", "low", "high")))
    return greater(rest, first, ("lowest of the others", "layer 1"))


def off_diagonal(results: Results, kind: str, layer: str = "all") -> pd.DataFrame:
    """Mean AttentionSim of one layer, or of all, with the other layers."""
    rows = similarity.off_diagonal(results, "attention_cka")
    rows = rows[(rows["component"] == kind) & (rows["layer"] == layer)]
    return need(rows, f"attention_cka of different layers, {kind}")


def dense_off_diagonal(results: Results, kind: str) -> Value:
    """Mean AttentionSim of different layers of LTH0."""
    rows = off_diagonal(results, kind)
    return mean_value(rows[rows["level"] == 0], f"attention_cka within LTH0, {kind}")


def ordered(values: dict[str, Value], top: str) -> Judgement:
    """One value above all others."""
    return all_of([(f"than {name}", greater(values[top], other)) for name, other in values.items() if name != top])


def cross_varies(results: Results) -> Judgement:
    """Whether encoder-decoder attention differs most between layers."""
    cross = dense_off_diagonal(results, "encoder_decoder")
    kinds = ("encoder_self", "decoder_self")
    return all_of([(kind, greater(dense_off_diagonal(results, kind), cross, ("", "cross"))) for kind in kinds])


def cross_halves(results: Results) -> Judgement:
    """Whether its first and second half differ."""
    rows = similarity.layer_pairs(results, "attention_cka", "encoder_decoder")
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] == 0) & (rows["layer_a"] != rows["layer_b"])]
    need(rows, "attention_cka within LTH0, encoder_decoder")
    half = max(int(layer) for layer in rows["layer_a"]) / 2
    same = (rows["layer_a"].astype(int) <= half) == (rows["layer_b"].astype(int) <= half)
    within, between = mean_value(rows[same], "layers of one half"), mean_value(rows[~same], "layers of both halves")
    return greater(within, between, ("within halves", "between"))


def decoder_self_homogeneous(results: Results) -> Judgement:
    """Whether decoder self-attention is the most alike across layers."""
    kinds = ("decoder_self", "encoder_self", "encoder_decoder")
    return ordered({kind: dense_off_diagonal(results, kind) for kind in kinds}, "decoder_self")


def concentrated(results: Results) -> Judgement:
    """Whether concentration orders the three kinds as in the paper."""
    rows = concentration_data(results)
    rows = need(last_level(rows[rows["layer"] != "all"]), "attention_concentration")
    kinds = ("decoder_self", "encoder_self", "encoder_decoder")
    values = [mean_value(rows[rows["component"] == kind], f"attention_concentration, {kind}") for kind in kinds]
    return all_of([("", greater(values[0], values[1], kinds[:2])), ("", greater(values[1], values[2], kinds[1:]))])
