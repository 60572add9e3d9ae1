"""Which layer is the final one and which the best: decided once, for figures, tables, claims and what is printed."""

import pandas as pd
import pytest

from probing_bridge.claims import CLAIMS, judge
from probing_bridge.claims.judging import FAILS, HOLDS, UNDECIDED
from probing_bridge.figures import FIGURES
from probing_bridge.results import compared, naming, probing
from probing_bridge.results.folder import Results

OF_THE_FINAL = (
    "The decoder's last layer",
    "Early layers move",
    "Early sparse decoder layers",
    "Fewer directions",
    "Mid-frequency tokens",
    "Conjunctions and superlatives",
)


@pytest.mark.parametrize(
    ("layers", "finals", "below"),
    [
        (["0", "1", "2", "10", "9", "norm", "mix", "-"], ("norm", "10"), ["1", "2", "9"]),
        (["3", "1", "2", "0"], ("3",), ["1", "2"]),
        (["norm"], ("norm",), []),
        (["0", "1"], ("1",), []),
        ([], (), []),
    ],
)
def test_the_final_layer_is_the_norm_where_there_is_one(layers: list[str], finals: tuple, below: list[str]) -> None:
    assert naming.final_layers(layers) == finals
    assert naming.layers_below(layers) == below


def test_captions_say_which_layer_is_final() -> None:
    rows = [("encoder", "1"), ("encoder", "6"), ("encoder", "norm"), ("decoder", "3"), ("decoder", "norm")]
    frame = pd.DataFrame(rows, columns=["component", "layer"])
    assert naming.final_text(frame[:2]) == "The final layer is layer 6."
    assert naming.final_text(frame[:3]) == "The final layer is norm, the norm over layer 6."
    both = "The final layer is of the encoder norm, the norm over layer 6; of the decoder norm, the norm over layer 3."
    assert naming.final_text(frame) == both
    assert naming.final_text(frame[["layer"]].rename(columns={"layer": "layer_a"})).endswith("the norm over layer 6.")


@pytest.mark.parametrize(
    "name",
    ["fig_3_layers", "fig_a3_pos_layers", "fig_4_neuron_similarity", "fig_a4_neuron_distribution",
     "fig_5_encoder_layers", "fig_a5_layers_to_dense", "fig_a6_decoder_layers", "fig_a7_spectrum", "fig_groups"],
)  # fmt: skip
def test_figures_of_layers_show_the_norm_and_layer_l(name: str, pre_norm: Results, full: Results) -> None:
    exhibit = FIGURES[name]
    frame = exhibit.data(pre_norm)
    shown = set(frame["layer" if "layer" in frame else "layer_b"])
    assert {"3", "norm"} <= shown and "0" not in shown
    assert exhibit.describe(frame).endswith(" The final layer is norm, the norm over layer 3.")
    assert exhibit.describe(exhibit.data(full)).endswith(" The final layer is layer 6.")
    figure = exhibit(frame)
    texts = [text.get_text() for axes in figure.axes for text in (axes.title, *axes.get_yticklabels())]
    texts += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert any("norm" in text for text in texts) and not any("layer norm" in text for text in texts)


