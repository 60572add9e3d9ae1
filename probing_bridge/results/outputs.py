"""Output distributions, where they differ most, and the path on which damage arrives: frames beyond the paper.

Everything here selects rows that are in the tables; 1 - similarity and differences of scores are all that is computed.
Place in the flow: results tables -> outputs -> figures, report.
"""

from __future__ import annotations

import pandas as pd

from probing_bridge.results.folder import RUN, Results
from probing_bridge.results.levels import judged_test, of_test, with_sparsity
from probing_bridge.results.naming import final_layers, layer_order
from probing_bridge.results.similarity import similarity_rows
from probing_bridge.similarity.measures.registry import LOWER, OUTPUT_MEASURES, UPPER

EMBEDDINGS, ENCODER, DECODER = "embeddings", "encoder layers", "decoder layers"
STATES, PROBABILITIES, BLEU = "states before the softmax", "probabilities", "translations"
PATH = (EMBEDDINGS, ENCODER, DECODER, STATES, PROBABILITIES, BLEU)
_PATH_COLUMNS = ["stage", RUN, "component", "layer", "level", "sparsity", "value", "low", "high", "n"]


def bounded(results: Results, measure: str) -> pd.DataFrame:
    """Rows of a divergence to LTH0, its two bounds side by side, of all groups of positions.

    Returns:
        run, group, level, sparsity, score (lower bound), upper (bound), low (end of the lower bound's interval), high
        (end of the upper bound's), n.
    """
    rows = results["similarity"]
    rows = rows[(rows["measure"] == measure) & (rows["level_a"] == 0)].rename(columns={"level_b": "level"})
    lower, upper = (rows[rows["variant"] == variant] for variant in (LOWER, UPPER))
    place = [RUN, "group", "level"]
    above = upper[[*place, "score", "high"]].rename(columns={"score": "upper"})
    both = with_sparsity(lower[[*place, "score", "low", "n"]].merge(above, on=place), results)
    return both[[*place, "sparsity", "score", "upper", "low", "high", "n"]].sort_values(place, ignore_index=True)


def outputs_data(results: Results) -> pd.DataFrame:
    """Every measure of the output over all positions.

    Returns:
        run, measure, variant, level, sparsity, score, low, high, n.
    """
    rows = results["similarity"]
    rows = rows[rows["measure"].isin(OUTPUT_MEASURES) & (rows["group"] == "")]
    rows = rows.assign(level=rows["level_b"].fillna(rows["level_a"]))
    columns = [RUN, "measure", "variant", "level", "sparsity", "score", "low", "high", "n"]
    return with_sparsity(rows, results)[columns].reset_index(drop=True)


def output_groups_data(results: Results) -> pd.DataFrame:
    """Jensen-Shannon divergence to LTH0 by position and by frequency of the gold token.

    Returns:
        run, kind (position, frequency), group, place (of the group among those of its kind, from 0), level, sparsity,
        score, upper, low, high, n; see `bounded`.
    """
    rows = bounded(results, "js_divergence")
    rows = rows[(rows["group"] != "") & (rows["level"] != 0)]
    columns = [RUN, "kind", "group", "place", "level", "sparsity", "score", "upper", "low", "high", "n"]
    if not len(rows):
        return pd.DataFrame(columns=columns)
    names = rows["group"].str.partition(":")
    rows = rows.assign(kind=names[0], group=names[2])
    rows["first"] = rows["group"].str.extract(r"(\d+)", expand=False).astype("float64")
    rows["place"] = rows.groupby("kind")["first"].rank(method="dense").astype("Int64") - 1
    return rows.sort_values(["kind", RUN, "place", "level"], ascending=[False, True, True, True], ignore_index=True)[
        columns
    ]


def disagreements_data(results: Results) -> pd.DataFrame:
    """The sentences and target tokens on which the sparsest level differs most from LTH0; see the table's columns.

    Those of several runs are ordered together, the largest lower bound first.
    """
    rows = results["disagreements"]
    rows = rows[rows["level_b"] == rows["level_b"].max()]
    if rows[RUN].nunique() > 1:
        rows = rows.sort_values("divergence_low", ascending=False, kind="stable")
    return rows.reset_index(drop=True)


def damage_path_data(results: Results, test: tuple[str, str] | None = None) -> pd.DataFrame:
    """How far each level is from LTH0 on the way from embeddings to translations.

    Args:
        results: The tables.
        test: Test set and metric of BLEU; None for the first in the table.

    Returns:
        stage (of PATH), run, component, layer, level, sparsity, value, low, high, n. The value is 1 - linear CKA with
        the same layer of LTH0 up to the states before the softmax, the lower bound of the Jensen-Shannon divergence in
        bits of probabilities (low and high: see `bounded`), and of translations the BLEU that LTH0 has more.
    """
    frames = [_states(results)]
    divergence = bounded(results, "js_divergence")
    divergence = divergence[divergence["group"] == ""].rename(columns={"score": "value"})
    frames.append(divergence.assign(stage=PROBABILITIES, component="", layer=""))
    filled = [frame.reindex(columns=_PATH_COLUMNS) for frame in frames if (frame["level"] != 0).any()]
    if not filled:
        return pd.DataFrame(columns=_PATH_COLUMNS)
    lost = _bleu_lost(results, test or judged_test(results))
    return pd.concat([*filled, *([lost] if len(lost) else [])], ignore_index=True)


def _states(results: Results) -> pd.DataFrame:
    """1 - linear CKA of each layer with the same layer of LTH0, by stage and height."""
    rows = similarity_rows(results, "linear_cka")
    rows = rows[(rows["level_a"] == 0) & (rows["layer_a"] == rows["layer_b"])]
    rows = rows[rows["component"].isin(["encoder", "decoder"])]
    rows = rows.rename(columns={"layer_a": "layer", "level_b": "level"})
    last = final_layers(rows.loc[rows["component"] == "decoder", "layer"])[:1]
    is_last = (rows["component"] == "decoder") & rows["layer"].isin(last)
    rows = rows.assign(stage=rows["component"].map({"encoder": ENCODER, "decoder": DECODER}))
    rows["stage"] = rows["stage"].mask(is_last, STATES).mask(rows["layer"] == "0", EMBEDDINGS)
    rows = rows.assign(value=1 - rows["score"], low=1 - rows["high"], high=1 - rows["low"])
    names = (*PATH, "encoder", "decoder", *layer_order(list(rows["layer"])))
    order = {name: place for place, name in enumerate(names)}
    rows = with_sparsity(rows, results)
    return rows.sort_values(
        ["stage", "component", "layer", RUN, "level"],
        key=lambda column: column if column.name in (RUN, "level") else column.map(order),
        ignore_index=True,
    )


def _bleu_lost(results: Results, test: tuple[str, str] | None) -> pd.DataFrame:
    """By how much LTH0 scores higher than each level."""
    rows = with_sparsity(of_test(results["bleu"], test), results).sort_values([RUN, "level"])
    dense = rows[rows["level"] == 0].set_index(RUN)["score"]
    if not len(dense):
        return pd.DataFrame(columns=_PATH_COLUMNS)
    rows = rows.assign(stage=BLEU, component="", layer="", value=rows[RUN].map(dense) - rows["score"])
    return rows.assign(low=float("nan"), high=float("nan"))[_PATH_COLUMNS]
