"""Effects, intervals and verdicts beside scipy, analysis of variance and simulations whose truth is known."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from probing_bridge.probes.metrics import METRICS
from probing_bridge.results.statistics import (
    CANNOT_TELL,
    CONTRADICTED,
    EQUIVALENT,
    FALLS,
    HOLDS,
    KEPT,
    NOT_RUN,
    RISES,
    SAME,
    Estimate,
    Question,
    decide,
    decide_family,
    fitted_change,
    holm,
    multi_bootstrap,
    multi_jackknife,
    not_run,
    onset,
    over_runs,
    peak,
    power,
    runs_needed,
)


def mean_of(sums: np.ndarray) -> np.ndarray:
    """Accuracy: the first sum over the second."""
    return sums[..., 0] / sums[..., 1]


def crossed(rng: np.random.Generator, runs: int, n: int, of_runs: float, both: float = 0.0) -> np.ndarray:
    """Sums of (runs, n, 2) whose mean is 0: sentences of variance 1, runs of `of_runs` times the mean's variance."""
    sentences, own = rng.normal(size=(1, n)), rng.normal(size=(runs, n)) * both**0.5
    shift = rng.normal(size=(runs, 1)) * (of_runs * (1 + both) / n) ** 0.5
    return np.stack([shift + sentences + own, np.ones((runs, n))], axis=-1)


def test_exact_numbers_of_several_runs_are_a_t_test() -> None:
    effects = [-2.9, -3.4, -2.2, 0.3]
    estimate, wanted = over_runs(effects), stats.ttest_1samp(effects, 0.0)
    assert estimate.interval() == pytest.approx(tuple(wanted.confidence_interval(0.95)))
    assert (estimate.p(), estimate.degrees) == (pytest.approx(wanted.pvalue), 3)
    assert estimate.p_above() == pytest.approx(stats.ttest_1samp(effects, 0.0, alternative="greater").pvalue)
    assert estimate.p_below(1.0) == pytest.approx(stats.ttest_1samp(effects, 1.0, alternative="less").pvalue)


def test_the_error_of_shared_sentences_does_not_shrink_with_the_runs() -> None:
    effects = np.tile([-1.0, 1.0], 50)
    estimate = over_runs(effects, 2.0)
    assert estimate.error == pytest.approx((effects.var(ddof=1) / 100 + 4.0) ** 0.5) and estimate.of_sentences == 2.0
    assert over_runs([1.5], [0.5]).interval() == pytest.approx((1.5 - 1.96 * 0.5, 1.5 + 1.96 * 0.5), abs=1e-3)
    assert over_runs([1.0, math.nan, 3.0], [0.0, math.nan, 0.0]).runs == 2
    assert over_runs([1.0, 3.0], math.nan) == over_runs([1.0, 3.0]) and math.isnan(over_runs([1.0], math.nan).error)
    for wrong in (([], 0.0), ([1.0], -1.0)):
        with pytest.raises(ValueError, match=r"run|negative"):
            over_runs(*wrong)


def test_the_parts_of_the_variance_are_those_of_a_crossed_analysis_of_variance() -> None:
    runs, n = 4, 60
    sums = crossed(np.random.default_rng(0), runs, n, of_runs=3.0, both=1.0)
    values = sums[..., 0]
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns + values.mean()
    of_rows, of_columns = n * rows.var(ddof=1), runs * columns.var(ddof=1)
    of_rest = (rest**2).sum() / ((runs - 1) * (n - 1))
    wanted = (of_rows + of_columns - of_rest) / (runs * n)
    assert of_rows > of_rest  # else the runs' part is cut at 0
    assert multi_jackknife(sums, mean_of).error ** 2 == pytest.approx(wanted, rel=1e-9)
    assert multi_bootstrap(sums, mean_of, 20_000).error ** 2 == pytest.approx(wanted, rel=0.03)


def test_one_run_is_judged_over_its_sentences_alone() -> None:
    sums = crossed(np.random.default_rng(1), 1, 50, of_runs=0.0)
    estimate = multi_jackknife(sums, mean_of)
    assert estimate.error == pytest.approx(stats.sem(sums[0, :, 0])) and math.isnan(estimate.of_runs)
    assert decide(estimate, RISES, 1.0, "points").over == "test sentences of these checkpoints"
    assert decide(over_runs([0.2]), RISES, 0.1, "points").over == "these checkpoints, exact"


