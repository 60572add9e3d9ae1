"""Which layer is the final one and which the best: decided once, for figures, tables, claims and what is printed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from probing_bridge.claims import CLAIMS, judge_all
from probing_bridge.figures import FIGURES
from probing_bridge.probes.measures import side_metrics
from probing_bridge.results import compared, naming, probing
from probing_bridge.results.chosen import best_layer, chosen_layer
from probing_bridge.results.folder import Results
from probing_bridge.results.probed import scores_of_models, summary


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
    assert " The final layer is norm, the norm over layer 3." in exhibit.describe(frame)
    assert " The final layer is layer 6." in exhibit.describe(exhibit.data(full))
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


def _without_norm(frame: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in ("layer", "layer_a", "layer_b") if name in frame.columns]
    return frame[(frame[columns].astype(str) != "norm").all(axis=1)]


def test_means_over_layers_do_not_count_the_norm(pre_norm: Results) -> None:
    rows = {name: _without_norm(frame) for name, frame in pre_norm.tables.items()}
    without = replace(pre_norm, tables=rows)
    starts = ("k's most correlated", "Different decoder layers", "For layers 2–6")
    claims = [claim for claim in CLAIMS if claim.statement.startswith(starts)]
    judged = [[repr(judgement) for _, judgement in judge_all(results, claims)] for results in (pre_norm, without)]
    assert len(claims) == 3 and judged[0] == judged[1]
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
    assert best_layer(scores, ["task"])["layer"].tolist() == ["2"]  # of equal ones the lowest
    assert best_layer(scores[scores["layer"] != "2"], ["task"])["layer"].tolist() == ["norm"]
    assert best_layer(scores[scores["layer"].isin(["10", "1"])], ["task"])["layer"].tolist() == ["10"]


def by_layer(**columns: object) -> pd.DataFrame:
    """Layers 1 and 2 of three levels; layer 3 of the first one alone."""
    frame = pd.DataFrame({"level": [0, 1, 2, 0, 1, 2, 0], "layer": list("1112223"), "task": "pos"})
    return frame.assign(**columns)


def test_one_layer_is_chosen_for_all_levels_on_the_development_split() -> None:
    """Layer 1 is best on test at every level, layer 2 on development over all levels, layer 3 is there once."""
    scores = by_layer(score=[0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 1.0], dev_score=[0.6, 0.6, 0.6, 0.5, 0.7, 0.7, 1.0])
    chosen = chosen_layer(scores, ["task"])
    assert chosen["layer"].tolist() == ["2"] * 3 and sorted(chosen["level"]) == [0, 1, 2]
    assert set(chosen["chosen_on"]) == {"development"}
    equal = chosen_layer(scores.assign(dev_score=0.5), ["task"])
    assert equal["layer"].tolist() == ["1"] * 3  # of equal ones the lowest
    without = chosen_layer(scores.assign(dev_score=[0.1, 0.1, 0.1, 0.9, 0.9, None, 0.9]), ["task"])
    assert without["layer"].tolist() == ["1"] * 3 and set(without["chosen_on"]) == {"test"}
    two = pd.concat([scores, scores.assign(task="st", dev_score=scores["score"])])
    assert set(zip(chosen_layer(two, ["task"])["task"], chosen_layer(two, ["task"])["layer"], strict=True)) == {
        ("pos", "2"),
        ("st", "1"),
    }


def test_a_flat_task_is_not_blown_up() -> None:
    """Changes of a tenth of the standard error stay a tenth; those of ten of them are standardised as ever."""
    error, steps = 0.01, np.array([-1.0, 0.0, 1.0])
    frame = pd.concat(
        [
            pd.DataFrame({"run": 1, "task": task, "score": 0.5 + size * error * steps})
            for task, size in (("flat", 0.1), ("steep", 10.0))
        ]
    )
    reach = scipy.stats.norm.ppf(0.975) * error
    frame = frame.assign(low=frame["score"] - reach, high=frame["score"] + reach)
    z = probing.z_scores(frame).to_numpy()
    assert z[:3] == pytest.approx(0.1 * steps) and z[3:] == pytest.approx(steps / np.sqrt(2 / 3))
    assert probing.z_scores(frame, plain=True).to_numpy() == pytest.approx(np.tile(steps / np.sqrt(2 / 3), 2))


def test_a_task_without_gain_is_marked_and_left_out_of_means(full: Results) -> None:
    """Its interval at the lowest level has to lie above 0; what changes later is no matter."""
    probes = full["probes"]
    gains = (probes["metric"] == "gain") & (probes["probe"] == "linear")
    st, ccg = (gains & (probes["task"] == task) for task in ("st", "ccg"))
    changed = probes.copy()
    changed.loc[st & (probes["level"] == 0), ["score", "low", "high"]] = [0.002, -0.001, 0.005]
    changed.loc[ccg & (probes["level"] == 8), ["score", "low", "high"]] = [-0.1, -0.2, 0.0]
    results = replace(full, tables={**full.tables, "probes": changed})
    frame = probing.linear_data(results)
    assert set(frame.loc[~frame["informative"], "task"]) == {"st"}
    shown = FIGURES["table_a2_linear_scores"].show(frame).set_index("task")  # type: ignore[misc]
    assert shown.loc["ST †", "gain, LTH0"] == "+0.002 [−0.001, 0.005]" and "CCG" in shown.index
    semantic = [probing.layers_data(one).query("category == 'semantic'") for one in (full, results)]
    assert [set(one["tasks"]) for one in semantic] == [{7}, {6}]
    scores = probing.probe_scores(results, "linear")
    others = scores[scores["task"].map(naming.task_category).eq("semantic") & (scores["task"] != "st")]
    expected = probing.layer_z_scores(others).query("category == 'semantic'")
    assert semantic[1]["z"].tolist() == pytest.approx(expected["z"].tolist())


def test_scores_below_the_words_and_hardly_trained_probes_are_marked(full: Results) -> None:
    probes = full["probes"].copy()
    of_pos = (probes["task"] == "pos") & (probes["metric"] == "accuracy")
    probes.loc[of_pos & (probes["probe"] == "word_majority"), "score"] = 0.9999
    ner = (probes["task"] == "ner") & (probes["probe"] == "linear") & (probes["level"] == 3)
    probes.loc[ner, "best_epoch"] = 1
    frame = probing.linear_data(replace(full, tables={**full.tables, "probes": probes}))
    shown = FIGURES["table_a2_linear_scores"].show(frame).set_index("task")  # type: ignore[misc]
    shown = shown.loc[["POS", "CCG", "NER"]]
    marks = {(task, column) for task in shown.index for column in shown if shown.loc[task, column][-1] in "*‡"}
    assert marks == {("POS", f"LTH{level}") for level in range(9)} | {("NER", "LTH3")}
    assert shown.loc["NER", "LTH3"].endswith("‡") and shown.loc["POS", "LTH3"].endswith("*")
    lines = summary(probes).splitlines()
    below = next(line for line in lines if line.startswith("below the per-word majority: "))
    assert "pos (9 of 9 models)" in below and "ccg" not in below
    assert "hardly trained, best epoch 0 or 1: ner (1 of 9 models)" in lines


def test_marks_of_several_runs_are_not_those_of_the_first(full: Results) -> None:
    first = probing.linear_data(full).query("task in ['pos', 'ccg', 'ner'] and level < 2")
    below = first.assign(score=first["word_majority"] - 0.1, best_epoch=9)
    above = below.assign(run=2, score=below["word_majority"] + 0.2)
    above.loc[(above["task"] == "ner") & (above["level"] == 1), "best_epoch"] = 0
    above.loc[above["task"] == "pos", "score"] -= 0.15  # the mean lies below the words, that of the others above
    shown = FIGURES["table_a2_linear_scores"].show(pd.concat([below, above])).set_index("task")  # type: ignore[misc]
    cells = shown.filter(regex="^LTH")
    assert cells.apply(lambda column: column.str.lstrip("0123456789.")).loc[["POS", "CCG", "NER"]].values.tolist() == [
        ["*", "*"], ["", ""], ["", "‡"],
    ]  # fmt: skip


@pytest.mark.parametrize("results", ["full", "opposite", "pre_norm"])
def test_what_is_printed_is_table_a2(results: str, request: pytest.FixtureRequest) -> None:
    found: Results = request.getfixturevalue(results)
    probes = found["probes"]
    linear = (probes["probe"] == "linear") & ~probes["metric"].isin(side_metrics())
    odd = probes[linear & (probes["layer"] == "0")]  # embeddings and a mix that are better than all
    better = [odd.assign(score=1.0, dev_score=1.0), odd.assign(layer="mix", score=1.0, dev_score=1.0)]
    probes = pd.concat([probes[~probes.index.isin(odd.index)], *better], ignore_index=True)
    of_seed = probes["layer"] != "-"
    seeds = [probes[~of_seed], *(probes[of_seed].assign(seed=seed) for seed in (1, 2, pd.NA))]
    seeds[2] = seeds[2].assign(
        score=seeds[2]["score"] + 0.01
    )  # the row of the mean is what is shown, of whatever seeds
    table = {**found.tables, "probes": pd.concat(seeds, ignore_index=True)}
    printed = scores_of_models(table["probes"]).query("probe == 'linear'").set_index(["task", "model"])
    shown = FIGURES["table_a2_linear_scores"].data(replace(found, tables=table))
    shown = shown.assign(model="LTH" + shown["level"].astype(str)).set_index(["task", "model"]).sort_index()
    printed = printed.sort_index()
    assert printed["layer"].tolist() == shown["layer"].tolist() and "0" not in set(printed["layer"])
    assert printed["best_layer"].tolist() == shown["best_layer"].tolist()
    for column in ("score", "gain", "gain_low", "gain_high", "best_score", "majority", "word_majority"):
        assert printed[column].tolist() == pytest.approx(shown[column].tolist()), column


def test_models_that_are_no_levels_are_printed_too() -> None:
    """Each has a layer of its own."""
    rows = [
        ("bert", "linear", "1", 0.5),
        ("bert", "linear", "2", 0.7),
        ("elmo", "linear", "1", 0.8),
        ("elmo", "linear", "2", 0.6),
        ("bert", "mlp", "2", 0.6),
        ("-", "majority", "-", 0.2),
    ]
    frame = pd.DataFrame(rows, columns=["model", "probe", "layer", "score"])
    frame = frame.assign(task="pos", experiment="", metric="accuracy", dev_score=frame["score"], seed=1)
    frame = frame.assign(level=np.nan, low=np.nan, high=np.nan, best_epoch=5)
    printed = scores_of_models(frame)
    assert printed[["model", "probe", "layer", "score"]].to_numpy().tolist() == [
        ["bert", "linear", "2", 0.7],
        ["elmo", "linear", "1", 0.8],
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
    results = replace(full, tables={**full.tables, "similarity": changed})
    exhibit = FIGURES["table_concentration"]
    assert f"more than {threshold} of their mass" in exhibit.describe(exhibit.data(results))
    names = {name for name in compared.measures(results)["measure"] if name.startswith("attention_concentration")}
    assert names == {"attention_concentration" + (" above 0.5" if threshold == 0.5 else "")}


def test_the_papers_attention_is_compared_over_its_own_pairs(full: Results) -> None:
    """The mask counts in its numbers of decoder self-attention, so ours of visible pairs do not stand beside them."""
    rows = full["similarity"]
    attention = rows[rows["component"].isin(["encoder_self", "decoder_self"])]
    whole = attention.assign(variant="all", score=0.25, low=0.2, high=0.3)
    both = pd.concat([rows, whole], ignore_index=True)
    measures = compared.measures(replace(full, tables={**full.tables, "similarity": both}))
    shares = measures[(measures["measure"] == "attention_concentration") & (measures["level"] == 0)]
    scores = shares.groupby("subject")["score"].unique().map(list).to_dict()
    assert scores["decoder_self over all pairs"] == [0.25]
    assert scores["decoder_self"] != [0.25] and scores["encoder_self"] != [0.25]
    assert {"decoder_self over all pairs"} <= set(compared.paper_measures()["subject"])


def test_a_task_is_informative_if_its_gain_is_above_zero_over_runs():
    # Of each run the interval is above zero; over runs it is not, as t with two degrees is 4.3.
    gains, half = np.array([0.010, 0.030, 0.080]), 0.009
    rows = pd.DataFrame({"run": [1, 2, 3], "task": "conj", "level": 0, "gain": gains})
    rows = rows.assign(gain_low=gains - half, gain_high=gains + half)
    over = scipy.stats.t.interval(0.95, 2, gains.mean(), scipy.stats.sem(gains))
    assert over[0] < 0 < rows["gain_low"].min()
    assert not probing.is_informative(rows)["conj"] and probing.is_informative(rows[rows["run"] == 3])["conj"]
    alike = rows.assign(gain=[0.030, 0.031, 0.032])
    assert probing.is_informative(alike)["conj"]
    untold = rows.assign(gain=np.nan, gain_low=np.nan, gain_high=np.nan)
    assert probing.is_informative(untold)["conj"]
    unpaired = rows.assign(gain_low=np.nan, gain_high=np.nan)
    assert (
        not probing.is_informative(unpaired)["conj"] and probing.is_informative(unpaired[unpaired["run"] == 1])["conj"]
    )
