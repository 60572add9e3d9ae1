"""The report's folder: files, refusals, sameness, comparison."""

import gzip
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from matplotlib import colormaps

from probing_bridge.claims import CLAIMS, judge_all
from probing_bridge.errors import BridgeError
from probing_bridge.figures import FIGURES
from probing_bridge.figures.style import DIVERGING
from probing_bridge.report import page as report
from probing_bridge.report.comparison import exhibits
from probing_bridge.report.markdown import to_markdown
from probing_bridge.report.page import draw_files
from probing_bridge.results import naming
from probing_bridge.results.compared import bleu_curves, compare
from probing_bridge.results.folder import read_results
from probing_bridge.results.runs import read_runs, with_baseline
from probing_bridge.run import main

FEW = ("table_a1_levels", "fig_bleu_sparsity", "fig_4_neuron_similarity")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of three figures and their claims only: the others cost seconds and show the same."""
    monkeypatch.setattr(report, "FIGURES", {name: FIGURES[name] for name in FEW})
    monkeypatch.setattr(report, "CLAIMS", [claim for claim in CLAIMS if claim.figure in FEW])


@pytest.fixture
def copy(small_folder: Path, tmp_path: Path) -> Path:
    """A results folder that a test may spoil."""
    return Path(shutil.copytree(small_folder, tmp_path / "copy"))


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a report that is refused; nothing is written."""
    output = Path(arguments[arguments.index("--output") + 1])
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    assert not output.exists()
    return error


def test_a_report_is_one_page_and_the_files_of_each_figure(small_page: Path) -> None:
    folder = small_page.parent
    beside = ("table_controls", "table_damage")  # there is no control
    run = [name for name in FIGURES if name not in beside]
    expected = {f"figures/{name}.{form}" for name in run for form in ("svg", "csv")}
    expected |= {f"figures/{name}.md" for name in run if FIGURES[name].show is not None}
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"index.html", "claims.csv", "claims.md"} | expected == names
    page = small_page.read_text()
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert page.count("<figure ") == len(run)
    missing = re.findall(r"<li><strong>.*?</strong> (.*?) <span>", page)
    assert missing == [FIGURES[name].title for name in beside]
    assert "<strong>was not run</strong>: it needs " in page
    assert "magnitude-4f2a" in page and "python -m probing_bridge.run similarity --dumps LTH*.h5" in page
    assert "Not run: Chunk" not in page and "GGParent, Chunk, NER" in page  # named once
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)
    assert len(page) < 5_000_000


@pytest.mark.slow
def test_five_runs_of_nine_levels_and_18_tasks_stay_small(synthetic: ModuleType, tmp_path: Path) -> None:
    runs = [
        synthetic.write_results(tmp_path / f"seed{seed}", width=24, experiment=f"run-{seed}", seed=seed)
        for seed in range(1, 6)
    ]
    page = report.build(read_runs(runs), tmp_path / "page", forms=("svg",))
    assert page.stat().st_size < 5_000_000
    text = page.read_text()
    assert "5 runs of 9 levels" in text and "Mean of 5 runs, each a thin line" in text
    assert "these checkpoints" not in text


