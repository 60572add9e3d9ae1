"""How a claim is decided: trends, orders, bounds and absences, each with its stated rule.

Verdicts. `holds` and `does not hold` need evidence of their own; `not decidable here` means that the rows are there
but cannot tell (too few levels for any order to be significant, intervals that overlap, a sparsity not reached);
`not run` means that rows are missing. Place in the flow: statistics -> judging -> claims.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from probing_bridge.results.naming import final_layers, layer_label, rows_of
from probing_bridge.results.statistics import ALPHA, Trend, kendall, smallest_p, trends_by

HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "does not hold", "not decidable here", "not run"
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_RUN)


class MissingRows(Exception):
    """The rows that a claim needs are not there; the message names them."""


@dataclass(frozen=True)
class Judgement:
    """What the results say about a claim.

    Attributes:
        verdict: One of VERDICTS.
        ours: The number found, with its interval where there is one.
        detail: The test: tau, p, number of levels, or why it cannot be decided.
    """

    verdict: str
    ours: str = "–"
    detail: str = ""


@dataclass(frozen=True)
class Value:
    """A number with the interval it was measured with (NaN where there is none)."""

    score: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        """The number and its interval, three digits."""
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.score:.3f}"
        return f"{self.score:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def least(self) -> float:
        """The lowest value it may have."""
        return self.score if math.isnan(self.low) else self.low

    @property
    def most(self) -> float:
        """The highest value it may have."""
        return self.score if math.isnan(self.high) else self.high


def need(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """The frame, if it has rows.

    Raises:
        MissingRows: It has none.
    """
    if not len(frame):
        raise MissingRows(what)
    return frame


def last_level(frame: pd.DataFrame, column: str = "level") -> pd.DataFrame:
    """The rows of the sparsest level."""
    return frame[frame[column] == frame[column].max()]


def mean_value(frame: pd.DataFrame, what: str) -> Value:
    """Mean score of some rows, and the mean of their intervals.

    Raises:
        MissingRows: No rows.
    """
    need(frame, what)
    ends = [float(frame[end].astype(float).mean()) if end in frame.columns else math.nan for end in ("low", "high")]
    return Value(float(frame["score"].mean()), *ends)


def all_of(parts: Sequence[tuple[str, Judgement]]) -> Judgement:
    """A claim about several parts: holds if it holds for all, fails if it fails for one."""
    verdicts = [judgement.verdict for _, judgement in parts]
    verdict = next((v for v in (FAILS, NOT_RUN, UNDECIDED) if v in verdicts), HOLDS)
    named = [(f"{name}: " if name else "", judgement) for name, judgement in parts]
    ours = "; ".join(f"{name}{judgement.ours}" for name, judgement in named)
    return Judgement(verdict, ours, "; ".join(f"{name}{j.detail}" for name, j in named if j.detail))


def of_runs(judgements: Sequence[Judgement]) -> Judgement:
    """The verdict on a claim that was judged run by run: theirs if all agree, else it cannot be decided."""
    if len(judgements) == 1:
        return judgements[0]
    verdicts = {judgement.verdict for judgement in judgements}
    ours = "; ".join(f"run {number}: {judgement.ours}" for number, judgement in enumerate(judgements, 1))
    counts = ", ".join(f"{sum(j.verdict == v for j in judgements)} {v}" for v in VERDICTS if v in verdicts)
    return Judgement(verdicts.pop() if len(verdicts) == 1 else UNDECIDED, ours, f"{len(judgements)} runs: {counts}")


def at_final(layers: Iterable[str], test: Callable[[str], Judgement]) -> Judgement:
    """A claim about the final layer: decided there, and what layer L says beside it where that is another.

    Args:
        layers: Names of the layers that have rows; which is final, naming.final_layers says.
        test: Judges the claim with one layer taken as the final one.

    Returns:
        The judgement of the final layer; its numbers and details name the layers.
    """
    final, *beside = final_layers(layers)
    found = test(final)
    ours, details = f"{layer_label(final)}: {found.ours}", found.detail
    for layer in beside:
        other = test(layer)
        ours += f"; beside it {layer_label(layer)}: {other.ours} ({other.verdict})"
        details += f"; {layer_label(layer)}: {other.detail}"
    return Judgement(found.verdict, ours, details)


def by_trend(trend: Trend, up: bool, ours: str, over: str = "levels") -> Judgement:
    """A claimed rise or fall: one-sided Kendall test at 0.05.

    Holds: significant in the claimed direction. Does not hold: significant the other way, or tau is 0 or of the other
    sign although enough levels are there for a significant order.
    """
    p, opposite = (trend.p_up, trend.p_down) if up else (trend.p_down, trend.p_up)
    detail = f"τ = {trend.tau:+.2f}, p = {p:.2g}, {trend.n} {over}".replace("-", "−")
    if p < ALPHA:
        return Judgement(HOLDS, ours, detail)
    against = math.isnan(trend.tau) or trend.tau * (1 if up else -1) <= 0
    possible = smallest_p(trend.n) < ALPHA
    if opposite < ALPHA or (possible and against):
        return Judgement(FAILS, ours, detail)
    if not possible:
        detail += f"; {trend.n} {over} cannot be significant (p ≥ {smallest_p(trend.n):.2g})"
    return Judgement(UNDECIDED, ours, detail)


def frame_trend(frame: pd.DataFrame, up: bool, what: str, over: str = "level", digits: int = 3) -> Judgement:
    """by_trend of the mean score over `over` (level or layer), with its first and last value."""
    rows = need(frame.dropna(subset=["score"]), what)
    means = rows.assign(**{over: rows[over].astype(int)}).groupby(over)["score"].mean().sort_index()
    ours = f"{means.iloc[0]:.{digits}f} → {means.iloc[-1]:.{digits}f}"
    return by_trend(kendall(list(means.index), list(means)), up, ours, f"{over}s")


def task_trend(best: pd.DataFrame, task: str, up: bool) -> Judgement:
    """A claimed rise or fall of one task's score, Holm-corrected over all tasks that were run.

    Raises:
        MissingRows: The task was not run.
    """
    need(best[best["task"] == task], f"probes of {task}")
    table = trends_by(best, "task")
    row = next(row for row in rows_of(table) if row.task == task)
    corrected = Trend(row.tau, row.p_up_holm, row.p_down_holm, row.n)
    scores = best[best["task"] == task].sort_values("level")
    ours = " → ".join(str(Value(*scores.iloc[end][["score", "low", "high"]].astype(float))) for end in (0, -1))
    judgement = by_trend(corrected, up, ours)
    reachable = len(table) * smallest_p(corrected.n) < ALPHA
    if judgement.verdict == FAILS and not reachable and min(corrected.p_up, corrected.p_down) >= ALPHA:
        judgement = Judgement(UNDECIDED, ours, judgement.detail)
    return Judgement(judgement.verdict, ours, f"{judgement.detail}, Holm over {len(table)} tasks")


def no_trends(frame: pd.DataFrame, by: str, what: str) -> Judgement:
    """A claimed absence of trends: two-sided Kendall tests, Holm over the groups.

    Holds: none significant although each could be. Does not hold: one is.
    """
    table = trends_by(need(frame, what), by)
    found = [str(name) for name in table.loc[table["p_holm"] < ALPHA, by]]
    ours = f"{len(table) - len(found)} of {len(table)} without a trend"
    detail = f"smallest p = {table['p_holm'].min():.2g} (two-sided, Holm over {len(table)}), {table['n'].max()} levels"
    if found:
        return Judgement(FAILS, f"{ours}; trend in {', '.join(found)}", detail)
    possible = all(2 * len(table) * smallest_p(n) < ALPHA for n in table["n"])
    reason = "" if possible else "; too few levels for any trend to be significant"
    return Judgement(HOLDS if possible else UNDECIDED, ours, detail + reason)


def greater(more: Value, less: Value, names: tuple[str, str] = ("", "")) -> Judgement:
    """A claimed order of two numbers: the intervals must not overlap (without intervals: the numbers themselves)."""
    ours = f"{names[0]} {more} v {names[1]} {less}".replace("  ", " ").strip()
    if more.least > less.most:
        return Judgement(HOLDS, ours, "intervals apart" if not math.isnan(more.low) else "point estimates")
    if more.most < less.least or (more.least == more.most and less.least == less.most):
        return Judgement(FAILS, ours, "the other way round" if more.score < less.score else "equal")
    return Judgement(UNDECIDED, ours, "the intervals overlap")


def at_least(value: Value, bound: float) -> Judgement:
    """A claimed lower bound, against the interval of the number."""
    verdict = HOLDS if value.least >= bound else FAILS if value.most < bound else UNDECIDED
    return Judgement(verdict, str(value), f"bound {bound:g}")
