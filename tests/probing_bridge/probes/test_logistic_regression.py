"""The linear probe beside scikit-learn's logistic regression on a real corpus (docs/probing.md has the figures)."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from probing_bridge.corpora.suite import load_suite
from probing_bridge.errors import Faults
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import Representations, RepresentationWriter
from probing_bridge.probes.features import load_features
from probing_bridge.probes.inputs import read_tasks, task_specs
from probing_bridge.probes.intervals import resample, resampled_score
from probing_bridge.probes.measures import MEASURES, lay_out
from probing_bridge.probes.metrics import score
from probing_bridge.probes.problem import Recipe

DIM = 64


@cache
def direction(gram: str) -> np.ndarray:
    return np.random.default_rng(crc32(gram.encode())).standard_normal(DIM)


def word_vectors(words: list[str]) -> dict[str, np.ndarray]:
    """Random projections of the words' identities and character n-grams of 2 to 4, about their mean, of variance 1."""
    rows = []
    for word in words:
        text = f"^{word}$"
        grams = {text[i : i + n] for n in (2, 3, 4) for i in range(len(text) - n + 1)} | {word}
        rows.append(np.mean([direction(gram) for gram in sorted(grams)], axis=0))
    vectors = np.stack(rows)
    return dict(zip(words, (vectors - vectors.mean(axis=0)) / vectors.std(axis=0), strict=True))


@pytest.mark.slow
def test_pos_of_ewt(shared: Path, tmp_path: Path) -> None:
    """Both minimise the mean over sentences of the mean over words, the recipe's loss, and neither is stopped early."""
    splits = {split: f"en_ewt-ud-{split}.conllu.gz" for split in ("train", "dev", "test")}
    (tmp_path / "suite.yaml").write_text(json.dumps({"tasks": {"pos": splits}}))
    faults = Faults()
    suite = load_suite(tmp_path / "suite.yaml", shared / "data" / "ud_ewt")
    data = read_tasks(suite, task_specs(suite, None, faults), ["pos"], faults)["pos"]
    vectors = word_vectors(sorted({word for tokens in data.sentences for word in tokens}))
    sentences = list(dict.fromkeys(map(tuple, data.sentences)))
    dim = len(next(iter(vectors.values())))
    with RepresentationWriter(tmp_path / "projections.hdf5", sentences, ["0"], dim, Origin()) as writer:
        for tokens in sentences:
            writer.add(tokens, np.stack([vectors[word] for word in tokens])[None])
    with Representations(tmp_path / "projections.hdf5") as representations:
        features = load_features(representations, data.sentences, None, tmp_path)
    items = lay_out(data, data.splits, features, mix=False)
    recipe = replace(data.spec.recipe(Recipe()), patience=Recipe().max_epochs)
    outcome = MEASURES["score"].run(data, features, recipe)[0]
    assert outcome.predictions is not None
    ours = score("accuracy", outcome.predictions)
    samples = resample(outcome.predictions.n_sentences)
    low, high = resampled_score("accuracy", outcome.predictions, samples).interval
    x = {split: features.values[0][items[split].rows[:, 0]].numpy() for split in ("train", "test")}
    lengths = np.diff(items["train"].offsets)
    weights = np.repeat(lengths.mean() / lengths, lengths)
    oracle = LogisticRegression(max_iter=300).fit(x["train"], items["train"].targets, sample_weight=weights)
    theirs = oracle.score(x["test"], items["test"].targets)
    print(f"probe {ours:.4f} [{low:.4f}, {high:.4f}] epoch {outcome.best_epoch}, logistic regression {theirs:.4f}")
    assert ours > 0.5 and low <= theirs <= high
    features.values *= 0.2
    scaled = MEASURES["score"].run(data, features, recipe)[0].predictions
    raw = replace(data, spec=replace(data.spec, liu2019=True))
    of_raw = replace(raw.spec.recipe(Recipe()), patience=recipe.patience)
    unscaled = MEASURES["score"].run(raw, features, of_raw)[0].predictions
    assert scaled is not None and unscaled is not None
    print(f"features times 0.2: {score('accuracy', scaled):.4f}, of raw ones {score('accuracy', unscaled):.4f}")
    assert abs(score("accuracy", scaled) - ours) < 0.003
