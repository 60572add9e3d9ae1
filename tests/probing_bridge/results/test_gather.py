"""`gather`: the tables of one experiment, with its parent's rows of level 0 where it has none."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from probing_bridge.formats.columns import TABLES
from probing_bridge.run import main


def table(path: Path, **columns: list) -> None:
    """A table with these cells; the others are empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns, dtype=str).reindex(columns=list(TABLES[path.stem].columns)).to_csv(path, index=False)


def cells(path: Path, *columns: str) -> list[str]:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return [",".join(row) for row in frame[list(columns)].to_numpy()]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name, levels in (("magnitude", ["0", "1"]), ("random", ["1", "2"])):
        results = tmp_path / name / "results"
        table(results / "lth.csv", experiment=[name] * 2, level=levels, sparsity=["0.125", "0.3000000000000001"])
        table(results / "lth_modules.csv", experiment=[name] * 2, level=levels, module=["m"] * 2)
        probed = {"model": ["-", *levels], "level": ["", *levels]}
        table(results / "probes.csv", experiment=[name] * 3, **probed, score=["0.5", "0.60", "0.7"])
        pairs = {"level_a": [levels[0]] * 3, "level_b": ["", *levels], "score": ["1", "2", "3"]}
        table(results / "similarity.csv", experiment=[name] * 3, **pairs)
    return tmp_path


def gather(folder: Path, *more: str | Path) -> int:
    words = ["gather", "--results", folder / "results", "--output", folder / "tables", *more]
    return main([str(word) for word in words])


def test_a_branch_takes_the_rows_of_level_0_alone(folders: Path) -> None:
    assert gather(folders / "magnitude") == 0
    assert gather(folders / "random", "--parent", folders / "magnitude/tables") == 0
    for path in (folders / "magnitude/results").iterdir():
        assert (folders / "magnitude/tables" / path.name).read_bytes() == path.read_bytes()
    tables = folders / "random/tables"
    assert {path.stem for path in tables.iterdir()} == {"lth", "lth_modules", "probes", "similarity"}
    rows = cells(tables / "lth.csv", "experiment", "level", "sparsity")
    assert rows == ["magnitude,0,0.125", "random,1,0.125", "random,2,0.3000000000000001"]
    rows = cells(tables / "probes.csv", "experiment", "level", "score")
    assert rows == ["magnitude,0,0.60", "random,,0.5", "random,1,0.60", "random,2,0.7"]
    rows = cells(tables / "similarity.csv", "experiment", "level_a", "level_b", "score")
    assert rows == ["magnitude,0,,1", "magnitude,0,0,2", "random,1,,1", "random,1,1,2", "random,1,2,3"]


def test_a_branch_that_was_compared_with_level_0_keeps_its_own_rows(folders: Path) -> None:
    levels = {"level_a": ["0", "0", "1"], "level_b": ["0", "1", "0"]}
    table(folders / "random/results/similarity.csv", experiment=["random"] * 3, **levels, score=["1", "2", "3"])
    assert gather(folders / "random", "--parent", folders / "magnitude/results") == 0
    rows = cells(folders / "random/tables/similarity.csv", "experiment", "level_a", "level_b", "score")
    assert rows == ["random,0,0,1", "random,0,1,2", "random,1,0,3"]


def test_a_branch_that_has_some_tasks_of_level_0_takes_the_others(folders: Path) -> None:
    about = {"probe": ["linear"] * 2, "level": ["0"] * 2, "model": ["0"] * 2, "task": ["pos", "ner"]}
    table(folders / "magnitude/results/probes.csv", experiment=["magnitude"] * 2, **about, score=["0.5", "0.25"])
    own = {**about, "level": ["0", "1"], "model": ["0", "1"], "task": ["pos", "pos"]}
    table(folders / "random/results/probes.csv", experiment=["magnitude", "random"], **own, score=["0.5", "0.75"])
    assert gather(folders / "random", "--parent", folders / "magnitude/results") == 0
    rows = cells(folders / "random/tables/probes.csv", "experiment", "level", "task", "score")
    assert rows == ["magnitude,0,ner,0.25", "magnitude,0,pos,0.5", "random,1,pos,0.75"]


def test_only_tables_of_the_folder_are_replaced(folders: Path) -> None:
    tables, packed = folders / "magnitude/tables", folders / "magnitude/results/probes.csv.gz"
    table(tables / "bleu.csv", experiment=["other"], level=["0"])
    (tables / "probes.parts").mkdir()
    packed.write_bytes(gzip.compress((packed.parent / "probes.csv").read_bytes()))
    content = (packed.parent / "probes.csv").read_bytes()
    (packed.parent / "probes.csv").unlink()
    assert gather(folders / "magnitude") == 0
    assert {path.name for path in tables.iterdir()} == {
        "lth.csv", "lth_modules.csv", "probes.csv", "probes.parts", "similarity.csv"
    }  # fmt: skip
    assert (tables / "probes.csv").read_bytes() == content


def test_every_fault_is_told_at_once(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = folders / "random/results"
    (results / "lth.csv").unlink()
    table(results / "probes.csv", experiment=["random"], level=["one"])
    (results / "similarity.csv").write_text("experiment,measure\n")
    assert gather(folders / "random", "--parent", folders / "nowhere") == 2
    found = capsys.readouterr().err
    for text in (
        "lth.csv: no such file",
        "probes.csv:2: column 'level' has 'one'",
        "similarity.csv:1: is no",
        "nowhere",
    ):
        assert text in found
    assert len(found.splitlines()) == 4
    assert not (folders / "random/tables").exists()


def test_what_is_gathered_is_the_experiments_to_the_byte(full_folder: Path, tmp_path: Path) -> None:
    assert main(["gather", "--results", str(full_folder), "--output", str(tmp_path)]) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in full_folder.glob("*.csv")
    }
