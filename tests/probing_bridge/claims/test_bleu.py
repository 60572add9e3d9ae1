"""Errors of BLEU in claims: paired ones where a table has them, or p of the paired test."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from probing_bridge.claims import CLAIMS, judge
from probing_bridge.claims.bleu import changes, over_random, paired
from probing_bridge.claims.per_run import MissingRows
from probing_bridge.results.folder import Results

TEST = ("newstest2014", "bleu")
BEATS_RANDOM = next(claim for claim in CLAIMS if "random pruning baseline" in claim.statement)


def with_p(full: Results, p: float, **difference: float) -> Results:
    """The same study with one p, and difference if one is given, for every paired test of random pruning."""
    random = full.baselines[0]
    tested = random["bleu_differences"].assign(p=p, low=np.nan, high=np.nan, **difference)
    return replace(full, baselines=(replace(random, tables={**random.tables, "bleu_differences": tested}),))


def test_a_paired_error_gives_back_its_p(full: Results) -> None:
    for p, difference in ((0.0005, -2.5), (0.04, 0.7), (0.8, 0.1)):
        found = paired(with_p(full, p, difference=difference).baselines[0], TEST, {"magnitude-4f2a"})[8]
        assert 2 * stats.norm.sf(abs(difference) / found.errors[0]) == pytest.approx(p)
        assert found.values[0] == difference


def test_an_interval_of_the_table_is_taken_before_p(full: Results) -> None:
    random = with_p(full, 0.5, difference=-2.0).baselines[0]
    table = random["bleu_differences"].assign(low=-3.0, high=-1.0)
    found = paired(replace(random, tables={**random.tables, "bleu_differences": table}), TEST, {"magnitude-4f2a"})
    assert found[8].errors[0] == pytest.approx(2 / 3.92, rel=1e-4)


def test_the_intervals_of_the_scores_are_taken_where_no_test_says_more(full: Results) -> None:
    assert paired(with_p(full, 1.0, difference=0.5).baselines[0], TEST, {"magnitude-4f2a"}) == {}
    assert paired(with_p(full, 0.3, difference=0.0).baselines[0], TEST, {"magnitude-4f2a"}) == {}
    bleu = full["bleu"].set_index("level")
    wide = ((bleu["high"] - bleu["low"])[[0, 8]] / 3.92).sum() / bleu["score"][0] * 100
    untested = replace(full, tables={**full.tables, "bleu_differences": full["bleu_differences"].iloc[:0]})
    assert changes(untested)[8].errors == pytest.approx(np.array([wide]), rel=1e-4)


def test_a_significant_paired_test_decides_whether_random_pruning_keeps_less(full: Results) -> None:
    assert judge(BEATS_RANDOM, with_p(full, 0.0001)).verdict == "holds"
    assert judge(BEATS_RANDOM, with_p(full, 0.3)).verdict == "cannot tell"
    assert over_random(full)[8].values > 0


def test_every_experiment_is_judged_on_the_same_test_set(full: Results) -> None:
    """A second, easier test set and another metric stand first in the tables of random pruning."""
    random = full.baselines[0]
    before = {}
    for name in ("bleu", "bleu_differences"):
        table = random[name]
        values = [column for column in ("score", "difference", "low", "high") if column in table]
        easier = table.assign(test_set="easier", **{column: table[column] + 12 for column in values})
        chrf = table.assign(metric="chrf++", **{column: table[column] + 30 for column in values})
        before[name] = pd.concat([chrf, easier, table], ignore_index=True)
    other = replace(random, tables={**random.tables, **before})
    alone, beside = over_random(full), over_random(replace(full, baselines=(other,)))
    assert alone.keys() == beside.keys()
    for level, number in alone.items():
        assert beside[level].values == number.values and beside[level].errors == number.errors
    elsewhere = replace(random, tables={**random.tables, "bleu": random["bleu"].assign(test_set="easier")})
    judged = judge(BEATS_RANDOM, replace(full, baselines=(elsewhere,)))
    assert judged.verdict == "not run" and "bleu of random pruning on newstest2014" in judged.detail


def test_what_is_called_bleu_is_bleu(full: Results) -> None:
    chrf = full["bleu"].assign(metric="chrf++", score=full["bleu"]["score"] + 30)
    first = replace(full, tables={**full.tables, "bleu": pd.concat([chrf, full["bleu"]], ignore_index=True)})
    assert {level: number.values.tolist() for level, number in changes(first).items()} == {
        level: number.values.tolist() for level, number in changes(full).items()
    }
    with pytest.raises(MissingRows, match="BLEU of level 0"):
        changes(replace(full, tables={**full.tables, "bleu": chrf}))
