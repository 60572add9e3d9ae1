"""Inputs that once ended in a silent wrong number, each with what is right, by the commands of ../shared/cases.

Their siblings stand beside what they are about: of corpora in corpora/readers/test_nothing_silent.py, of words and
pieces in fairseq_lth/test_encode.py, of checkpoints in fairseq_lth/test_foreign_checkpoints.py.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from probing_bridge.formats.representations import Representations
from probing_bridge.formats.tables import read_table, write_table
from probing_bridge.run import main

ROOT = Path(__file__).resolve().parents[1]
REFUSED = [
    ("pos upos_blank.conllu", "upos_blank.conllu:1: UPOS (column 4) is '_', not annotated"),
    ("syn_arc_classification deprel_blank.conllu", "deprel_blank.conllu:1: DEPREL (column 8) is '_', not annotated"),
    ("pos withheld.conllu", "withheld.conllu:3: the word (column 2) is withheld"),
    ("ner ner_IO.txt", "ner_IO.txt:1: expected an entity tag O, B-TYPE or I-TYPE, found 'I-O'"),
    ("chunk chunk_IO.txt", "chunk_IO.txt:1: expected a chunk tag O, B-TYPE or I-TYPE, found 'I-O'"),
    ("coref noblank.gold_conll", "noblank.gold_conll:5: expected word number 3 in column 3, found 0"),
    ("sem_arc_classification sdp2014_two.sdp", "sdp2014_two.sdp:2: expected 9 columns (2 predicates), found 8"),
    ("sem_arc_classification sdp2014_two.sdp --compat liu2019", "sdp2014_two.sdp:2: expected 9 columns"),
    ("syn_arc_classification two_roots.conllu", "two_roots.conllu:2: word 2 is a second root"),
    ("ccg ccg_header.tsv", "ccg_header.tsv:1: the line names the columns"),
    ("coref allminus.gold_conll", "allminus.gold_conll: no sentence has an item: the last column is - in every line"),
]
FOUND = [
    ("ner ner_bom_twice.txt", [["Anna", "ran"]] * 2),
    ("chunk chunk_bom.txt", [["He", "ran"], ["She"]]),
    ("pos bom_form.conllu", [["Le", "chat"]]),
    (
        "coref nomarkers.gold_conll",
        [["Ann", "saw", "her", "Bo", "and", "him"], ["Ann", "saw", "she", "Bo", "and", "he"]],
    ),
    ("parent escaped.ptb", [["and/or", "ran", "*", "(", "x", ")"]]),
    ("ccg ccg_gt.auto", [["->", "ran"]]),
    ("ner ner_nbsp.txt", [["New\u00a0York"]]),
]
SCORED = [
    ("nbest2.txt", "ref.de", "nbest2.txt:2: has D-0 twice"),
    ("bpe.txt", "ref.de", "bpe.txt: D-0 is still in pieces ('Gru@@')"),
    ("zh.txt", "m_zh", 76.1),
]
VECTORS = [
    ("dup.vec", "dup.vec:5: has 'the' again, which line 2 has"),
    ("header_lie.vec", "header_lie.vec:2: expected a word and 5 finite numbers, as line 1 says; found 3"),
]


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    if not (shared / "cases").is_dir():
        pytest.skip(f"no {shared / 'cases'}")
    return shared / "cases"


def refusal(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """The one line of a command that ends with status 2 and prints nothing else."""
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    return printed.err


def instances(cases: Path, words: str) -> list[str]:
    task, name, *flags = words.split()
    return ["instances", task, str(cases / "readers" / name), *flags]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_corpora_that_are_refused(cases: Path, capsys: pytest.CaptureFixture[str], words: str, message: str) -> None:
    assert message in refusal(capsys, instances(cases, words))


@pytest.mark.parametrize(("words", "sentences"), FOUND)
def test_corpora_that_are_read(
    cases: Path, capsys: pytest.CaptureFixture[str], words: str, sentences: list[list[str]]
) -> None:
    assert main(instances(cases, words)) == 0
    assert [json.loads(line)["tokens"] for line in capsys.readouterr().out.splitlines()] == sentences


@pytest.mark.parametrize("name", ["upos", "withheld"])
def test_probes_of_labels_or_words_that_are_not_there(
    cases: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    folder = cases / "probe" / name
    argv = ["probe", "--suite", str(folder / "suite.yaml"), "--reps", str(folder / "lth0.hdf5"), "--output"]
    assert f"{name}/train.conllu:1: " in refusal(capsys, [*argv, str(tmp_path / "results")])
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("name", "reference", "expected"), SCORED)
def test_translations(
    cases: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, reference: str, expected: object
) -> None:
    row = {"experiment": "a", "level": [0], "sparsity": 0.0, "checkpoint": ["checkpoint_lth0.pt"]}
    write_table(pd.DataFrame(row), "lth", tmp_path / "lth.csv")
    checkpoint = tmp_path / "checkpoint_lth0.pt"
    checkpoint.touch()
    folder = cases / "score"
    argv = ["score", "--reference", str(folder / reference), "--test-set", "x", "--output", str(tmp_path / "results")]
    argv.append(f"{checkpoint}={folder / name}")
    if isinstance(expected, str):
        assert expected in refusal(capsys, argv)
    else:
        assert main(argv) == 0
        rows = read_table(tmp_path / "results" / "bleu.csv", "bleu")
        assert rows["score"][rows["metric"] == "sacrebleu"].tolist() == pytest.approx([expected], abs=0.05)


def vectors(cases: Path, name: str, output: Path) -> list[str]:
    folder = cases / "vectors"
    argv = ["import", "--from", "vectors", str(folder / name), "--sentences", str(folder / "sent.txt")]
    return [*argv, "--experiment", "glove", "--output", str(output)]


@pytest.mark.parametrize(("name", "message"), VECTORS)
def test_vectors_that_are_refused(
    cases: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, message: str
) -> None:
    assert message in refusal(capsys, vectors(cases, name, tmp_path / "v.hdf5"))


def test_the_first_vector_of_a_file_with_a_byte_order_mark(cases: Path, tmp_path: Path) -> None:
    assert main(vectors(cases, "bom.txt", tmp_path / "v.hdf5")) == 0
    with Representations(tmp_path / "v.hdf5") as read:
        np.testing.assert_array_equal(read.read(["the", "cat", "sat"])[0], [[1] * 3, [2] * 3, [3] * 3])


def binarise(text: Path, data: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "recipes" / "binarise.sh"
    command = ["bash", script, text, "en", "de", "subword_nmt", "50", data, "moses"]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


@pytest.mark.parametrize("name", ["cr", "cr1"])
def test_corpora_with_a_carriage_return_inside_of_a_line(cases: Path, tmp_path: Path, name: str) -> None:
    done = binarise(cases / "lineends" / name, tmp_path / "d")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "train.en:11: a carriage return inside of a line" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("split", "language"), [("train", "de"), ("test", "en")])
def test_a_carriage_return_is_named_wherever_it_is(tmp_path: Path, split: str, language: str) -> None:
    text = tmp_path / "text"
    text.mkdir()
    for name in ("train", "valid", "test"):
        for side in ("en", "de"):
            odd = b"fo\rur" if (name, side) == (split, language) else b"four"
            (text / f"{name}.{side}").write_bytes(b"one\r\ntwo \xe2\x80\xa8 three\r\n" + odd + b"\r\n")
    done = binarise(text, tmp_path / "data")
    assert done.returncode == 1 and list(tmp_path.iterdir()) == [text]
    assert done.stderr == f"binarise: {text}/{split}.{language}:3: a carriage return inside of a line: take it out\n"


@pytest.mark.slow
def test_ten_times_as_many_siblings() -> None:
    siblings = ROOT / "tests" / "probing_bridge" / "corpora" / "readers" / "test_nothing_silent.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile", "many"]
    done = subprocess.run([*command, str(siblings)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
