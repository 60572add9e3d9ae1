"""Which weights go: against a full sort, with ties, in every scope; and the paper's sparsities on Transformer-big."""

import argparse

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probing_bridge.pruning.criteria import PRUNING_CRITERIA, prunable_parameters, prune
from probing_bridge.pruning.masks import Mask, MaskError


def by_sorting(weights, mask, rate):
    """The slow, obvious way: a stable sort of all remaining magnitudes."""
    flat = np.concatenate([w.abs().float().numpy().ravel() for w in weights.values()])
    kept = np.concatenate([k.numpy().ravel() for k in mask.kept.values()])
    candidates = np.flatnonzero(kept)
    order = candidates[np.argsort(flat[candidates], kind="stable")]
    kept[order[: round(rate * len(candidates))]] = False
    return kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 0.99), st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
def test_global_magnitude_equals_a_stable_sort(seed, rate, dtype):
    rng = np.random.default_rng(seed)
    values = rng.choice([-2.0, -0.5, 0.0, -0.0, 0.5, 1e-30, 3.0, *rng.normal(size=20)], size=60)  # many ties
    weights = {
        "a.weight": torch.tensor(values[:40]).to(dtype).view(5, 8),
        "b.bias": torch.tensor(values[40:]).to(dtype),
    }
    mask = Mask({name: torch.from_numpy(rng.random(tuple(w.shape)) > 0.2) for name, w in weights.items()})
    new = prune(weights, mask, rate, "magnitude", "global", 1, 1)
    assert np.array_equal(
        np.concatenate([k.numpy().ravel() for k in new.kept.values()]), by_sorting(weights, mask, rate)
    )


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("score", ["magnitude", "random", "shuffle"])
def test_masks_of_a_gpu_are_those_of_the_cpu(score, scope):
    torch.manual_seed(0)
    weights = {f"{name}.weight": torch.randn(300, 500).round(decimals=2) for name in "abc"}  # with ties
    before = Mask({name: torch.rand_like(weight) > 0.2 for name, weight in weights.items()})
    there = Mask({name: kept.cuda() for name, kept in before.kept.items()})
    moved = {name: weight.cuda() for name, weight in weights.items()}
    here = prune(weights, before, 0.3, score, scope, 1, 2)
    assert prune(moved, there, 0.3, score, scope, 1, 2).hash() == here.hash()


def test_scope_layer_prunes_each_module_at_the_rate():
    """Weight and bias of a module are ranked together: apart, 0.3 of 25 and of 5 would be 8 and 2 in place of 9."""
    torch.manual_seed(0)
    weights = {"a.weight": torch.randn(5, 5) * 100, "a.bias": torch.randn(5), "b.weight": torch.randn(11, 3)}
    full = Mask.full(weights)
    new = prune(weights, full, 0.3, "magnitude", "layer", 1, 1)
    for module, n_pruned in (("a", 9), ("b", 10)):
        names = [name for name in weights if name.startswith(module)]
        alone = {name: weights[name] for name in names}
        expected = by_sorting(alone, Mask.full(alone), 0.3)
        assert (~expected).sum() == n_pruned
        assert np.array_equal(np.concatenate([new.kept[name].numpy().ravel() for name in names]), expected)
    everywhere = prune(weights, full, 0.3, "magnitude", "global", 1, 1)
    assert everywhere.n_pruned == 19 and int((~everywhere.kept["b.weight"]).sum()) > 10


def test_random_depends_on_seed_and_level_only():
    weights = {"a.weight": torch.randn(50, 40)}
    full = Mask.full(weights)
    choose = lambda seed, level, scale=1.0: prune(  # noqa: E731
        {name: weight * scale for name, weight in weights.items()}, full, 0.5, "random", "global", seed, level
    ).hash()
    assert choose(1, 1) == choose(1, 1, scale=-3.0)
    assert len({choose(1, 1), choose(2, 1), choose(1, 2)}) == 3
    chosen = prune(weights, full, 0.5, "random", "global", 1, 1).kept["a.weight"]
    assert chosen[:25].sum() == pytest.approx(500, abs=60)


def test_random_choice_is_the_same_on_every_machine():
    weights = {"layer.weight": torch.zeros(16)}
    kept = prune(weights, Mask.full(weights), 0.5, "random", "global", 1, 1).kept["layer.weight"]
    assert "".join("01"[int(bit)] for bit in kept) == "1101001110100100"


@pytest.mark.parametrize("name", PRUNING_CRITERIA)
def test_every_criterion_gives_non_negative_finite_scores(name):
    scores = PRUNING_CRITERIA[name].score(torch.linspace(-1, 1, 101), np.random.Philox(key=1)).numpy()
    assert scores.shape == (101,) and scores.dtype == np.float32
    assert np.isfinite(scores).all() and (scores >= 0).all() and PRUNING_CRITERIA[name].score.__doc__


