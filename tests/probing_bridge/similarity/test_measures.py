"""Every measure against a float64 formula written from its paper, and its invariances."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from probing_bridge.similarity import MEASURES, MomentsError, compare, compare_layers, moments_of, pair_moments_of
from probing_bridge.similarity.measures.neuron_sim import match_neurons
from probing_bridge.similarity.measures.spectra import VARIANTS, largest_neuron_share, spectrum
from probing_bridge.similarity.sums.blocks import cut_blocks
from probing_bridge.similarity.sums.sampling import SAMPLE_TOKENS

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
    """Each twentieth of the tokens predicted from the others, both about their means in that twentieth."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    actual, predicted = [], []
    for start, stop in pairwise(cut_blocks(np.arange(len(x) + 1)).borders):
        train = np.r_[:start, stop : len(x)]
        own_y = centred(y[train])
        penalty = ridge * (own_y**2).sum() / y.shape[1] * np.eye(y.shape[1])
        weights = np.linalg.solve(own_y.T @ own_y + penalty, own_y.T @ centred(x[train]))
        actual.append(centred(x[start:stop]))
        predicted.append(centred(y[start:stop] @ weights))
    one, other = np.concatenate(actual), np.concatenate(predicted)
    return float(((one * other).sum(axis=0) / np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))).mean())


def standardised(x: np.ndarray) -> np.ndarray:
    return centred(x) / centred(x).std(axis=0)


def rsa(x: np.ndarray, y: np.ndarray) -> float:
    return spearmanr(*(pdist(centred(z), "correlation") for z in (x, y))).statistic


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
    ("standardised_cka", ""): lambda x, y: cka(standardised(x), standardised(y)),
    ("angular_procrustes", ""): lambda x, y: np.arccos(FORMULAS["procrustes", ""](x, y)),
    ("rsa", ""): rsa,
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
        same, within = (0.0, 1e-3) if measure.distance else (1.0, 0.02 if variant == "ridge" else 1e-6)
        assert compare(x, x, name, variant) == pytest.approx(same, abs=within)
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
    for name, measure in MEASURES.items():
        if fewest := 30 * measure.tokens_per_neuron:
            compare(x[:fewest], y[:fewest, :3], name)
            message = f"{fewest - 1} tokens for 30 neurons, {name} needs at least {fewest}, "
            with pytest.raises(MomentsError, match=message):
                compare(y[: fewest - 1, :3], x[: fewest - 1], name)
    assert {"svcca", "pwcca", "procrustes", "linear_predictivity"} <= {
        n for n, m in MEASURES.items() if m.tokens_per_neuron
    }


def test_unrelated_layers_do_not_predict_each_other() -> None:
    """In the sample that is fitted the mean r is 0.959 at 140 tokens of 128 neurons and 0.36 at 1000."""
    random = np.random.default_rng(4)
    for n in (640, 1000):
        x, y = random.standard_normal((2, n, 128)).astype(np.float32)
        assert abs(compare(x, y, "linear_predictivity")) < 0.05
        assert abs(compare(x, y, "linear_predictivity", "ridge")) < 0.05
    fitted = centred(y) @ np.linalg.lstsq(centred(y), centred(x), rcond=None)[0]
    assert np.mean([np.corrcoef(x[:, k], fitted[:, k])[0, 1] for k in range(128)]) > 0.3
    with pytest.raises(
        MomentsError, match="140 tokens for 128 neurons, linear_predictivity needs at least 640, 5 a neuron"
    ):
        compare(x[:140], y[:140], "linear_predictivity")


def test_sentences_are_held_out_whole() -> None:
    """Tokens of a sentence are copies of each other: held out one by one they would be known."""
    random = np.random.default_rng(6)
    sentences = np.repeat(random.standard_normal((2, 100, 12)), 8, axis=1).astype(np.float32)
    offsets = np.arange(0, 801, 8)
    rows = compare_layers({"x": sentences[0], "y": sentences[1]}, offsets, ["linear_predictivity"])
    assert (rows.loc[rows["layer_a"] != rows["layer_b"], "score"].abs() < 0.1).all()
    assert (rows["low"] <= rows["score"]).all() and (rows["score"] <= rows["high"]).all()


def test_what_one_block_alone_has_predicts_nothing_and_breaks_nothing() -> None:
    """Direction 0 of Y varies in the first sentence only: no fit without it knows what it says."""
    x, y = two_layers("random", n=600, d=10)
    y[30:, 0] = 0
    y[:30, 0] *= 100
    layers = {"x": x, "y": y}
    rows = compare_layers(layers, np.arange(0, 601, 30), ["linear_predictivity"])
    assert (rows["score"].abs() <= 1).all() and rows.loc[rows["layer_a"] == "x", "score"].min() > 0.3
    assert not len(compare_layers(layers, np.array([0, 595, 600]), ["linear_predictivity"]))  # 5 tokens for 10 neurons


def test_an_outlier_dimension_decides_cka_but_not_that_of_standardised_neurons() -> None:
    random = np.random.default_rng(8)
    x, y = random.standard_normal((2, 3000, 30))
    x[:, 3] = y[:, 3] = 30 * random.standard_normal(3000)
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert compare(x, y) > 0.99
    assert compare(x, y, "standardised_cka") < 0.1
    shares = {v: largest_neuron_share(spectrum(moments_of(x), v)) for v in VARIANTS}
    squares = (centred(x) ** 2).sum(axis=0)
    assert shares["centred"] == pytest.approx(squares[3] / squares.sum(), abs=1e-6)
    raw = (x.astype(np.float64) ** 2).sum(axis=0)
    assert shares["uncentred"] == pytest.approx(raw[3] / raw.sum(), abs=1e-6)


def test_rsa_is_of_a_sample_of_fixed_size() -> None:
    x, y = two_layers("random", n=SAMPLE_TOKENS + 500, d=8)
    drawn = np.sort(np.random.default_rng(0).choice(len(x), SAMPLE_TOKENS, replace=False))
    distances = [pdist(centred(z)[drawn], "correlation") for z in (x, y)]
    assert compare(x, y, "rsa") == pytest.approx(spearmanr(*distances).statistic, abs=1e-6)


def test_the_angle_is_a_metric() -> None:
    """The way from x to z by y is no shorter than the straight one; by 1 less the cosine it is."""
    random = np.random.default_rng(9)
    x, noise = random.standard_normal((2, 600, 6))
    for share in (0.1, 0.3, 1.0):
        x, y, z = (np.float32(x + k * share * noise) for k in range(3))
        ways = [compare(*pair, "angular_procrustes") for pair in ((x, y), (y, z), (x, z))]
        assert ways[2] <= ways[0] + ways[1] + 1e-6
        ways = [1 - compare(*pair, "procrustes") for pair in ((x, y), (y, z), (x, z))]
        assert ways[2] > ways[0] + ways[1]


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
