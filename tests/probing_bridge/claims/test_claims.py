"""Every claim in worlds whose truth is known, without rows, and on tables."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from probing_bridge.claims import CLAIMS, Claim, Judgement, claims_table, judge, judge_all
from probing_bridge.claims.interim import interim_results
from probing_bridge.claims.judging import MARGINS, judge_numbers
from probing_bridge.claims.numbers import Numbers
from probing_bridge.claims.tasks import tasks_data
from probing_bridge.claims.truths import PAPER_ITEMS, WORLDS, World
from probing_bridge.claims.worlds import Study
from probing_bridge.figures import FIGURES
from probing_bridge.formats.columns import TABLES
from probing_bridge.results.folder import Results, read_results
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
)

MANY = dict.fromkeys(PAPER_ITEMS, 10**9)
GAINS = "Metrics are consistently higher"


def quiet(size: float) -> World:
    """A world with next to no chance in it."""
    return World(size, MANY, offset=0.01, walk=0.003, bleu_error=0.01)


def verdicts(world: World, runs: int = 5, seed: int = 0) -> dict[str, Judgement]:
    """Statement -> what is said of it in a study of a world."""
    return {claim.statement: judged for claim, judged in judge_numbers(Study(world, runs, seed), CLAIMS)}


def supported(claim: Claim) -> str:
    """The word for a claim that is as the paper says."""
    return HOLDS if claim.claimed in (RISES, FALLS) else EQUIVALENT


@pytest.fixture(scope="module")
def judged(full: Results) -> dict[str, Judgement]:
    """Statement -> what is said of it on the tables of one run."""
    return {claim.statement: judgement for claim, judgement in judge_all(full, CLAIMS)}


def test_each_claim_says_what_it_measures_and_where_to_look() -> None:
    assert len({claim.statement for claim in CLAIMS}) == len(CLAIMS) >= 60
    assert CLAIMS[0].statement == "Pruning degrades semantic knowledge before affecting BLEU"
    for claim in CLAIMS:
        assert claim.figure in FIGURES and claim.paper and claim.quantity and claim.comparison
        assert claim.claimed in (RISES, FALLS, SAME, KEPT) and claim.allowed > 0
        assert f"{claim.allowed:g} {claim.unit}" in claim.rule
    assert MARGINS == {"points": 1.0, "CKA": 0.02, "% of BLEU": 1.0, "points of sparsity": 1.0}


def test_the_papers_world_gives_the_papers_verdicts() -> None:
    found = verdicts(quiet(1))
    assert {claim.statement for claim in CLAIMS if found[claim.statement].verdict != supported(claim)} == set()


def test_the_opposite_world_contradicts_them() -> None:
    found = verdicts(quiet(-1))
    assert {name for name, one in found.items() if one.verdict != CONTRADICTED} == {
        name for name in found if name.startswith(GAINS)
    }


@pytest.mark.slow
def test_a_world_where_nothing_happens_has_no_effects() -> None:
    words: Counter[str] = Counter()
    for seed in range(8):
        for runs in (3, 5):
            words += Counter(
                judged.verdict for _, judged in judge_numbers(Study(WORLDS["nothing happens"], runs, seed), CLAIMS)
            )
    assert words[HOLDS] + words[CONTRADICTED] <= 0.04 * words.total() + 16  # of the gains, which are there
    assert words[EQUIVALENT] > 0.3 * words.total() and not words[NOT_RUN]


@pytest.mark.slow
@pytest.mark.parametrize("runs", [3, 5])
def test_false_verdicts_are_rare(runs: int) -> None:
    claims = [claim for claim in CLAIMS if not claim.statement.startswith(GAINS)]
    wrong: Counter[str] = Counter()
    for seed in range(400):
        for claim, judged in judge_numbers(Study(WORLDS["nothing happens"], runs, seed), claims):
            wrong[claim.statement] += judged.verdict in (HOLDS, CONTRADICTED)
    assert {name: count for name, count in wrong.items() if count > 400 * (0.05 + 2 * (0.05 * 0.95 / 400) ** 0.5)} == {}


def test_probes_that_learn_nothing_are_uninformative() -> None:
    found = verdicts(WORLDS["probes learn nothing"])
    assert found["PS-Fxn degrades with sparsity"].verdict == NOT_RUN
    assert "uninformative" in found["PS-Fxn degrades with sparsity"].detail
    assert found[next(name for name in found if name.startswith(GAINS))].verdict in (CANNOT_TELL, EQUIVALENT)


def test_no_reading_of_the_authors_own_numbers_is_contradicted() -> None:
    found = {
        claim: judgement for claim, judgement in judge_all(interim_results(), CLAIMS) if judgement.verdict != NOT_RUN
    }
    assert len(found) >= 12
    assert {judgement.verdict for judgement in found.values()} <= {HOLDS, EQUIVALENT, CANNOT_TELL}
    assert all(judgement.verdict in (supported(claim), CANNOT_TELL) for claim, judgement in found.items())
    assert sum(judgement.verdict == HOLDS for judgement in found.values()) >= 5


def test_nothing_is_run_without_rows(full: Results) -> None:
    empty = replace(full, tables={name: frame.iloc[:0] for name, frame in full.tables.items()}, baselines=())
    for _, judgement in judge_all(empty, CLAIMS):
        assert judgement.verdict == NOT_RUN and len(judgement.detail) > 10


def test_one_missing_table_is_named_and_leaves_the_others(full: Results, judged: dict[str, Judgement]) -> None:
    without = replace(full, tables={**full.tables, "lth_modules": full["lth_modules"].iloc[:0]})
    for claim, judgement in judge_all(without, CLAIMS):
        if claim.figure in ("fig_a1_modules", "fig_a2_projections"):
            assert judgement.verdict == NOT_RUN and "lth_modules.csv" in judgement.detail
        else:
            assert repr(judgement) == repr(judged[claim.statement])  # NaN is no fault: it is unlike itself


def test_one_missing_task_is_not_run_and_the_others_are_judged(full: Results) -> None:
    rows = {name: full[name][full[name]["task"] != "coref"] for name in ("probes", "probes_differences")}
    claims = [claim for claim in CLAIMS if claim.family == "degrading tasks"]
    found = [judgement for _, judgement in judge_all(replace(full, tables={**full.tables, **rows}), claims)]
    assert [judgement.verdict for judgement in found] == [HOLDS, HOLDS, NOT_RUN]
    assert "linear probes of coref" in found[2].detail and found[0].parts[0].family == 2


def test_a_family_is_corrected_together_wherever_it_is_judged(full: Results, judged: dict[str, Judgement]) -> None:
    claim = next(claim for claim in CLAIMS if claim.statement == "PS-Fxn degrades with sparsity")
    alone, kin = judge(claim, full), judge(claim, full, CLAIMS)
    assert (alone.parts[0].family, kin.parts[0].family) == (1, 3)
    assert kin == judged[claim.statement] and kin.parts[0].p > alone.parts[0].p


def test_one_run_is_said_to_be_these_checkpoints(judged: dict[str, Judgement]) -> None:
    over = {part.over for judgement in judged.values() for part in judgement.parts if part.verdict != NOT_RUN}
    assert over == {"test sentences of these checkpoints", "these checkpoints, exact"}
    needs = judged["LayerSim decreases with sparsity"]
    assert needs.verdict == NOT_RUN and "--control" in needs.detail


def test_the_table_has_a_row_a_claim(judged: dict[str, Judgement]) -> None:
    table = claims_table([(claim, judged[claim.statement]) for claim in CLAIMS])
    assert list(table["claim"]) == [claim.statement for claim in CLAIMS]
    row = table.set_index("claim").loc["In the subsequent pruning iteration performance starts to drop more rapidly"]
    assert row["ours"].startswith("LTH8: −1.5 [") and row["ours"].endswith("] % of BLEU")


def test_numbers_are_means_over_seeds_of_each_run(full: Results) -> None:
    rows = full["probes"].query(
        "task == 'ps_fxn' and probe == 'linear' and layer == '6' and level == 8 and metric == 'accuracy'"
    )
    two = replace(
        full,
        tables={**full.tables, "probes": pd.concat([full["probes"], rows.assign(seed=9, score=rows["score"] + 0.1)])},
    )
    mean = rows["score"].mean() + 0.1 / (len(rows) + 1)
    assert Numbers(two).score("ps_fxn", 8, "6").values == pytest.approx([100 * mean])
    width = (rows["high"] - rows["low"]).mean()
    assert Numbers(full).score("ps_fxn", 8, "6").errors == pytest.approx([100 * width / 2 / 1.959964])


def test_more_seeds_of_one_task_leave_the_others_as_they_are(full: Results) -> None:
    """What `probe --seeds` writes: a row a seed and one of their mean; of the differences likewise."""
    scores = full["probes"][full["probes"]["level"].notna()]
    differences = scores.assign(other_level=0, difference=scores["score"] - 0.5)
    once = replace(full, tables={**full.tables, "probes_differences": differences[differences["level"] > 0]})
    tables = dict(once.tables)
    for name in ("probes", "probes_differences"):
        rows = once[name].query("task == 'syn_arc_prediction' and seed == seed")
        tables[name] = pd.concat([once[name], rows.assign(seed=9), rows.assign(seed=pd.NA)], ignore_index=True)
    more, before = Numbers(replace(once, tables=tables)), Numbers(once)
    for one, other in ((more.scores, before.scores), (more.paired, before.paired), (more.gains, before.gains)):
        assert one.keys() == other.keys() and len(one)
        assert all((one[key].values == other[key].values).all() for key in one)
    assert tasks_data(replace(once, tables=tables)).equals(tasks_data(once))


@pytest.mark.parametrize(
    ("start", "group", "lacking"),
    [("Mid-frequency", "frequency:2500-", "rank 2500 and on"), ("Conjunctions and", "pos:RP", "RP"),
     ("The least similar semantic", "semtag:PFT", "perfect and progressive verbs")],
)  # fmt: skip
def test_a_statement_about_groups_needs_all_that_it_names(full: Results, start: str, group: str, lacking: str) -> None:
    claim = next(claim for claim in CLAIMS if claim.statement.startswith(start))
    assert judge(claim, full).verdict == "holds"
    rows = full["similarity"]
    without = judge(claim, replace(full, tables={**full.tables, "similarity": rows[rows["group"] != group]}))
    assert without.verdict == "not run" and without.detail == f"needs enough tokens of {lacking} to be compared"


def test_tasks_are_called_by_the_verdict_of_their_statement(full: Results, judged: dict[str, Judgement]) -> None:
    table = tasks_data(full).set_index("task")
    assert table.loc["ps_fxn", "kind"] == "degrading" and table.loc["sem_arc_prediction", "kind"] == "improving"
    part = judged["PS-Fxn degrades with sparsity"].parts[0]
    assert table.loc["ps_fxn", ["change", "low", "high", "p"]].tolist() == [part.effect, part.low, part.high, part.p]
    assert list(table["layer"]) == ["6"] * 18 and set(table["kind"]) <= {
        "degrading",
        "improving",
        "undecided",
        "invariant",
    }


@pytest.mark.parametrize(("levels", "tasks", "layers"), [(1, 1, 1), pytest.param(2, 6, 2, marks=pytest.mark.slow)])
def test_the_smallest_results_are_drawn_and_judged_without_error(synthetic, tmp_path, levels, tasks, layers) -> None:
    tiny = read_results(synthetic.write_results(tmp_path / "r", levels, tasks, layers, width=2))
    judge_all(tiny, CLAIMS)
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
    judge_all(flat, CLAIMS)
    for exhibit in FIGURES.values():
        exhibit.draw(exhibit.data(flat))


def test_a_world_is_drawn_again_from_its_seed() -> None:
    one, two = (Study(WORLDS["the paper's"], 3, 7) for _ in range(2))
    assert np.array_equal(one.score("coref", 8, "6").values, two.score("coref", 8, "6").values)
    other = Study(WORLDS["the paper's"], 3, 8)
    assert not np.array_equal(one.score("coref", 8, "6").values, other.score("coref", 8, "6").values)
