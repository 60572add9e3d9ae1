"""Baselines, control tasks and description length against slow direct formulas."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from probing_bridge.corpora.instances import Instance
from probing_bridge.probes.baselines import item_word, predict_baseline
from probing_bridge.probes.control import control_task
from probing_bridge.probes.features import Features
from probing_bridge.probes.items import Items, build_items
from probing_bridge.probes.mdl import block_ends, code_bits, compression, online_codelength
from probing_bridge.probes.problem import Problem, Recipe
from probing_bridge.probes.training import Probes

VOCABULARY = {"X": 0, "Y": 1, "Z": 2}


def tagged(*pairs: tuple[str, str]) -> list[Instance]:
    return [Instance(tuple(words.split()), tuple(labels.split()), None) for words, labels in pairs]


TRAIN = tagged(("a b a", "X Y Z"), ("a c", "Z Y"), ("d", "Y"))


def test_majority_by_hand() -> None:
    test = tagged(("a b", "X X"), ("c new", "X X"))
    assert predict_baseline("majority", TRAIN, test, VOCABULARY).tolist() == [1, 1, 1, 1]
    assert predict_baseline("word_majority", TRAIN, test, VOCABULARY).tolist() == [2, 1, 1, 1]


def test_equally_frequent_labels_go_to_the_first_of_the_vocabulary() -> None:
    train = tagged(("a a", "Z X"))
    assert predict_baseline("word_majority", train, tagged(("a", "X")), VOCABULARY).tolist() == [0]


def test_pairs_are_ordered_pairs_of_words() -> None:
    train = [Instance(("a", "b"), ("X", "Y", "Y"), ((0, 1), (1, 0), (1, 0)))]
    test = [Instance(("b", "a", "c"), ("X",) * 3, ((0, 1), (1, 0), (2, 0)))]
    assert predict_baseline("word_majority", train, test, VOCABULARY).tolist() == [1, 0, 1]
    assert item_word(test[0], 2) == ("c", "b")


def test_mean_for_a_regression() -> None:
    train = [Instance(("a", "b"), (1.0, -2.0), (0, 1)), Instance(("a",), (2.0,), (0,))]
    test = [Instance(("b", "a", "c"), (0.0,) * 3, (0, 1, 2))]
    np.testing.assert_allclose(predict_baseline("word_majority", train, test, None), [-2.0, 1.5, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(predict_baseline("majority", train, test, None), [1 / 3] * 3, rtol=1e-6)


words = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("XYZ")), min_size=1, max_size=6)


@given(st.lists(words, min_size=1, max_size=8), st.integers(0, 5))
def test_control_labels_depend_on_the_word_alone(sentences: list[list[tuple[str, str]]], seed: int) -> None:
    splits = {
        "train": [Instance(tuple(w for w, _ in s), tuple(label for _, label in s), None) for s in sentences],
        "test": [Instance(("a", "zz", "zz"), ("X", "Y", "Z"), None)],
    }
    control = control_task(splits, seed)
    seen: dict[str, set] = {}
    for split, instances in control.items():
        for instance, old in zip(instances, splits[split], strict=True):
            assert (instance.tokens, instance.indices, len(instance.labels)) == (old.tokens, None, len(old.labels))
            for word, label in zip(instance.tokens, instance.labels, strict=True):
                seen.setdefault(word, set()).add(label)
    assert all(len(labels) == 1 for labels in seen.values())
    assert set.union(*seen.values()) <= {label for s in sentences for _, label in s}
    assert control == control_task(splits, seed)


def test_control_labels_follow_the_distribution_of_the_task() -> None:
    """Hewitt & Liang: sampled from the empirical distribution; 9 X to 1 Y over 2000 words."""
    splits = {"train": [Instance(tuple(f"w{i}" for i in range(2000)), ("X",) * 1800 + ("Y",) * 200, None)]}
    counts = Counter(control_task(splits, 0)["train"][0].labels)
    assert counts["Y"] / 2000 == pytest.approx(0.1, abs=0.02)  # three standard deviations
    assert control_task(splits, 0) != control_task(splits, 1)


def test_control_labels_of_pairs_and_numbers() -> None:
    splits = {"train": [Instance(("a", "b", "a"), (0.5, -1.0, 2.0), ((0, 1), (1, 0), (2, 1)))]}
    labels = control_task(splits, 3)["train"][0].labels
    assert labels[0] == labels[2] and set(labels) <= {0.5, -1.0, 2.0}


def test_blocks_grow_by_two_and_cover_everything() -> None:
    assert block_ends(1000) == [1, 2, 4, 8, 16, 31, 62, 125, 250, 500, 1000]
    for n in (1, 2, 3, 7, 12544):
        ends = block_ends(n)
        assert ends[0] >= 1 and ends[-1] == n and ends == sorted(set(ends))


def problem(n: int = 120, seed: int = 0) -> tuple[Features, Items, Items]:
    """Sentences of three words whose label is decided by the first of two layers."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, 3 * n, 4)).astype(np.float32)
    labels = values[0, :, :3].argmax(axis=1)
    instances = [
        Instance((f"s{i}", "b", "c"), tuple("XYZ"[k] for k in labels[3 * i : 3 * i + 3]), None) for i in range(n)
    ]
    features = Features(torch.from_numpy(values), ("0", "1"), {f"s{i} b c": 3 * i for i in range(n)})
    cut = n * 2 // 3
    items = [
        build_items(some, VOCABULARY, features.starts, zero_pairs_count=True)
        for some in (instances[:cut], instances[cut:])
    ]
    return features, items[0], items[1]


