"""The engine against a slow, obvious PyTorch loop, from the models and configurations of Liu et al. (2019)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from probing_bridge.probes.features import Features
from probing_bridge.probes.intervals import resample, resampled_score
from probing_bridge.probes.items import Items, batches, build_items
from probing_bridge.probes.models import Stack, combine, new_model
from probing_bridge.probes.problem import PROBES, Problem, Recipe
from probing_bridge.probes.training import Probes, should_stop, train

FAMILIES = ("token", "selective", "pairwise", "regression")


@dataclass(frozen=True)
class Sentence:
    tokens: list[str]
    labels: list
    indices: list | None


def corpus(family: str, n_sentences: int, seed: int, n_labels: int = 5) -> list[Sentence]:
    rng = random.Random(seed)
    sentences = []
    for number in range(n_sentences):
        tokens = [f"w{number}-{rng.randrange(30)}" for _ in range(rng.randrange(1, 12))]
        n = len(tokens)
        if family == "token":
            indices, count = None, n
        elif family == "pairwise":
            indices = [[rng.randrange(n), rng.randrange(n)] for _ in range(rng.randrange(1, 6))]
            count = len(indices)
        else:
            indices = rng.sample(range(n), rng.randrange(1, n + 1))
            count = len(indices)
        if family == "regression":
            labels = [rng.randrange(-8, 9) * 0.375 for _ in range(count)]
        else:
            labels = [f"L{rng.randrange(n_labels)}" for _ in range(count)]
        sentences.append(Sentence(tokens, labels, indices))
    return sentences


def make_features(sentences: Sequence[Sentence], n_layers: int, dim: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    starts, n_words = {}, 0
    for sentence in sentences:
        starts[" ".join(sentence.tokens)] = n_words
        n_words += len(sentence.tokens)
    values = rng.normal(size=(n_layers, n_words, dim)).astype(np.float32)
    return Features(torch.from_numpy(values), [str(layer) for layer in range(n_layers)], starts)


VOCABULARY = {f"L{i}": i for i in range(5)}


def problem(features: Features, recipe: Recipe, items: Items, vocabulary: dict[str, int] | None) -> Problem:
    if vocabulary is None:
        return Problem(features, recipe, items.rows.shape[1], "pearson", None)
    return Problem(features, recipe, items.rows.shape[1], "accuracy", tuple(vocabulary))


class SlowProbe:
    """One probe on one layer: padded batches, autograd, torch's own Adam; nothing shared with the engine."""

    def __init__(self, sentences: Sequence[Sentence], features: Features, layer: int, probe: str = "linear") -> None:
        self.sentences, self.features, self.layer = list(sentences), features, layer
        self.regression = isinstance(sentences[0].labels[0], float)
        pairwise = sentences[0].indices is not None and isinstance(sentences[0].indices[0], list)
        n_in, n_out = features.dim * (3 if pairwise else 1), 1 if self.regression else len(VOCABULARY)
        torch.manual_seed(133)
        if probe == "linear":
            self.model: torch.nn.Module = torch.nn.Linear(n_in, n_out)
        else:
            self.model = torch.nn.Sequential(torch.nn.Linear(n_in, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, n_out))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.001)

    def inputs(self, sentence: Sentence) -> torch.Tensor:
        start = self.features.starts[" ".join(sentence.tokens)]
        words = self.features.values[self.layer][start : start + len(sentence.tokens)]
        if sentence.indices is None:
            return words
        if isinstance(sentence.indices[0], list):
            return torch.stack([torch.cat([words[c], words[p], words[c] * words[p]]) for c, p in sentence.indices])
        return torch.stack([words[i] for i in sentence.indices])

    def loss(self, batch: Sequence[Sentence]) -> torch.Tensor:
        if self.regression:
            errors = [self.model(self.inputs(s))[:, 0] - torch.tensor(s.labels) for s in batch]
            e = torch.cat(errors).abs()
            return torch.where(e < 1, 0.5 * e * e, e - 0.5).mean()
        means = []
        for sentence in batch:
            logits = self.model(self.inputs(sentence))
            gold = torch.tensor([VOCABULARY[label] for label in sentence.labels])
            means.append(torch.nn.functional.cross_entropy(logits, gold))
        return torch.stack(means).mean()

    def update(self, batch: Sequence[Sentence]) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def flat(self) -> torch.Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.model.parameters()])


