"""Which layer stands for a task: one for all levels, chosen on the development split; beside it the paper's way.

A layer that is picked by its test score, and anew at each level, scores too high, and what changes from level to level
may be the pick. Figures, tables, claims and what is printed all take the layer from here. The embeddings are a baseline
and a learned mix is no layer: neither is ever picked (Movva & Zhao 2020, Section 4.1 and Fig. 1, probes layers 1 to 6).
Place in the flow: results tables -> chosen -> probing.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from probing_bridge.results.naming import layer_order, model_layers

DEVELOPMENT, TEST = "development", "test"


def best_layer(scores: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The row of the best layer of each group: the paper's way, if these are test scores by task and level.

    The best of layers 1 to L and, of a pre-norm model, its final norm; of equal ones the lowest.

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


def chosen_layer(scores: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The rows of the one layer that is chosen for each group, at all levels.

    Of the layers 1 to L and the final norm that most levels have, that of the highest mean development score over all
    levels; of equal ones the lowest. A group that lacks a development score (tables from before there were any) is
    chosen for by its test scores, over all levels together too, and says so.

    Args:
        scores: Rows with the columns layer, score, dev_score and `by`, one a layer and level of each group.
        by: The columns whose values make a group, e.g. task.

    Returns:
        Those of the rows, with the column chosen_on: DEVELOPMENT or TEST.
    """
    by, scores = list(by), model_layers(scores, "layer").dropna(subset=["score"])
    known = scores["dev_score"].notna().groupby([scores[name] for name in by]).transform("all").astype(bool)
    scores = scores.assign(
        chosen_on=known.map({True: DEVELOPMENT, False: TEST}), value=scores["dev_score"].where(known, scores["score"])
    )
    means = scores.groupby([*by, "layer"], as_index=False).agg(score=("value", "mean"), levels=("value", "size"))
    means = means[means["levels"] == means.groupby(by)["levels"].transform("max")]
    best = best_layer(means, by)[[*by, "layer"]]
    return scores.drop(columns="value").merge(best, on=[*by, "layer"])
