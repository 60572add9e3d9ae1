"""`sentences.txt`: texts come back as they were, and what would not come back is not written."""

from pathlib import Path

import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.sentences import Text, read_sentences, write_sentences

TEXTS = [Text((("Otters", "nap", "."),)), Text((("é", "\u2028", "\u00a0", "\x85"), ("two",))), Text((("\u2581a",),))]


def test_texts_come_back(tmp_path: Path) -> None:
    write_sentences(tmp_path / "new" / "s.txt", TEXTS)
    assert [text.sentences for text in read_sentences(tmp_path / "new" / "s.txt")] == [one.sentences for one in TEXTS]
    assert (tmp_path / "new" / "s.txt").read_bytes().startswith("Otters nap .\né \u2028 \u00a0 \x85\ttwo\n".encode())
    assert TEXTS[1].words == ("é", "\u2028", "\u00a0", "\x85", "two")


def test_empty_lines_are_passed_over_and_lines_are_counted(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_bytes(b"a b\n\n\r\nc\td  e\r\nlast")
    read = list(read_sentences(tmp_path / "s.txt"))
    assert [(text.line, text.sentences) for text in read] == [
        (1, (("a", "b"),)),
        (4, (("c",), ("d", "", "e"))),
        (5, (("last",),)),
    ]


@pytest.mark.parametrize("word", ["", "a b", "a\tb", "\n", "a\r", "\x0b", "\x0c"])
def test_a_word_that_would_not_come_back_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(ValueError, match="is empty or contains white space"):
        write_sentences(tmp_path / "s.txt", [Text((("fine", word),))])
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("é\n".encode("latin-1"))
    for name, message in (
        ("none", "cannot be read \\(No such file"),
        ("latin", "is not UTF-8"),
        (".", "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            list(read_sentences(tmp_path / name))
