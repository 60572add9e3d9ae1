"""docs/RESULTS*.md: their tables and figures are what `report` makes of the committed result tables."""

import gzip
import shutil
from pathlib import Path

import pytest

from probing_bridge.claims.numbers import Numbers
from probing_bridge.report import page as report
from probing_bridge.results.folder import Results, read_results
from probing_bridge.results.probing import linear_data

ROOT = Path(__file__).resolve().parents[2]


def shown(page: Path, results: Results, folder: Path) -> Path:
    """What a page shows of a report, and nothing else of it: the tables, the images and the claims."""
    (folder / "figures").mkdir()
    report.judged_claims(results, folder)
    text = page.read_text()
    for name, exhibit in report.FIGURES.items():
        image = f"/{name}.png)" in text
        if image or f"/{name}.md" in text:
            report.draw_files(name, exhibit.data(results), folder / "figures", ("png",) if image else ())
    return folder


@pytest.fixture(scope="module")
def rebuilt(study: Results, tmp_path_factory) -> Path:
    """The study, made of its committed tables as recipes/study.sh does."""
    return shown(ROOT / "docs/RESULTS.md", study, tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def rebuilt_general(tmp_path_factory) -> Path:
    """The dense model of general text, likewise."""
    results = read_results(ROOT / "docs/results/general_en_de/seed1/magnitude")
    return shown(ROOT / "docs/RESULTS_GENERAL.md", results, tmp_path_factory.mktemp("general"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "made", "linked"), [("RESULTS.md", "rebuilt", 5), ("RESULTS_GENERAL.md", "rebuilt_general", 0)]
)
def test_the_rebuilt_report_has_the_tables_of_the_page(script, request, name, made, linked):
    page = ROOT / "docs" / name
    wanted = script("results_page.py").files(page, request.getfixturevalue(made))
    text = wanted.pop(page).decode()
    assert text == page.read_text()
    tables = {path for path in wanted if path.suffix == ".md"}
    assert "<!-- table " in text and len(tables) >= linked and all(path.read_bytes() == wanted[path] for path in tables)
    assert (len(wanted) > len(tables)) == bool(linked) and all(path.is_file() for path in wanted)


def test_the_page_is_short_and_has_the_bleu_of_every_run():
    text = (ROOT / "docs/RESULTS.md").read_text()
    assert len(text.split()) <= 2500 and len((ROOT / "docs/RESULTS_GENERAL.md").read_text().split()) <= 1000
    for name in ("magnitude", "control", "shuffle", "random"):
        for run in (1, 2, 3):
            results = read_results(ROOT / f"docs/results/open_en_de/seed{run}" / name, names=("bleu", "lth"))
            bleu = results["bleu"].query("metric == 'sacrebleu'").set_index("level")["score"]
            cells = [f"{bleu[level]:.2f}" for level in (0, 4, 7, 8)]
            change = f"{bleu[8] - bleu[0]:+.2f}".replace("-", "−")
            assert f"| {run} | {name} | {' | '.join(cells)} | {change} |\n" in text
            if name == "control" and abs(bleu[8] - bleu[0]) > 0.5:
                assert f"in run {run} it moves by {change}**" in text


@pytest.mark.slow
def test_tables_and_claims_call_the_same_tasks_uninformative(study):
    numbers = Numbers(study)
    shown = linear_data(study).groupby("task")["informative"].first().to_dict()
    assert len(shown) == 18 and shown == {task: numbers.informative(task) for task in shown}


def test_tables_of_a_study_are_kept_with_what_made_them(run, tmp_path):
    rows = "".join(f"{number}\n" for number in range(20_000))
    for state in (tmp_path / "state", tmp_path / "state/seed2"):
        for experiment in ("magnitude", "control"):
            (state / experiment / "tables").mkdir(parents=True)
            command = f"probe --reps {state}/lth0.hdf5 --corpora {tmp_path}/d[a]ta/x"
            (state / experiment / "tables/lth.csv").write_text(f"level,command\n0,{command}\n")
            (state / experiment / "tables/spectrum.csv").write_text("k\n" + rows)
            (state / experiment / "tables/disagreements.csv").write_text("source\nA sentence of the corpus .\n")
        (state / "log").mkdir()
        (state / "log/train-control.log").write_text(
            "# 2026-11-27 11:17:42 at d232449: train-control on vm\n# of its own\n"
        )
        (state / "log/train-magnitude.log").write_text(
            "# 2026-11-27 08:25:35 at d232449: train-magnitude on vm\nloss\n"
        )
    kept = tmp_path / "kept"
    (kept / "seed2/old").mkdir(parents=True)
    done = run("bash", "recipes/keep_tables.sh", kept, SEED="1,2", STATE=tmp_path / "state", DATA=tmp_path / "d[a]ta")
    assert done.stdout == f"{kept}/seed1: 4 tables\n{kept}/seed2: 4 tables\n"
    found = {str(path.relative_to(kept / "seed2")) for path in (kept / "seed2").rglob("*") if path.is_file()}
    assert found == {f"{of}/{table}" for of in ("magnitude", "control") for table in ("lth.csv", "spectrum.csv.gz")} | {
        "made.txt"
    }
    command = "probe --reps STATE/seed2/lth0.hdf5 --corpora DATA/x"
    assert (kept / "seed2/control/lth.csv").read_text() == f"level,command\n0,{command}\n"
    assert gzip.decompress((kept / "seed2/control/spectrum.csv.gz").read_bytes()).decode() == "k\n" + rows
    assert (kept / "seed2/made.txt").read_text().splitlines() == [
        "SEED=2",
        "2026-11-27 11:17:42 at d232449: train-control on vm",
        "2026-11-27 08:25:35 at d232449: train-magnitude on vm",
    ]
    before = (kept / "seed1/control/spectrum.csv.gz").read_bytes()
    run("bash", "recipes/keep_tables.sh", kept, SEED="1", STATE=tmp_path / "state")
    assert (kept / "seed1/control/spectrum.csv.gz").read_bytes() == before


def test_a_run_without_tables_is_not_kept(run, tmp_path):
    done = run("bash", "recipes/keep_tables.sh", tmp_path / "kept", SEED="2", STATE=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and f"{tmp_path}/seed2: no tables" in done.stderr


@pytest.fixture
def small(tmp_path) -> Path:
    """A report of one table and one figure."""
    (tmp_path / "report/figures").mkdir(parents=True)
    (tmp_path / "report/claims.md").write_text("| claim |\n| --- |\n| it holds |\n")
    (tmp_path / "report/figures/fig_1_linear_probes.png").write_bytes(b"\x89PNG of a figure")
    return tmp_path / "report"


def test_check_says_what_differs(run, small, tmp_path):
    page = tmp_path / "RESULTS.md"
    images = "![Fig. 1](images/open/fig_1_linear_probes.png) ![Page](images/page.png)"
    page.write_text(f"# R\n<!-- table claims.md -->\nold\n<!-- end -->\n{images}\n")
    command = ["python", "recipes/results_page.py", "--report", small, "--page", page]
    done = run(*command, "--check")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "RESULTS.md" in done.stderr and "fig_1_linear_probes.png" in done.stderr
    assert run(*command).returncode == 0
    assert (small / "claims.md").read_text() in page.read_text()
    assert (tmp_path / "images/open/fig_1_linear_probes.png").read_bytes()[:4] == b"\x89PNG"
    assert run(*command, "--check").returncode == 0
    shutil.rmtree(tmp_path / "images")
    assert run(*command, "--check").returncode == 1


def test_a_table_that_the_report_lacks_is_one_line(run, small, tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text("<!-- table nothing.md -->\n<!-- end -->\n")
    done = run("python", "recipes/results_page.py", "--report", small, "--page", page)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nothing.md" in done.stderr


def test_a_header_is_kept_whatever_folders_are_called(run, tmp_path):
    tables = tmp_path / "state/magnitude/tables"
    tables.mkdir(parents=True)
    (tables / "probes.csv").write_text("level,data_hash,command\n0,x,probe --corpora data/x\n")
    run("bash", "recipes/keep_tables.sh", tmp_path / "kept", STATE=tmp_path / "state", DATA="data")
    kept = (tmp_path / "kept/seed1/magnitude/probes.csv").read_text()
    assert kept == "level,data_hash,command\n0,x,probe --corpora DATA/x\n"


@pytest.mark.parametrize("recipe", ["quickstart", "compressed_encoder", "both_sides"])
def test_a_recipe_without_options_takes_none(run, recipe, tmp_path):
    done = run("bash", f"recipes/{recipe}/run.sh", "--dry-run", STATE=tmp_path / "state")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "run.sh: --dry-run: there are no options\n")
    assert not (tmp_path / "state").exists()