def parameters(probes: Probes, row: int) -> torch.Tensor:
    """The engine's parameters of one probe in PyTorch's order."""
    affines = probes.model.affines  # type: ignore[attr-defined]
    return torch.cat([part for affine in affines for part in (affine.weight[row].reshape(-1), affine.bias[row])])


EPOCHS = pytest.mark.parametrize("n_epochs", [5, pytest.param(20, marks=pytest.mark.slow)])  # of ten updates


@EPOCHS
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_engine_equals_separate_training(family: str, probe: str, n_epochs: int) -> None:
    sentences = corpus(family, 90, seed=1)
    features = make_features(sentences, n_layers=3, dim=10 if probe == "linear" else 6)
    vocabulary = None if family == "regression" else VOCABULARY
    items = build_items(sentences, vocabulary, features.starts, zero_pairs_count=True)
    recipe = Recipe(probe=probe, batch_size=9)
    engine = Probes(problem(features, recipe, items, vocabulary))
    rng, order, losses = random.Random(13370), list(range(len(sentences))), []
    for _ in range(n_epochs):
        rng.shuffle(order)
        losses += [engine.step(batch).tolist() for batch in batches(items, order, 9)]
    assert len(losses) == 10 * n_epochs
    for layer in range(3):
        slow = SlowProbe(sentences, features, layer, probe)
        slow_losses, shuffled = [], list(sentences)
        random.seed(13370)  # the original's way: Python's global generator, the list itself shuffled
        for _ in range(n_epochs):
            random.shuffle(shuffled)
            slow_losses += [slow.update(shuffled[i : i + 9]) for i in range(0, 90, 9)]
        difference = (parameters(engine, layer) - slow.flat()).abs()
        if probe == "linear":
            assert difference.max() <= 1e-6
        else:  # Adam blows the rounding of a gradient that cancels to nothing up to a step: see the test in float64
            assert (difference > 1e-6).float().mean() <= 5e-3
        np.testing.assert_allclose(np.array(losses)[:, layer], slow_losses, atol=2e-6)


@EPOCHS
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_engine_equals_separate_training_in_float64(family: str, probe: str, n_epochs: int) -> None:
    sentences = corpus(family, 90, seed=1)
    features = make_features(sentences, n_layers=2, dim=6)
    features.values = features.values.double()
    vocabulary = None if family == "regression" else VOCABULARY
    items = build_items(sentences, vocabulary, features.starts, zero_pairs_count=True)
    engine = Probes(problem(features, Recipe(probe=probe), items, vocabulary))
    slow = SlowProbe(sentences, features, 1, probe)
    slow.model.double()
    losses, slow_losses = [], []
    for _ in range(n_epochs):
        losses += [float(engine.step(batch)[1]) for batch in batches(items, range(90), 9)]
        slow_losses += [slow.update(sentences[start : start + 9]) for start in range(0, 90, 9)]
    # the weights of the losses are float32 in the engine: 3e-8 of a step of 1e-3, at each of them
    assert (parameters(engine, 1) - slow.flat()).abs().max() <= 1e-6
    np.testing.assert_allclose(losses, slow_losses, rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_together_equal_layers_alone(family: str) -> None:
    sentences = corpus(family, 60, seed=3)
    dev = corpus(family, 40, seed=4)
    features = make_features([*sentences, *dev], n_layers=4, dim=8)
    vocabulary = None if family == "regression" else VOCABULARY
    items, dev_items = (build_items(s, vocabulary, features.starts, zero_pairs_count=True) for s in (sentences, dev))
    recipe = Recipe(batch_size=7, patience=3, max_epochs=25)

    def run(some: Features) -> list:
        return train(problem(some, recipe, items, vocabulary), items, dev_items)

    together = run(features)
    assert len({len(one.dev_scores) for one in together}) > 1  # some layer did drop out before the others
    for layer, one in enumerate(together):
        alone = run(Features(features.values[[layer]], [str(layer)], features.starts))[0]
        assert alone.best_epoch == one.best_epoch
        np.testing.assert_allclose(alone.dev_scores, one.dev_scores, atol=1e-5)
        assert (alone.parameters - one.parameters).abs().max() <= 1e-6


def slow_run(train_set: list[Sentence], dev: list[Sentence], features: Features, layer: int, patience: int) -> tuple:
    """A whole run by the letter of the recipe: scores of dev, the best epoch, its weights."""
    slow, scores, best = SlowProbe(train_set, features, layer), [], (-1, torch.zeros(0))
    random.seed(13370)
    shuffled = list(train_set)
    for epoch in range(50):
        random.shuffle(shuffled)
        for i in range(0, len(shuffled), 80):
            slow.update(shuffled[i : i + 80])
        right = total = 0
        for sentence in dev:
            answers = slow.model(slow.inputs(sentence)).argmax(dim=1).tolist()
            right += sum(a == VOCABULARY[b] for a, b in zip(answers, sentence.labels, strict=True))
            total += len(answers)
        is_best = all(right / total > earlier for earlier in scores)
        scores.append(right / total)
        if len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience]):
            break
        if is_best:
            best = (epoch, slow.flat())
    return scores, *best


