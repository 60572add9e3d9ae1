"""Intervals: the shortcuts leave blocks out exactly, and the intervals cover."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from probing_bridge.similarity import MEASURES, compare, compare_layers
from probing_bridge.similarity.arrays import accumulate_arrays
from probing_bridge.similarity.measures.cka import HsicBlocks, debiased_linear_cka, linear_cka, weighted_cka
from probing_bridge.similarity.measures.neuron_sim import (
    match_neurons,
    weighted_neuron_similarity,
    weighted_own_index_share,
)
from probing_bridge.similarity.measures.spectra import spectrum, weighted_spectra
from probing_bridge.similarity.sums.blocks import cut_blocks
from probing_bridge.similarity.sums.jackknife import interval, leave_one_out, standard_error
from probing_bridge.similarity.sums.moments import layer_moments, pair_moments


def drawn_blocks(n_blocks: int, rows: int) -> np.ndarray:
    """Weights of all kinds, with the blocks that are left out first."""
    draws = np.random.default_rng(0).multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), rows)
    return np.concatenate([leave_one_out(n_blocks), draws.astype(float)])


def test_the_error_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    left_out = np.array([np.delete(values, k).mean() for k in range(400)])
    assert standard_error(left_out) == pytest.approx(scipy.stats.sem(values))
    low, high = interval(values.mean(), left_out)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert interval(0.99, np.array([0.9, 1.0] * 10), (0, 1))[1] == 1
    for none in ([], [0.5], [0.4, np.nan, 0.6]):
        assert np.isnan(interval(0.5, np.array(none))).all()


def test_each_block_is_left_out_once() -> None:
    np.testing.assert_array_equal(leave_one_out(3), [[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    assert leave_one_out(1).shape == (0, 1)


def test_shortcuts_equal_scores_of_weighted_moments() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((600, 9)) @ random.standard_normal((9, 9)) + 30
    y = x[:, :6] + 2 * random.standard_normal((600, 6))
    blocks = cut_blocks(np.arange(0, 601, 4), 12)
    moments = accumulate_arrays({"x": x.astype(np.float32), "y": y.astype(np.float32)}, blocks)
    own_x, own_y, between = moments.pair(0, 0), moments.pair(1, 1), moments.pair(0, 1)
    draws = drawn_blocks(12, 13)
    fast = weighted_cka(*(HsicBlocks.of(part).weighted(draws) for part in (between, own_x, own_y)))
    squares = [np.stack([np.diag(p) for p in own.products]).astype(float) for own in (own_x, own_y)]
    whole = match_neurons(pair_moments(between, layer_moments(own_x), layer_moments(own_y)))
    neurons = weighted_neuron_similarity(between, (squares[0], squares[1]), whole, draws)
    shares = weighted_own_index_share(between, squares[1], whole, draws)
    for r, weights in enumerate(draws):
        pair = pair_moments(between, layer_moments(own_x, weights), layer_moments(own_y, weights), weights)
        assert fast[0][r] == pytest.approx(linear_cka(pair), abs=1e-5)
        assert fast[1][r] == pytest.approx(debiased_linear_cka(pair), abs=1e-5)
        assert neurons[r] == pytest.approx(pair.correlations[whole.neurons, whole.best].mean(), abs=1e-5)
        assert shares[r] == match_neurons(pair).own_index_share


DECOMPOSED = [(name, v) for name, entry in MEASURES.items() if entry.closed_form is None for v in entry.variants]


@pytest.mark.parametrize(("name", "variant"), DECOMPOSED)
def test_a_block_left_out_is_the_measure_of_the_other_rows(name: str, variant: str) -> None:
    random = np.random.default_rng(6)
    x = (random.standard_normal((600, 9)) @ random.standard_normal((9, 9)) + 3).astype(np.float32)
    y = (np.tanh(x[:, :6]) + 0.7 * random.standard_normal((600, 6))).astype(np.float32)
    offsets = np.arange(0, 601, 4)
    borders = cut_blocks(offsets).borders
    frame = compare_layers({"x": x, "y": y}, offsets, [name], {name: [variant]})
    for row in frame[frame["layer_a"] != frame["layer_b"]].itertuples():
        one, other = (x, y) if row.layer_a == "x" else (y, x)
        left_out = []
        for block in range(len(borders) - 1):
            rest = np.delete(np.arange(600), np.arange(*borders[block : block + 2]))
            left_out.append(compare(one[rest], other[rest], name, variant))
        expected = interval(row.score, np.array(left_out), MEASURES[name].bounds)
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
    frame = compare_layers({"x": x, "y": y}, np.arange(0, 801, 5), measures=list(MEASURES))
    pair = frame[(frame["layer_a"] == "x") & (frame["layer_b"] == "y")]
    assert set(pair["measure"]) == set(MEASURES)
    assert ((pair["low"] < pair["score"]) & (pair["score"] < pair["high"])).all()
    assert ((pair["high"] - pair["low"]) < 0.2).all()


@pytest.mark.parametrize("variant", ["centred", "uncentred"])
def test_spectra_of_weighted_blocks(variant: str) -> None:
    random = np.random.default_rng(5)
    x = (random.standard_normal((4000, 6)) * [9, 7, 5, 3, 2, 1] + 4) @ np.linalg.qr(random.standard_normal((6, 6)))[0]
    moments = accumulate_arrays({"x": x.astype(np.float32)}, cut_blocks(np.arange(0, 4001, 10), 10))
    own = moments.pair(0, 0)
    draws = drawn_blocks(10, 10)
    fast = weighted_spectra(own, layer_moments(own), variant, draws)
    for weights, found in zip(draws, fast, strict=True):
        exact = spectrum(layer_moments(own, weights), variant)
        assert found.values.sum() == pytest.approx(exact.values.sum(), rel=1e-6)
        np.testing.assert_allclose(found.values, exact.values, rtol=0.02)
        assert found.participation_ratio == pytest.approx(exact.participation_ratio, rel=0.01)
