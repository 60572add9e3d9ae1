"""Each rule's bound, one case on each side; and a statement about all levels, layers or stacks needs all of them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from probing_bridge.claims import CLAIMS, judge
from probing_bridge.claims.judging import judge_numbers
from probing_bridge.claims.per_run import PerRun, of_levels, weighted
from probing_bridge.claims.truths import PAPER_ITEMS, World
from probing_bridge.claims.worlds import Study
from probing_bridge.results.folder import Results
from probing_bridge.results.paper import SPARSITY
from probing_bridge.results.statistics import CANNOT_TELL, CONTRADICTED, EQUIVALENT, HOLDS, NOT_RUN

STILL = World(1, dict.fromkeys(PAPER_ITEMS, 10**12), offset=1e-4, walk=1e-5, bleu_error=1e-3)


@pytest.fixture
def study() -> Study:
    """Three runs of the paper's world, almost without chance."""
    return Study(STILL, 3, 0)


def about(value: float) -> PerRun:
    """A number that three runs agree about."""
    return PerRun(value + np.array([-1e-5, 0.0, 1e-5]), np.zeros(3))


def verdict(study: Study, start: str) -> str:
    """What is said of the claim that starts so."""
    claim = next(claim for claim in CLAIMS if claim.statement.startswith(start))
    return judge_numbers(study, [claim])[0][1].verdict


@pytest.mark.parametrize(("change", "wanted"), [(-0.999, EQUIVALENT), (-1.001, CONTRADICTED), (3.0, EQUIVALENT)])
def test_99_percent_of_bleu(change: float, wanted: str, study: Study) -> None:
    study.bleu[7] = about(change)
    assert verdict(study, "At 66.4 %") == wanted


def test_every_level_up_to_there_keeps_it(study: Study) -> None:
    study.bleu = {level: about(-0.1) for level in range(1, 9)}
    assert verdict(study, "Seven pruned models") == EQUIVALENT
    study.bleu[8] = about(-5.0)
    assert verdict(study, "Seven pruned models") == EQUIVALENT
    study.bleu[2] = about(-1.1)
    assert verdict(study, "Seven pruned models") == CONTRADICTED


@pytest.mark.parametrize(
    ("near", "wanted"), [(0.6141, EQUIVALENT), (0.6139, NOT_RUN), (0.7139, EQUIVALENT), (0.7141, NOT_RUN)]
)
def test_a_level_within_5_points_of_66_percent(near: float, wanted: str, study: Study) -> None:
    study.sparsities, study.bleu = {0: 0.0, 1: near}, {1: about(0.0)}
    assert verdict(study, "At 66.4 %") == wanted


@pytest.mark.parametrize(("last", "wanted"), [(-0.31, HOLDS), (-0.29, EQUIVALENT), (0.9, CONTRADICTED)])
def test_a_drop_that_goes_on_at_the_same_rate_is_none(last: float, wanted: str, study: Study) -> None:
    study.sparsities, study.bleu = {0: 0.0, 1: 0.664, 2: 0.996}, {1: about(-0.2), 2: about(last)}
    if wanted == EQUIVALENT:
        study.bleu[2] = about(-0.3)
        study.bleu[2] = PerRun(study.bleu[2].values, np.full(3, 0.01))
    elif wanted == CONTRADICTED:
        study.bleu[2] = about(1.5)
    assert verdict(study, "In the subsequent pruning") == wanted
    study.sparsities.pop(2)
    assert verdict(study, "In the subsequent pruning") == NOT_RUN


@pytest.mark.parametrize(("apart", "wanted"), [(0.009, HOLDS), (0.011, NOT_RUN), (-0.011, NOT_RUN)])
def test_prunings_are_compared_within_1_point_of_sparsity(apart: float, wanted: str, full: Results) -> None:
    lth = full["lth"].assign(sparsity=full["lth"]["sparsity"] + apart)
    claim = next(claim for claim in CLAIMS if claim.statement.startswith("An iterative random"))
    assert judge(claim, replace(full, tables={**full.tables, "lth": lth})).verdict == wanted
    assert judge(claim, replace(full, baselines=())).verdict == NOT_RUN
    random = replace(full.baselines[0], baselines=(replace(full, baselines=()),))
    assert judge(claim, random).verdict == NOT_RUN  # the page of random pruning is not about magnitude pruning


def test_the_last_decoder_layer_must_be_sparser_at_every_level(study: Study) -> None:
    start = "Decoder layer 6 FC"
    assert verdict(study, start) == HOLDS
    first = study.modules["decoder", "fc", 1, 3].values.mean()
    for more, wanted in ((0.001, HOLDS), (-0.001, CONTRADICTED)):
        study.modules["decoder", "fc", 1, 3] = about(first)
        study.modules["decoder", "fc", 6, 3] = about(first + more)
        assert verdict(study, start) == wanted


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_both_stacks_must_agree_on_the_layer_that_is_pruned_most(stack: str, study: Study) -> None:
    assert verdict(study, "Of self-attention, layer 1") == HOLDS
    study.modules[stack, "self_attn", 4, 1] = about(study.modules[stack, "self_attn", 1, 1].values.mean() + 0.001)
    assert verdict(study, "Of self-attention, layer 1") == CONTRADICTED