def test_the_difference_of_two_scores_that_are_no_means() -> None:
    rng = np.random.default_rng(2)
    f1, counts = METRICS["span_f1"].score, rng.integers(0, 4, size=(3, 40, 6)).astype(float)
    counts[..., [1, 2, 4, 5]] += counts[..., [0, 0, 3, 3]]  # found and gold are at least what agrees

    def gain(sums: np.ndarray) -> np.ndarray:
        return f1(sums[..., 3:]) - f1(sums[..., :3])

    estimate = multi_jackknife(counts, gain)
    without = [gain(np.delete(counts, s, axis=1).sum(axis=1)).mean() for s in range(40)]
    shared = 39 / 40 * ((np.array(without) - np.mean(without)) ** 2).sum()
    assert estimate.of_sentences**2 == pytest.approx(shared)
    assert estimate.effect == pytest.approx(gain(counts.sum(axis=1)).mean())
    with pytest.raises(ValueError, match="not defined"):
        multi_bootstrap(np.zeros((2, 5, 6)), lambda sums: sums[..., 0] / np.nan)
    with pytest.raises(ValueError, match="at least two sentences"):
        multi_bootstrap(np.zeros((2, 1, 6)), gain)


def coverage(runs: int, of_runs: float, both: float, simulations: int, n: int, resamples: int) -> float:
    """How often the interval of a mean covers it."""
    rng = np.random.default_rng(3)
    hits = 0
    for seed in range(simulations):
        low, high = multi_bootstrap(crossed(rng, runs, n, of_runs, both), mean_of, resamples, seed).interval()
        hits += low <= 0 <= high
    return hits / simulations


@pytest.mark.parametrize(("runs", "of_runs"), [(3, 2.0), (5, 0.5)])
def test_intervals_cover(runs: int, of_runs: float) -> None:
    assert 0.90 <= coverage(runs, of_runs, 0.0, simulations=400, n=40, resamples=100) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "of_runs", "both"), product((3, 5, 9), (0.0, 0.5, 1.0, 2.0), (0.0, 1.0)))
def test_intervals_cover_as_they_say(runs: int, of_runs: float, both: float) -> None:
    assert 0.92 <= coverage(runs, of_runs, both, simulations=4000, n=100, resamples=200) <= 0.98


def exactly(low: float, high: float) -> Estimate:
    """An estimate with this 95 % interval."""
    return Estimate((low + high) / 2, (high - low) / 2 / stats.norm.ppf(0.975), math.inf, 5, 0.0, 0.0)


@pytest.mark.parametrize(
    ("claimed", "low", "high", "wanted"),
    [
        (RISES, 0.01, 3.0, HOLDS), (RISES, -0.01, 3.0, CANNOT_TELL), (RISES, -3.0, -0.01, CONTRADICTED),
        (RISES, -0.99, 0.99, EQUIVALENT), (RISES, -1.01, 0.99, CANNOT_TELL), (RISES, 0.01, 0.5, HOLDS),
        (FALLS, -3.0, -0.01, HOLDS), (FALLS, -3.0, 0.01, CANNOT_TELL), (FALLS, 0.01, 3.0, CONTRADICTED),
        (FALLS, -0.99, 0.99, EQUIVALENT), (FALLS, -0.99, 1.01, CANNOT_TELL),
        (SAME, -0.99, 0.99, EQUIVALENT), (SAME, -1.01, 0.99, CANNOT_TELL), (SAME, -0.99, 1.01, CANNOT_TELL),
        (SAME, 1.01, 3.0, CONTRADICTED), (SAME, 0.99, 3.0, CANNOT_TELL), (SAME, -3.0, -1.01, CONTRADICTED),
        (SAME, 0.01, 0.99, EQUIVALENT),
        (KEPT, -0.99, 5.0, EQUIVALENT), (KEPT, -1.01, 5.0, CANNOT_TELL), (KEPT, 2.0, 5.0, EQUIVALENT),
        (KEPT, -3.0, -1.01, CONTRADICTED), (KEPT, -3.0, -0.99, CANNOT_TELL),
    ],
)  # fmt: skip
def test_the_word_on_each_side_of_its_bound(claimed: str, low: float, high: float, wanted: str) -> None:
    verdict = decide(exactly(low, high), claimed, 1.0, "points")
    assert verdict.verdict == wanted
    assert (verdict.low, verdict.high) == pytest.approx((low, high))


@pytest.mark.parametrize(("low", "wanted"), [(2.01, HOLDS), (1.99, CANNOT_TELL), (0.5, CANNOT_TELL)])
def test_a_claim_of_at_least_so_much(low: float, wanted: str) -> None:
    assert decide(exactly(low, 3.0), RISES, 1.0, "points", least=2.0).verdict == wanted


def test_exact_numbers_of_one_run() -> None:
    assert decide(over_runs([0.2]), RISES, 0.1, "points").verdict == HOLDS
    assert decide(over_runs([0.0]), RISES, 0.1, "points").verdict == EQUIVALENT
    assert decide(over_runs([-0.2]), RISES, 0.1, "points").verdict == CONTRADICTED
    assert decide(over_runs([0.2], [math.nan]), RISES, 0.1, "points").verdict == CANNOT_TELL
    assert not_run("probes of coref").verdict == NOT_RUN
    with pytest.raises(ValueError, match="no claim"):
        decide(over_runs([0.2]), "improves", 0.1, "points")


