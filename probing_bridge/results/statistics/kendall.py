"""Kendall's rank correlation of a score over levels (Kendall 1938, A New Measure of Rank Correlation)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from probing_bridge.results.statistics.holm import ALPHA, holm


@dataclass(frozen=True)
class Trend:
    """Kendall's tau of a score over levels.

    Attributes:
        tau: In [-1, 1]; NaN where every score is the same or fewer than two levels are there.
        p_up: One-sided p-value of an increase (exact without ties, else the normal approximation of tau-b).
        p_down: One-sided p-value of a decrease.
        n: Number of levels.
    """

    tau: float
    p_up: float
    p_down: float
    n: int

    @property
    def p_two_sided(self) -> float:
        """Two-sided p-value: twice the smaller of the two."""
        return min(1.0, 2 * min(self.p_up, self.p_down))


def kendall(levels: Sequence[float], scores: Sequence[float]) -> Trend:
    """Tests whether a score rises or falls with the level.

    Args:
        levels: One number a level.
        scores: The score there; NaN leaves the level out.

    Returns:
        The trend; p-values of 1 where it is not defined.
    """
    from scipy.stats import kendalltau

    pairs = [(x, y) for x, y in zip(levels, scores, strict=True) if not (pd.isna(x) or pd.isna(y))]
    n = len(pairs)
    if n < 2 or len({y for _, y in pairs}) < 2 or len({x for x, _ in pairs}) < 2:
        return Trend(math.nan, 1.0, 1.0, n)
    xs, ys = zip(*[(float(x), float(y)) for x, y in pairs], strict=True)
    up, down = (kendalltau(xs, ys, alternative=side) for side in ("greater", "less"))
    return Trend(float(up.statistic), float(up.pvalue), float(down.pvalue), n)


def smallest_p(n: int) -> float:
    """The smallest one-sided p-value that n levels without ties can reach: 1 / n! of all orders is monotone."""
    return 1 / math.factorial(max(n, 1))


def trends_by(frame: pd.DataFrame, by: str, column: str = "score", order: str = "level") -> pd.DataFrame:
    """Trend of every group of rows, corrected over the groups.

    Args:
        frame: Rows with the columns `by`, `order` and `column`.
        by: What the groups are, e.g. task or layer.
        column: The score.
        order: What it may rise or fall with.

    Returns:
        One row a group, in order of appearance: `by`, tau, p_up, p_down, p (two-sided), n, and the Holm-corrected
        p_up_holm, p_down_holm, p_holm.
    """
    rows = []
    for name in frame[by].unique():
        part = frame[frame[by] == name]
        trend = kendall(part[order].tolist(), part[column].tolist())
        rows.append((name, trend.tau, trend.p_up, trend.p_down, trend.p_two_sided, trend.n))
    table = pd.DataFrame(rows, columns=[by, "tau", "p_up", "p_down", "p", "n"])
    for name in ("p_up", "p_down", "p"):
        table[f"{name}_holm"] = holm(table[name].tolist())
    return table


def task_trends(best: pd.DataFrame) -> pd.DataFrame:
    """Calls each task sparsity-invariant, -degrading or -improving (Section 4.2).

    A task is degrading or improving when Kendall's tau over levels is significant (two-sided, Holm over tasks,
    alpha 0.05), else invariant; with so few levels that no order could be significant it is undecided.

    Args:
        best: What probing.best_layers returns.

    Returns:
        trends_by over tasks, and the column kind.
    """
    table = trends_by(best, "task")
    reachable = [min(1.0, 2 * smallest_p(n) * len(table)) < ALPHA for n in table["n"]]
    kinds = []
    for (_, row), possible in zip(table.iterrows(), reachable, strict=True):
        if row["p_holm"] < ALPHA:
            kinds.append("improving" if row["tau"] > 0 else "degrading")
        else:
            kinds.append("invariant" if possible else "undecided")
    return table.assign(kind=kinds)
