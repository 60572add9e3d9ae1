"""BLEU of each run, as effects: changes from LTH0, and against random pruning.

The first test set and metric of the table are judged. Place in the flow: results -> bleu -> numbers.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from probing_bridge.claims.per_run import MissingRows, PerRun, collected
from probing_bridge.results import levels
from probing_bridge.results.folder import Results
from probing_bridge.results.statistics import REACH


def mean_sparsities(results: Results) -> dict[int, float]:
    """Level -> overall sparsity, mean over runs, by level.

    Raises:
        MissingRows: No table tells.
    """
    known = levels.known_levels(results).dropna(subset=["sparsity"])
    if not len(known):
        raise MissingRows("sparsity of the levels (lth.csv)")
    found = collected(known, ["level"], "sparsity", len(results.runs))
    return {level: float(np.nanmean(number.values)) for (level,), number in sorted(found.items())}


def changes(results: Results) -> dict[int, PerRun]:
    """Pruned level -> BLEU less LTH0's, in % of LTH0's, with the error of the paired test where the table has it.

    Raises:
        MissingRows: No BLEU of LTH0, or one of 0.
    """
    found = scores(results)
    dense = found.pop(0, None)
    if dense is None:
        raise MissingRows("BLEU of level 0 (bleu.csv)")
    if not (dense.values > 0).all():
        raise MissingRows("a BLEU of LTH0 above 0: a model that has learnt nothing keeps nothing")
    tested = paired(results)
    return {
        level: PerRun(score.values - dense.values, tested.get(level, score - dense).errors) * (100 / dense.values)
        for level, score in found.items()
    }


def over_random(results: Results) -> dict[int, PerRun]:
    """Pruned level -> BLEU less that of random pruning, run by run and at the same sparsity, in % of LTH0's.

    Raises:
        MissingRows: No random pruning beside magnitude pruning, or no level of both.
    """
    random = next((other for other in results.beside if _pruned_by(other) == {"random"}), None)
    if random is None or _pruned_by(results) != {"magnitude"}:
        raise MissingRows("BLEU of magnitude and of random pruning (report --baseline DIR)")
    mine, theirs = scores(results), scores(random)
    shares, other_shares = mean_sparsities(results), mean_sparsities(random)
    if 0 not in mine:
        raise MissingRows("BLEU of level 0 (bleu.csv)")
    tested = paired(random, {run.experiment for run in results.runs})
    both = {
        level: PerRun(mine[level].values - theirs[level].values, tested.get(level, mine[level] - theirs[level]).errors)
        for level in sorted(set(mine) & set(theirs) - {0})
        if abs(shares.get(level, 0.0) - other_shares.get(level, 1.0)) <= 0.01
    }
    if not both:
        raise MissingRows("BLEU of a pruned level of both, at the same sparsity")
    return {level: difference * (100 / mine[0].values) for level, difference in both.items()}


def _pruned_by(results: Results) -> set[str]:
    return set(results["lth"]["score"]) - {""}


def scores(results: Results) -> dict[int, PerRun]:
    """Level -> BLEU, by level."""
    found = collected(_first_metric(results["bleu"], "score"), ["level"], "score", len(results.runs))
    return {level: found[level,] for level in sorted(level for (level,) in found)}


def paired(results: Results, others: Collection[str] = ()) -> dict[int, PerRun]:
    """Level -> difference of BLEU with its paired error.

    Where a table has no paired interval, as older ones, it is that of the normal difference that would have the p
    of its paired test. At the smallest p that the test's trials can give it is too large rather than too small.

    Args:
        results: The experiment whose table is read.
        others: Experiments with whose level of the same number it was compared; empty: compared with LTH0.

    Returns:
        Nothing of a level that has neither an interval nor a p below 1.
    """
    from scipy.special import ndtri

    rows = _first_metric(results["bleu_differences"], "difference")
    same = rows["other_experiment"].isin(others) & (rows["other_level"] == rows["level"])
    rows = rows[same if others else rows["other_level"] == 0]
    told = (rows["p"] > 0) & (rows["p"] < 1) & (rows["difference"] != 0)
    reach = (REACH * rows["difference"].abs() / ndtri(1 - rows["p"] / 2)).where(told)
    ends = {"low": rows["difference"] - reach, "high": rows["difference"] + reach}
    rows = rows.assign(**{end: rows[end].fillna(values) for end, values in ends.items()})
    found = collected(rows.dropna(subset=["low", "high"]), ["level"], "difference", len(results.runs))
    return {level: number for (level,), number in found.items()}


def _first_metric(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    """The rows of the first test set and metric that have a value."""
    rows = rows.dropna(subset=[value])
    if not len(rows):
        return rows
    return rows[(rows["test_set"] == rows["test_set"].iloc[0]) & (rows["metric"] == rows["metric"].iloc[0])]
