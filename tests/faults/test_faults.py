"""Twenty combinations of a command and an injected fault; `make test-faults` tries all (docs/faults.md)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the server imports the modules by name, and so do we

import system_calls
from attempts import HALF, HOLDS, MANIFEST, NOTHING, Ending, Fault, digest
from harness import Harness, judge
from kitchen import TEXTS_AND_TABLES, prepare
from system_calls import FLUSH, MAKE, READ, RENAME, WRITE

MODULES = [f"probing_bridge.{name}" for name in ("run", "cli.sentences", "cli.score", "cli.export", "cli.import_")]
MODULES += [f"probing_bridge.{name}" for name in ("corpora.texts", "translation.run", "exchange.npz", "exchange.liu")]
COMMANDS = {command.name: command for command in TEXTS_AND_TABLES}
FAULTS = [
    Fault("full disk", (MAKE, WRITE), 2, "ENOSPC", lasting=True),
    Fault("failing fsync", (FLUSH,), 1, "EIO"),
    Fault("failing rename", (RENAME,), 1, "EIO"),
    Fault("read error", (READ,), 3, "EIO"),
    Fault("killed", (RENAME,), 1, "kill"),
]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    if reason := system_calls.unsupported():
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("faults")
    prepare(root / "material")
    harness = Harness(root, root / "material", MODULES)
    yield harness
    harness.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", ["sentences", "score", "export, npz", "import"])
def test_a_fault_is_told_and_leaves_nothing_wrong(harness: Harness, name: str, fault: Fault) -> None:
    verdict = harness.try_(COMMANDS[name], fault)
    assert verdict.struck
    assert verdict.is_good, verdict


GOOD = Ending([0], [""], 1.0, tree={"a.npz": "1"})
TOLD = replace(GOOD, status=[2], stderr=["error: a.csv: could not be written\n"], tree={})


@pytest.mark.parametrize(
    ("ending", "again", "found"),
    [
        (TOLD, GOOD, ""),
        (replace(TOLD, stderr=["a: 10 %|# | 00:00, ? leftOpenBLAS error: no memory\n"]), GOOD, ""),
        (replace(TOLD, stderr=["a: 10 %|# | 00:00, ? left\n"]), GOOD, "traceback"),
        (TOLD, TOLD, "lost"),
        (TOLD, replace(GOOD, tree={"a.npz": "2"}), "lost"),
        (replace(GOOD, tree={}), GOOD, "wrong"),
        (replace(TOLD, tree={"a.npz": "half"}), GOOD, "wrong"),
        (replace(TOLD, tree={"a.csv": HALF}), GOOD, "wrong"),
        (replace(TOLD, tree={".a.csv.1.tmp/a.csv": "half"}), GOOD, "wrong"),
        (replace(TOLD, stderr=["Traceback (most recent call last):\n"]), GOOD, "traceback"),
        (replace(TOLD, stderr=["one\ntwo\n"]), GOOD, "traceback"),
        (replace(TOLD, stderr=[""]), GOOD, "traceback"),
        (replace(TOLD, status=[-11]), GOOD, "traceback"),
        (replace(TOLD, hung=True), GOOD, "hung"),
    ],
)
def test_what_is_wrong_is_found(ending: Ending, again: Ending, found: str) -> None:
    verdict = judge(COMMANDS["score"], FAULTS[0], GOOD, ending, again)
    assert [name for name in ("lost", "wrong", "traceback", "hung") if getattr(verdict, name)] == found.split()


COMPARED = replace(GOOD, tree={MANIFEST: "1", f"{MANIFEST}{HOLDS}": "2", "a.csv": "3"})


@pytest.mark.parametrize(
    ("left", "is_wrong"),
    [
        ({MANIFEST: "1", f"{MANIFEST}{HOLDS}": NOTHING}, False),
        ({MANIFEST: "1", f"{MANIFEST}{HOLDS}": NOTHING, "a.csv": "some rows"}, False),
        (COMPARED.tree, False),
        ({MANIFEST: HALF, f"{MANIFEST}{HOLDS}": HALF}, True),
        ({MANIFEST: "other", f"{MANIFEST}{HOLDS}": NOTHING}, True),
        (COMPARED.tree | {f"{MANIFEST}{HOLDS}": "other"}, True),
        (COMPARED.tree | {"a.csv": "some rows"}, True),
        ({MANIFEST: "1", f"{MANIFEST}{HOLDS}": "2"}, True),
    ],
)
def test_a_manifest_may_be_behind_its_tables_but_not_ahead(left: dict[str, str], is_wrong: bool) -> None:
    verdict = judge(COMMANDS["score"], FAULTS[0], COMPARED, replace(TOLD, tree=left), COMPARED)
    assert verdict.wrong == is_wrong, verdict


def test_a_manifest_says_what_similarity_writes_into_it(tmp_path: Path) -> None:
    from probing_bridge.similarity.run import made

    assert made.MANIFEST == MANIFEST
    nothing, all_ = (
        made.Made({"version": "1"}, pieces) for pieces in (frozenset(), frozenset([made.Piece("encoder", 0, 1, "x")]))
    )
    trees = []
    for what in (nothing, all_):
        what.write(tmp_path)
        trees.append(digest(tmp_path))
    assert trees[0].keys() == {MANIFEST, f"{MANIFEST}{HOLDS}"} and trees[0][MANIFEST] == trees[1][MANIFEST]
    assert trees[0][f"{MANIFEST}{HOLDS}"] == NOTHING != trees[1][f"{MANIFEST}{HOLDS}"]
    (tmp_path / MANIFEST).write_text((tmp_path / MANIFEST).read_text()[:-3])
    assert set(digest(tmp_path).values()) == {HALF}