def learnable(family: str, seed: int, n: int, features_seed: int = 9) -> tuple[list[Sentence], Features]:
    """Labels that depend on the features, and some noise, so that training has something to find."""
    sentences = corpus(family, n, seed)
    features = make_features(sentences, 2, 12, features_seed)
    weights = torch.from_numpy(np.random.default_rng(5).normal(size=(12, 5)).astype(np.float32))
    rng, relabelled = random.Random(seed), []
    for sentence in sentences:
        start = features.starts[" ".join(sentence.tokens)]
        best = (features.values[:, start : start + len(sentence.tokens)].mean(0) @ weights).argmax(1).tolist()
        where = sentence.indices if sentence.indices is not None else range(len(sentence.tokens))
        tags = [
            f"L{best[i if isinstance(i, int) else i[0]] if rng.random() < 0.8 else rng.randrange(5)}" for i in where
        ]
        relabelled.append(replace(sentence, labels=tags))
    return relabelled, features


@pytest.mark.parametrize("family", ["token", pytest.param("pairwise", marks=pytest.mark.slow)])
def test_whole_run_by_the_recipe(family: str) -> None:
    sentences, features = learnable(family, seed=2, n=250)
    train_set, dev = sentences[:170], sentences[170:]
    items, dev_items = (build_items(s, VOCABULARY, features.starts, zero_pairs_count=True) for s in (train_set, dev))
    asked = problem(features, Recipe(), items, VOCABULARY)
    trained = train(asked, items, dev_items)
    for layer, one in enumerate(trained):
        scores, epoch, weights = slow_run(train_set, dev, features, layer, patience=3)
        assert one.dev_scores == pytest.approx(scores, abs=1.5 / len(dev_items))  # one borderline item
        assert one.best_epoch == epoch
        best = Probes(asked, [one.parameters for one in trained])
        assert (parameters(best, layer) - weights).abs().max() <= 1e-6