def test_the_spectrum_is_that_of_both_and_layer_l_is_drawn_first(pre_norm: Results) -> None:
    exhibit = FIGURES["fig_a7_spectrum"]
    panels = [axes for axes in exhibit(exhibit.data(pre_norm)).axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == [
        f"{c}, {x}" for c in ("encoder", "decoder") for x in ("layer 3", "norm")
    ]
    straight = [line.get_ydata()[-1] / line.get_xdata()[-1] for line in panels[1].lines[:5]]
    assert straight == pytest.approx([100 / 8] * 5)  # of the norm, whose spectrum is flat


@pytest.mark.parametrize("start", OF_THE_FINAL)
def test_claims_about_the_final_layer_are_decided_by_the_norm_with_layer_l_beside(
    start: str, pre_norm: Results
) -> None:
    claim = next(claim for claim in CLAIMS if claim.statement.startswith(start))
    found = judge(claim, pre_norm)
    assert found.verdict == FAILS  # as the made-up norm has every trend the other way round
    assert "norm: " in found.ours and "; beside it layer 3: " in found.ours
    assert f"({HOLDS})" in found.ours
    rows = {name: _without_norm(frame) for name, frame in pre_norm.tables.items()}
    alone = judge(claim, Results(pre_norm.name, pre_norm.experiment, rows, {}))
    assert alone.verdict in (HOLDS, UNDECIDED) and "layer 3: " in alone.ours and "norm" not in alone.ours


def _without_norm(frame: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in ("layer", "layer_a", "layer_b") if name in frame.columns]
    return frame[(frame[columns].astype(str) != "norm").all(axis=1)]


def test_means_over_layers_do_not_count_the_norm(pre_norm: Results) -> None:
    rows = {name: _without_norm(frame) for name, frame in pre_norm.tables.items()}
    without = Results(pre_norm.name, pre_norm.experiment, rows, {})
    for statement in (
        "NeuronSim with LTH0",
        "LayerSim with LTH0",
        "Nearly all neurons",
        "All neurons",
        "Decoder layers",
    ):
        claim = next(claim for claim in CLAIMS if claim.statement.startswith(statement))
        assert judge(claim, pre_norm) == judge(claim, without)
    both = [FIGURES["table_own_index"].data(results) for results in (pre_norm, without)]
    pooled = [frame[frame["layer"] == "all"].reset_index(drop=True) for frame in both]
    pd.testing.assert_frame_equal(*pooled)
    assert set(both[0]["layer"]) - set(both[1]["layer"]) == {"norm"}


def test_a_comparison_has_the_final_layer_and_layer_l(pre_norm: Results) -> None:
    k80 = compared.measures(pre_norm).query("measure == 'spectrum_k80'").set_index(["subject", "level"])["score"]
    assert k80["encoder", 4] == 340 and k80["encoder, layer 3", 4] == 290 - 4 * 14


def test_the_best_layer_may_be_the_norm_and_never_the_embeddings_or_a_mix(pre_norm: Results) -> None:
    assert set(probing.linear_data(pre_norm)["layer"]) == {"norm"}
    scores = pd.DataFrame(
        {
            "layer": ["mix", "norm", "2", "10", "1", "0", "-"],
            "score": [0.9, 0.5, 0.5, 0.4, 0.3, 0.9, 0.9],
            "task": "pos",
        }
    )
    assert probing.best_layer(scores, ["task"])["layer"].tolist() == ["2"]  # of equal ones the lowest
    assert probing.best_layer(scores[scores["layer"] != "2"], ["task"])["layer"].tolist() == ["norm"]
    assert probing.best_layer(scores[scores["layer"].isin(["10", "1"])], ["task"])["layer"].tolist() == ["10"]


@pytest.mark.parametrize("results", ["full", "opposite", "pre_norm"])
def test_what_is_printed_is_table_a2(results: str, request: pytest.FixtureRequest) -> None:
    found: Results = request.getfixturevalue(results)
    probes = found["probes"]
    odd = probes[
        (probes["probe"] == "linear") & (probes["layer"] == "0")
    ]  # embeddings and a mix that are better than all
    better = [odd.assign(score=1.0), odd.assign(layer="mix", score=1.0)]
    probes = pd.concat([probes[~probes.index.isin(odd.index)], *better], ignore_index=True)
    seeds = pd.concat([probes, probes.assign(seed=2, score=probes["score"] + 0.01)], ignore_index=True)
    printed = probing.best_scores(seeds).query("probe == 'linear'").set_index(["task", "model"]).sort_index()
    table = FIGURES["table_a2_linear_scores"].data(
        Results("r", found.experiment, {**found.tables, "probes": seeds}, {})
    )
    table = table.assign(model="LTH" + table["level"].astype(str)).set_index(["task", "model"]).sort_index()
    assert printed["layer"].tolist() == table["layer"].tolist() and "0" not in set(printed["layer"])
    for column in ("score", "majority", "word_majority"):
        assert printed[column].tolist() == pytest.approx(table[column].tolist())


def test_models_that_are_no_levels_are_printed_too() -> None:
    rows = [
        ("bert", "linear", "1", 0.5),
        ("bert", "linear", "2", 0.7),
        ("bert", "mlp", "2", 0.6),
        ("-", "majority", "-", 0.2),
    ]
    frame = pd.DataFrame(rows, columns=["model", "probe", "layer", "score"]).assign(
        task="pos", experiment="", metric="accuracy"
    )
    printed = probing.best_scores(frame)
    assert printed[["model", "probe", "layer", "score"]].to_numpy().tolist() == [
        ["bert", "linear", "2", 0.7],
        ["bert", "mlp", "2", 0.6],
    ]
    assert set(printed["majority"]) == {0.2} and printed["word_majority"].isna().all()


def test_intervals_hold_their_scores_in_every_frame(full: Results, pre_norm: Results) -> None:
    checked = 0
    for results in (full, pre_norm):
        for name, exhibit in FIGURES.items():
            frame = exhibit.data(results)
            if {"low", "score", "high"} <= set(frame.columns):
                known = frame.dropna(subset=["low", "score", "high"])
                assert (known["low"] <= known["score"]).all() and (known["score"] <= known["high"]).all(), name
                checked += bool(len(known) and (known["low"] < known["high"]).all())
    assert checked >= 20
    measures = compared.measures(full).dropna(subset=["low"])
    assert len(measures) and ((measures["low"] <= measures["score"]) & (measures["score"] <= measures["high"])).all()


@pytest.mark.parametrize("threshold", [0.5, 0.95])
def test_the_caption_has_the_threshold_of_the_rows(threshold: float, full: Results) -> None:
    rows = full["similarity"]
    changed = rows.assign(threshold=rows["threshold"].mask(rows["measure"] == "attention_concentration", threshold))
    results = Results(full.name, full.experiment, {**full.tables, "similarity": changed}, {})
    exhibit = FIGURES["table_concentration"]
    assert f"more than {threshold} of their mass" in exhibit.describe(exhibit.data(results))
    names = {name for name in compared.measures(results)["measure"] if name.startswith("attention_concentration")}
    assert names == {"attention_concentration" + (" above 0.5" if threshold == 0.5 else "")}
