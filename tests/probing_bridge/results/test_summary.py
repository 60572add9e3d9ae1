"""`summary`: what it prints are the tables' numbers."""

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest

from probing_bridge.claims.numbers import Numbers
from probing_bridge.results.folder import read_results
from probing_bridge.run import main

METRICS = ("accuracy", "f1", "pearson")


def printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    assert main(["summary", "--results", str(folder)]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def test_levels_and_best_layers_are_those_of_the_tables(small_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(small_folder, capsys)
    bleu = {row["level"]: row for row in rows(small_folder / "bleu.csv")}
    lth = rows(small_folder / "lth.csv")
    levels = [line for line in lines if line and line[0].startswith("LTH")]
    assert levels == [
        [
            f"LTH{row['level']}",
            f"{float(row['sparsity_prunable']):.1%}",
            f"{float(row['sparsity']):.1%}",
            f"{float(bleu[row['level']]['score']):.2f}",
            f"({float(bleu[row['level']]['low']):.1f}-{float(bleu[row['level']]['high']):.1f})",
        ]
        for row in lth
    ]
    assert len(levels) == 4
    found = {tuple(line[:2]): line[2:] for line in lines if line[1:2] and line[1] in METRICS}
    scores: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for row in rows(small_folder / "probes.csv"):
        if row["probe"] == "linear" and row["layer"] in ("1", "2", "3") and row["metric"] in METRICS:
            layers = scores.setdefault((row["task"], row["metric"], row["level"]), {})
            layers.setdefault(row["layer"], []).append(float(row["score"]))
    assert len(found) == 4
    for (task, metric, level), layers in scores.items():
        layer = found[task, metric][4]
        assert found[task, metric][int(float(level))] == f"{sum(layers[layer]) / len(layers[layer]):.3f}"
    for kind, column in (("majority", -1), ("word_majority", -2)):
        baseline = {row["task"]: row["score"] for row in rows(small_folder / "probes.csv") if row["probe"] == kind}
        assert {task: line[column] for (task, _), line in found.items()} == {
            task: f"{float(score):.3f}" for task, score in baseline.items()
        }
    gains = {
        (row["task"], row["layer"]): [float(row[name]) for name in ("score", "low", "high")]
        for row in rows(small_folder / "probes.csv")
        if (row["metric"], row["probe"]) == ("gain", "linear") and float(row["level"]) == 0
    }
    for (task, _), line in found.items():
        score, low, high = gains[task, line[4]]
        assert line[5:8] == [f"{score:+.3f}", f"[{low:.3f},", f"{high:.3f}]"]


def test_what_is_not_there_is_left_out(small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(small_folder / "lth.csv", tmp_path)
    assert [line[0] for line in printed(tmp_path, capsys)] == ["level", "LTH0", "LTH1", "LTH2", "LTH3"]
    header, *bleu = (small_folder / "bleu.csv").read_text().splitlines(keepends=True)
    (tmp_path / "bleu.csv").write_text(header + "".join(bleu[:2]))
    lines = [line for line in printed(tmp_path, capsys) if line[0].startswith("LTH")]
    assert [len(line) for line in lines] == [5, 5, 3, 3]
    assert main(["summary", "--results", str(tmp_path / "none")]) == 2
    assert "none: no such folder" in capsys.readouterr().err


def test_a_gain_without_an_interval_has_the_widest_that_its_scores_allow(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Path(shutil.copytree(small_folder, tmp_path / "old"))
    table = pd.read_csv(old / "probes.csv", dtype=str, keep_default_na=False)
    table.loc[table["metric"] == "gain", ["low", "high"]] = ""
    table.to_csv(old / "probes.csv", index=False)
    own = table[(pd.to_numeric(table["level"]) == 0) & (table["probe"] == "linear") & (table["task"] == "pos")]
    line = next(line for line in printed(old, capsys) if line[:1] == ["pos"])
    cells = {}
    for layer in (line[6], "0"):
        row = own[(own["layer"] == layer) & (own["metric"] == "accuracy")].iloc[0]
        cells[layer] = [float(row[name]) for name in ("score", "low", "high")]
    (score, low, high), (zero, zero_low, zero_high) = cells[line[6]], cells["0"]
    reach = (high - low + zero_high - zero_low) / 2
    assert float(line[7]) == pytest.approx(score - zero, abs=1e-3)
    ends = [float(text.strip("[],")) for text in line[8:10]]
    assert ends == pytest.approx([score - zero - reach, score - zero + reach], abs=1e-3)
    effects = Numbers(read_results(old)).gain("pos", 0).estimate()
    assert effects.interval() == pytest.approx([100 * end for end in ends], abs=0.15)
