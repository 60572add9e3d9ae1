"""`tags`: a dump's words get the tags of the training data, and `similarity` sees the same words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.lexicon import most_frequent_tags, tag
from probing_bridge.formats.activations.reader import open_dump
from probing_bridge.run import main
from probing_bridge.similarity.run.groups import tag_groups


def test_the_most_frequent_tag_first_as_the_word_stands() -> None:
    lexicon = most_frequent_tags(
        [
            Instance(("the", "dog", "Dog", "Dog"), ("DT", "NN", "NP", "NP"), None),
            Instance(("dog", "sees", "sees"), ("NN", "VB", "NNS"), None),
        ]
    )
    assert [tag(word, lexicon) for word in ("The", "Dog", "dog", "DOG", "sees", "cat")] == [
        "DT", "NP", "NN", "NN", "VB", "unknown",
    ]  # fmt: skip


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    words = [("the", "DET"), ("house", "NOUN"), ("dog", "NOUN"), ("saw", "VERB"), ("cats", "NOUN")]
    rows = [f"{k}\t{word}\t_\t{pos}\t_\t_\t{k - 1}\tx\t_\t_\n" for k, (word, pos) in enumerate(words, 1)]
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.conllu").write_text("".join(rows) + "\n")
    files = ", ".join(f"{split}: {split}.conllu" for split in ("train", "dev", "test"))
    (tmp_path / "suite.yaml").write_text(f"tasks:\n  pos: {{{files}}}\n  syn_arc_prediction: {{{files}}}\n")
    return tmp_path / "suite.yaml"


def test_words_are_those_that_similarity_sees(
    tmp_path: Path, suite: Path, make_dumps: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_dumps().level(0).path
    output = tmp_path / "tags" / "pos.txt"
    words = ["tags", "--dump", str(path), "--suite", str(suite), "--task", "pos", "--output", str(output)]
    assert main(words) == 0
    known = {"the": "DET", "house": "NOUN", "dog": "NOUN", "saw": "VERB", "cats": "NOUN"}
    with open_dump(path) as dump:
        symbols, tokens, offsets = dump.symbols("source"), dump.tokens("source"), dump.offsets("source")
        groups = tag_groups(output, "pos", tokens, symbols, offsets)
    rows = {row: name for name, rows in groups.items() for row in rows.tolist()}
    whole = 0
    for row, symbol in enumerate(symbols[token] for token in tokens):
        before = "" if row in offsets else symbols[tokens[row - 1]]
        if symbol in ("the", "dog", "saw") and not before.endswith("@@"):
            assert rows[row] == f"pos:{known[symbol]}"
            whole += 1
        if (before, symbol) == ("hou@@", "se") and (row - 1 in offsets or symbols[tokens[row - 2]][-2:] != "@@"):
            assert rows[row - 1] == rows[row] == "pos:NOUN"
            whole += 1
    assert whole > 50 and "pos:unknown" in groups
    lines = output.read_text().splitlines()
    unknown = " ".join(lines).split().count("unknown")
    assert capsys.readouterr().out.strip().endswith(f"{len(' '.join(lines).split())} words, {unknown} of them unknown")


@pytest.mark.parametrize("task", ["st", "syn_arc_prediction"])
def test_task_that_tags_no_words(tmp_path: Path, suite: Path, task: str, capsys: pytest.CaptureFixture[str]) -> None:
    none, output = str(tmp_path / "none.h5"), tmp_path / "tags"
    assert main(["tags", "--dump", none, "--suite", str(suite), "--task", task, "--output", str(output)]) == 2
    assert f"has no task {task!r} that tags every word; it has pos" in capsys.readouterr().err
    assert main(["tags", "--dump", none, "--suite", str(suite), "--task", "pos", "--output", str(output)]) == 2
    assert "none.h5: no such file" in capsys.readouterr().err
    assert not output.exists()
