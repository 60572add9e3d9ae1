"""Every measure against a float64 formula written from its paper, and its invariances."""

import numpy as np
import pytest
import scipy.linalg

from probing_bridge.similarity import MEASURES, MomentsError, compare, compare_layers, pair_moments_of
from probing_bridge.similarity.measures.neuron_sim import match_neurons

CASES = [(name, variant) for name, measure in MEASURES.items() for variant in measure.variants]


def centred(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x - x.mean(axis=0)


def cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = centred(x), centred(y)
    return np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def hsic(k: np.ndarray, one: np.ndarray) -> float:
    """Song et al. (2012), equation 5, term by term."""
    n = len(k)
    k, one = k - np.diag(np.diag(k)), one - np.diag(np.diag(one))
    ones = np.ones(n)
    between = ones @ k @ ones * (ones @ one @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ one) + between - 2 / (n - 2) * ones @ k @ one @ ones) / (n * (n - 3))


def debiased_cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = centred(x), centred(y)  # centring leaves the estimate as it is, and keeps its digits
    k, other = x @ x.T, y @ y.T
    return hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other))


def best_correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.corrcoef(centred(x).T, centred(y).T)[: x.shape[1], x.shape[1] :]


def canonical(x: np.ndarray, y: np.ndarray, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Canonical correlations, and X's canonical variables, from the singular vectors of the activations."""
    bases = []
    for z in (centred(x), centred(y)):
        u, s, _ = np.linalg.svd(z, full_matrices=False)
        bases.append(u[:, : np.searchsorted(np.cumsum(s**2) / (s**2).sum(), variance - 1e-12) + 1])
    u, s, _ = np.linalg.svd(bases[0].T @ bases[1])
    return s[: min(b.shape[1] for b in bases)], (bases[0] @ u)[:, : min(b.shape[1] for b in bases)]


def pwcca(x: np.ndarray, y: np.ndarray) -> float:
    correlation, variables = canonical(x, y, 1.0)
    weight = np.abs(variables.T @ centred(x)).sum(axis=1)
    return float(weight @ correlation / weight.sum())


def predictivity(x: np.ndarray, y: np.ndarray, ridge: float) -> float:
    x, y = centred(x), centred(y)
    penalty = ridge * (y**2).sum() / y.shape[1] * np.eye(y.shape[1])
    predicted = y @ np.linalg.solve(y.T @ y + penalty, y.T @ x)
    return float(np.mean([np.corrcoef(x[:, k], predicted[:, k])[0, 1] for k in range(x.shape[1])]))


FORMULAS = {
    ("neuron_similarity", "signed"): lambda x, y: best_correlations(x, y).max(axis=1).mean(),
    ("neuron_similarity", "absolute"): lambda x, y: np.abs(best_correlations(x, y)).max(axis=1).mean(),
    ("linear_cka", "biased"): cka,
    ("linear_cka", "debiased"): debiased_cka,
    ("svcca", ""): lambda x, y: canonical(x, y, 0.99)[0].mean(),
    ("pwcca", ""): pwcca,
    ("procrustes", ""): lambda x, y: (
        scipy.linalg.svdvals(centred(x).T @ centred(y)).sum()
        / (np.linalg.norm(centred(x)) * np.linalg.norm(centred(y)))
    ),
    ("linear_predictivity", "linear"): lambda x, y: predictivity(x, y, 0.0),
    ("linear_predictivity", "ridge"): lambda x, y: predictivity(x, y, 0.01),
}
TOLERANCE = {"linear_cka": 1e-7, "neuron_similarity": 5e-6}


def two_layers(kind: str, n: int = 700, d: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Float32 layers of related activations."""
    random = np.random.default_rng(5)
    x = random.standard_normal((n, d))
    y = np.tanh(x @ random.standard_normal((d, d)) / 3) + 0.3 * random.standard_normal((n, d))
    if kind == "ill-conditioned":
        x, y = x * np.logspace(0, -2, d), y * np.logspace(-2, 0, d)
    if kind == "huge means":
        x, y = x + 50 * random.choice([-1, 1], d), y + 50 * y.std(axis=0)
    if kind == "narrower":
        y = y[:, :11]
    return x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize("kind", ["random", "ill-conditioned", "huge means", "narrower"])
@pytest.mark.parametrize(("name", "variant"), CASES)
def test_equals_the_formula(name: str, variant: str, kind: str) -> None:
    x, y = two_layers(kind)
    expected = FORMULAS[name, variant](x, y)
    assert compare(x, y, name, variant) == pytest.approx(expected, abs=TOLERANCE.get(name, 2e-5))


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_keeps_the_contract(name: str) -> None:
    measure = MEASURES[name]
    assert measure.citation
    x, y = two_layers("random")
    for variant, function in measure.variants.items():
        assert function.__doc__
        score = compare(x, y, name, variant)
        assert type(score) is float
        assert measure.bounds[0] <= score <= measure.bounds[1]
        assert compare(x, x, name, variant) == pytest.approx(1.0, abs=0.02 if variant == "ridge" else 1e-6)
        assert (compare(y, x, name, variant) == pytest.approx(score, abs=1e-7)) is measure.symmetric


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("variant", ["biased", "debiased"])
def test_cka_ignores_rotation_scale_and_shift_but_not_a_linear_map(variant: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = two_layers("random")
    rotation = np.linalg.qr(random.standard_normal((30, 30)))[0]
    score = compare(x, y, "linear_cka", variant)
    turned = (3.7 * x.astype(np.float64) @ rotation + random.standard_normal(30)).astype(np.float32)
    assert compare(turned, y, "linear_cka", variant) == pytest.approx(score, abs=1e-6)
    mapped = (x @ (random.standard_normal((30, 30)) * np.logspace(0, -2, 30))).astype(np.float32)
    assert abs(compare(mapped, y, "linear_cka", variant) - score) > 0.02


def test_neuron_similarity_ignores_order_positive_scale_and_shift_but_not_sign() -> None:
    random = np.random.default_rng(1)
    x, y = two_layers("random")
    score = compare(x, y, "neuron_similarity")
    moved = (y * random.uniform(0.1, 10, 30) + random.standard_normal(30))[:, random.permutation(30)].astype(np.float32)
    assert compare(x, moved, "neuron_similarity") == pytest.approx(score, abs=1e-6)
    negated = x.copy()
    negated[:, 5] *= -1
    assert compare(x, negated, "neuron_similarity") < 1 - 0.5 / 30
    assert compare(x, negated, "neuron_similarity", "absolute") == pytest.approx(1, abs=1e-6)
    assert compare(y, x, "neuron_similarity") != pytest.approx(score, abs=1e-4)


def test_debiased_cka_of_independent_layers_is_zero_on_average_and_biased_is_not() -> None:
    random = np.random.default_rng(2)
    draws = [
        [
            compare(*random.standard_normal((2, 40, 15)).astype(np.float32), "linear_cka", v)
            for v in ("biased", "debiased")
        ]
        for _ in range(400)
    ]
    biased, debiased = np.mean(draws, axis=0)
    error = np.std(draws, axis=0)[1] / 20
    assert abs(debiased) < 3 * error < 0.01
    assert biased > 0.2


@pytest.mark.parametrize("absolute", [False, True])
def test_best_matches_are_those_of_the_correlation_matrix(absolute: bool) -> None:
    x, y = two_layers("random")
    y[:, 4] = -x[:, 2]
    r = best_correlations(x, y)
    found = match_neurons(pair_moments_of(x, y), absolute)
    np.testing.assert_array_equal(found.best, (np.abs(r) if absolute else r).argmax(axis=1))
    np.testing.assert_allclose(found.correlation, r[np.arange(30), found.best], atol=5e-6)
    np.testing.assert_allclose(found.own, np.diag(r), atol=5e-6)
    assert found.own_index_share == (found.best == np.arange(30)).mean()


def test_constant_neurons_are_left_out() -> None:
    x, y = two_layers("huge means")
    x[:, 3], y[:, [0, 8]] = 7.3, -1e4
    kept_x, kept_y = np.delete(x, 3, axis=1), np.delete(y, [0, 8], axis=1)
    for name, variant in CASES:
        got, expected = compare(x, y, name, variant), compare(kept_x, kept_y, name, variant)
        tolerance = 1e-4 if variant == "ridge" else 1e-9  # its penalty counts all neurons of Y
        assert got == pytest.approx(expected, abs=tolerance), name
    found = match_neurons(pair_moments_of(x, y))
    assert 3 not in found.neurons
    assert not {0, 8} & set(found.best)
    assert np.isnan(found.own[list(found.neurons).index(8)])


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_a_layer_of_constants_is_named(name: str, variant: str) -> None:
    x, y = two_layers("random")
    with pytest.raises(MomentsError, match="second layer"):
        compare(x, np.full_like(y, 2.5), name, variant)


def test_one_outlier_neuron_does_not_cost_digits() -> None:
    """Float32 products of a neuron 10,000 times larger than the others would be off by 3e-7 in CKA."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1500, 450))
    y = x + random.standard_normal((1500, 450))
    for layer in (x, y):
        layer[:, 7] *= 1e4
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert compare(x, y) == pytest.approx(cka(x, y), abs=1e-10)
    assert compare(x, y, "neuron_similarity") == pytest.approx(best_correlations(x, y).max(axis=1).mean(), abs=1e-10)


def test_too_few_tokens() -> None:
    x, y = two_layers("random")
    assert compare(x[:2], y[:2]) == pytest.approx(cka(x[:2], y[:2]), abs=1e-7)
    assert compare(x[:4], y[:4], "linear_cka", "debiased") == pytest.approx(debiased_cka(x[:4], y[:4]), abs=1e-6)
    with pytest.raises(MomentsError, match="1 token, at least 2"):
        compare(x[:1], y[:1])
    with pytest.raises(MomentsError, match="needs at least 4"):
        compare(x[:3], y[:3], "linear_cka", "debiased")
    with pytest.raises(MomentsError, match="no tokens"):
        compare(x[:0], y[:0])
    for name in ("svcca", "pwcca", "linear_predictivity"):
        with pytest.raises(MomentsError, match="more tokens are needed"):
            compare(x[:20], y[:20], name)


def test_misuse_is_refused() -> None:
    x, y = two_layers("random")
    with pytest.raises(MomentsError, match="first layer 700, second layer 699"):
        compare(x, y[1:])
    with pytest.raises(MomentsError, match="not of shape"):
        compare(x[:, 0], y)
    with pytest.raises(ValueError, match="no measure 'cka'; there are neuron_similarity, linear_cka"):
        compare(x, y, "cka")
    with pytest.raises(ValueError, match="no variant 'x'; it has biased, debiased"):
        compare(x, y, "linear_cka", "x")


def test_all_pairs_at_once_are_the_pairs_one_by_one() -> None:
    x, y = two_layers("random")
    layers = {"x": x, "y": y, "z": (x[:, :17] ** 2)}
    frame = compare_layers(layers, measures=list(MEASURES))
    assert len(frame) == 9 * (len(CASES) - 1)  # NeuronSim is either signed or absolute
    for row in frame.itertuples():
        expected = compare(layers[row.layer_a], layers[row.layer_b], row.measure, row.variant)
        assert row.score == pytest.approx(expected, abs=1e-7)
        assert np.isnan(row.low) and row.n == 700
