"""`make bundle`: what it holds, and that what was unpacked sets itself up and runs where no network is."""

import importlib.metadata
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import bundle  # noqa: E402


def test_what_it_carries_needs_nothing_but_the_stack():
    pytest.importorskip("fairseq", reason="what a bundle is made of: no fairseq here (extra train)")
    carried = bundle.carried()
    assert {"ve-fairseq", "hydra-core", "subword-nmt", "sacrebleu", "lxml"} <= carried
    assert not carried & bundle.STACK
    known = {canonicalize_name(name) for name in carried | bundle.STACK}
    for name in carried:
        needed = [Requirement(text) for text in importlib.metadata.requires(name) or []]
        plain = {
            canonicalize_name(need.name) for need in needed if not need.marker or need.marker.evaluate({"extra": ""})
        }
        assert plain <= known, name


def test_data_that_is_not_there_is_named_in_one_line(tmp_path):
    (tmp_path / "data").mkdir()
    done = subprocess.run(
        [sys.executable, "tools/bundle.py", "--data", tmp_path / "data", "--output", tmp_path / "bundle.tar.gz"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "not there: docs_en_de/train.de.gz, " in done.stderr and "ud_ewt/en_ewt-ud-dev.conllu.gz" in done.stderr
    assert not (tmp_path / "bundle.tar.gz").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0,
    reason="the network can only be taken away as root on Linux (unshare -n)",
)
def test_it_trains_where_no_network_is(tmp_path, shared):
    file = tmp_path / "bundle.tar.gz"
    make = [sys.executable, "tools/bundle.py", "--data", shared / "data", "--output", file]
    subprocess.run(make, cwd=ROOT, check=True)
    assert file.stat().st_size < 60e6
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path, filter="data")
    checkout = tmp_path / "bundle/checkout"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"SMOKE": "1", "EXPERIMENTS": "magnitude"}
    for command in (
        ["bash", "tools/setup.sh", sys.executable, ".venv"],
        ["bash", "-c", "CONFIG=recipes/general_en_de/config.sh bash recipes/open_en_de/00_data.sh"],
        ["bash", "-c", "CONFIG=recipes/general_en_de/config.sh bash recipes/wmt16_en_de/10_train.sh"],
    ):
        done = subprocess.run(
            ["unshare", "-n", *command], cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    levels = checkout / "recipes/general_en_de/state/smoke/magnitude/levels"
    assert {path.name for path in levels.glob("checkpoint_lth*.pt")} == {f"checkpoint_lth{k}.pt" for k in range(3)}
