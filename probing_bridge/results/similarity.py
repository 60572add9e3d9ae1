"""Similarity of levels and layers, spectra, matches and attention: the frames of Section 5 (Fig. 4, 5, 6, A4-A8).

Everything here selects or averages rows that are in the tables; nothing is estimated anew and a missing row stays
missing. Place in the flow: results tables -> similarity -> figures, claims, report.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from probing_bridge.results.folder import RUN, Results
from probing_bridge.results.levels import with_sparsity
from probing_bridge.results.naming import final_layers, layer_order, model_layers, numbered_layers, rows_of
from probing_bridge.similarity.measures.registry import GROUPS_VARIANT, VISIBLE, pair_measure, shown_variant

PAPER_THRESHOLD = 0.95  # mass on one position that makes attention concentrated (Section 5.4.3)
_BINS = np.round(np.linspace(-1, 1, 81), 6)


def similarity_rows(
    results: Results, measure: str, component: str | None = None, group: str = "", variant: str | None = None
) -> pd.DataFrame:
    """Rows of one similarity measure; those of a symmetric measure in both directions.

    Of several variants the one is taken that the registry shows (`shown_variant`): biased CKA, signed correlations,
    centred spectra, attention over visible pairs; of a component that lacks it, the first that is there.

    Args:
        results: The tables.
        measure: e.g. linear_cka.
        component: e.g. encoder; None for all.
        group: The token group; empty for all tokens.
        variant: The variant to take instead of the one that is shown.

    Returns:
        Rows of the similarity table.
    """
    rows = results["similarity"]
    rows = rows[(rows["measure"] == measure) & (rows["group"] == group)]
    if component is not None:
        rows = rows[rows["component"] == component]
    entry = pair_measure(measure)
    rows = _one_variant(rows, variant or shown_variant(measure))
    if entry is not None and entry.symmetric:
        swap = {"level_a": "level_b", "level_b": "level_a", "layer_a": "layer_b", "layer_b": "layer_a"}
        mirrored = rows.rename(columns=swap)[list(rows.columns)]
        pair = [RUN, "component", "variant", "level_a", "layer_a", "level_b", "layer_b"]
        rows = pd.concat([rows, mirrored], ignore_index=True).drop_duplicates(pair)
    return rows.reset_index(drop=True)


def _one_variant(rows: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """The rows of the wanted variant, of components that lack it of their first: never two variants of one score."""
    shown = {
        component: wanted if (variants == wanted).any() else variants.iloc[0]
        for component, variants in rows.groupby("component")["variant"]
    }
    return rows[rows["variant"] == rows["component"].map(shown)]


def to_dense(results: Results, measure: str) -> pd.DataFrame:
    """Similarity of every layer of the dense model (level 0) to the same layer of each level.

    Returns:
        run, component, variant, layer, level, sparsity, score, low, high, interval_of, baseline, n; layers 1 to L and
        `norm`.
    """
    rows = model_layers(similarity_rows(results, measure), "layer_a", "layer_b")
    rows = rows[(rows["level_a"] == 0) & (rows["layer_a"] == rows["layer_b"])]
    rows = rows.rename(columns={"layer_b": "layer", "level_b": "level"})
    columns = [RUN, "component", "variant", "layer", "level", "score", "low", "high", "interval_of", "baseline", "n"]
    return _by_height(with_sparsity(rows[columns], results))


def layer_pairs(results: Results, measure: str, component: str, level: int | None = None) -> pd.DataFrame:
    """Similarity of every two layers within the dense model, within a level, and between the two (Fig. 5, 6).

    Args:
        results: The tables.
        measure: e.g. linear_cka.
        component: e.g. encoder.
        level: The level; None for the sparsest that was compared.

    Returns:
        run, component, variant, level_a, layer_a, level_b, layer_b, score, low, high, baseline, n; layers 1 to L and
        `norm`.
    """
    rows = model_layers(similarity_rows(results, measure, component), "layer_a", "layer_b")
    if level is None:
        level = rows["level_b"].max() if len(rows) else 0
    wanted = [(0, 0), (level, level), (0, level)]
    keep = [pair in wanted for pair in zip(rows["level_a"], rows["level_b"], strict=True)]
    key = [RUN, "component", "variant", "level_a", "layer_a", "level_b", "layer_b"]
    return rows.loc[keep, [*key, "score", "low", "high", "baseline", "n"]].drop_duplicates(key).reset_index(drop=True)


def off_diagonal(results: Results, measure: str) -> pd.DataFrame:
    """Mean similarity of different layers within each level.

    Returns:
        run, component, variant, level, sparsity, layer (`all`, or one layer with all others), score, low, high (means
        of the pairs' intervals), baseline, pairs.
    """
    rows = numbered_layers(similarity_rows(results, measure), "layer_a", "layer_b")
    rows = rows[(rows["level_a"] == rows["level_b"]) & (rows["layer_a"] != rows["layer_b"])]
    rows = rows.rename(columns={"level_a": "level", "layer_a": "layer"})
    values = {name: (name, "mean") for name in ("score", "low", "high", "baseline")} | {"pairs": ("score", "size")}
    whole = rows.groupby([RUN, "component", "variant", "level"], as_index=False).agg(**values)
    whole["pairs"] //= 2
    each = rows.groupby([RUN, "component", "variant", "level", "layer"], as_index=False).agg(**values)
    both = pd.concat([whole.assign(layer="all"), each], ignore_index=True)
    return _by_height(with_sparsity(both, results))


def one_layer(results: Results, measure: str, variant: str | None = None) -> pd.DataFrame:
    """A property of single layers, e.g. attention_concentration or spectrum_k80.

    Returns:
        run, component, variant, threshold, layer, level, sparsity, score, low, high, n.
    """
    rows = similarity_rows(results, measure, variant=variant).rename(columns={"level_a": "level", "layer_a": "layer"})
    columns = [RUN, "component", "variant", "threshold", "layer", "level", "score", "low", "high", "n"]
    return _by_height(with_sparsity(rows[columns], results))


def _by_height(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by run, component, height of the layer and level."""
    rank = {layer: index for index, layer in enumerate(layer_order(list(frame["layer"])))}
    return frame.sort_values(
        [RUN, "component", "layer", "level"], key=lambda c: c.map(rank) if c.name == "layer" else c, ignore_index=True
    )


def neuron_data(results: Results) -> pd.DataFrame:
    """NeuronSim of every layer with the same layer of LTH0 (Fig. 4)."""
    return to_dense(results, "neuron_similarity")


def cka_data(results: Results) -> pd.DataFrame:
    """Linear CKA of every layer with the same layer of LTH0 (Fig. A5)."""
    return to_dense(results, "linear_cka")


def distribution_rows(results: Results) -> pd.DataFrame:
    """Neurons of LTH0 with their own counterparts in the same layer of every pruned level; layers 1 to L, norm."""
    rows = model_layers(results["neurons"], "layer_a", "layer_b")
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] != 0) & (rows["layer_a"] == rows["layer_b"])]
    return rows.dropna(subset=["own_correlation"])


