"""Baselines, control tasks and description length against slow direct formulas."""

from __future__ import annotations

import copy
import itertools
import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from probing_bridge.corpora.instances import Instance
from probing_bridge.probes.baselines import item_word, predict_baseline
from probing_bridge.probes.control import control_task, memorised
from probing_bridge.probes.features import Features
from probing_bridge.probes.items import Items, build_items
from probing_bridge.probes.mdl import block_ends, code_bits, online_codelength, uniform_bits
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
    """Of a pair the child's word decides, whatever its parent."""
    splits = {"train": [Instance(("a", "b", "a"), (0.5, -1.0, 2.0), ((0, 1), (1, 0), (2, 0)))]}
    labels = control_task(splits, 3)["train"][0].labels
    assert labels[0] == labels[2] and set(labels) <= {0.5, -1.0, 2.0}


def test_control_of_arcs_attaches_each_word_to_itself_the_first_or_the_last() -> None:
    """Hewitt & Liang 2019, Section 2.2; by hand from the control arcs alone."""
    rng = random.Random(1)
    words = "abcdefghijklmnopqrstuvwxyz"
    made = []
    for _ in range(200):
        tokens = tuple(rng.choice(words) for _ in range(rng.randrange(2, 8)))
        pairs = tuple((child, rng.randrange(len(tokens))) for child in range(len(tokens)) for _ in range(2))
        made.append(Instance(tokens, ("1", "0") * len(tokens), pairs))
    control = control_task({"train": made, "test": [Instance(("a",), ("1", "0"), ((0, 0), (0, 0)))]}, 5)
    places: dict[str, set] = {word: {"self", "first", "last"} for word in words}
    for instance, old in zip(control["train"], made, strict=True):
        assert [child for child, _ in instance.indices] == [child for child, _ in old.indices]
        assert instance.labels == list(old.labels)
        arcs = instance.indices[::2]
        for child, parent in arcs:
            is_at = {"self": parent == child, "first": parent == 0, "last": parent == len(instance.tokens) - 1}
            places[instance.tokens[child]] &= {place for place, there in is_at.items() if there}
        assert not any(arc == other for arc, other in zip(arcs, instance.indices[1::2], strict=True))
    assert all(len(some) == 1 for some in places.values())  # one behaviour a word, in every sentence
    assert {next(iter(some)) for some in places.values()} == {"self", "first", "last"}
    assert control["test"][0].indices == [(0, 0), (0, 0)] and control["test"][0].labels == ["1", "1"]


def test_ceiling_of_a_control_task_is_what_a_table_of_the_training_words_scores() -> None:
    train = tagged(("a b a", "X Y X"), ("a c", "X Y"))
    test = tagged(("a new b", "X Y X"), ("newer", "Z"))
    control = control_task({"train": train, "test": test}, 0)
    table = {w: x for one in control["train"] for w, x in zip(one.tokens, one.labels, strict=True)}
    most = Counter(x for one in control["train"] for x in one.labels).most_common(1)[0][0]
    expected = [VOCABULARY[str(table.get(word, most))] for one in test for word in one.tokens]
    assert memorised(control, VOCABULARY).tolist() == expected
    numbers = {"train": [Instance(("a",), (2.0,), (0,))], "test": [Instance(("a", "b"), (9.0, 9.0), (0, 1))]}
    assert memorised(control_task(numbers, 0), None).tolist() == [2.0, 2.0]


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