def test_chunks_do_not_change_the_trajectory(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = corpus("pairwise", 500, seed=6)
    features = make_features(sentences, n_layers=2, dim=8)
    items = build_items(sentences, VOCABULARY, features.starts, zero_pairs_count=True)
    rows = []
    for numbers in (2**20, 1):  # one chunk; chunks of 64 pairs
        monkeypatch.setattr("probing_bridge.probes.training._CHUNK_NUMBERS", numbers)
        probes = Probes(problem(features, Recipe(batch_size=250), items, VOCABULARY))
        for _ in range(20):
            for batch in batches(items, range(500), 250):
                probes.step(batch)
        rows.append(probes.model.parameters.clone())
    assert (rows[0] - rows[1]).abs().max() <= 1e-6


@pytest.mark.parametrize(
    ("family", "probe"), [("token", "linear"), ("pairwise", "linear"), ("pairwise", "mlp"), ("regression", "mlp")]
)
def test_scalar_mix_equals_autograd(family: str, probe: str) -> None:
    sentences = corpus(family, 40, seed=7)
    features = make_features(sentences, n_layers=3, dim=6)
    vocabulary = None if family == "regression" else VOCABULARY
    items = build_items(sentences, vocabulary, features.starts, zero_pairs_count=True)
    probes = Probes(problem(features, Recipe(probe=probe, mix=True), items, vocabulary))
    w, gamma = torch.zeros(3, requires_grad=True), torch.ones(1, requires_grad=True)
    slow = SlowProbe(sentences, features, 0, probe)
    optimizer = torch.optim.Adam([w, gamma, *slow.model.parameters()], lr=0.001)
    n_hidden_or_out = 1024 if probe == "mlp" else 1 if vocabulary is None else 5
    n_in = 6 * (3 if family == "pairwise" else 1)
    for _ in range(20):
        for start in range(0, 40, 10):
            mixed = gamma * torch.tensordot(torch.softmax(w, 0), features.values, dims=1)
            slow.features = Features(mixed[None], ["0"], features.starts)
            optimizer.zero_grad()
            slow.loss(sentences[start : start + 10]).backward()
            optimizer.step()
        for batch in batches(items, range(40), 10):
            probes.step(batch)
    theta = probes.model.parameters[0]
    assert (theta[:3] - w.detach()).abs().max() <= 1e-6
    assert (theta[3] - gamma.detach()).abs() <= 1e-6
    first_weights = theta[4 : 4 + n_hidden_or_out * n_in]
    difference = (first_weights - slow.flat()[: len(first_weights)]).abs()
    assert difference.max() <= (1e-6 if probe == "linear" else 1e-4) and difference.mean() <= 1e-7


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5), (4, 6, 3)])
@pytest.mark.parametrize("n_words", [1, 2])
def test_gradients_of_any_depth(hidden: tuple[int, ...], n_words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the weights and of the input, against autograd of the same sum of affine maps in float64."""
    monkeypatch.setitem(PROBES, "some", hidden)
    rng = torch.Generator().manual_seed(0)
    words = [torch.randn(2, 9, 6, dtype=torch.float64, generator=rng) for _ in range(n_words)]
    features = Features(words[0], ("0", "1"), {})
    stack = new_model(Problem(features, Recipe(probe="some"), n_words, "accuracy", tuple("abc")), words[0])
    assert isinstance(stack, Stack)
    stack.parameters += 0.1 * torch.randn(stack.parameters.shape, dtype=torch.float64, generator=rng)
    gradient = torch.randn(stack.forward(words).shape, dtype=torch.float64, generator=rng)
    stack.backward(gradient)
    for probe in range(2):
        theta = stack.parameters[probe].clone().requires_grad_()
        x = torch.cat([word[probe] for word in combine(words)], dim=1).requires_grad_()
        sizes, layer, first = [x.shape[1], *hidden, 3], x, 0
        for place, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            weight = theta[first : first + n_in * n_out].view(n_out, n_in)
            first += n_in * n_out
            layer = (layer if place == 0 else layer.relu()) @ weight.T + theta[first : first + n_out]
            first += n_out
        layer.backward(gradient[probe].T)
        assert theta.grad is not None and x.grad is not None and first + -first % 16 == len(theta)
        torch.testing.assert_close(stack.gradient[probe], theta.grad)
        torch.testing.assert_close(stack.input_gradient(gradient)[probe], x.grad)


@pytest.mark.parametrize(
    ("scores", "stops"),
    [
        ([0.5, 0.4, 0.4], False),
        ([0.5, 0.4, 0.4, 0.4], True),
        ([0.5, 0.5, 0.5, 0.5], True),  # equal is not better
        ([0.5, 0.4, 0.4, 0.51], False),
        ([0.3, 0.5, 0.4, 0.4], False),
        ([0.3, 0.5, 0.4, 0.4, 0.5], True),
        ([-0.1, -0.2, -0.3, -0.4], True),
    ],
)
def test_early_stopping(scores: list[float], stops: bool) -> None:
    assert should_stop(scores, patience=3) is stops


def test_seeds_are_those_of_the_recipe() -> None:
    recipe = Recipe()
    assert (recipe.seed, recipe.shuffle_seed) == (133, 13370)
    features = make_features(corpus("token", 3, 1), 2, 7)
    torch.manual_seed(133)
    expected = torch.nn.Linear(7, 5)
    state = torch.random.get_rng_state()
    probes = Probes(Problem(features, recipe, 1, "accuracy", tuple(VOCABULARY)))
    assert torch.equal(state, torch.random.get_rng_state())  # the caller's generator is left alone
    for layer in range(2):
        np.testing.assert_array_equal(probes.model.affines[0].weight[layer], expected.weight.detach())  # type: ignore[attr-defined]
        np.testing.assert_array_equal(probes.model.affines[0].bias[layer], expected.bias.detach())  # type: ignore[attr-defined]
    other = Probes(Problem(features, Recipe(seed=1), 1, "accuracy", tuple(VOCABULARY)))
    assert not torch.equal(other.model.parameters, probes.model.parameters)


def test_rows_of_parameters_are_filled_with_zeros_that_stay() -> None:
    sentences = corpus("token", 30, seed=8)
    features = make_features(sentences, 1, 4)
    items = build_items(sentences, VOCABULARY, features.starts, zero_pairs_count=True)
    probes = Probes(problem(features, Recipe(learning_rate=0.1), items, VOCABULARY))
    for _ in range(50):
        for batch in batches(items, range(30), 10):
            probes.step(batch)
    assert probes.model.parameters.shape == (1, 32) and not probes.model.parameters[:, 5 * (4 + 1) :].any()
    assert probes.predict(items)[0].predicted.max() < 5


def test_masked_items_change_nothing() -> None:
    sentences = corpus("token", 30, seed=8)
    features = make_features(sentences, 2, 4)
    items = build_items(sentences, VOCABULARY, features.starts, zero_pairs_count=True)
    counted = np.ones((2, len(items)), bool)
    counted[1, ::3] = False
    masked = Items(items.rows, items.targets, items.offsets, counted)
    wrong = items.targets.copy()
    wrong[::3] = (wrong[::3] + 1) % 5
    other = Items(items.rows, wrong, items.offsets, counted)
    parameters = []
    for some in (items, masked, other):
        probes = Probes(problem(features, Recipe(), items, VOCABULARY))
        for _ in range(5):
            for batch in batches(some, range(30), 8):
                probes.step(batch)
        parameters.append(probes.model.parameters)
    assert torch.equal(parameters[0][0], parameters[1][0])  # the first layer's items all count
    assert not torch.equal(parameters[0][1], parameters[1][1])
    assert torch.equal(parameters[1][1], parameters[2][1])  # labels of masked items do not matter


def test_as_good_as_logistic_regression() -> None:
    sentences, features = learnable("token", seed=11, n=1200)
    splits = [sentences[:800], sentences[800:1000], sentences[1000:]]
    items = [build_items(s, VOCABULARY, features.starts, zero_pairs_count=True) for s in splits]
    asked = problem(features, Recipe(batch_size=20), items[0], VOCABULARY)
    trained = train(asked, items[0], items[1])
    for layer, predictions in enumerate(Probes(asked, [one.parameters for one in trained]).predict(items[2])):
        x, y = (features.values[layer][items[0].rows[:, 0]].numpy(), items[0].targets)
        oracle = LogisticRegression(max_iter=1000).fit(x, y)
        reached = oracle.score(features.values[layer][items[2].rows[:, 0]].numpy(), items[2].targets)
        low, high = resampled_score("accuracy", predictions, resample(predictions.n_sentences)).interval
        assert reached > 0.4 and low <= reached <= high