def test_the_same_tables_give_the_same_bytes(few: None, tiny_folder: Path, tmp_path: Path, capsys) -> None:
    for folder in ("one", "two"):
        assert main(["report", "--results", str(tiny_folder), "--output", str(tmp_path / folder)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"page: {tmp_path / 'one' / 'index.html'}"
    names = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")]
    assert len(names) == 3 + 4 * len(FEW) + 1  # the page and the claims twice, and the table also as Markdown
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_packed_table_is_read_as_the_table(copy: Path, small_folder: Path) -> None:
    table = copy / "similarity.csv"
    (copy / "similarity.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    with pytest.raises(BridgeError, match=r"similarity\.csv\.gz"):
        read_results(copy)
    table.unlink()
    packed, plain = read_results(copy), read_results(small_folder)
    assert packed.runs[0].hashes == plain.runs[0].hashes
    pd.testing.assert_frame_equal(packed["similarity"], plain["similarity"])
    (copy / "similarity.csv.gz").write_bytes((copy / "similarity.csv.gz").read_bytes()[:-20])
    with pytest.raises(BridgeError, match="gzip"):
        read_results(copy)


def test_tables_and_claims_are_there_as_markdown(small_page: Path, small_folder: Path) -> None:
    results = read_results(small_folder)
    text = (small_page.parent / "figures" / "table_a1_levels.md").read_text()
    assert text.splitlines()[1] == "| --- | ---: | ---: | ---: |"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    exhibit = FIGURES["table_a1_levels"]
    shown = exhibit.show(exhibit.data(results))
    assert [rows[0], *rows[2:]] == [list(shown.columns), *shown.to_numpy().tolist()]
    claims = pd.read_csv(small_page.parent / "claims.csv", keep_default_na=False, dtype="str")
    judged = [judgement for _, judgement in judge_all(results, CLAIMS)]
    assert claims["verdict"].tolist() == [judgement.verdict for judgement in judged]
    assert claims["ours"].tolist() == [judgement.ours for judgement in judged]
    assert claims["claim"].tolist() == [claim.statement for claim in CLAIMS]
    lines = (small_page.parent / "claims.md").read_text().splitlines()
    assert len(lines) == 2 + len(CLAIMS) and {line.count(" | ") for line in lines} == {4}


def test_markdown_cells_stay_in_their_row() -> None:
    table = pd.DataFrame({"a": ["one | two", "three\nfour"], "b": [1, 2]})
    assert to_markdown(table) == "| a | b |\n| --- | ---: |\n| one \\| two | 1 |\n| three four | 2 |\n"


def test_missing_tables_are_named_and_leave_no_figure(few: None, copy: Path, tmp_path: Path) -> None:
    for name in ("similarity", "neurons", "heads", "spectrum"):
        (copy / f"{name}.csv").unlink()
    output = tmp_path / "out"
    (output / "figures").mkdir(parents=True)
    (output / "figures" / "fig_4_neuron_similarity.png").write_bytes(b"of an earlier report")
    assert main(["report", "--results", str(copy), "--output", str(output)]) == 0
    page = (output / "index.html").read_text()
    assert "needs similarity.csv, measure neuron_similarity" in page
    assert not list((output / "figures").glob("fig_4*"))


def test_claims_about_what_is_not_in_the_results_are_folded_away(monkeypatch, copy: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(report, "FIGURES", {name: FIGURES[name] for name in FEW})
    for name in ("similarity", "neurons", "heads", "spectrum"):
        (copy / f"{name}.csv").unlink()
    assert main(["report", "--results", str(copy), "--output", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    told, folded = page.partition('<section id="claims">')[2].split('<details class="untold">')
    verdicts = [set(re.findall('class="verdict ([a-z-]+)', part)) for part in told.split("<caption>")[1:]]
    assert len(verdicts) >= 3 and all(found - {"not-run"} for found in verdicts)
    folded = folded.partition('<details class="rules">')[0]
    assert set(re.findall('class="verdict ([a-z-]+)', folded)) == {"not-run"} and "<caption>Attention" in folded


def test_a_figures_csv_draws_the_same_figure_again(small_folder: Path, tmp_path: Path) -> None:
    name = "fig_4_neuron_similarity"
    frame = FIGURES[name].data(read_results(small_folder))
    first = draw_files(name, frame, tmp_path)
    again = pd.read_csv(tmp_path / f"{name}.csv", dtype={"layer": "str"})
    assert draw_files(name, again, tmp_path) == first


def test_no_folder_and_an_empty_folder_are_refused(tmp_path: Path, capsys) -> None:
    output = ["--output", str(tmp_path / "out")]
    assert "no such folder" in refused(["--results", str(tmp_path / "none"), *output], capsys)
    (tmp_path / "empty").mkdir()
    assert "no results here: none of bleu.csv" in refused(["--results", str(tmp_path / "empty"), *output], capsys)
    assert "--results DIR, or --compare A B" in refused(output, capsys)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-30], "half-written row"),
        (lambda text: text[:-1], "half-written row: the last line has no end"),
        (lambda text: text.replace("\n", ",extra\n", 2).replace(",extra", "", 1), "where the header names"),
        (lambda text: "", "is empty"),
        (lambda text: text.replace("score", "points", 1), "column 'score' is missing"),
        (lambda text: text.replace("newstest2014,bleu,", "newstest2014,bleu,x", 1), "not a finite number"),
        (lambda text: text + text.splitlines()[-1] + "\n", "a row is there twice"),
    ],
)
def test_spoilt_tables_are_refused_with_file_and_line(change, message: str, copy: Path, tmp_path: Path, capsys) -> None:
    table = copy / "bleu.csv"
    table.write_text(change(table.read_text()))
    error = refused(["--results", str(copy), "--output", str(tmp_path / "out")], capsys)
    assert "bleu.csv" in error and message in error


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    [
        ("probes", "experiment", "other", "mixed experiments: magnitude-4f2a (bleu.csv), other (probes.csv)"),
        ("bleu", "package_version", "0.2.0", "mixed package versions: 0.1.0 (bleu_differences.csv), 0.2.0 (bleu.csv)"),
    ],
)
def test_mixed_results_are_named_and_taken_if_asked_for(
    name: str, column: str, value: str, message: str, copy: Path, tmp_path: Path, capsys
) -> None:
    frame = pd.read_csv(copy / f"{name}.csv", dtype="str", keep_default_na=False)
    frame.assign(**{column: value}).to_csv(copy / f"{name}.csv", index=False)
    arguments = ["--results", str(copy), "--output", str(tmp_path / "out")]
    assert message in refused(arguments, capsys)
    assert read_results(copy, allow_mixed=True).runs[0].experiment.startswith("magnitude-4f2a")


def test_other_sentences_and_other_data_are_mixed_too(copy: Path) -> None:
    for column in ("sentence_hash", "data_hash", "reps_hash", "model"):
        name = "similarity" if column == "sentence_hash" else "probes"
        path = copy / f"{name}.csv"
        text = path.read_text()
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
        frame.loc[frame.index[-1], column] = "another"
        frame.to_csv(path, index=False)
        with pytest.raises(BridgeError, match=r"mixed (sentences|data of one task|files of one (model|level))"):
            read_results(copy)
        path.write_text(text)


def test_the_same_row_of_two_experiments_is_refused_even_if_allowed(copy: Path) -> None:
    frame = pd.read_csv(copy / "bleu.csv", dtype="str", keep_default_na=False)
    pd.concat([frame, frame.assign(experiment="other")]).to_csv(copy / "bleu.csv", index=False)
    with pytest.raises(BridgeError, match="rows of two experiments for level 0, test_set newstest2014"):
        read_results(copy, allow_mixed=True)


@pytest.mark.slow
def test_two_experiments_side_by_side(few: None, tiny_folder: Path, synthetic: ModuleType, tmp_path: Path) -> None:
    other = synthetic.write_results(tmp_path / "r", levels=2, tasks=2, layers=2, width=4, sign=-1, experiment="b",
                                    score="random")  # fmt: skip
    comparison = compare(str(tiny_folder), str(other))
    assert (comparison.a.name, comparison.b.name) == ("magnitude pruning, LR rewinding", "random pruning, LR rewinding")
    table = comparison.table().set_index(["measure", "subject", "level"])
    row = table.loc[("bleu", "newstest2014", 1)]
    bleu = [pd.read_csv(folder / "bleu.csv").query("level == 1")["score"].item() for folder in (tiny_folder, other)]
    assert [row["score_a"], row["score_b"]] == bleu
    assert [exhibit.name for exhibit, _ in exhibits(comparison)] == ["bleu", "probes", "measures"]
    output = tmp_path / "out"
    assert main(["report", "--compare", str(tiny_folder), str(other), "--output", str(output)]) == 0
    assert "magnitude pruning, LR rewinding v random pruning, LR rewinding" in (output / "index.html").read_text()
    compared = [f"compare_measures.{form}" for form in ("csv", "md", "pdf", "png", "svg")]
    assert sorted(path.name for path in output.glob("figures/compare_measures.*")) == compared
    assert main(["report", "--results", str(tiny_folder), "--output", str(output)]) == 0
    assert not list(output.glob("figures/compare_*"))


def test_a_baseline_stands_in_the_first_table_and_curve(
    few: None, small_folder: Path, synthetic: ModuleType, tmp_path: Path
) -> None:
    random = synthetic.write_baseline(tmp_path / "random", levels=4)
    arguments = ["--results", str(small_folder), "--baseline", str(random), "--output", str(tmp_path / "out")]
    assert main(["report", *arguments]) == 0
    csv = pd.read_csv(tmp_path / "out" / "figures" / "fig_bleu_sparsity.csv")
    own, its = (pd.read_csv(folder / "bleu.csv") for folder in (small_folder, random))
    names = ["magnitude pruning, LR rewinding", "random pruning, LR rewinding"]
    assert csv["experiment"].tolist() == [names[0]] * 4 + [names[1]] * 4
    # it branched off LTH0, which is therefore where its curve starts, too
    assert csv["score"].tolist() == [*own["score"], own["score"][0], *its["score"]]
    assert csv["sparsity"].tolist() == pytest.approx([*synthetic.sparsities(4)[1]] * 2)
    table = (tmp_path / "out" / "figures" / "table_a1_levels.csv").read_text()
    assert table.count(names[0]) == table.count(names[1]) == 4
    page = (tmp_path / "out" / "index.html").read_text()
    assert f"BLEU, newstest2014, {names[1]}" in page and "random-9c1d" in page
    claims = pd.read_csv(tmp_path / "out" / "claims.csv").set_index("claim")["verdict"]
    assert claims["An iterative random pruning baseline keeps less BLEU than magnitude pruning"] != "not run"


def test_a_baselines_probes_may_hold_the_level_it_came_from(small_folder: Path, synthetic, tmp_path: Path) -> None:
    random = synthetic.write_baseline(tmp_path / "random", levels=4)
    shutil.copy(small_folder / "probes.csv", random)
    assert with_baseline(read_results(small_folder), [random]).baselines[0].runs[0].experiment == "random-9c1d"


def test_a_branch_with_rows_of_the_level_it_came_from_is_one_experiment(
    small_folder: Path, synthetic, tmp_path: Path
) -> None:
    random = synthetic.write_baseline(tmp_path / "random", levels=4)
    for name in ("bleu", "lth"):
        both = [pd.read_csv(folder / f"{name}.csv", dtype="str") for folder in (small_folder, random)]
        pd.concat([both[0].assign(experiment="magnitude-4f2a").query("level == '0'"), both[1]]).to_csv(
            random / f"{name}.csv", index=False
        )
    results = read_results(random)
    assert results.runs[0].experiment == "random-9c1d"
    assert results["bleu"]["level"].tolist() == [0, 1, 2, 3]
    alone = synthetic.write_baseline(tmp_path / "alone", levels=4)
    curve, table = (
        [FIGURES[name].data(with_baseline(read_results(small_folder), [folder])) for folder in (random, alone)]
        for name in ("fig_bleu_sparsity", "table_a1_levels")
    )
    pd.testing.assert_frame_equal(*curve)
    pd.testing.assert_frame_equal(*table)
    bleu = pd.read_csv(random / "bleu.csv", dtype="str")
    beyond = bleu["experiment"] == "magnitude-4f2a"  # as if a later level than the one it branched off were there
    bleu.assign(level=bleu["level"].mask(beyond, "9")).to_csv(random / "bleu.csv", index=False)
    with pytest.raises(BridgeError, match=r"mixed experiments: magnitude-4f2a \(bleu.csv\), random-9c1d \(bleu.csv\)"):
        read_results(random)


def test_a_baseline_of_no_kin_starts_at_its_own_first_level(small_folder: Path, synthetic, tmp_path: Path) -> None:
    random = synthetic.write_baseline(tmp_path / "random", levels=4, parent="another")
    rows = FIGURES["fig_bleu_sparsity"].data(with_baseline(read_results(small_folder), [random]))
    assert rows[rows["experiment"].str.startswith("random")]["level"].tolist() == [1, 2, 3]


def test_what_prunes_nothing_is_drawn_beside_the_same_level(small_folder: Path, synthetic, tmp_path: Path) -> None:
    control = synthetic.write_baseline(tmp_path / "control", levels=4)
    lth = pd.read_csv(control / "lth.csv")
    lth.assign(sparsity=0.0).to_csv(control / "lth.csv", index=False)
    exhibit = FIGURES["fig_bleu_sparsity"]
    frame = exhibit.data(with_baseline(read_results(small_folder), [control]))
    assert (frame[frame["experiment"].str.startswith("random")]["sparsity"] == 0).all()  # the table says what it is
    axes = exhibit(frame).axes[0]
    own, its = (line.get_xdata() for line in axes.lines if not line.get_label().startswith("_"))
    assert list(its) == list(own) == pytest.approx([100 * share for share in synthetic.sparsities(4)[1]])


def test_table_a1_has_the_sparsities_of_each_run_where_they_differ(small_folder: Path, synthetic, tmp_path) -> None:
    exhibit = FIGURES["table_a1_levels"]
    random = synthetic.write_baseline(tmp_path / "random", levels=4)
    same = exhibit.show(exhibit.data(with_baseline(read_results(small_folder), [random])))
    assert [name for name in same if "sparsity" in name] == ["non-embedding sparsity", "overall sparsity"]
    lth = pd.read_csv(random / "lth.csv")
    lth.assign(sparsity=lth["sparsity"] / 2).to_csv(random / "lth.csv", index=False)
    apart = exhibit.show(exhibit.data(with_baseline(read_results(small_folder), [random])))
    column = "overall sparsity, random pruning, LR rewinding"
    assert apart[column].tolist() == ["0.0 %", "8.4 %", "15.1 %", "20.5 %"]


def test_table_a1_has_the_rise_of_the_rate_at_each_rewind(small_folder: Path, synthetic, tmp_path) -> None:
    exhibit = FIGURES["table_a1_levels"]
    folder = shutil.copytree(small_folder, tmp_path / "run")
    lth = pd.read_csv(folder / "lth.csv")
    lth.assign(lr_rise=[None, 0.095, 0.095, 0.414]).to_csv(folder / "lth.csv", index=False)
    assert exhibit.show(exhibit.data(read_results(folder)))["rise of the learning rate"].tolist() == [
        "–",
        "9.5 %",
        "9.5 %",
        "41.4 %",
    ]
    assert "rise of the learning rate" not in exhibit.show(exhibit.data(read_results(small_folder)))


def test_runs_that_are_drawn_with_other_seeds_are_told_apart(small_folder: Path, synthetic, tmp_path) -> None:
    folders = [synthetic.write_baseline(tmp_path / name, levels=4) for name in ("one", "two", "none", "given")]
    changes = (
        {"seed": 1},
        {"seed": 2},
        {"score": "none"},
        {"score": "masks_from", "masks_from": "ab", "rewind": "reinit"},
    )
    for folder, change in zip(folders, changes, strict=True):
        lth = pd.read_csv(folder / "lth.csv")
        lth.assign(experiment=folder.name, **change).to_csv(folder / "lth.csv", index=False)
        bleu = pd.read_csv(folder / "bleu.csv")
        bleu.assign(experiment=folder.name).to_csv(folder / "bleu.csv", index=False)
        (folder / "bleu_differences.csv").unlink()
    results = read_results(small_folder)
    for folder in folders:
        results = with_baseline(results, [folder])
    rows = FIGURES["table_a1_levels"].data(results)
    assert list(rows["experiment"].unique()) == [
        "magnitude pruning, LR rewinding",
        "random pruning, LR rewinding",
        "random pruning, LR rewinding, seed 2",
        "no pruning, LR rewinding",
        "masks of ab, weights drawn anew",
    ]


def test_paired_tests_stand_beside_each_other(small_folder: Path, synthetic, tmp_path: Path) -> None:
    exhibit = FIGURES["table_bleu_differences"]
    alone = exhibit.show(exhibit.data(read_results(small_folder)))
    about = "BLEU, newstest2014, "
    assert list(alone) == ["level", f"{about}less LTH0", f"{about}share of LTH0 (%)"]
    own = pd.read_csv(small_folder / "bleu.csv")["score"]

    def cells(score: float, other: float, p: str) -> list[str]:
        less = [f"{score - other + reach:+.2f}".replace("-", "−") for reach in (0, -0.8, 0.8)]
        share = [f"{100 * (score + reach) / other:.1f}" for reach in (0, -0.8, 0.8)]
        return [f"{less[0]} [{less[1]}, {less[2]}] (p {p})", f"{share[0]} [{share[1]}, {share[2]}]"]

    assert alone.iloc[-1].tolist() == ["LTH3", *cells(own[3], own[0], "= 1.000")]  # 0.5 of three levels
    random = synthetic.write_baseline(tmp_path / "random", levels=4)
    both = exhibit.show(exhibit.data(with_baseline(read_results(small_folder), [random])))
    names = ["magnitude pruning, LR rewinding", "random pruning, LR rewinding"]
    heads = [f"{names[0]} less LTH0", f"{names[1]} less LTH0", f"{names[1]} less {names[0]}"]
    assert list(both)[1::2] == [f"{about}{head}" for head in heads]
    its = pd.read_csv(random / "bleu.csv")["score"]
    assert both.iloc[-1].tolist()[3:] == [*cells(its[2], own[0], "< 0.001"), *cells(its[2], own[3], "< 0.001")]
    page_of_random = exhibit.data(read_results(random))
    assert set(page_of_random["other"]) == {"LTH0", "magnitude-4f2a"}  # a run that is not shown has but its identity


def test_baselines_that_are_none_are_refused(small_folder: Path, synthetic, tmp_path: Path, capsys) -> None:
    random = synthetic.write_baseline(tmp_path / "random" / small_folder.name, levels=4)
    output = ["--output", str(tmp_path / "out")]

    def message(*folders: Path) -> str:
        baselines = [word for folder in folders for word in ("--baseline", str(folder))]
        return refused(["--results", str(small_folder), *baselines, *output], capsys)

    assert "experiment magnitude-4f2a once more" in message(small_folder)
    assert "experiment random-9c1d once more" in message(random, random)
    bleu = pd.read_csv(random / "bleu.csv")
    bleu.assign(package_version="0.2.0").to_csv(random / "bleu.csv", index=False)
    assert "mixed package versions: 0.1.0" in message(random)
    (random / "bleu.csv").unlink()
    assert "no bleu.csv" in message(random)


def test_both_sides_are_compared_on_the_same_test_set(small_folder: Path, tmp_path: Path) -> None:
    """Of the other side, which is a copy, an easier test set and another metric stand first in the table."""
    other = tmp_path / "r"
    shutil.copytree(small_folder, other)
    bleu = pd.read_csv(other / "bleu.csv", dtype="str", keep_default_na=False)
    more = (bleu["score"].astype(float) + 12).astype(str)
    easier = bleu.assign(test_set="easier", score=more, low=more, high=more)
    chrf = bleu.assign(metric="chrf++", score=more, low=more, high=more)
    pd.concat([chrf, easier, bleu]).to_csv(other / "bleu.csv", index=False)
    comparison = compare(str(small_folder), str(other))
    table = comparison.table().set_index(["measure", "subject", "level"])
    assert "test" not in table.index.get_level_values("subject")
    curves = [curve.set_index("level") for curve in bleu_curves(comparison)]
    for level, score in zip(bleu["level"].astype(int), bleu["score"].astype(float), strict=True):
        row = table.loc[("bleu", "newstest2014", level)]
        assert [row["score_a"], row["score_b"]] == [score] * 2 == [curve["score"][level] for curve in curves]


def test_a_run_beside_the_papers_numbers(small_folder: Path) -> None:
    table = compare(str(small_folder), "paper").table().set_index(["measure", "subject", "level"])
    assert table.loc[("linear probe, best layer on test", "pos", 0), "score_b"] == 0.967826
    assert table.loc[("bleu", "test", 0), "score_b"] == 27.77
    assert table.loc[("sparsity", "all weights", 3), "score_b"] == 0.41


def test_a_file_of_reference_numbers(small_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    content = {
        "overall_sparsity": {"LTH0": 0.0, "LTH1": 0.17},
        "best_layer LTH0..": {"ptb_pos_tagging": [0.9, None], "event_factuality (pearson)": [0.7]},
        "neurons_max_corr_with_same_index_vs_LTH0": {"LTH1": [1024, 512]},
        "note": "left alone",
    }
    path.write_text(json.dumps(content))
    side = compare(str(small_folder), str(path)).b
    rows = {(row.measure, row.subject, row.level): row.score for row in side.measures.itertuples()}
    best = "linear probe, best layer on test"
    assert rows[(best, "pos", 0)] == 0.9 and (best, "pos", 1) not in rows
    assert rows[(best, "ef", 0)] == 0.7 and rows[("own index, neurons", "encoder", 1)] == 0.75


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "no object"),
        ("{}", "no numbers to compare"),
        ('{"best_layer": {"pos": ["x"]}}', "another shape under 'best_layer'"),
    ],
)
def test_faulty_reference_numbers_are_refused(
    text: str, message: str, small_folder: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "n.json").write_text(text)
    arguments = ["--compare", str(small_folder), str(tmp_path / "n.json"), "--output", str(tmp_path / "out")]
    assert message in refused(arguments, capsys)


