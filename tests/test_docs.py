"""Every command and snippet of the README and docs/, run by a wheel in an environment of its own, from an empty folder.

A fence says how: `bash` and `python` are run, in the order of the README and then of the pages as it links them, each
block in a process of its own, all in one folder; `bash no-run: REASON` is not. The pages of ALONE have a folder each.
"""

import importlib.metadata
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
ALONE = {"your_own_data.md"}  # from the user's files to the report by itself
INTERPRETERS = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": ["python", "-c"]}
SCRIPTS = re.compile(r"fairseq-|torchrun$|subword-nmt$|sacremoses$|sacrebleu$")  # of what setup.py asks for
WORDS = [f"{first}{second}r" for first in "bdfgklmn" for second in "aeiou"]
TAGS = {word: ("NOUN", "VERB", "DET", "ADV")[number % 4] for number, word in enumerate(WORDS)}


@dataclass(frozen=True)
class Block:
    """A block of code of a page: where it stands, its language, what else its fence says, and the code."""

    where: str
    language: str
    remark: str
    code: str

    @property
    def runs(self) -> bool:
        return self.language in INTERPRETERS and not self.remark


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, fenced or (without a language) indented, as CommonMark, and so GitHub, sees them."""
    found = []
    for token in MarkdownIt().parse(page.read_text()):
        if token.type in ("fence", "code_block"):
            language, _, remark = token.info.strip().partition(" ")
            found.append(Block(f"{page.name}:{token.map[0] + 1}", language, remark, token.content))
    return found


def reading_order() -> list[Path]:
    """The README and the pages of docs/ that it links, as it links them."""
    linked = re.findall(r"\]\((docs/[\w-]+\.md)\)", README.read_text())
    return [README, *(ROOT / name for name in dict.fromkeys(linked))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_says_why_not(page):
    for block in blocks(page):
        assert block.language in {*INTERPRETERS, "yaml", "text"}, f"{block.where}: which language?"
        if block.language in INTERPRETERS:
            assert re.fullmatch(r"(no-run: .*\w.*)?", block.remark), f"{block.where}: run, or `no-run: REASON`?"
    if any(block.runs for block in blocks(page)):
        assert page in reading_order(), "no link in README leads to this page, so its blocks are not run"


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
        if SCRIPTS.match(script.name):
            (venv / "bin" / script.name).write_text(
                f"#!{venv}/bin/python\nfrom {script.module} import {script.attr}\n{script.attr}()\n"
            )
            (venv / "bin" / script.name).chmod(0o755)
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**outside, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}


def call(words, folder, environment=None) -> str:
    """What a command prints; it must succeed."""
    words = [str(word) for word in words]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def users_files(folder: Path) -> None:
    """What a user brings: sentence pairs, tagged sentences in a suite, and vectors that were made elsewhere."""
    rng = random.Random(3)

    def sentences(n: int) -> list[list[str]]:
        return [rng.choices(list(TAGS), k=rng.randint(3, 9)) for _ in range(n)]

    for split, n in {"train": 120, "valid": 12, "test": 12}.items():
        lines = [" ".join(words) + "\n" for words in sentences(n)]
        (folder / f"{split}.en").write_text("".join(lines))
        (folder / f"{split}.de").write_text("".join(lines).upper())
    pairs = [" ".join(words) + "\n" for words in sentences(400)]
    (folder / "pairs.de").write_text("".join(pairs))
    (folder / "pairs.en").write_text("".join(pairs).upper())
    for split in ("train", "dev", "test"):
        rows = (
            "".join(f"{i}\t{word}\t{word}\t{TAGS[word]}\t_\t_\t{i - 1}\tdep\t_\t_\n" for i, word in enumerate(words, 1))
            for words in sentences(30)
        )
        (folder / f"{split}.conllu").write_text("\n".join(rows))
    files = {split: f"{split}.conllu" for split in ("train", "dev", "test")}
    (folder / "suite.yaml").write_text(yaml.safe_dump({"tasks": {"pos": files}}))
    with h5py.File(folder / "elmo.hdf5", "w") as elmo:
        elmo["0"] = np.ones((3, 2, 8), np.float32)
        elmo.create_dataset("sentence_to_index", data=['{"w1 w2": "0"}'], dtype=h5py.string_dtype())
    (folder / "glove.6B.300d.txt").write_text("".join(f"{word} 0.5 {i}.25\n" for i, word in enumerate(TAGS)))


def run(page: Path, folder: Path, environment: dict[str, str]) -> list[str]:
    """Runs the blocks of a page; which of them failed, with the end of what they said."""
    failed = []
    for block in filter(lambda block: block.runs, blocks(page)):
        try:
            call([*INTERPRETERS[block.language], block.code], folder, environment)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failed.append(f"{block.where}\n{error}")
    return failed


@pytest.mark.slow
def test_the_readme_and_the_pages_of_docs(environment, tmp_path):
    users_files(tmp_path)
    assert run(README, tmp_path, environment) == []
    assert (tmp_path / "report" / "index.html").stat().st_size > 100_000
    assert ",pos," in (tmp_path / "results" / "probes.csv").read_text()
    for table in ("similarity.csv", "lth.csv", "lth_modules.csv"):
        assert len((tmp_path / "results" / table).read_text().splitlines()) > 2, table
    pages = [page for page in reading_order()[1:] if page.name not in ALONE]
    failed = [failure for page in pages for failure in run(page, tmp_path, environment)]
    assert not failed, "\n\n".join(failed)
    assert (tmp_path / "hydra" / "checkpoint_lth3.pt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", [page.name for page in reading_order() if page.name in ALONE])
def test_a_page_that_starts_anew(name, environment, tmp_path):
    users_files(tmp_path)
    failed = run(ROOT / "docs" / name, tmp_path, environment)
    assert not failed, "\n\n".join(failed)


@pytest.mark.slow
def test_the_wheel_brings_the_commands(environment, tmp_path):
    plugin = call(["python", "-m", "fairseq_lth"], tmp_path, environment).strip()
    assert Path(plugin).name == "fairseq_lth" and Path(plugin).is_dir() and not plugin.startswith(str(ROOT))
    assert "syn_arc_prediction" in call(["probing-bridge", "tasks"], tmp_path, environment)
