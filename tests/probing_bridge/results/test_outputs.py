"""Frames of the output distributions and of the path on which damage arrives, against the tables they come from."""

from dataclasses import replace

import pytest

from probing_bridge.results import outputs
from probing_bridge.results.folder import Results


def test_the_path_has_every_stage_once_from_the_tables(full: Results) -> None:
    path = outputs.damage_path_data(full)
    assert list(dict.fromkeys(path["stage"])) == list(outputs.PATH)
    assert not path.duplicated(["stage", "component", "layer", "level"]).any()
    rows = full["similarity"]
    cka = rows[(rows["measure"] == "linear_cka") & (rows["variant"] == "biased") & (rows["group"] == "")]
    same = cka[(cka["level_a"] == 0) & (cka["level_b"] == 3) & (cka["layer_a"] == cka["layer_b"])]
    expected = {(row.component, row.layer_a): (1 - row.score, 1 - row.high, 1 - row.low) for row in same.itertuples()}
    found = path[(path["level"] == 3) & ~path["stage"].isin([outputs.PROBABILITIES, outputs.BLEU])]
    assert {(row.component, row.layer): (row.value, row.low, row.high) for row in found.itertuples()} == expected
    states = path[path["stage"] == outputs.STATES]
    assert set(states["component"]) == {"decoder"} and set(states["layer"]) == {"6"}
    bleu = full["bleu"].set_index("level")["score"].groupby(level=0).first()
    lost = path[path["stage"] == outputs.BLEU].set_index("level")["value"]
    assert lost[8] == pytest.approx(bleu[0] - bleu[8]) and lost[0] == 0


def test_the_states_of_a_pre_norm_model_are_its_final_norm(pre_norm: Results) -> None:
    path = outputs.damage_path_data(pre_norm)
    assert set(path.loc[path["stage"] == outputs.STATES, "layer"]) == {"norm"}
    assert set(path.loc[path["stage"] == outputs.DECODER, "layer"]) == {"1", "2", "3"}


def test_a_divergence_is_shown_with_both_bounds_and_the_outer_ends_of_their_intervals(full: Results) -> None:
    rows = full["similarity"]
    for row in outputs.bounded(full, "kl_divergence").itertuples():
        same = (rows["measure"] == "kl_divergence") & (rows["level_b"] == row.level) & (rows["group"] == row.group)
        lower, upper = (next(rows[same & (rows["variant"] == name)].itertuples()) for name in ("lower", "upper"))
        assert (row.score, row.low, row.upper, row.high) == (lower.score, lower.low, upper.score, upper.high)
    groups = outputs.output_groups_data(full)
    positions = groups[(groups["kind"] == "position") & (groups["level"] == 1)]
    assert positions["group"].tolist() == ["0-1", "1-2", "64-"] and positions["place"].tolist() == [0, 1, 2]


def test_without_output_the_path_has_the_rest_and_without_similarity_nothing(full: Results) -> None:
    rows = full["similarity"]
    layers = replace(full, tables={**full.tables, "similarity": rows[rows["component"] != "output"]})
    assert outputs.PROBABILITIES not in set(outputs.damage_path_data(layers)["stage"])
    assert not len(outputs.outputs_data(layers)) and not len(outputs.output_groups_data(layers))
    none = replace(full, tables={**full.tables, "similarity": rows.iloc[:0]})
    assert not len(outputs.damage_path_data(none))