def distribution_data(results: Results) -> pd.DataFrame:
    """Distribution of the neurons' correlations with the same neuron of LTH0 (Fig. A4), in layer 1 and the final layer.

    Returns:
        run, component, layer, level, sparsity, bin_low, bin_high, share, n (neurons).
    """
    rows = distribution_rows(results)
    frames = []
    for component, part in rows.groupby("component"):
        finals = final_layers(part["layer_a"])[::-1]
        for layer in dict.fromkeys([layer_order(list(part["layer_a"]))[0], *finals]):
            for _, neurons in part[part["layer_a"] == layer].groupby([RUN, "level_b"]):
                run, level = (int(neurons[column].iloc[0]) for column in (RUN, "level_b"))
                counts, _ = np.histogram(neurons["own_correlation"].clip(-1, 1), bins=_BINS)
                frame = pd.DataFrame({"bin_low": _BINS[:-1], "bin_high": _BINS[1:], "share": counts / counts.sum()})
                frames.append(frame.assign(run=run, component=component, layer=layer, level=level, n=counts.sum()))
    columns = [RUN, "component", "layer", "level", "sparsity", "bin_low", "bin_high", "share", "n"]
    if not frames:
        return pd.DataFrame(columns=columns)
    return with_sparsity(pd.concat(frames, ignore_index=True), results)[columns]


def encoder_pairs_data(results: Results, level: int | None = None) -> pd.DataFrame:
    """Linear CKA of encoder layers within and between LTH0 and a level, by default the sparsest (Fig. 5)."""
    return layer_pairs(results, "linear_cka", "encoder", level)


def decoder_pairs_data(results: Results, level: int | None = None) -> pd.DataFrame:
    """Linear CKA of decoder layers within and between LTH0 and a level, by default the sparsest (Fig. A6)."""
    return layer_pairs(results, "linear_cka", "decoder", level)


def encoder_attention_data(results: Results, level: int | None = None) -> pd.DataFrame:
    """AttentionSim of encoder self-attention (Fig. 6)."""
    return layer_pairs(results, "attention_cka", "encoder_self", level)


def decoder_attention_data(results: Results, level: int | None = None) -> pd.DataFrame:
    """AttentionSim of encoder-decoder attention and decoder self-attention (Fig. A8)."""
    kinds = [layer_pairs(results, "attention_cka", kind, level) for kind in ("encoder_decoder", "decoder_self")]
    filled = [kind for kind in kinds if len(kind)]
    return pd.concat(filled, ignore_index=True) if filled else kinds[0]