def slow_codelength(features: Features, layer: int, train_items: Items, dev: Items, recipe: Recipe) -> float:
    """Equation 3 of Voita & Titov with a plain PyTorch probe trained on each prefix."""
    n = train_items.n_instances
    order = list(range(n))
    random.Random(13370).shuffle(order)
    ends = sorted(
        {
            max(1, round(share * n))
            for share in (0.001, 0.002, 0.004, 0.008, 0.016, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1)
        }
    )

    def part(numbers: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [j for i in numbers for j in range(train_items.offsets[i], train_items.offsets[i + 1])]
        return features.values[layer][train_items.rows[rows, 0]], torch.from_numpy(train_items.targets[rows])

    bits = ends[0] * 3 * np.log2(3)
    for first, last in itertools.pairwise(ends):
        torch.manual_seed(133)
        model, best, best_score, history = torch.nn.Linear(4, 3), None, -1.0, []
        optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
        shuffled, rng = list(range(first)), random.Random(13370)
        for _ in range(recipe.max_epochs):
            rng.shuffle(shuffled)
            for start in range(0, first, recipe.batch_size):
                x, y = part([order[i] for i in shuffled[start : start + recipe.batch_size]])
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            answers = model(features.values[layer][dev.rows[:, 0]]).argmax(1).numpy()
            history.append(float((answers == dev.targets).mean()))
            if len(history) > 3 and max(history[-3:]) <= max(history[:-3]):
                break
            if history[-1] > best_score:
                best, best_score = {k: v.clone() for k, v in model.state_dict().items()}, history[-1]
        model.load_state_dict(best)  # type: ignore[arg-type]
        x, y = part(order[first:last])
        bits += float(torch.nn.functional.cross_entropy(model(x), y, reduction="sum").detach()) / np.log(2)
    return bits


def test_description_length_against_the_direct_formula() -> None:
    features, train_items, dev = problem()
    recipe = Recipe(max_epochs=6, batch_size=8, learning_rate=0.05)
    bits = online_codelength(Problem(features, recipe, 1, "accuracy", ("X", "Y", "Z")), train_items, dev)
    for layer in range(2):
        assert bits[layer] == pytest.approx(slow_codelength(features, layer, train_items, dev, recipe), rel=1e-4)
    assert bits[0] < 0.7 * bits[1]  # the layer that holds the property needs fewer bits
    assert compression(240, 3, bits[0]) == pytest.approx(240 * np.log2(3) / bits[0])


def test_bits_of_equal_probabilities() -> None:
    features, train_items, _ = problem(30)
    probes = Probes(Problem(features, Recipe(), 1, "accuracy", ("X", "Y", "Z")))
    probes.model.parameters[:, :-16].zero_()
    probes.model.parameters[:, -16:-13] = 0.0
    np.testing.assert_allclose(code_bits(probes, train_items), len(train_items) * np.log2(3), rtol=1e-6)
