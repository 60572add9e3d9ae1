"""The quickstart's own code: its text, its steps, and (slow) the whole way on a small corpus."""

import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / "recipes" / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


data = load("quickstart/data.py")


def write_corpus(prefix: Path, pairs: list[tuple[str, str]]) -> None:
    for side, language in enumerate(("en", "de")):
        prefix.with_suffix(f".{language}").write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")


def toy_pairs(count: int) -> list[tuple[str, str]]:
    """Sentences of a toy language pair: word by word translation of random words."""
    words = {"red": "rot", "green": "grün", "house": "Haus", "dog": "Hund", "runs": "läuft", "sees": "sieht"}
    words |= {"a": "ein", "old": "alt", "tree": "Baum", "small": "klein", "and": "und", "cat": "Katze"}
    draw = random.Random(7)
    rows = {tuple(draw.choices(sorted(words), k=draw.randint(3, 9))) for _ in range(count)}
    return [(" ".join(row), " ".join(words[word] for word in row)) for row in sorted(rows)]


class TestPairs:
    def test_no_text_is_in_two_splits(self, tmp_path):
        pairs = toy_pairs(4000)
        repeated = [*pairs, *((english, german + " ja") for english, german in pairs[:500])]
        write_corpus(tmp_path / "toy", repeated)
        data.write_pairs(data.read_corpus(str(tmp_path / "toy")), tmp_path / "text")
        texts = [
            line
            for split in ("train", "valid", "test")
            for line in (tmp_path / "text" / f"{split}.en").read_text().splitlines()
        ]
        assert len(texts) == len(set(texts)) == len({english for english, _ in pairs})
        assert len((tmp_path / "text/test.en").read_text().splitlines()) > len(pairs) / 30

    def test_a_run_killed_just_after_the_text_goes_on(self, tmp_path):
        write_corpus(tmp_path / "toy", toy_pairs(4000))
        texts = []
        for _ in range(2):  # the second finds the first one's text, but no mark that the step was done
            data.write_pairs(data.read_corpus(str(tmp_path / "toy")), tmp_path / "text")
            texts.append({path.name: path.read_bytes() for path in (tmp_path / "text").iterdir()})
        assert texts[0] == texts[1]

    def test_lines_stay_side_by_side(self, tmp_path):
        pairs = toy_pairs(4000)
        write_corpus(tmp_path / "toy", pairs)
        data.write_pairs(data.read_corpus(str(tmp_path / "toy")), tmp_path / "text")
        english, german = ((tmp_path / f"text/train.{side}").read_text().splitlines() for side in ("en", "de"))
        assert set(zip(english, german, strict=True)) <= set(pairs)

    @pytest.mark.parametrize("case", ["missing", "lines", "encoding", "return", "small"])
    def test_bad_corpus_is_one_line(self, tmp_path, case):
        write_corpus(tmp_path / "toy", toy_pairs(200))
        if case == "missing":
            (tmp_path / "toy.de").unlink()
        elif case == "lines":
            with (tmp_path / "toy.de").open("a") as file:
                file.write("noch eine Zeile\n")
        elif case == "encoding":
            (tmp_path / "toy.de").write_bytes("Bäume\n".encode("latin-1"))
        elif case == "return":
            (tmp_path / "toy.de").write_bytes((tmp_path / "toy.de").read_bytes().replace(b" ", b"\r", 1))
        done = subprocess.run(
            [sys.executable, data.__file__, "pairs", "--state", tmp_path / "state", "--corpus", tmp_path / "toy"],
            capture_output=True,
            text=True,
        )
        words = {"missing": "no such file", "lines": "must go line by line", "encoding": "UTF-8", "small": "too small"}
        words["return"] = "toy.de:1: a carriage return inside of a line"
        assert done.returncode == 2
        assert words[case] in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "state/text").exists()

    def test_paragraphs_are_paired_by_id(self, tmp_path):
        page = tmp_path / "page.html"
        page.write_text(
            '<body><h1 id="hd_1"><a name="x"></a>A  title</h1><p id="par_1">One <b>bold</b>\nword.</p>'
            '<p id="par_2">twice</p><p id="par_2">twice again</p><p>no id</p></body>'
        )
        assert data.paragraphs(page) == {"hd_1": "A title", "par_1": "One bold word."}