def test_an_unknown_side_is_refused(small_folder: Path, tmp_path: Path, capsys) -> None:
    arguments = ["--compare", str(small_folder), str(tmp_path / "none"), "--output", str(tmp_path / "out")]
    assert "no such results folder or file of reference numbers" in refused(arguments, capsys)


def test_differences_are_a_less_b_in_table_and_picture(
    small_folder: Path, synthetic: ModuleType, tmp_path: Path
) -> None:
    other = synthetic.write_results(tmp_path / "r", levels=4, tasks=4, layers=3, width=8, sign=-1, experiment="b")
    scores = [
        pd.read_csv(folder / "probes.csv").query("probe == 'linear' and layer != '0'")
        for folder in (small_folder, other)
    ]
    best = [rows[rows["metric"] == "accuracy"].groupby(["task", "level"])["score"].max() for rows in scores]
    expected = 100 * (best[0] - best[1])
    assert expected["pos", 3] < -1  # so that the sign is seen
    shown = {exhibit.name: (exhibit, frame) for exhibit, frame in exhibits(compare(small_folder, other))}
    exhibit, frame = shown["probes"]
    assert "minus that of" in exhibit.caption
    cells = [cell for cell in exhibit.draw(frame).axes[0].get_children() if str(cell.get_gid()).startswith("mark|")]
    drawn = {re.search(r"\|\|(.+), LTH(\d): ([+-][0-9.]+) points", cell.get_gid()).groups() for cell in cells}
    assert drawn == {
        (naming.task_label(task), str(int(level)), f"{gap:+.2f}") for (task, level), gap in expected.items()
    }
    norm = colormaps[DIVERGING]
    bound = expected.abs().max()
    for cell in cells:
        gap = float(cell.get_gid().split(": ")[1].split()[0])
        assert cell.get_facecolor() == pytest.approx(norm((gap + bound) / (2 * bound)), abs=0.02)
    exhibit, frame = shown["measures"]
    table = exhibit.show(frame).set_index(["measure", "subject", "level"])
    row = table.loc[("linear probe", "POS", "LTH3")]
    gap = best[0]["pos", 3] - best[1]["pos", 3]
    assert row["difference"] == f"−{-gap:.3f}" and row.iloc[0].startswith(f"{best[0]['pos', 3]:.3f} ")


def test_every_fault_is_told_at_once(copy: Path, small_folder: Path, tmp_path: Path, capsys) -> None:
    (copy / "bleu.csv").write_text("level\n")
    (tmp_path / "numbers.json").write_text("{")
    output = tmp_path / "out"
    arguments = [
        "--results",
        str(copy),
        "--compare",
        str(copy),
        str(tmp_path / "numbers.json"),
        "--output",
        str(output),
    ]
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 2 and "bleu.csv" in error and "numbers.json:1: is no JSON" in error
    arguments = [
        "--results",
        str(small_folder),
        "--baseline",
        str(small_folder),
        "--baseline",
        str(tmp_path),
        "--output",
        str(output),
    ]
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 2 and "once more" in error and "no results here" in error
    assert not output.exists()
