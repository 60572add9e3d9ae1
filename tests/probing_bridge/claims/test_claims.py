"""Every claim is judged on tables where it holds, where it fails, where rows are missing and where levels are few."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from probing_bridge.claims import CLAIMS, Claim, judge, judging
from probing_bridge.claims.judging import FAILS, HOLDS, NOT_RUN, UNDECIDED, Value
from probing_bridge.figures import FIGURES
from probing_bridge.formats.columns import TABLES
from probing_bridge.results.folder import Results, read_results
from probing_bridge.results.statistics import Trend, holm, kendall, smallest_p, task_trends

KEPT = next(claim for claim in CLAIMS if "99 % of BLEU" in claim.statement)
RANDOM = next(claim for claim in CLAIMS if "random pruning" in claim.statement)
EVERY = pytest.mark.parametrize("claim", CLAIMS, ids=[f"{c.section} {c.statement[:40]}" for c in CLAIMS])


def test_there_are_enough_claims_and_each_names_a_figure() -> None:
    assert len(CLAIMS) >= 20
    assert len({claim.statement for claim in CLAIMS}) == len(CLAIMS)
    assert all(claim.figure in FIGURES and claim.rule and claim.paper for claim in CLAIMS)


@EVERY
def test_holds_where_the_trends_are_the_papers(claim: Claim, full: Results) -> None:
    judgement = judge(claim, full)
    assert judgement.verdict == HOLDS, judgement


@EVERY
def test_fails_where_they_are_the_opposite(claim: Claim, opposite: Results) -> None:
    judgement = judge(claim, opposite)
    assert judgement.verdict == FAILS, judgement


@EVERY
def test_not_run_without_rows_and_says_what_is_missing(claim: Claim, full: Results) -> None:
    empty = replace(full, tables={name: frame.iloc[:0] for name, frame in full.tables.items()})
    judgement = judge(claim, empty)
    assert judgement.verdict == NOT_RUN
    assert judgement.detail.startswith("needs ") and len(judgement.detail) > 10


@EVERY
def test_not_run_when_just_its_own_table_is_missing(claim: Claim, full: Results) -> None:
    own = "similarity" if claim.figure == "fig_a7_spectrum" else FIGURES[claim.figure].source  # k is in similarity.csv
    without = replace(full, tables={**full.tables, own: full[own].iloc[:0]})
    assert judge(claim, without).verdict == NOT_RUN


def test_random_pruning_is_compared_at_the_sparsest_level_both_have(full: Results) -> None:
    def judged(**changes: object) -> judging.Judgement:
        return judge(RANDOM, _with_baseline(full, bleu=full.baselines[0]["bleu"].assign(**changes)))

    found = judge(RANDOM, full)
    assert found.ours == "magnitude 27.210 [26.710, 27.710] v random 21.877 [21.377, 22.377] (LTH8)"
    assert judged(test_set="another").verdict == NOT_RUN
    assert "LTH8 of the two differ" in judge(RANDOM, _sparser_baseline(full)).detail
    assert judge(RANDOM, replace(full, baselines=())).verdict == NOT_RUN
    random = replace(full.baselines[0], baselines=(replace(full, baselines=()),))  # the page of random pruning
    assert judge(RANDOM, random) == found


def test_random_pruning_is_judged_by_the_paired_test(full: Results) -> None:
    tested = full.baselines[0]["bleu_differences"]

    def judged(**changes: object) -> judging.Judgement:
        return judge(RANDOM, _with_baseline(full, bleu_differences=tested.assign(**changes)))

    assert judge(RANDOM, full).detail == "difference +5.33, paired test p = 0.0001"
    assert judged(p=0.05).verdict == UNDECIDED
    assert judged(p=float("nan")).detail == "intervals apart"
    assert judged(p=0.049).verdict == HOLDS
    assert judged(difference=0.3, p=0.049) == judging.Judgement(
        FAILS, judge(RANDOM, full).ours, "difference −0.30, paired test p = 0.049"
    )
    swapped = {"experiment": tested["other_experiment"], "other_experiment": tested["experiment"], "difference": 0.3}
    assert judged(**swapped).detail.startswith("difference +0.30")


def test_without_a_paired_test_the_intervals_must_not_overlap(full: Results) -> None:
    other = full.baselines[0]["bleu_differences"].assign(other_experiment="of-another-test")
    full = _with_baseline(full, bleu_differences=other)
    assert judge(RANDOM, full).detail == "intervals apart"
    wide = _with_baseline(full, bleu=full.baselines[0]["bleu"].assign(high=27.0))
    assert (judge(RANDOM, wide).verdict, judge(RANDOM, wide).detail) == (UNDECIDED, "the intervals overlap")


def _with_baseline(full: Results, **tables: pd.DataFrame) -> Results:
    baseline = full.baselines[0]
    return replace(full, baselines=(replace(baseline, tables={**baseline.tables, **tables}),))


def _sparser_baseline(full: Results) -> Results:
    lth = full.baselines[0]["lth"]
    return _with_baseline(full, lth=lth.assign(sparsity=lth["sparsity"] + 0.02))


def test_trends_over_three_levels_are_not_decidable(full: Results) -> None:
    few = replace(full, tables={name: _first_levels(frame, 3) for name, frame in full.tables.items()})
    for statement in ("PS-Fxn degrades", "NeuronSim with LTH0 drops", "Encoder-decoder layers become", "Ten tasks"):
        claim = next(c for c in CLAIMS if c.statement.startswith(statement))
        assert judge(claim, few).verdict == UNDECIDED, statement


def _first_levels(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    columns = [name for name in ("level", "level_a", "level_b") if name in frame.columns]
    keep = pd.Series(True, index=frame.index)
    for name in columns:
        keep &= frame[name].isna() | (frame[name] < count)
    return frame[keep]


def test_one_missing_task_is_not_run_and_the_others_are_judged(full: Results) -> None:
    probes = full["probes"]
    without = replace(full, tables={**full.tables, "probes": probes[probes["task"] != "coref"]})
    verdicts = {claim.statement: judge(claim, without) for claim in CLAIMS}
    assert verdicts["Coreference degrades with sparsity"].verdict == NOT_RUN
    assert "coref" in verdicts["Coreference degrades with sparsity"].detail
    assert verdicts["PS-Fxn degrades with sparsity"].verdict == HOLDS
    assert "Holm over 17 tasks" in verdicts["PS-Fxn degrades with sparsity"].detail


def test_a_ticket_below_99_percent_fails_and_an_unreached_sparsity_is_not_decidable(full: Results) -> None:
    claim = KEPT
    bleu = full["bleu"].assign(score=full["bleu"]["score"].where(full["bleu"]["level"] < 7, 27.0))
    assert judge(claim, replace(full, tables={**full.tables, "bleu": bleu})).verdict == FAILS
    shallow = replace(full, tables={name: _first_levels(frame, 4) for name, frame in full.tables.items()})
    assert judge(claim, shallow).verdict == UNDECIDED


@pytest.mark.parametrize("scores", [[1, 2, 3, 4, 5], [5, 1, 4, 2, 3], [1.0, 1.0, 2.0, 3.0, 0.5]])
def test_kendall_is_that_of_scipy(scores: list[float]) -> None:
    trend = kendall(range(5), scores)
    expected = stats.kendalltau(range(5), scores, alternative="greater")
    assert trend.tau == pytest.approx(expected.statistic)
    assert trend.p_up == pytest.approx(expected.pvalue)
    assert trend.n == 5


def test_kendall_of_a_monotone_series_reaches_the_smallest_p() -> None:
    for n in (3, 4, 9):
        trend = kendall(range(n), range(n))
        assert (trend.tau, trend.p_up) == (pytest.approx(1.0), pytest.approx(smallest_p(n)))
        assert smallest_p(n) == pytest.approx(1 / math.factorial(n))


def test_kendall_leaves_missing_levels_out_and_is_undefined_for_constants() -> None:
    assert kendall([0, 1, 2, 3], [1.0, float("nan"), 2.0, 3.0]).n == 3
    flat = kendall([0, 1, 2], [0.5, 0.5, 0.5])
    assert math.isnan(flat.tau) and flat.p_up == flat.p_down == 1.0


def test_holm_is_the_step_down_procedure() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # 3 p1, 2 p3, then never smaller
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_tasks_are_called_by_their_corrected_trend() -> None:
    rows = [("up", k, 0.1 * k) for k in range(8)] + [("down", k, -0.1 * k) for k in range(8)]
    rows += [("flat", k, float([3, 1, 4, 1.5, 9, 2, 6, 5][k])) for k in range(8)]
    frame = pd.DataFrame(rows, columns=["task", "level", "score"])
    kinds = task_trends(frame).set_index("task")["kind"]
    assert kinds.to_dict() == {"up": "improving", "down": "degrading", "flat": "invariant"}
    short = task_trends(frame[frame["level"] < 4]).set_index("task")["kind"]
    assert set(short) == {"undecided"}


def test_orders_need_intervals_that_are_apart() -> None:
    assert judging.greater(Value(2, 1.8, 2.2), Value(1, 0.8, 1.2)).verdict == HOLDS
    assert judging.greater(Value(2, 1.0, 3.0), Value(1, 0.5, 1.5)).verdict == UNDECIDED
    assert judging.greater(Value(1, 0.8, 1.2), Value(2, 1.8, 2.2)).verdict == FAILS
    assert judging.greater(Value(1), Value(1)).verdict == FAILS


def test_bounds_and_trends_decide_both_ways() -> None:
    assert [
        judging.at_least(Value(0.9, low, high), 0.9).verdict for low, high in ((0.9, 1), (0.8, 0.95), (0.7, 0.85))
    ] == [
        HOLDS,
        UNDECIDED,
        FAILS,
    ]
    assert judging.by_trend(Trend(0.1, 0.4, 0.7, 9), True, "").verdict == UNDECIDED
    assert judging.by_trend(Trend(-0.1, 0.7, 0.4, 9), True, "").verdict == FAILS
    assert judging.by_trend(Trend(-0.1, 0.7, 0.4, 3), True, "").verdict == UNDECIDED


@pytest.mark.parametrize(("levels", "tasks", "layers"), [(1, 1, 1), pytest.param(2, 6, 2, marks=pytest.mark.slow)])
def test_the_smallest_results_are_drawn_and_judged_without_error(synthetic, tmp_path, levels, tasks, layers) -> None:
    tiny = read_results(synthetic.write_results(tmp_path / "r", levels, tasks, layers, width=2))
    for claim in CLAIMS:
        judge(claim, tiny)
    for exhibit in FIGURES.values():
        frame = exhibit.data(tiny)
        exhibit.draw(frame)
        if exhibit.show and len(frame):
            exhibit.show(frame)


@pytest.mark.parametrize("value", [float("nan"), pytest.param(0.0, marks=pytest.mark.slow)])
def test_scores_that_are_all_zero_or_missing_are_judged_without_error(small_folder: Path, value: float) -> None:
    small = read_results(small_folder)
    columns = ("score", "low", "high", "own_correlation", "cumulative_variance")
    tables = {
        name: frame.assign(**{column: value for column in columns if TABLES[name].columns.get(column) == "float64"})
        for name, frame in small.tables.items()
    }
    flat = replace(small, tables=tables)
    for claim in CLAIMS:
        judge(claim, flat)
    for exhibit in FIGURES.values():
        exhibit.draw(exhibit.data(flat))


def test_a_dense_model_without_bleu_decides_nothing(full: Results) -> None:
    bleu = full["bleu"].assign(score=0.0, low=0.0, high=0.0)
    assert judge(KEPT, replace(full, tables={**full.tables, "bleu": bleu})).verdict == UNDECIDED


def test_quickstart_sized_results_are_judged_without_error(synthetic, tmp_path) -> None:
    small = read_results(synthetic.write_results(tmp_path / "r", levels=4, tasks=4, layers=3, width=8))
    assert {judge(claim, small).verdict for claim in CLAIMS} >= {HOLDS, UNDECIDED, NOT_RUN}
