"""Forest plots: where things are drawn, what their numbers say, and what would decide what one cannot tell."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from probing_bridge.report.forest import axis_of, details, row, scale, what_would_decide
from probing_bridge.results.statistics import FALLS, KEPT, RISES, SAME, Estimate, Verdict, decide, not_run, over_runs


def found(effect: float, error: float, claimed: str = RISES, margin: float = 1.0, paper: float = math.nan) -> Verdict:
    """The verdict on an effect of one run with a standard error over sentences."""
    return decide(Estimate(effect, error, math.inf, 1, math.nan, error), claimed, margin, "points", paper)


def drawn(picture: str) -> dict[str, list[float]]:
    """What a row's SVG shows: the first coordinates of each class."""
    shapes = re.findall(r'class="([a-z-]+)" (?:x|cx|d)="M?(-?[\d.]+)[^"]*?(?:H(-?[\d.]+))?"', picture)
    return {name: [float(part) for part in ends if part] for name, *ends in shapes}


def test_an_axis_places_all_that_a_row_has() -> None:
    verdicts = [found(2.0, 0.5, paper=3.0), found(-1.0, 0.5)]
    axis = axis_of(verdicts, "points")
    assert axis.low < -1.98 and axis.high > 3.0
    shapes = drawn(row("v1", verdicts[0], axis).picture)
    pixels = (320 - 16) / (axis.high - axis.low)
    for name, value in (("zero", 0), ("effect", 2), ("paper-number", 3), ("margin", -1)):
        assert shapes[name][0] == pytest.approx(8 + (value - axis.low) * pixels, abs=0.06), name
    assert shapes["interval"] == pytest.approx([8 + (end - axis.low) * pixels for end in (1.02, 2.98)], abs=0.1)
    assert shapes["interval"][0] > shapes["zero"][0]  # excludes no change


def test_an_interval_far_beyond_the_others_is_cut_and_ends_in_an_arrow() -> None:
    verdicts = [found(1.0, 0.1), found(1.0, 40.0)]
    axis = axis_of(verdicts, "points")
    assert axis.high < 3
    short, long = (row("v", verdict, axis) for verdict in verdicts)
    assert len(re.findall(r'class="end" d="M\d[\d.]* 7.0v8"', short.picture)) == 2
    assert "v8" not in long.picture.partition("interval")[2] and long.effect == "+1 [−77, +79]"


def test_units_have_axes_of_their_own() -> None:
    cka = decide(over_runs([0.01], [0.002]), SAME, 0.02, "CKA")
    axis = axis_of([found(5.0, 1.0), cka], "CKA")
    assert axis.high < 0.03
    assert row("v", cka, axis, "CKA").scale == "" and row("v", cka, axis, "points").scale == scale(axis)


def test_numbers_have_the_digits_that_their_interval_calls_for() -> None:
    axis = axis_of([found(2.0, 0.5)], "points")
    assert row("v", found(2.04, 0.5, paper=3.0), axis).effect == "+2.04 [+1.06, +3.02]"
    assert (
        row("v", decide(over_runs([0.0123], [0.002]), RISES, 0.02, "CKA"), axis).effect == "+0.0123 [+0.0084, +0.0162]"
    )
    exact = decide(over_runs([25.0], [0.0]), RISES, 1.0, "points")
    assert row("v", exact, axis).effect == "+25.0"
    missing = row("v", not_run("needs similarity.csv"), axis)
    assert (missing.effect, missing.picture, missing.decides) == ("–", "", "needs similarity.csv")


@pytest.mark.parametrize(
    ("verdict", "times"),
    [
        (found(1.0, 1.0, margin=0.0), 4),  # half of the interval is 1.96: at a quarter of the variance it ends above 0
        (found(-2.0, 2.0, FALLS), 4),
        (found(0.2, 1.0), 7),  # nearer to be inside the margin of 1: 0.8 away
        (found(0.5, 1.0, SAME), 16),
        (found(0.8, 2.0, KEPT), 5),  # the boundary is at -1, 1.8 away, and 3.92² / 1.8² = 4.7
        (found(-2.3, 1.0, KEPT), 3),
    ],
)
def test_so_many_times_the_items_would_decide(verdict: Verdict, times: int) -> None:
    assert what_would_decide(verdict) == f"≥ 2 runs; {times} × items"
    half = (verdict.high - verdict.low) / 2 / times**0.5
    low, high = verdict.effect - half, verdict.effect + half
    if verdict.claimed == KEPT:
        assert -verdict.margin <= low or high < -verdict.margin
    else:
        assert (-verdict.margin <= low and high <= verdict.margin) or low > 0 or high < 0
    half *= (times / (times - 1)) ** 0.5
    low, high = verdict.effect - half, verdict.effect + half
    assert not (-verdict.margin <= low and high <= verdict.margin)
    assert low < -verdict.margin < high if verdict.claimed == KEPT else verdict.claimed == SAME or low < 0 < high


def test_runs_that_would_decide_are_those_of_the_power() -> None:
    several = decide(over_runs([-1.0, 1.5, 2.0], [0.01] * 3), RISES, 1.0, "points", paper=2.0)
    assert several.verdict == "cannot tell" and several.decides
    assert what_would_decide(several) == f"{several.decides} runs"
    assert what_would_decide(found(5.0, 1.0)) == ""
    tested = decide(over_runs([0.1, 0.2, 0.1], [9.0] * 3), RISES, 1.0, "points", 0.5)
    own = np.var([0.1, 0.2, 0.1], ddof=1) / 3  # what further sentences do not take away
    times = 81 / ((0.8666667 / 1.959964) ** 2 - own)
    assert tested.decides == 0 and what_would_decide(tested) == f"{math.ceil(times)} × items"
    assert 415 < times < 420


def test_no_number_of_items_makes_runs_alike() -> None:
    """Intervals over runs and sentences: with endless sentences that of the runs alone is left."""
    apart = decide(over_runs([-3.0, 2.5, 2.0], [0.5] * 3), KEPT, 1.0, "points")
    assert apart.verdict == "cannot tell" and apart.items == 0 and what_would_decide(apart) == "more runs"
    alone = stats.ttest_1samp([-3.0, 2.5, 2.0], 0).confidence_interval()
    assert alone.low < -1 < alone.high
    closer = decide(over_runs([-0.1, 0.1, 0.0], [3.0] * 3), SAME, 1.0, "points")
    assert closer.items and what_would_decide(closer) == f"{closer.items} × items"


def test_what_has_no_test_items_needs_runs() -> None:
    shares = decide(over_runs([-3.0, 2.5, 2.0], 0.0), RISES, 1.0, "points of sparsity")
    assert shares.verdict == "cannot tell" and shares.items is None and what_would_decide(shares) == "more runs"


def test_the_scale_has_zero_and_signs() -> None:
    texts = re.findall(r">([^<]+)</text>", scale(axis_of([found(2.0, 0.5), found(-2.0, 0.5)], "points")))
    assert "0" in texts and any(text.startswith("−") for text in texts) and any(text.startswith("+") for text in texts)


def test_details_say_margin_interval_p_and_power() -> None:
    text = details(decide(over_runs([2.0, 2.1, 1.9], [0.1] * 3), RISES, 1.0, "points", paper=2.0))
    assert text.startswith("the interval is on the claimed side; interval of 95 % over 3 runs")
    assert "margin 1 points; p < 0.001; power 1.00 for the paper's effect" in text
