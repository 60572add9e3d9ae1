"""Divergences of which only the K best tokens are known: float64 on the full distributions lies within their bounds."""

import numpy as np
import pytest
from scipy.optimize import minimize

from probing_bridge.formats.activations.output import Output
from probing_bridge.similarity.measures import outputs
from probing_bridge.similarity.measures.divergences import jensen_shannon, kullback_leibler

N_SYMBOLS = 40
CLOSE = 5e-5  # bits; a dump holds float32


def exact_kl(p, q):
    return (p * np.log2(p / q)).sum(axis=1)


def exact_js(p, q):
    middle = (p + q) / 2
    return (exact_kl(p, middle) + exact_kl(q, middle)) / 2


MEASURES = {"js": (jensen_shannon, exact_js), "kl": (kullback_leibler, exact_kl)}


def pairs(n=400, seed=0):
    """Log probabilities of two models: peaked and flat, alike and unlike, with gold tokens good and bad."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(n, N_SYMBOLS)) * random.uniform(0.3, 6, (n, 1))
    moved = scores + random.normal(size=scores.shape) * random.choice([0.01, 0.5, 5], (n, 1))
    logs = [one - np.log(np.exp(one).sum(axis=1, keepdims=True)) for one in (scores, moved)]
    return (*logs, random.integers(0, N_SYMBOLS, n))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("n_best", [1, 2, 5, 16, N_SYMBOLS])
def test_the_full_distribution_lies_within_the_bounds(output_of, name, n_best):
    p, q, gold = pairs()
    measure, formula = MEASURES[name]
    bounds = measure(output_of(p, gold, n_best), output_of(q, gold, n_best))
    exact = formula(np.exp(p), np.exp(q))
    assert (bounds[:, 0] <= exact + CLOSE).all() and (exact <= bounds[:, 1] + CLOSE).all()
    if n_best == N_SYMBOLS:
        np.testing.assert_allclose(bounds, np.stack([exact, exact], axis=1), atol=CLOSE)


def test_a_jensen_shannon_divergence_is_known_up_to_the_mass_outside_of_both_lists(output_of):
    p, q, gold = pairs()
    for n_best in (2, 5, 16):
        one, two = output_of(p, gold, n_best), output_of(q, gold, n_best)
        bounds = jensen_shannon(one, two)
        known = [set(row) & set(other) for row, other in zip(known_tokens(one), known_tokens(two), strict=True)]
        outside = [1 - np.exp(logs[row, sorted(both)]).sum() for logs in (p, q) for row, both in enumerate(known)]
        assert (bounds[:, 1] - bounds[:, 0] <= np.reshape(outside, (2, -1)).sum(axis=0) / 2 + CLOSE).all()


def known_tokens(output):
    return np.concatenate([output.tokens, output.gold[:, None]], axis=1).tolist()


@pytest.mark.parametrize("name", MEASURES)
def test_more_best_tokens_bring_the_bounds_closer(output_of, name):
    p, q, gold = pairs()
    widths = []
    for n_best in (2, 5, 16, 30):
        bounds = MEASURES[name][0](output_of(p, gold, n_best), output_of(q, gold, n_best))
        widths.append((bounds[:, 1] - bounds[:, 0]).mean())
    assert widths == sorted(widths, reverse=True) and widths[-1] < widths[0] / 10


@pytest.mark.parametrize("name", MEASURES)
def test_the_lower_bound_is_the_minimum_over_where_the_unknown_mass_may_lie(output_of, name):
    """Another way: scipy's search over the two masses."""
    p, q, gold = pairs(60, seed=1)
    measure, formula = MEASURES[name]
    one, two = output_of(p, gold, 3), output_of(q, gold, 3)
    lower = measure(one, two)[:, 0]
    for row in range(60):
        a_set, b_set = (set(known_tokens(output)[row]) for output in (one, two))
        x, y = np.exp(p[row]), np.exp(q[row])
        rest_x, rest_y = 1 - x[sorted(a_set)].sum() + 1e-5, 1 - y[sorted(b_set)].sum() + 1e-5
        both, only_a, only_b = sorted(a_set & b_set), sorted(a_set - b_set), sorted(b_set - a_set)
        most_b = min(rest_x, len(only_b) * np.exp(one.log_probabilities[row, -1]))
        most_a = min(rest_y, len(only_a) * np.exp(two.log_probabilities[row, -1]))

        def value(masses, x=x, y=y, both=both, only_a=only_a, only_b=only_b, rest_x=rest_x, rest_y=rest_y):
            b, a = masses
            cells_x = np.array([*x[both], x[only_a].sum(), b, rest_x - b]) + 1e-15
            cells_y = np.array([*y[both], a, y[only_b].sum(), rest_y - a]) + 1e-15
            return formula(cells_x[None], cells_y[None])[0]

        starts = [(share * most_b, share * most_a) for share in (0.1, 0.5, 0.9)]
        found = min(minimize(value, start, bounds=[(0, most_b), (0, most_a)]).fun for start in starts)
        assert lower[row] == pytest.approx(max(found, 0), abs=2e-4)


@pytest.mark.parametrize("name", MEASURES)
def test_a_distribution_and_itself_are_0_apart(output_of, name):
    p, _, gold = pairs()
    output = output_of(p, gold, 5)
    assert (MEASURES[name][0](output, output) == 0).all()
    again = Output(**vars(output))  # read once more: nothing says that the unknown parts are the same
    bounds = MEASURES[name][0](output, again)
    assert (bounds[:, 0] == 0).all() and (bounds[:, 1] > 0).any()


def test_agreement_ranks_and_calibration_are_those_of_the_full_distributions(output_of):
    p, q, gold = pairs(3000)
    one, two = output_of(p, gold, 3), output_of(q, gold, 3)
    assert outputs.agreement(one, two).mean() == np.mean(p.argmax(axis=1) == q.argmax(axis=1))
    ranks = 1 + (q > q[np.arange(3000), gold][:, None]).sum(axis=1)
    assert outputs.gold_rank(two, two).mean() == ranks.mean()
    assert outputs.gold_reciprocal_rank(two, two).mean() == pytest.approx((1 / ranks).mean())
    confidence, right = np.exp(q).max(axis=1), q.argmax(axis=1) == gold
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    found = outputs.calibration_error(outputs.calibration_gaps(two, two).sum(axis=0), np.array(3000))
    assert found[0] == pytest.approx(expected, abs=1e-6)