def test_encoder_decoder_attention_must_be_below_all_others(study: Study) -> None:
    start = "Encoder-decoder attention is pruned least"
    cross = study.kinds["decoder", "encoder_decoder", 8].values.mean()
    for more, wanted in ((0.001, HOLDS), (-0.001, CONTRADICTED)):
        study.kinds["encoder", "fc", 8] = about(cross + more)
        assert verdict(study, start) == wanted


@pytest.mark.parametrize(("more", "wanted"), [(0.001, HOLDS), (-0.001, CONTRADICTED)])
def test_wv_and_wo_must_be_above_each_of_wq_and_wk(more: float, wanted: str, study: Study) -> None:
    key = study.projections["decoder", "self_attn", "k", 8].values.mean()
    study.projections["decoder", "self_attn", "out", 8] = about(key + more)
    assert verdict(study, "Across all attention types") == wanted


@pytest.mark.parametrize(("share", "wanted"), [(0.9901, EQUIVALENT), (0.9899, CONTRADICTED)])
def test_99_percent_of_the_neurons_keep_their_index(share: float, wanted: str, study: Study) -> None:
    study.own_index = {("encoder", 8): about(share), ("decoder", 8): about(share)}
    assert verdict(study, "k's most correlated neuron") == wanted


@pytest.mark.parametrize(
    ("share", "wanted"), [(0.951, HOLDS), (0.949, CANNOT_TELL), (0.6, CANNOT_TELL), (0.49, CONTRADICTED)]
)
def test_95_percent_of_the_neurons_become_less_alike(share: float, wanted: str, study: Study) -> None:
    study.less_alike = {8: about(share)}
    assert verdict(study, "All sparse-dense neuron pairs") == wanted


def test_neurons_are_counted_against_the_control(full: Results) -> None:
    neurons = full["neurons"]
    control = replace(full, tables={**full.tables, "lth": full["lth"].assign(score="none")}, baselines=())
    claim = next(claim for claim in CLAIMS if claim.statement.startswith("All sparse-dense"))
    for above, wanted in ((0.02, HOLDS), (-0.02, CONTRADICTED)):
        moved = neurons.assign(own_correlation=neurons["own_correlation"] + above)
        other = replace(control, tables={**control.tables, "neurons": moved})
        assert judge(claim, replace(full, controls=(other,))).verdict == wanted


def test_the_final_decoder_layer_must_be_closer_at_every_level(study: Study) -> None:
    start, pairs = "In the decoder, LayerSim", study.pairs("linear_cka")
    assert verdict(study, start) == HOLDS
    below = pairs["decoder", 0, "5", 3, "5"].values.mean()
    for more, wanted in ((0.001, HOLDS), (-0.001, CONTRADICTED)):
        pairs["decoder", 0, "5", 3, "5"], pairs["decoder", 0, "6", 3, "6"] = about(below), about(below + more)
        assert verdict(study, start) == wanted


@pytest.mark.parametrize(
    ("start", "kind", "bound"),
    [("For layers 2–6", "encoder_self", 0.9), ("Encoder-decoder maps", "encoder_decoder", 0.9),
     ("Decoder self-attention is almost", "decoder_self", 0.95)],
)  # fmt: skip
def test_attention_stays_above_its_bound_in_every_layer(start: str, kind: str, bound: float, study: Study) -> None:
    pairs = study.pairs("attention_cka")
    for score, wanted in ((bound + 0.001, EQUIVALENT), (bound - 0.001, CONTRADICTED)):
        pairs[kind, 0, "4", 8, "4"] = about(score)
        assert verdict(study, start) == wanted
    pairs[kind, 0, "4", 8, "4"] = PerRun(np.full(3, bound), np.full(3, 0.01))
    assert verdict(study, start) == CANNOT_TELL


def test_layer_1_of_encoder_attention_is_below_every_other(study: Study) -> None:
    start, pairs = "Layer 1 is an anomaly", study.pairs("attention_cka")
    assert verdict(study, start) == HOLDS
    pairs["encoder_self", 0, "3", 8, "3"] = about(pairs["encoder_self", 0, "1", 8, "1"].values.mean() - 0.02)
    assert verdict(study, start) == CONTRADICTED


def test_the_final_layer_is_above_every_one_below(study: Study) -> None:
    assert verdict(study, "The final layer always") == HOLDS
    for level in range(9):
        study.scores["linear", "pos", "2", level] = study.scores["linear", "pos", "6", level].less(-0.001)
    assert verdict(study, "The final layer always") == CONTRADICTED


