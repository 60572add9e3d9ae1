"""Each rule's bound: one case on each side of it; and a rule for all levels, tasks or stacks fails where one is off."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from probing_bridge.claims import CLAIMS, judge, judging
from probing_bridge.claims.judging import FAILS, HOLDS, UNDECIDED
from probing_bridge.results.folder import Results
from probing_bridge.results.statistics import Trend


def verdict(results: Results, start: str, **tables: pd.DataFrame) -> str:
    """What is said of the claim that starts so, with some tables replaced."""
    claim = next(claim for claim in CLAIMS if claim.statement.startswith(start))
    return judge(claim, replace(results, tables={**results.tables, **tables})).verdict


def changed(frame: pd.DataFrame, where: str, **values: object) -> pd.DataFrame:
    """The frame with other values in the rows of a query."""
    frame = frame.copy()
    index = frame.query(where).index
    assert len(index)
    for column, value in values.items():
        frame.loc[index, column] = value
    return frame


def scored(frame: pd.DataFrame, where: str, score: float, half: float = 0.005) -> pd.DataFrame:
    """The frame with one score and its interval in the rows of a query."""
    return changed(frame, where, score=score, low=score - half, high=score + half)


def test_the_last_decoder_layer_must_be_sparser_at_every_level(full: Results) -> None:
    rows, start = full["lth_modules"], "The last decoder layer's FC"
    place = "component == 'decoder' and kind == 'fc' and level == 3"
    first = rows.query(f"{place} and layer == 1").sort_values("module")["pruned"].tolist()
    for more, wanted in ((1, HOLDS), (0, FAILS), (-1, FAILS)):
        last = rows.copy()
        last.loc[last.query(f"{place} and layer == 6").sort_values("module").index, "pruned"] = [
            first[0] + more,
            first[1],
        ]
        assert verdict(full, start, lth_modules=last) == wanted


def test_both_stacks_must_agree_on_the_layer_that_is_pruned_most(full: Results) -> None:
    one = changed(
        full["lth_modules"], "component == 'decoder' and kind == 'self_attn' and layer == 1 and level == 1", pruned=0
    )
    assert verdict(full, "Of the self-attention layers, layer 1", lth_modules=one) == FAILS


def test_encoder_decoder_attention_must_be_below_all_others(full: Results) -> None:
    rows = changed(full["lth_modules"], "level == 8", weights=1000, pruned=500)
    cross = "kind == 'encoder_decoder' and level == 8"
    assert (
        verdict(full, "Encoder-decoder attention is pruned least", lth_modules=changed(rows, cross, pruned=499))
        == HOLDS
    )
    assert verdict(full, "Encoder-decoder attention is pruned least", lth_modules=rows) == FAILS


@pytest.mark.parametrize(("query", "wanted"), [(499, HOLDS), (500, FAILS)])
def test_wv_and_wo_must_be_above_each_of_wq_and_wk(query: int, wanted: str, full: Results) -> None:
    rows = changed(full["lth_modules"], "level == 8", weights=1000, pruned=500)
    rows = changed(rows, "level == 8 and projection in ('q', 'k')", pruned=400)
    one = changed(
        rows, "level == 8 and projection == 'q' and kind == 'self_attn' and component == 'encoder'", pruned=query
    )
    assert verdict(full, "Wv and Wo", lth_modules=one) == wanted


@pytest.mark.parametrize(("score", "wanted"), [(99.0, HOLDS), (98.99, FAILS), (95.0, FAILS)])
def test_99_percent_of_bleu(score: float, wanted: str, full: Results) -> None:
    bleu = scored(full["bleu"], "level >= 0", 100.0)
    assert verdict(full, "At 66 %", bleu=scored(bleu, "level > 0", score)) == wanted


@pytest.mark.parametrize(
    ("sparsity", "wanted"), [(0.616, HOLDS), (0.612, UNDECIDED), (0.712, HOLDS), (0.716, UNDECIDED)]
)
def test_a_level_within_5_points_of_66_percent(sparsity: float, wanted: str, full: Results) -> None:
    lth = full["lth"].query("level < 2").copy()
    lth["sparsity"] = [0.0, sparsity]
    bleu = full["bleu"].query("level < 2")
    assert verdict(full, "At 66 %", lth=lth, bleu=bleu) == wanted


@pytest.mark.parametrize(
    ("sparsity", "last", "wanted"), [(0.664, 96.9, HOLDS), (0.664, 97.0, FAILS), (0.66, 90.0, UNDECIDED)]
)
def test_the_last_drop_of_bleu(sparsity: float, last: float, wanted: str, full: Results) -> None:
    lth = full["lth"].query("level < 4").copy()
    lth["sparsity"] = [0.0, 0.3, 0.5, sparsity]
    bleu = full["bleu"].query("level < 4").copy()
    bleu["score"] = [100.0, 99.0, 98.0, last]
    assert verdict(full, "Beyond that, BLEU", lth=lth, bleu=bleu) == wanted


@pytest.mark.parametrize(("apart", "wanted"), [(0.009, HOLDS), (0.011, UNDECIDED), (-0.011, UNDECIDED)])
def test_prunings_compared_are_within_1_point_of_sparsity(apart: float, wanted: str, full: Results) -> None:
    lth = full["lth"]
    other = changed(lth, "level == 8", sparsity=lth.query("level == 8")["sparsity"].item() + apart)
    assert verdict(full, "Magnitude pruning keeps more", lth=other) == wanted


@pytest.mark.parametrize(("kept", "wanted"), [(99, HOLDS), (98, FAILS)])
def test_99_percent_of_the_neurons_keep_their_index(kept: int, wanted: str, full: Results) -> None:
    index = np.arange(100)
    frame = pd.DataFrame({"neuron": index, "best_match": np.where(index < kept, index, (index + 1) % 100)})
    frame = frame.assign(
        experiment=full.experiment, level_a=0, level_b=8, layer_a="1", layer_b="1", component="encoder"
    )
    assert verdict(full, "Nearly all neurons", neurons=frame) == wanted


@pytest.mark.parametrize(("less", "wanted"), [(95, HOLDS), (94, FAILS), (60, FAILS)])
def test_95_percent_of_the_neurons_become_less_alike(less: int, wanted: str, full: Results) -> None:
    index = np.arange(100)
    frames = [
        pd.DataFrame({"neuron": index, "level_b": level, "own_correlation": np.where(index < less, fall, 0.5)})
        for level, fall in ((1, 0.5), (8, 0.4))
    ]
    frame = pd.concat(frames).assign(
        experiment=full.experiment, level_a=0, layer_a="1", layer_b="1", component="encoder"
    )
    assert verdict(full, "All neurons", neurons=frame) == wanted


def test_the_final_decoder_layer_must_be_closer_at_every_level(full: Results) -> None:
    rows, start = full["similarity"], "The decoder's last layer"
    place = "measure == 'linear_cka' and component == 'decoder' and group == '' and level_a == 0 and level_b == 3"
    below = rows.query(f"{place} and layer_a == '5' and layer_b == '5' and variant == 'biased'")["score"].item()
    for gap, wanted in ((1e-6, HOLDS), (0.0, FAILS), (-1e-6, FAILS)):
        one = changed(rows, f"{place} and layer_a == '6' and layer_b == '6'", score=below + gap)
        assert verdict(full, start, similarity=one) == wanted


@pytest.mark.parametrize(("layers", "closer", "wanted"), [(6, 3, HOLDS), (6, 2, FAILS), (5, 3, HOLDS), (5, 2, FAILS)])
def test_more_than_half_of_the_early_layers(layers: int, closer: int, wanted: str, full: Results) -> None:
    rows = full["similarity"].query("measure == 'linear_cka' and component == 'decoder' and group == ''")
    known = [str(layer) for layer in range(1, layers + 1)]
    rows = rows[rows["layer_a"].isin(known) & rows["layer_b"].isin(known)]
    rows = changed(rows, f"level_a == 0 and level_b == 8 and layer_a == '{layers}'", score=0.0)
    near = [str(layer) for layer in range(1, closer + 1)]
    rows = changed(rows, f"level_a == 0 and level_b == 8 and layer_a == '{layers}' and layer_b in {near}", score=1.0)
    assert verdict(full, "Early sparse decoder layers", similarity=rows) == wanted


@pytest.mark.parametrize(
    ("start", "kind", "bound"),
    [
        ("Encoder self-attention of layers 2", "encoder_self", 0.9),
        ("Decoder self-attention is almost", "decoder_self", 0.95),
    ],
)
def test_attention_stays_above_its_bound_in_every_layer(start: str, kind: str, bound: float, full: Results) -> None:
    place = (
        f"measure == 'attention_cka' and component == '{kind}' and level_a == 0 and level_b == 8 and layer_a == layer_b"
    )
    rows = scored(full["similarity"], place, 0.99)

    def of_layer_4(low: float, high: float) -> str:
        one = changed(rows, f"{place} and layer_a == '4'", score=(low + high) / 2, low=low, high=high)
        return verdict(full, start, similarity=one)

    assert of_layer_4(bound, bound + 0.01) == HOLDS
    assert of_layer_4(bound - 0.001, bound) == UNDECIDED
    assert of_layer_4(bound - 0.01, bound - 0.001) == FAILS


def test_layer_1_of_encoder_attention_is_below_every_other(full: Results) -> None:
    place = "measure == 'attention_cka' and component == 'encoder_self' and level_a == 0 and level_b == 8"
    place += " and layer_a == layer_b"
    rows = scored(full["similarity"], place, 0.9)
    first = scored(rows, f"{place} and layer_a == '1'", 0.8)
    assert verdict(full, "Layer 1 of encoder self-attention", similarity=first) == HOLDS
    third = scored(first, f"{place} and layer_a == '3'", 0.7)
    assert verdict(full, "Layer 1 of encoder self-attention", similarity=third) == FAILS


def test_the_final_layer_is_beaten_by_one_interval_above_its_own(full: Results) -> None:
    rows, place = full["probes"], "probe == 'linear' and metric == 'accuracy' and task == 'pos' and level == 3"
    high = rows.query(f"{place} and layer == '6'")["high"].item()
    for low, wanted in ((high, HOLDS), (high + 1e-6, FAILS)):
        one = changed(rows, f"{place} and layer == '2'", score=low + 0.004, low=low, high=low + 0.008)
        assert verdict(full, "The final layer always", probes=one) == wanted


def test_every_task_must_score_higher_with_an_mlp(full: Results) -> None:
    rows = full["probes"]
    one = rows["task"].eq("pos") & rows["probe"].eq("mlp")
    lower = rows.assign(score=rows["score"].mask(one, rows["score"] - 0.06))
    assert verdict(full, "MLP probes score higher", probes=lower) == FAILS


@pytest.mark.parametrize(("p", "wanted"), [(0.0499, HOLDS), (0.05, UNDECIDED)])
def test_a_trend_is_significant_below_5_percent(p: float, wanted: str) -> None:
    assert judging.by_trend(Trend(0.5, p, 1 - p, 9), True, "").verdict == wanted
    assert judging.by_trend(Trend(-0.5, 1 - p, p, 9), False, "").verdict == wanted


@pytest.mark.parametrize(("p", "wanted"), [(0.0499, FAILS), (0.05, HOLDS)])
def test_an_absence_of_trends_ends_below_5_percent(p: float, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table: Callable[..., pd.DataFrame] = lambda frame, by: pd.DataFrame({by: ["pos"], "p_holm": [p], "n": [9]})  # noqa: E731
    monkeypatch.setattr(judging, "trends_by", table)
    assert judging.no_trends(pd.DataFrame({"task": ["pos"]}), "task", "").verdict == wanted
