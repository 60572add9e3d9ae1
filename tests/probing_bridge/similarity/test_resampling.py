"""Intervals: the shortcuts resample exactly, and the intervals cover."""

import numpy as np
import pytest
import scipy.linalg

from probing_bridge.similarity import MEASURES, compare, compare_layers
from probing_bridge.similarity.arrays import accumulate_arrays
from probing_bridge.similarity.measures.cka import HsicBlocks, debiased_linear_cka, linear_cka, resampled_cka
from probing_bridge.similarity.measures.neuron_sim import (
    match_neurons,
    resampled_neuron_similarity,
    resampled_own_index_share,
)
from probing_bridge.similarity.measures.spectra import resampled_spectra, spectrum
from probing_bridge.similarity.sums.blocks import cut_blocks
from probing_bridge.similarity.sums.moments import layer_moments, pair_moments
from probing_bridge.similarity.sums.resampling import draw_blocks, interval


def test_draws_and_intervals() -> None:
    draws = draw_blocks(7, 50)
    assert (draws.sum(axis=1) == 7).all() and (draws != draws[0]).any()
    np.testing.assert_array_equal(draws, draw_blocks(7, 50))
    low, high = interval(0.5, np.array([0.4, 0.6] * 500), 20)
    error = np.array([0.4, 0.6] * 500).std(ddof=1) * np.sqrt(20 / 19)
    assert (low, high) == pytest.approx((0.5 - 2.0930 * error, 0.5 + 2.0930 * error), abs=1e-4)
    assert interval(0.99, np.array([0.9, 1.0] * 9), 20, (0, 1))[1] == 1
    assert np.isnan(interval(0.5, np.array([0.4, 0.6]), 1)).all()


def test_shortcuts_equal_scores_of_drawn_moments() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((600, 9)) @ random.standard_normal((9, 9)) + 30
    y = x[:, :6] + 2 * random.standard_normal((600, 6))
    blocks = cut_blocks(np.arange(0, 601, 4), 12)
    moments = accumulate_arrays({"x": x.astype(np.float32), "y": y.astype(np.float32)}, blocks)
    own_x, own_y, between = moments.pair(0, 0), moments.pair(1, 1), moments.pair(0, 1)
    draws = draw_blocks(12, 25)
    fast = resampled_cka(*(HsicBlocks.of(part).resample(draws) for part in (between, own_x, own_y)))
    squares = [np.stack([np.diag(p) for p in own.products]).astype(float) for own in (own_x, own_y)]
    whole = match_neurons(pair_moments(between, layer_moments(own_x), layer_moments(own_y)))
    neurons = resampled_neuron_similarity(between, (squares[0], squares[1]), whole, draws)
    shares = resampled_own_index_share(between, squares[1], whole, draws)
    for r, weights in enumerate(draws):
        pair = pair_moments(between, layer_moments(own_x, weights), layer_moments(own_y, weights), weights)
        assert fast[0][r] == pytest.approx(linear_cka(pair), abs=1e-5)
        assert fast[1][r] == pytest.approx(debiased_linear_cka(pair), abs=1e-5)
        assert neurons[r] == pytest.approx(pair.correlations[whole.neurons, whole.best].mean(), abs=1e-5)
        assert shares[r] == match_neurons(pair).own_index_share


DECOMPOSED = [(name, v) for name, entry in MEASURES.items() if entry.closed_form is None for v in entry.variants]


@pytest.mark.parametrize(("name", "variant"), DECOMPOSED)
def test_a_resample_is_the_measure_of_the_drawn_rows(name: str, variant: str) -> None:
    random = np.random.default_rng(6)
    x = (random.standard_normal((600, 9)) @ random.standard_normal((9, 9)) + 3).astype(np.float32)
    y = (np.tanh(x[:, :6]) + 0.7 * random.standard_normal((600, 6))).astype(np.float32)
    offsets = np.arange(0, 601, 4)
    borders = cut_blocks(offsets).borders
    draws = draw_blocks(len(borders) - 1, 12)
    frame = compare_layers({"x": x, "y": y}, offsets, [name], {name: [variant]}, n_resamples=12)
    for row in frame[frame["layer_a"] != frame["layer_b"]].itertuples():
        one, other = (x, y) if row.layer_a == "x" else (y, x)
        resampled = []
        for weights in draws.astype(int):
            rows = np.concatenate([np.tile(np.arange(*borders[b : b + 2]), times) for b, times in enumerate(weights)])
            resampled.append(compare(one[rows], other[rows], name, variant))
        expected = interval(row.score, np.array(resampled), len(borders) - 1, MEASURES[name].bounds)
        assert (row.low, row.high) == pytest.approx(expected, abs=1e-6)
        assert row.high - row.low > 1e-3