def test_graph_becomes_conllu_and_factuality():
    def token(position, form, **more):
        return {"type": "token", "position": position, "form": form, "id": f"s-syntax-{position}", **more}

    tags = {"lemma": "x", "upos": "X", "xpos": "XX"}
    graph = {
        "nodes": [
            token(2, "nap", **tags),
            token(1, "Otters", **tags),
            {"type": "root", "position": 0, "id": "s-root-0"},
            {"type": "predicate", "id": "s-semantics-pred-2", "factuality": {"factual": {"value": 1.25}}},
        ],
        "adjacency": [
            [{"id": "s-syntax-1", "deprel": "nsubj", "domain": "syntax", "type": "dependency"}],
            [],
            [{"id": "s-syntax-2", "deprel": "root", "domain": "syntax", "type": "dependency"}],
            [{"id": "s-syntax-2", "domain": "interface", "type": "head"}],
        ],
    }
    rows = [line.split("\t") for line in data.conllu("s", graph).splitlines()[1:-1]]
    assert [(row[0], row[1], row[6], row[7]) for row in rows] == [
        ("1", "Otters", "2", "nsubj"),
        ("2", "nap", "0", "root"),
    ]
    assert data.factuality(graph) == {"sentence": ["Otters", "nap"], "predicate_indices": [2], "labels": [1.25]}


class TestSteps:
    SCRIPT = """set -euo pipefail
state=$1; mkdir -p "$state/done" "$state/log"
source recipes/steps.sh
broken() { echo started; false; touch "$state/never"; }
step good "a good one" touch "$state/good"
step bad "a bad one" broken
"""

    def test_a_failing_step_stops_and_a_finished_one_is_not_repeated(self, tmp_path):
        def run() -> subprocess.CompletedProcess:
            command = ["bash", "-c", self.SCRIPT, "test", tmp_path]
            return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

        first = run()
        assert first.returncode == 1
        assert (tmp_path / "good").exists() and not (tmp_path / "never").exists()
        assert "started" in first.stderr
        (tmp_path / "good").unlink()
        run()
        assert not (tmp_path / "good").exists()


CONFIG = """
BPE_SIZE=40 EPOCHS=2 REWIND=1 ITERATIONS=2
MODEL=(--arch transformer --share-all-embeddings --encoder-layers 2 --decoder-layers 2
    --encoder-embed-dim 16 --decoder-embed-dim 16 --encoder-ffn-embed-dim 32 --decoder-ffn-embed-dim 32
    --encoder-attention-heads 2 --decoder-attention-heads 2)
OPTIMISATION=(--optimizer adam --lr-scheduler inverse_sqrt --lr 2e-3 --warmup-updates 20
    --criterion label_smoothed_cross_entropy --label-smoothing 0.1 --max-tokens 2000 --seed 1)
"""


def toy_treebank(folder: Path) -> None:
    """A treebank in the files of the quickstart's own."""
    folder.mkdir(parents=True)
    draw = random.Random(3)
    tags = {"red": "ADJ", "dog": "NOUN", "runs": "VERB", "old": "ADJ", "tree": "NOUN", "sees": "VERB", "and": "CCONJ"}
    for split, count in (("train", 120), ("dev", 40), ("test", 40)):
        trees, events = [], {}
        for number in range(count):
            words = draw.choices(sorted(tags), k=draw.randint(3, 8))
            lines = [
                f"{i}\t{word}\t_\t{tags[word]}\t_\t_\t{i - 1}\t{'root' if i == 1 else tags[word].lower()}\t_\t_"
                for i, word in enumerate(words, 1)
            ]
            trees.append("\n".join(lines) + "\n\n")
            indices = [i for i, word in enumerate(words, 1) if tags[word] == "VERB"]
            labels = [1.5 if words[i - 1] == "runs" else -1.5 for i in indices]
            events[f"{split}-{number}"] = {"sentence": words, "predicate_indices": indices, "labels": labels}
        (folder / f"ewt_{split}.conllu").write_text("".join(trees))
        (folder / f"it-happened_{split}.json").write_text(json.dumps(events))
    (folder / "suite.yaml").write_text(json.dumps(data.suite()))


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    write_corpus(tmp_path / "toy", toy_pairs(4000))
    state = tmp_path / "state"
    toy_treebank(state / "treebank")
    (state / "done").mkdir()
    (state / "done/treebank").touch()
    (tmp_path / "config.sh").write_text(CONFIG)
    variables = {"STATE": str(state), "CORPUS": str(tmp_path / "toy"), "CONFIG": str(tmp_path / "config.sh")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run() -> subprocess.CompletedProcess:
        command = ["bash", "recipes/quickstart/run.sh"]
        environment = {**os.environ, **variables, "PATH": path}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    first = run()
    assert first.returncode == 0, first.stdout + first.stderr
    assert (state / "report/index.html").stat().st_size > 10_000
    before = {file: file.stat().st_mtime_ns for file in state.rglob("*") if file.is_file() and file.name != "corpus"}
    again = run()
    assert again.returncode == 0
    assert "..." not in again.stdout  # no step was done again
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert "LTH2" in again.stdout and "accuracy" in again.stdout
    variables["CORPUS"] = str(tmp_path / "other")
    assert "another folder" in run().stderr
