"""A wheel in an environment of its own, used from an empty folder by the README's own lines."""

import importlib.metadata
import json
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TAGS = {f"w{number}": ("NOUN", "VERB", "DET", "ADV")[number % 4] for number in range(40)}
# The README's ellipsis, and a training that takes seconds in place of the paper's.
SMALL = """-s en -t de --arch transformer --encoder-layers 2 --decoder-layers 2 --encoder-embed-dim 16
    --decoder-embed-dim 16 --encoder-ffn-embed-dim 16 --decoder-ffn-embed-dim 16 --encoder-attention-heads 2
    --decoder-attention-heads 2 --optimizer adam --lr 0.01 --max-tokens 400 --cpu"""
SMALLER = {" ... ": f" {' '.join(SMALL.split())} ", "--max-epoch 60": "--max-epoch 2", "epoch 30": "epoch 1"}
SMALLER |= {"--imp-iterations 8": "--imp-iterations 1", "0 1 2 3 4 5 6 7 8": "0 1"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """A virtual environment with the built wheel; what it depends on is taken from the one of the tests."""
    source, venv = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("venv")
    for package in ("fairseq_lth", "probing_bridge"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / file, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    call([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", source / "dist", source], source)
    call([sys.executable, "-m", "venv", "--without-pip", venv], source)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (wheel,) = (source / "dist").glob("*.whl")
    installation = ["install", "--no-index", "--no-deps", "--ignore-installed", wheel]
    call([*pip, "--python", venv / "bin" / "python", *installation], source)
    for script in importlib.metadata.entry_points(group="console_scripts"):
        if script.name.startswith("fairseq-") and script.module.startswith("fairseq_cli"):
            (venv / "bin" / script.name).write_text(
                f"#!{venv}/bin/python\nfrom {script.module} import {script.attr}\n{script.attr}()\n"
            )
            (venv / "bin" / script.name).chmod(0o755)
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**outside, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}


def call(words, folder, environment=None) -> str:
    """What a command prints; it must succeed."""
    words = [str(word) for word in words]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture
def folder(environment, tmp_path) -> Path:
    """An empty folder but for DATA, binarised sentence pairs, and SUITE.yaml, the tags of such sentences."""
    rng = random.Random(3)
    sizes = {"train": 120, "valid": 12}
    for split, n in sizes.items():
        lines = [" ".join(rng.choices(list(TAGS), k=rng.randint(3, 9))) for _ in range(n)]
        (tmp_path / f"{split}.en").write_text("\n".join(lines) + "\n")
        (tmp_path / f"{split}.de").write_text("\n".join(line.upper() for line in lines) + "\n")
    flags = [flag for split in sizes for flag in (f"--{split}pref", split)]
    call(["fairseq-preprocess", "-s", "en", "-t", "de", "--destdir", "DATA", *flags], tmp_path, environment)
    for split in ("train", "dev", "test"):
        rows = (
            "".join(
                f"{i}\t{word}\t{word}\t{TAGS[word]}\t_\t_\t{i - 1}\tdep\t_\t_\n"
                for i, word in enumerate(rng.choices(list(TAGS), k=rng.randint(3, 9)), start=1)
            )
            for _ in range(30)
        )
        (tmp_path / f"{split}.conllu").write_text("\n".join(rows))
    files = {split: f"{split}.conllu" for split in ("train", "dev", "test")}
    (tmp_path / "SUITE.yaml").write_text(json.dumps({"tasks": {"pos": files}}))
    return tmp_path


@pytest.mark.slow
def test_the_lines_of_the_readme(environment, folder):
    readme = (ROOT / "README.md").read_text()
    lines = re.search(r"## Use it on your own\n+```\n(.*?)```", readme, re.DOTALL).group(1)
    for paper, small in SMALLER.items():
        assert paper in lines, f"README has no {paper!r} any more"
        lines = lines.replace(paper, small)
    call(["bash", "-euo", "pipefail", "-c", lines], folder, environment)
    assert "fairseq_lth" in (plugin := call(["python", "-m", "fairseq_lth"], folder, environment))
    assert Path(plugin.strip()).is_dir() and not plugin.startswith(str(ROOT))
    assert (folder / "report" / "index.html").stat().st_size > 100_000
    probes = (folder / "results" / "probes.csv").read_text()
    assert "\n" in probes and ",pos," in probes
    for table in ("similarity.csv", "lth.csv", "lth_modules.csv"):
        assert len((folder / "results" / table).read_text().splitlines()) > 2, table
    # the console scripts are the same commands
    assert "2 levels" in call(["fairseq-lth", "levels", "LEVELS"], folder, environment)
    assert "syn_arc_prediction" in call(["probing-bridge", "tasks"], folder, environment)
    translate = ["fairseq-lth", "generate", "DATA", "--path", "LEVELS/checkpoint_lth1.pt", "--gen-subset", "valid"]
    assert "Generate valid" in call([*translate, "--max-tokens", "400", "--cpu"], folder, environment)