def test_intervals_cover_the_truth() -> None:
    """95 % intervals of sentences whose tokens depend on each other, with a known CKA and known correlations."""
    random = np.random.default_rng(11)
    mixing = random.standard_normal((4, 4))
    a, b = np.eye(4), mixing
    truth_cka = np.linalg.norm(a.T @ b) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b + 0.5 * np.eye(4))
    deviation = np.sqrt(np.diag(b.T @ b) + 0.5)
    truth_neurons = (b / deviation).max(axis=1).mean()
    covered = {"linear_cka": 0, "neuron_similarity": 0}
    trials, n_sentences = 150, 200
    for _ in range(trials):
        shared = random.standard_normal((n_sentences, 1, 4))  # half of the variance belongs to the sentence
        x = (np.sqrt(0.5) * shared + np.sqrt(0.5) * random.standard_normal((n_sentences, 8, 4))).reshape(-1, 4)
        y = x @ b + np.sqrt(0.5) * random.standard_normal(x.shape)
        layers = {"x": x.astype(np.float32), "y": y.astype(np.float32)}
        frame = compare_layers(layers, np.arange(0, 8 * n_sentences + 1, 8), variants={"linear_cka": ["debiased"]})
        row = frame[(frame["layer_a"] == "x") & (frame["layer_b"] == "y")].set_index("measure")
        covered["linear_cka"] += row.loc["linear_cka", "low"] <= truth_cka <= row.loc["linear_cka", "high"]
        low, high = row.loc["neuron_similarity", ["low", "high"]]
        covered["neuron_similarity"] += low <= truth_neurons <= high
    for name, count in covered.items():
        assert 0.89 <= count / trials <= 0.995, (name, count)


def test_every_measure_has_an_interval() -> None:
    random = np.random.default_rng(8)
    x = random.standard_normal((800, 8)).astype(np.float32)
    y = (x @ scipy.linalg.hadamard(8) / 3 + random.standard_normal((800, 8))).astype(np.float32)
    frame = compare_layers({"x": x, "y": y}, np.arange(0, 801, 5), measures=list(MEASURES), n_resamples=200)
    pair = frame[(frame["layer_a"] == "x") & (frame["layer_b"] == "y")]
    assert set(pair["measure"]) == set(MEASURES)
    assert ((pair["low"] < pair["score"]) & (pair["score"] < pair["high"])).all()
    assert ((pair["high"] - pair["low"]) < 0.2).all()


@pytest.mark.parametrize("variant", ["centred", "uncentred"])
def test_spectra_of_resamples(variant: str) -> None:
    random = np.random.default_rng(5)
    x = (random.standard_normal((4000, 6)) * [9, 7, 5, 3, 2, 1] + 4) @ np.linalg.qr(random.standard_normal((6, 6)))[0]
    moments = accumulate_arrays({"x": x.astype(np.float32)}, cut_blocks(np.arange(0, 4001, 10), 10))
    own = moments.pair(0, 0)
    draws = draw_blocks(10, 20)
    fast = resampled_spectra(own, layer_moments(own), variant, draws)
    for weights, found in zip(draws, fast, strict=True):
        exact = spectrum(layer_moments(own, weights), variant)
        assert found.values.sum() == pytest.approx(exact.values.sum(), rel=1e-6)
        np.testing.assert_allclose(found.values, exact.values, rtol=0.02)
        assert found.participation_ratio == pytest.approx(exact.participation_ratio, rel=0.01)
