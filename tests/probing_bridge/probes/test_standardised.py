"""Standardised features: the plain formula, and scores that do not depend on how large the features are."""

from __future__ import annotations

import numpy as np
import torch

from probing_bridge.corpora.instances import Instance
from probing_bridge.probes.features import Features
from probing_bridge.probes.measures import MEASURES, TaskData, TaskSpec
from probing_bridge.probes.metrics import score
from probing_bridge.probes.problem import Recipe


def test_each_neuron_is_less_its_mean_by_its_deviation_over_the_training_words() -> None:
    """Over more rows than are read at a time, in any order and repeated; of other rows too; a constant is centred."""
    rng = np.random.default_rng(0)
    values = np.exp(2 * rng.normal(size=6)) * rng.normal(size=(3, 5000, 6)) + 20 * rng.normal(size=6)
    values[:, :, 2] = 7.1
    features = Features(torch.from_numpy(values.astype(np.float32)), ("0", "1", "2"), {})
    rows = rng.integers(0, 3000, size=(9000, 2))
    found = features.standardised(rows)
    seen = features.values.numpy().astype(float)[:, np.unique(rows)]
    deviation = seen.std(axis=1, keepdims=True)
    deviation[..., 2] = 1.0
    expected = (features.values.numpy() - seen.mean(axis=1, keepdims=True)) / deviation
    whole = found.gather(torch.arange(5000), range(3), torch.empty(3, 5000, 6)).numpy()
    np.testing.assert_allclose(whole, expected, atol=2e-4)
    assert np.abs(whole[..., 2]).max() < 1e-5
    some = found.gather(torch.tensor([4, 2]), [2, 0], torch.empty(3, 2, 6)).numpy()
    np.testing.assert_allclose(some, expected[[2, 0]][:, [4, 2]], atol=2e-4)
    plain = features.gather(torch.tensor([4]), [1], torch.empty(1, 1, 6))
    assert torch.equal(plain, features.values[1:2, 4:5])  # what is shared by all tasks is as it was


def task(scale: float, *, liu2019: bool) -> tuple[TaskData, Features]:
    """Words whose tag is the largest of five sums of their 20 numbers, half of the time."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(1, 9600, 20))
    tags = (values[0] @ rng.normal(size=(20, 5)) + 2 * rng.normal(size=(9600, 5))).argmax(axis=1)
    sentences = [tuple(f"{i}-{j}" for j in range(8)) for i in range(1200)]
    starts = {" ".join(words): 8 * i for i, words in enumerate(sentences)}
    made = [
        Instance(words, tuple("ABCDE"[t] for t in tags[8 * i : 8 * i + 8]), None) for i, words in enumerate(sentences)
    ]
    splits = {"train": made[:240], "dev": made[240:400], "test": made[400:]}
    spec = TaskSpec("pos", "accuracy", "", liu2019=liu2019)
    features = Features(torch.from_numpy((scale * values).astype(np.float32)), ("1",), starts)
    return TaskData(spec, dict(splits), tuple("ABCDE")), features


def accuracy(scale: float, *, liu2019: bool) -> float:
    data, features = task(scale, liu2019=liu2019)
    outcome = MEASURES["score"].run(data, features, data.spec.recipe(Recipe()))[0]
    assert outcome.predictions is not None
    return score("accuracy", outcome.predictions)


def test_a_score_moves_by_less_than_0_3_points_when_features_are_scaled() -> None:
    """Raw ones of `compat: liu2019` move it by points: the probe is stopped before it has got anywhere."""
    moved = [abs(accuracy(0.2, liu2019=raw) - accuracy(1.0, liu2019=raw)) for raw in (False, True)]
    assert moved[0] < 0.003 < 0.02 < moved[1]
