"""BLEU of each run, as effects: changes from LTH0, and against random pruning.

Both are of one test set and metric, the first BLEU in the table of the experiment. Place in the flow: results -> bleu
-> numbers.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

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
    test = levels.judged_test(results)
    found = scores(results, test)
    dense = found.pop(0, None)
    if dense is None:
        raise MissingRows("BLEU of level 0 (bleu.csv)")
    if not (dense.values > 0).all():
        raise MissingRows("a BLEU of LTH0 above 0: a model that has learnt nothing keeps nothing")
    tested = paired(results, test)
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
    test = levels.judged_test(results)
    mine, theirs = scores(results, test), scores(random, test)
    shares, other_shares = mean_sparsities(results), mean_sparsities(random)
    if test is None or 0 not in mine:
        raise MissingRows("BLEU of level 0 (bleu.csv)")
    if not theirs:
        raise MissingRows(f"{test[1]} of random pruning on {test[0]}")
    tested = paired(random, test, {run.experiment for run in results.runs})
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


def scores(results: Results, test: tuple[str, str] | None) -> dict[int, PerRun]:
    """Level -> score on one test set by one metric, by level."""
    rows = levels.of_test(results["bleu"], test).dropna(subset=["score"])
    found = collected(rows, ["level"], "score", len(results.runs))
    return {level: found[level,] for level in sorted(level for (level,) in found)}


def paired(results: Results, test: tuple[str, str] | None, others: Collection[str] = ()) -> dict[int, PerRun]:
    """Level -> difference of scores with its paired error.

    Where a table has no paired interval, as older ones, it is that of the normal difference that would have the p
    of its paired test. At the smallest p that the test's trials can give it is too large rather than too small.

    Args:
        results: The experiment whose table is read.
        test: Test set and metric.
        others: Experiments with whose level of the same number it was compared; empty: compared with LTH0.

    Returns:
        Nothing of a level that has neither an interval nor a p below 1.
    """
    from scipy.special import ndtri

    rows = levels.of_test(results["bleu_differences"], test).dropna(subset=["difference"])
    same = rows["other_experiment"].isin(others) & (rows["other_level"] == rows["level"])
    rows = rows[same if others else rows["other_level"] == 0]
    told = (rows["p"] > 0) & (rows["p"] < 1) & (rows["difference"] != 0)
    reach = (REACH * rows["difference"].abs() / ndtri(1 - rows["p"] / 2)).where(told)
    ends = {"low": rows["difference"] - reach, "high": rows["difference"] + reach}
    rows = rows.assign(**{end: rows[end].fillna(values) for end, values in ends.items()})
    found = collected(rows.dropna(subset=["low", "high"]), ["level"], "difference", len(results.runs))
    return {level: number for (level,), number in found.items()}