def test_interval_p_and_word_of_a_family_say_the_same() -> None:
    rng = np.random.default_rng(4)
    words = set()
    for _ in range(200):
        estimates = [over_runs(rng.normal(rng.choice([0, 3]), 1, size=4)) for _ in range(5)]
        verdicts = decide_family([Question(estimate, RISES, 0.1, "points") for estimate in estimates])
        corrected = holm([stats.ttest_1samp([0], 0).pvalue if e.error == 0 else e.p() for e in estimates])
        for verdict, p in zip(verdicts, corrected, strict=True):
            assert verdict.p == pytest.approx(p)
            assert (p < 0.05) == (not verdict.low <= 0 <= verdict.high) == (verdict.verdict in (HOLDS, CONTRADICTED))
        words |= {len({verdict.confidence for verdict in verdicts})}
    assert words >= {1, 2, 3}  # steps that end at once, and such that go on
    alone = decide(exactly(0.1, 2.0), RISES, 1.0, "points")
    several = decide_family([Question(exactly(0.1, 2.0), RISES, 1.0, "points")] * 3)
    assert alone.verdict == HOLDS and {verdict.verdict for verdict in several} == {CANNOT_TELL}


def test_all_of_several_equivalent_is_not_corrected_and_one_that_is_not_is() -> None:
    same = [Question(exactly(-0.9, 0.9), SAME, 1.0, "points")] * 10
    assert {verdict.verdict for verdict in decide_family(same)} == {EQUIVALENT}
    off = Question(exactly(1.01, 3.0), SAME, 1.0, "points")
    assert decide_family([off])[0].verdict == CONTRADICTED
    assert decide_family([off, *same])[0].verdict == CANNOT_TELL
    far = Question(exactly(3.0, 5.0), SAME, 1.0, "points")
    assert decide_family([far, *same])[0].verdict == CONTRADICTED


@pytest.mark.parametrize(("claimed", "truth"), [(FALLS, -2.0), (SAME, 0.3), (KEPT, 0.0)])
def test_power_is_how_often_the_word_comes(claimed: str, truth: float) -> None:
    rng = np.random.default_rng(5)
    error, runs, margin = 0.5, 5, 1.5
    found = 0
    for _ in range(3000):
        spread = error * math.sqrt(rng.chisquare(runs - 1) / (runs - 1))
        estimate = Estimate(rng.normal(truth, error), spread, runs - 1, runs, 0.0, 0.0)
        found += decide(estimate, claimed, margin, "points").verdict in (HOLDS, EQUIVALENT)
    known = Estimate(truth, error, runs - 1, runs, 0.0, 0.0)
    assert power(known, claimed, truth, margin) == pytest.approx(found / 3000, abs=0.03)


def test_what_would_decide_it() -> None:
    question = Question(over_runs([-1.0, 3.0, -2.0]), RISES, 1.0, "points", paper=3.0)
    verdict = decide_family([question])[0]
    assert verdict.verdict == CANNOT_TELL and verdict.decides == runs_needed(question)
    runs = verdict.decides or 0
    spread = question.estimate.of_runs
    for n, enough in ((runs, True), (runs - 1, False)):
        study = Estimate(0.0, spread / n**0.5, n - 1, n, spread, 0.0)
        assert (power(study, RISES, 3.0, 1.0) >= 0.8) is enough
    few_sentences = Question(over_runs([-1.0, 3.0, -2.0], 5.0), RISES, 1.0, "points", paper=3.0)
    assert decide_family([few_sentences])[0].decides == 0
    assert decide(over_runs([-1.0, 3.0, -2.0]), RISES, 1.0, "points").decides is None


def test_a_trend_is_the_change_of_the_fitted_line() -> None:
    scores, at = np.random.default_rng(6).normal(size=(3, 5)), [0, 1, 2, 4, 8]
    assert fitted_change(scores, at) == pytest.approx([8 * np.polyfit(at, row, 1)[0] for row in scores])
    with pytest.raises(ValueError, match="two places"):
        fitted_change(scores[:, :2], [3, 3])


@pytest.mark.parametrize(
    ("effects", "wanted"),
    [([0.0, -0.5, -1.1, -1.2], 2), ([0.0, -1.1, -0.9, -1.2], 3), ([0.0, 1.1, -1.1], 2), ([-2.0, -2.0], 0),
     ([0.0, -2.0, -1.0], None), ([], None)],
)  # fmt: skip
def test_onset_is_the_first_level_that_stays_outside_the_margin(effects: list[float], wanted: int | None) -> None:
    assert onset(effects, 1.0) == wanted
    assert onset([-effect for effect in effects], 1.0) == wanted


def test_peak() -> None:
    assert peak([0.1, 0.3, 0.3, 0.2]) == 1