def test_shuffle_takes_from_each_module_what_magnitude_would_take():
    rng = np.random.default_rng(4)
    weights = {
        f"{module}.{kind}": torch.tensor(rng.normal(scale=scale, size=size))
        for module, scale in (("a", 0.3), ("b", 1.0), ("c", 3.0))
        for kind, size in (("weight", (20, 7)), ("bias", 20))
    }
    mask = Mask({name: torch.from_numpy(rng.random(tuple(w.shape)) > 0.3) for name, w in weights.items()})
    flat = by_sorting(weights, mask, 0.4)
    expected = {module: int(flat[160 * place : 160 * (place + 1)].sum()) for place, module in enumerate("abc")}
    assert len(set(expected.values())) == 3
    shuffled = [prune(weights, mask, 0.4, "shuffle", "global", seed, 1) for seed in (1, 1, 2)]
    for new in shuffled:
        for module, n_kept in expected.items():
            assert sum(int(new.kept[f"{module}.{kind}"].sum()) for kind in ("weight", "bias")) == n_kept
        assert not any(bool((new.kept[name] & ~kept).any()) for name, kept in mask.kept.items())
    magnitude = prune(weights, mask, 0.4, "magnitude", "global", 1, 1)
    assert len({new.hash() for new in (*shuffled, magnitude)}) == 3 and shuffled[0].hash() == shuffled[1].hash()


def test_a_rate_of_0_prunes_nothing():
    weights = {"a.weight": torch.randn(5, 5)}
    mask = Mask({"a.weight": torch.randn(5, 5) > 0})
    assert prune(weights, mask, 0.0, "magnitude", "global", 1, 1).hash() == mask.hash()


def test_nan_is_refused():
    weights = {"a.weight": torch.tensor([1.0, float("nan")])}
    with pytest.raises(MaskError, match=r"a\.weight has a score that is not a number"):
        prune(weights, Mask.full(weights), 0.5, "magnitude", "global", 1, 1)


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(10, 4)
        self.norm = torch.nn.LayerNorm(4)
        self.fc = torch.nn.Linear(4, 4)
        self.frozen = torch.nn.Linear(4, 4).requires_grad_(False)
        self.out = torch.nn.Linear(4, 10, bias=False)
        self.out.weight = self.embed.weight


def test_embeddings_and_what_is_tied_to_them_and_norms_are_kept():
    assert list(prunable_parameters(Tied())) == ["fc.weight", "fc.bias"]
    assert list(prunable_parameters(Tied(), keep_biases=True)) == ["fc.weight"]
    assert list(prunable_parameters(Tied(), prune_embeddings=True)) == ["embed.weight", "fc.weight", "fc.bias"]


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.LSTM(4, 4, num_layers=2, bidirectional=True),
        torch.nn.LSTMCell(4, 4),
        torch.nn.GRU(4, 4),
        torch.nn.MultiheadAttention(4, 2, add_bias_kv=True),
    ],
    ids=lambda module: type(module).__name__,
)
def test_biases_are_kept_whatever_their_name(module):
    kept = prunable_parameters(torch.nn.ModuleDict({"one": module}), keep_biases=True)
    assert kept.keys() == {f"one.{name}" for name, weight in module.named_parameters() if "bias" not in name}
    assert all(weight.ndim > 1 for weight in kept.values()) and kept


def transformer_big() -> torch.nn.Module:
    """transformer_vaswani_wmt_en_de_big with shared embeddings and a joined dictionary of 32768 types."""
    pytest.importorskip("fairseq", reason="Transformer-big: no fairseq here (extra train)")
    from fairseq.data import Dictionary
    from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY

    dictionary = Dictionary()
    for index in range(32768 - len(dictionary)):
        dictionary.add_symbol(f"t{index}")
    task = argparse.Namespace(source_dictionary=dictionary, target_dictionary=dictionary)
    arch = "transformer_vaswani_wmt_en_de_big"
    args = argparse.Namespace(arch=arch, share_all_embeddings=True)
    ARCH_CONFIG_REGISTRY[arch](args)
    torch.manual_seed(0)
    return ARCH_MODEL_REGISTRY[arch].build_model(args, task)


@pytest.mark.slow
def test_transformer_big_meets_the_sparsities_of_the_paper():
    model = transformer_big()
    n_weights = sum(parameter.numel() for parameter in model.parameters())
    weights = prunable_parameters(model)
    mask = Mask.full(weights)
    assert (n_weights, mask.n_weights) == (209_911_808, 176_295_936)
    sparsities = []
    for level in range(1, 9):
        mask = prune(weights, mask, 0.2, "magnitude", "global", 1, level)
        sparsities.append(100 * mask.n_pruned / n_weights)
    assert sparsities == pytest.approx([16.8, 30.2, 41.0, 49.6, 56.5, 62.0, 66.4, 69.9], abs=0.05)
