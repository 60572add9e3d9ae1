"""`similarity`: whose counts rank the pieces, and what of them says nothing of frequency."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probing_bridge import run
from probing_bridge.formats.tables import read_table


@pytest.fixture
def dumps(make_dumps: Callable[..., Any]) -> Any:
    """A maker of dumps whose joined dictionary counts other pieces most often than the source sentences do."""
    maker = make_dumps(components=("encoder",), n_layers=1)
    counts = Counter(np.concatenate(maker.tokens["source"]).tolist())
    maker.counts = [1, 1, 1, 1, *(1000 - counts[k] for k in range(4, 12))]
    maker.paths = [str(maker.level(k).path) for k in range(2)]
    return maker


def sizes(maker: Any, output: Path, *options: str) -> dict[str, int]:
    """Tokens of each group by frequency."""
    command = ["similarity", "--dumps", *maker.paths, "--output", str(output), "--pairs", "dense", *options]
    assert run.main(command) == 0
    rows = read_table(output / "similarity.csv", "similarity")
    rows = rows[rows["group"].str.startswith("frequency")]
    return {str(group): int(n) for group, n in rows.groupby("group")["n"].first().items()}


def test_ranks_are_of_the_side_unless_the_dictionary_or_a_text_is_asked_for(dumps: Any, tmp_path: Path) -> None:
    counts = Counter(np.concatenate(dumps.tokens["source"]).tolist())
    del counts[2]  # EOS
    ordered = [n for _, n in counts.most_common()]
    assert sizes(dumps, tmp_path / "dump") == {
        "frequency:0-5": sum(ordered[:5]), "frequency:5-25": sum(ordered[5:]),
    }  # fmt: skip
    assert sizes(dumps, tmp_path / "dictionary", "--frequencies", "dictionary") == {
        "frequency:0-5": sum(ordered[-5:]), "frequency:5-25": sum(ordered[:-5]),
    }  # fmt: skip
    text = tmp_path / "train.bpe.en"
    text.write_text("hou@@ se dog dog saw saw saw cat@@ s\ncat@@ s not-a-piece\n")
    first = sum(counts[k] for k in (9, 8, 10, 11, 6))  # saw, dog, cat@@, s; of hou@@ and se the first
    assert sizes(dumps, tmp_path / "text", "--frequencies", f"source={text}") == {
        "frequency:0-5": first, "frequency:5-25": sum(ordered) - first,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["target=TEXT"], "--frequencies: a text of the source side is missing: give source=FILE as well"),
        (["source=TEXT"], "TEXT: 1 of its 4 pieces are in the dictionary of the dumps: give the text of this side"),
        (["source=nowhere"], "nowhere: cannot be read (No such file or directory)"),
        (["dump", "dictionary"], "--frequencies dump: expected dump, dictionary, or source=FILE target=FILE"),
        (["source=TEXT", "source=TEXT"], "--frequencies source=TEXT: expected dump, dictionary, or source=FILE"),
    ],
)
def test_what_is_no_count_of_the_side_is_refused(
    dumps: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (tmp_path / "TEXT").write_text("The dog's house dog\n")
    given = [word.replace("TEXT", str(tmp_path / "TEXT")) for word in words]
    command = ["similarity", "--dumps", *dumps.paths, "--output", str(tmp_path / "r"), "--frequencies", *given]
    assert run.main(command) == 2
    (line,) = capsys.readouterr().err.replace(str(tmp_path / "TEXT"), "TEXT").splitlines()
    assert message in line and not (tmp_path / "r").exists()


def test_placeholder_counts_are_refused(
    make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = make_dumps(components=("encoder",), n_layers=1)
    maker.counts = [1, 1, 1, 1, *[100] * 8]  # as of a sentencepiece vocabulary made into a dict.txt
    paths = [str(maker.level(k).path) for k in range(2)]
    command = ["similarity", "--dumps", *paths, "--output", str(tmp_path / "r")]
    assert run.main([*command, "--frequencies", "dictionary"]) == 2
    error = capsys.readouterr().err
    assert "lth0.h5: the source dictionary gives every piece the same count" in error
    assert "without --frequencies dictionary" in error and error.count("\n") == 1 and not (tmp_path / "r").exists()
    assert run.main(command) == 0
