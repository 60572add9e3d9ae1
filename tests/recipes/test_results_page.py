"""docs/RESULTS*.md: their tables and figures are what `report` makes of the committed result tables."""

import shutil
from pathlib import Path

import pytest

from probing_bridge.report import page as report
from probing_bridge.results.compared import compare
from probing_bridge.results.folder import read_results, with_baselines

ROOT = Path(__file__).resolve().parents[2]
MAGNITUDE, RANDOM = (ROOT / "docs/results/open_en_de" / name for name in ("magnitude", "random"))


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory) -> Path:
    """The report of the magnitude experiment, made of its committed tables as recipes/wmt16_en_de/60_report.sh does."""
    folder = tmp_path_factory.mktemp("magnitude")
    report.build(with_baselines(read_results(MAGNITUDE), [RANDOM]), folder, compare(MAGNITUDE, "paper"))
    return folder


@pytest.fixture(scope="module")
def rebuilt_random(tmp_path_factory) -> Path:
    """That of the random branch."""
    folder = tmp_path_factory.mktemp("random")
    report.build(with_baselines(read_results(RANDOM), [MAGNITUDE]), folder, compare(MAGNITUDE, RANDOM))
    return folder


@pytest.mark.parametrize(("name", "made"), [("RESULTS.md", "rebuilt"), ("RESULTS_RANDOM.md", "rebuilt_random")])
def test_the_rebuilt_report_has_the_tables_of_the_page(script, request, name, made):
    page = ROOT / "docs" / name
    wanted = script("results_page.py").files(page, request.getfixturevalue(made))
    assert wanted.pop(page).decode() == page.read_text()
    assert wanted and all(image.is_file() for image in wanted)


def test_check_says_what_differs(run, rebuilt, tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text("# R\n<!-- table claims.md -->\nold\n<!-- end -->\n![Fig. 1](images/fig_1_linear_probes.png)\n")
    command = ["python", "recipes/results_page.py", "--report", rebuilt, "--page", page]
    done = run(*command, "--check")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "RESULTS.md" in done.stderr and "fig_1_linear_probes.png" in done.stderr
    assert run(*command).returncode == 0
    assert (rebuilt / "claims.md").read_text() in page.read_text()
    assert (tmp_path / "images/fig_1_linear_probes.png").read_bytes()[:4] == b"\x89PNG"
    assert run(*command, "--check").returncode == 0
    shutil.rmtree(tmp_path / "images")
    assert run(*command, "--check").returncode == 1


def test_a_table_that_the_report_lacks_is_one_line(run, rebuilt, tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text("<!-- table nothing.md -->\n<!-- end -->\n")
    done = run("python", "recipes/results_page.py", "--report", rebuilt, "--page", page)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nothing.md" in done.stderr