def test_an_mlp_is_held_against_the_linear_probe_of_its_own_layer(study: Study) -> None:
    assert verdict(study, "Across the board") == HOLDS
    for key in [key for key in study.scores if key[:2] == ("mlp", "coref") and key[2] != "6"]:
        study.scores[key] = about(0.0)  # other layers do not count
    assert verdict(study, "Across the board") == HOLDS
    for level in range(9):
        study.scores["mlp", "coref", "6", level] = study.scores["linear", "coref", "6", level].less(0.001)
    assert verdict(study, "Across the board") == CONTRADICTED


@pytest.mark.parametrize(("more", "wanted"), [(0.9, EQUIVALENT), (1.2, CONTRADICTED)])
def test_a_task_is_invariant_within_1_point(more: float, wanted: str, study: Study) -> None:
    for level in range(1, 9):
        study.paired["linear", "ccg", "6", level] = about(more / 100 * level / 8)
    assert verdict(study, "Several tasks") == wanted


@pytest.mark.parametrize(
    ("start", "task", "wanted"),
    [
        ("The MLP could not rescue", "coref", CONTRADICTED),
        ("PS-Fxn, PS-Role and Coref are best", "ps_role", CONTRADICTED),
    ],
)
def test_all_three_tasks_must_degrade(start: str, task: str, wanted: str, study: Study) -> None:
    assert verdict(study, start) == HOLDS
    for probe in ("linear", "mlp"):
        for level in range(1, 9):
            study.paired[probe, task, "6", level] = about(0.02 * level / 8)
    assert verdict(study, start) == wanted


def test_semantics_must_be_lost_while_bleu_is_kept(study: Study) -> None:
    start = "Pruning degrades semantic knowledge"
    study.bleu[7] = about(-0.5)
    assert verdict(study, start) == HOLDS
    study.bleu[7] = PerRun(np.full(3, -0.5), np.full(3, 0.5))
    assert verdict(study, start) == CANNOT_TELL
    study.bleu[7] = about(-1.5)
    assert verdict(study, start) == CONTRADICTED


def test_a_drop_that_begins_before_lth5_is_seen(study: Study) -> None:
    assert verdict(study, "... and not before LTH5") == EQUIVALENT
    assert SPARSITY[5] == 0.565
    for level in (2, 3, 4):
        study.paired["linear", "coref", "6", level] = about(-0.03)
    assert verdict(study, "... and not before LTH5") == CONTRADICTED


@pytest.mark.parametrize(
    "start",
    ["Early sparse representations", "Early sparse decoder layers", "In the decoder, LayerSim",
     "Sparse models have more variance", "Mid-frequency tokens"],
)  # fmt: skip
def test_the_final_layer_is_the_norm_where_there_is_one(start: str, pre_norm: Results) -> None:
    claim = next(claim for claim in CLAIMS if claim.statement.startswith(start))
    assert judge(claim, pre_norm).verdict == CONTRADICTED  # the made-up norm has every effect the other way round
    alone = replace(pre_norm, tables={name: without_norm(frame) for name, frame in pre_norm.tables.items()})
    assert judge(claim, alone).verdict == HOLDS


def without_norm(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of numbered layers."""
    columns = [name for name in ("layer", "layer_a", "layer_b") if name in frame.columns]
    return frame[(frame[columns].astype(str) != "norm").all(axis=1)]


def errors(rng: np.random.Generator, draw: Callable[[], np.ndarray], weights: np.ndarray) -> tuple[float, float]:
    """The true error of a sum of levels, and the one that is said."""
    draws = np.stack([draw() for _ in range(4000)])  # (draws, levels)
    changes = (draws - draws[:, :1]).std(axis=0)[1:]
    numbers = [PerRun(np.zeros(1), np.array([change])) for change in changes]
    return float((draws @ weights).std()), float(of_levels(numbers, weights).errors[0])


def test_the_error_of_a_trend_is_an_upper_bound() -> None:
    rng, weights = np.random.default_rng(0), np.linspace(-1, 1, 9)
    for draw in (lambda: rng.normal(size=9), lambda: np.cumsum(rng.normal(size=9))):
        true, said = errors(rng, draw, weights)
        assert true <= said * 1.05
    true, said = errors(rng, lambda: rng.normal(size=9), np.r_[-1.0, np.zeros(7), 1.0])
    assert said == pytest.approx(true, rel=0.06)  # of two levels the paired error itself


def test_errors_of_sums_add_up() -> None:
    numbers = [PerRun(np.array([1.0]), np.array([0.1])), PerRun(np.array([2.0]), np.array([0.3]))]
    total = weighted(numbers, [1.0, -2.0])
    assert (total.values[0], total.errors[0]) == (pytest.approx(-3.0), pytest.approx(0.7))
