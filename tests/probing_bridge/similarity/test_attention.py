"""Single attention distributions, pairs of words that are visible, and attention at random."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from probing_bridge import run
from probing_bridge.formats.tables import read_table
from probing_bridge.similarity import pair_moments_of
from probing_bridge.similarity.measures.attention_distributions import DistributionCounter, concentrated, entropy
from probing_bridge.similarity.measures.random_attention import random_best_match
from probing_bridge.similarity.measures.registry import DISTRIBUTION_MEASURES
from probing_bridge.similarity.run.free_pairs import FreePairs
from probing_bridge.similarity.sums.jackknife import interval


def test_statistics_of_each_distribution() -> None:
    random = np.random.default_rng(0)
    lengths = [1, 5, 3, 7]
    parts = [random.dirichlet(np.full(n, 0.3), 2).T.astype(np.float32) for n in lengths]
    parts[2][:] = [[1, 0], [0, 0.5], [0, 0.5]]
    rows, starts = np.concatenate(parts), np.array([0, 1, 6, 9])
    for threshold in (0.5, 0.7):
        largest = np.array([part.max(axis=0) for part in parts])
        np.testing.assert_array_equal(concentrated(rows, starts, threshold), largest > threshold)
    found = entropy(rows, starts, 0.5)
    np.testing.assert_allclose(found, [scipy.stats.entropy(part, axis=0) for part in parts], atol=1e-6)
    assert found[2] == pytest.approx([0, np.log(2)])


def test_counts_by_block_do_not_depend_on_chunks() -> None:
    units = np.array([0, 2, 4, 7, 10])
    rows = np.array([[0.96], [0.04], [0.5], [0.5], [0.95], [0.05], [0], [0.2], [0.2], [0.6]], np.float32)
    counter = DistributionCounter(DISTRIBUTION_MEASURES, 1, 2, units, threshold=0.95)
    counter(0, 0, 0, rows[:2])
    counter(0, 0, 2, rows[2:4])
    counter(1, 0, 4, rows[4:])
    ((layer, n, estimates),) = list(counter.estimates(np.array([[2.0, 0.0], [0.0, 2.0]])))
    assert (layer, n) == (0, 4)
    share = estimates["attention_concentration"]
    assert share.value == 0.25
    np.testing.assert_array_equal(share.left_out, [0.5, 0])
    expected = np.mean([scipy.stats.entropy(rows[a:b, 0]) for a, b in ((0, 2), (2, 4), (4, 7), (7, 10))])
    assert estimates["attention_entropy"].value == pytest.approx(expected, abs=1e-6)
    low, high = interval(0.25, share.left_out, DISTRIBUTION_MEASURES["attention_concentration"].bounds)
    assert low == 0 and high > 0.25


def random_attention(lengths: np.ndarray, n_heads: int, spread: float, seed: int) -> np.ndarray:
    """Causal attention from logits of a standard deviation, all pairs of words, one sentence after the other."""
    random = np.random.default_rng(seed)
    rows = []
    for n in lengths:
        logits = spread * random.standard_normal((n, n, n_heads))
        logits[np.triu_indices(n, 1)] = -np.inf
        masses = np.exp(logits)
        rows.append((masses / masses.sum(axis=1, keepdims=True)).reshape(n * n, n_heads))
    return np.concatenate(rows).astype(np.float32)


@pytest.mark.parametrize("n_heads", [4, 16])
def test_independent_random_layers_score_what_is_printed_beside_them(
    make_dumps: Callable[..., Any], tmp_path: Path, n_heads: int
) -> None:
    maker = make_dumps(n_sentences=150, n_layers=6, n_heads=n_heads, components=("decoder_self",))
    draw, spreads = maker._draw, {"1": 1, "2": 1, "3": 2, "4": 2, "5": 4, "6": 4}

    def at_random(made: Any, level: int) -> None:
        draw(made, level)
        for layer, spread in spreads.items():
            rows = random_attention(maker.lengths["target"], n_heads, spread, seed=int(layer))
            made.attention["decoder_self", layer] = rows

    maker._draw = at_random
    assert run.main(["similarity", "--dumps", str(maker.level(0).path), "--output", str(tmp_path)]) == 0
    rows = read_table(tmp_path / "similarity.csv", "similarity")
    pairs = rows[(rows["measure"] == "attention_cka") & (rows["layer_a"] != rows["layer_b"])]
    assert len(pairs) == 2 * 30
    assert (pairs["score"] - pairs["baseline"]).abs().max() < 0.02
    alike = pairs[pairs["layer_a"].map(spreads) == pairs["layer_b"].map(spreads)]
    means = alike.groupby(["variant", alike["layer_a"].map(spreads)])["score"].mean()
    assert (means["all"] > means["visible"] + 0.1).all()  # the mask alone makes layers alike


def test_best_matches_of_random_heads_are_what_is_printed_beside_them() -> None:
    lengths = np.random.default_rng(0).integers(2, 12, 400)
    x, y = (random_attention(lengths, 4, spread, seed) for seed, spread in ((1, 1.0), (2, 2.0)))
    shared = float(np.var(np.concatenate([(np.tri(n) / np.arange(1, n + 1)[:, None]).ravel() for n in lengths])))
    pair = pair_moments_of(x, y)
    correlations = np.corrcoef(x.T, y.T)[:4, 4:]
    np.testing.assert_allclose(random_best_match(pair, shared), correlations.max(axis=1), atol=0.02)


def test_free_pairs_are_read_whatever_the_rows_asked_for() -> None:
    lengths = np.array([3, 1, 4, 2])
    query = np.concatenate([np.arange(n) for n in lengths])
    units = np.concatenate([[0], np.cumsum(np.repeat(lengths, lengths))])
    free = np.concatenate([(np.tri(n, dtype=bool) & (np.arange(n)[:, None] > 0)).ravel() for n in lengths])
    rows = np.arange(units[-1] * 2).reshape(-1, 2)
    read = FreePairs.of(units, query).restrict(lambda start, stop: rows[start:stop])
    for start in range(free.sum()):
        for stop in range(start + 1, free.sum() + 1):
            np.testing.assert_array_equal(read(start, stop), rows[free][start:stop])


@pytest.mark.parametrize("sees_later", [False, True])
def test_attention_to_later_words_is_not_cut_off(
    make_dumps: Callable[..., Any], tmp_path: Path, sees_later: bool
) -> None:
    """Decoders that see a whole draft (Gu et al. 2018) have no mask: all of their pairs are visible."""
    maker = make_dumps(n_sentences=20, n_layers=1, components=("decoder_self",))
    draw = maker._draw

    def whole(made: Any, level: int) -> None:
        draw(made, level)
        made.attention["decoder_self", "1"][1] = 0.25  # the first word attends to the second

    if sees_later:
        maker._draw = whole
    assert run.main(["similarity", "--dumps", str(maker.level(0).path), "--output", str(tmp_path)]) == 0
    rows = read_table(tmp_path / "similarity.csv", "similarity")
    n = rows[rows["measure"] == "attention_cka"].set_index("variant")["n"]
    assert n["all"] == (maker.lengths["target"] ** 2).sum()
    assert (n["visible"] == n["all"]) == sees_later