def slow_codelength(features: Features, train_items: Items, dev: Items, recipe: Recipe) -> float:
    """Equation 3 of Voita & Titov with a plain PyTorch probe trained on each prefix until it has converged."""
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
        return features.values[0][train_items.rows[rows, 0]], torch.from_numpy(train_items.targets[rows])

    def loss(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(x), y)

    bits = ends[0] * 3 * np.log2(3)
    dev_x, dev_y = features.values[0][dev.rows[:, 0]], torch.from_numpy(dev.targets)
    for first, last in itertools.pairwise(ends):
        torch.manual_seed(133)
        model, waited = torch.nn.Linear(4, 3), 0
        optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate * 1024 / 4)
        best, least = copy.deepcopy(model.state_dict()), float(loss(model, dev_x, dev_y).detach())
        counted, shuffled, rng = least, list(range(first)), random.Random(13370)
        size = min(recipe.batch_size, -(-first // 20))
        while waited < 5:
            for _ in range(max(1, 40 * size // first)):
                rng.shuffle(shuffled)
                for start in range(0, first, size):
                    optimizer.zero_grad()
                    loss(model, *part([order[i] for i in shuffled[start : start + size]])).backward()
                    optimizer.step()
            now = float(loss(model, dev_x, dev_y).detach())
            counted, waited = (now, 0) if now < counted - 0.001 else (counted, waited + 1)
            if now < least:
                best, least = copy.deepcopy(model.state_dict()), now
            else:
                model.load_state_dict(best)
                optimizer.param_groups[0]["lr"] /= 2
        model.load_state_dict(best)
        x, y = part(order[first:last])
        bits += len(y) * float(loss(model, x, y).detach()) / np.log(2)
    return bits


def test_description_length_against_the_direct_formula() -> None:
    features, train_items, dev = problem(30)
    recipe = Recipe(batch_size=8)
    asked = Problem(features, recipe, 1, "accuracy", ("X", "Y", "Z"))
    bits = online_codelength(asked, train_items, dev)
    assert bits.shape == (2, 20)
    assert bits[0].sum() == pytest.approx(slow_codelength(features, train_items, dev, recipe), rel=1e-3)
    assert bits[0].sum() < 0.7 * bits[1].sum()  # the layer that holds the property needs fewer bits
    assert uniform_bits(asked, train_items).sum() == pytest.approx(60 * np.log2(3))


SCALES = (1.0, 0.2, 5.0)
N, WORDS, DIM, KINDS = 1200, 10, 8, 6


@pytest.fixture(scope="module")
def noisy() -> tuple[Features, Items, Items]:
    """Labels of 0.67 bits: sentences whose words have random numbers that tell most of which of six labels they have.

    Three layers, with the same numbers times each of SCALES.
    """
    rng = np.random.default_rng(0)
    weights, values = 2.2 * rng.normal(size=(DIM, KINDS)), rng.normal(size=(N * WORDS, DIM))
    logits = values @ weights
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    assert -np.mean(np.sum(shares * np.log2(shares), axis=1)) == pytest.approx(0.67, abs=0.02)
    labels = (rng.random((len(shares), 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=KINDS - 1)
    texts = [tuple(f"{i}-{j}" for j in range(WORDS)) for i in range(N)]
    starts = {" ".join(text): WORDS * i for i, text in enumerate(texts)}
    layers = np.stack([scale * values for scale in SCALES]).astype(np.float32)
    made = [Instance(text, tuple(map(str, labels[WORDS * i : WORDS * (i + 1)])), None) for i, text in enumerate(texts)]
    cut, vocabulary = N * 5 // 6, {str(kind): kind for kind in range(KINDS)}
    items = [build_items(some, vocabulary, starts, zero_pairs_count=True) for some in (made[:cut], made[cut:])]
    return Features(torch.from_numpy(layers), list(map(str, SCALES)), starts), *items


@pytest.fixture(scope="module")
def code(noisy: tuple[Features, Items, Items]) -> np.ndarray:
    """(layers,) bits of the online code of the noisy labels."""
    features, items, dev = noisy
    asked = Problem(features.standardised(items.rows), Recipe(), 1, "accuracy", tuple(map(str, range(KINDS))))
    return online_codelength(asked, items, dev).sum(axis=1)


def test_description_length_is_that_of_the_labels_at_any_scale_of_the_features(
    noisy: tuple[Features, Items, Items], code: np.ndarray
) -> None:
    compressions = len(noisy[1]) * np.log2(KINDS) / code
    assert compressions[0] >= 3.5
    assert compressions[1:] == pytest.approx(compressions[0], rel=0.01)


@pytest.mark.slow
def test_description_length_is_that_of_a_converged_logistic_regression_on_the_same_blocks(
    noisy: tuple[Features, Items, Items], code: np.ndarray
) -> None:
    """Its penalty is what the development split likes best, as that stops our probes."""
    features, items, dev = noisy
    order, ends = list(range(items.n_instances)), block_ends(items.n_instances)
    random.Random(13370).shuffle(order)
    values = features.values[0].numpy()
    x = values[items.rows[:, 0]].reshape(-1, WORDS, DIM)[order]
    y = items.targets.reshape(-1, WORDS)[order]
    bits = ends[0] * WORDS * np.log2(KINDS)
    for first, last in itertools.pairwise(ends):
        costs = []
        for strength in (0.01, 0.1, 1.0, 10.0, 1000.0):
            model = LogisticRegression(C=strength, max_iter=5000).fit(x[:first].reshape(-1, DIM), y[:first].ravel())
            coded = [(values[dev.rows[:, 0]], dev.targets), (x[first:last].reshape(-1, DIM), y[first:last].ravel())]
            costs.append([code_of(model, *some) for some in coded])
        bits += min(costs)[1]
    assert code[0] == pytest.approx(bits, rel=0.05)


def code_of(model: LogisticRegression, x: np.ndarray, y: np.ndarray) -> float:
    """Bits of labels; one that the model has not seen yet costs those of 1 in 1000."""
    shares = np.full((len(x), KINDS), 1e-3)
    shares[:, model.classes_] = model.predict_proba(x)
    return float(-np.log2(shares[np.arange(len(y)), y]).sum())


def test_bits_of_equal_probabilities() -> None:
    features, train_items, _ = problem(30)
    probes = Probes(Problem(features, Recipe(), 1, "accuracy", ("X", "Y", "Z")))
    probes.model.parameters.zero_()
    np.testing.assert_allclose(code_bits(probes, train_items), 3 * np.log2(3), rtol=1e-6)