def spectrum_data(results: Results) -> pd.DataFrame:
    """Cumulative variance of the final encoder and decoder layer (Fig. A7): run, component, layer, level, k, ..."""
    frames = []
    for _, rows in results["spectrum"].groupby("component"):
        for layer in final_layers(rows["layer"])[::-1]:
            part = rows[rows["layer"] == layer]
            variant = "centred" if (part["variant"] == "centred").any() else part["variant"].iloc[0]
            frames.append(part[part["variant"] == variant])
    columns = [RUN, "component", "layer", "variant", "level", "sparsity", "k", "cumulative_variance"]
    if not frames:
        return pd.DataFrame(columns=columns)
    return with_sparsity(pd.concat(frames, ignore_index=True), results)[columns]


def groups_data(results: Results) -> pd.DataFrame:
    """Linear CKA, debiased, of LTH0 and the sparsest level, final encoder layer, by group of tokens (Section 5.3).

    Returns:
        run, kind (frequency, pos, semtag), group, layer, level, score, low, high, interval_of, n; by layer (layer L
        before its norm), kind, then score (of its mean over runs) or rank.
    """
    rows = results["similarity"]
    rows = rows[(rows["measure"] == "linear_cka") & (rows["group"] != "") & (rows["component"] == "encoder")]
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] != 0) & (rows["layer_a"] == rows["layer_b"])]
    rows = rows[rows["variant"] == GROUPS_VARIANT]
    columns = [RUN, "kind", "group", "layer", "level", "score", "low", "high", "interval_of", "n"]
    if not len(rows):
        return pd.DataFrame(columns=columns)
    finals = final_layers(rows["layer_b"])[::-1]
    rows = rows[(rows["level_b"] == rows["level_b"].max()) & rows["layer_b"].isin(finals)]
    names = rows["group"].str.partition(":")
    rows = rows.assign(kind=names[0], group=names[2], layer=rows["layer_b"], level=rows["level_b"])
    rows["mean"] = rows.groupby(["layer", "kind", "group"])["score"].transform("mean")
    order = [(finals.index(row.layer), *_group_order(row.kind, row.group, row.mean), row.run) for row in rows_of(rows)]
    return rows.assign(order=order).sort_values("order", ignore_index=True)[columns]


def _group_order(kind: str, group: str, score: float) -> tuple[str, float]:
    """Frequency bins by their lowest rank, other groups by their score."""
    rank = re.search(r"\d+", group)
    return (kind, float(rank.group()) if kind == "frequency" and rank else -float(score))


def own_index_data(results: Results) -> pd.DataFrame:
    """Share of neurons and heads whose best match in a level is the one of their own index (Section 5.2).

    Returns:
        run, component, layer (1 to L, `norm`, or `all`: 1 to L), level, sparsity, share, n.
    """
    frames = []
    for name, column in (("neurons", "neuron"), ("heads", "head")):
        rows = model_layers(results[name], "layer_a", "layer_b")
        if name == "heads":
            rows = _one_variant(rows, VISIBLE)
        rows = rows[(rows["level_a"] == 0) & (rows["level_b"] != 0) & (rows["layer_a"] == rows["layer_b"])]
        rows = rows.dropna(subset=["best_match"]).rename(columns={"layer_a": "layer", "level_b": "level"})
        rows = rows.assign(own=(rows[column] == rows["best_match"]).astype(float))
        for part in (rows, numbered_layers(rows, "layer").assign(layer="all")):
            grouped = part.groupby([RUN, "component", "layer", "level"], as_index=False)
            frames.append(grouped.agg(share=("own", "mean"), n=("own", "size")))
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return with_sparsity(pd.concat(filled, ignore_index=True), results)


def off_diagonal_data(results: Results) -> pd.DataFrame:
    """Mean AttentionSim of different layers of one level (Section 5.4)."""
    return off_diagonal(results, "attention_cka")


def concentration_data(results: Results, variant: str = VISIBLE) -> pd.DataFrame:
    """Share of attention distributions with more than `threshold` on one position, by layer (Section 5.4.3).

    Returns:
        run, component, variant, threshold, layer (`all`: the mean over layers), level, sparsity, score, low, high, n.
    """
    rows = model_layers(one_layer(results, "attention_concentration", variant), "layer")
    places = [RUN, "component", "variant", "threshold", "level", "sparsity"]
    whole = rows.groupby(places, as_index=False, dropna=False)["score"].mean()
    return pd.concat([rows, whole.assign(layer="all")], ignore_index=True) if len(rows) else rows
