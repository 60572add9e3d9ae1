"""One entry is all that a figure, a claim or a task needs to be on the page."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from probing_bridge.claims import CLAIMS, Claim
from probing_bridge.claims.judging import Effect
from probing_bridge.claims.numbers import Numbers
from probing_bridge.claims.per_run import PerRun
from probing_bridge.figures import FIGURES
from probing_bridge.figures.exhibit import Exhibit
from probing_bridge.figures.style import mark, new_figure
from probing_bridge.report import page
from probing_bridge.results.folder import Results, read_results
from probing_bridge.results.statistics import HOLDS, RISES
from probing_bridge.run import main


def count_data(results: Results) -> pd.DataFrame:
    """Rows of BLEU by level."""
    return results["bleu"].groupby("level", as_index=False)["n"].sum()


def count(numbers: Numbers) -> list[Effect]:
    """How many sentences there are, exactly."""
    return [Effect(PerRun(np.array([float(count_data(numbers.results)["n"].sum())]), np.zeros(1)))]


def draw_count(frame: pd.DataFrame) -> Figure:
    """One point a level."""
    figure = new_figure(3, 2)
    for level, n in frame.itertuples(index=False):
        figure.gca().plot([level], [n], "o", gid=mark(f"LTH{level}: {n} sentences", level))
    return figure


def test_a_figure_and_a_claim(small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dummy = Exhibit(
        "none", "Sentences counted", "levels", count_data, draw_count, "As counted.", "bleu", command="count"
    )
    claim = Claim(
        "9.9", "Sentences can be counted", "42", "sentences", "all of them", "fig_count", count, RISES, "points"
    )
    monkeypatch.setattr(page, "FIGURES", {"fig_bleu_sparsity": FIGURES["fig_bleu_sparsity"], "fig_count": dummy})
    monkeypatch.setattr(page, "CLAIMS", (*CLAIMS[:2], claim))
    assert main(["report", "--results", str(small_folder), "--output", str(tmp_path)]) == 0
    text = (tmp_path / "index.html").read_text()
    assert '<figure id="fig_count"' in text and "LTH3: 3003 sentences</title>" in text
    assert "As counted." in text and "n = 3,003 sentences; made by: fairseq-generate" in text
    assert "Sentences can be counted" in text and '<a href="#fig_count">+12012.0</a>' in text
    assert {path.suffix for path in (tmp_path / "figures").glob("fig_count.*")} == {".svg", ".pdf", ".png", ".csv"}
    claims = pd.read_csv(tmp_path / "claims.csv", dtype="str").set_index("claim").loc["Sentences can be counted"]
    assert claims[["section", "paper", "ours", "verdict"]].tolist() == [
        "9.9", "42", "+12012.0 [+12012.0, +12012.0] points", HOLDS,
    ]  # fmt: skip


def test_a_task_that_the_paper_does_not_have(synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = synthetic.write_results(tmp_path / "results", levels=3, tasks=2, layers=2, width=4)
    probes = pd.read_csv(folder / "probes.csv", dtype="str", keep_default_na=False)
    pd.concat([probes, probes.query("task == 'pos'").assign(task="my_own", data_hash="mine")]).to_csv(
        folder / "probes.csv", index=False
    )
    few = ("fig_1_linear_probes", "table_a2_linear_scores")
    monkeypatch.setattr(page, "FIGURES", {name: FIGURES[name] for name in few})
    assert main(["report", "--results", str(folder), "--output", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out/index.html").read_text()
    assert "my_own, LTH2, layer 2: accuracy" in text  # in Fig. 1
    for name in few:
        rows = pd.read_csv(tmp_path / "out/figures" / f"{name}.csv")
        assert {"my_own", "pos"} <= set(rows["task"])
    assert text.count('<th scope="row">my_own</th>') == 1
    for name in ("table_4_2_trends", "fig_mdl_selectivity"):
        assert "my_own" in set(FIGURES[name].data(read_results(folder))["task"])
