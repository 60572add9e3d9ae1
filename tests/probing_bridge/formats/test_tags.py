"""Tag files: what is written is read back, what does not fit is refused with its line."""

from pathlib import Path

import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.tags import read_tags, write_tags

SENTENCES = [["DT", "NN", "VB"], [], ["UNK-ä", "."], ["X"]]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "pos.txt"
    write_tags(path, SENTENCES)
    assert path.read_bytes() == "DT NN VB\n\nUNK-ä .\nX\n".encode()
    assert read_tags(path, [3, 0, 2, 1]) == SENTENCES
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_tags(path, [3, 0, 2, 1]) == SENTENCES
    path.write_text("\ufeffDT NN VB\n\n\ufeffUNK-ä .\nX\n")  # two files joined
    assert read_tags(path, [3, 0, 2, 1]) == SENTENCES
    path.write_bytes(b"DT NN VB\n\nA\rB .\nX\n")
    with pytest.raises(InputError, match=r"pos.txt:3: a carriage return inside of a line"):
        read_tags(path, [3, 0, 2, 1])


@pytest.mark.parametrize("tag", ["", "two words", "tab\t", "line\n", "no\u00a0break"])
def test_a_tag_that_would_be_none_or_two(tmp_path: Path, tag: str) -> None:
    with pytest.raises(InputError, match=r"pos:2: the tag .* is empty or has white space"):
        write_tags(tmp_path / "pos", [["A"], ["B", tag]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("n_words", "message"),
    [
        ([3, 0, 2], "4 lines, but the dumps have 3 sentences"),
        ([3, 0, 2, 1, 0], "4 lines, but the dumps have 5 sentences"),
        ([3, 1, 2, 1], "pos:2: 0 tags, but the sentence has 1 words"),
        ([3, 0, 1, 1], "pos:3: 2 tags, but the sentence has 1 words"),
    ],
)
def test_tags_of_another_corpus(tmp_path: Path, n_words: list[int], message: str) -> None:
    write_tags(tmp_path / "pos", SENTENCES)
    with pytest.raises(InputError, match=message):
        read_tags(tmp_path / "pos", n_words)


def test_no_tag_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: cannot be read"):
        read_tags(tmp_path / "none", [1])
    (tmp_path / "binary").write_bytes(b"\xff\n")
    with pytest.raises(InputError, match="binary:1: byte 0xff is not UTF-8"):
        read_tags(tmp_path / "binary", [1])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_tags(tmp_path / "file" / "pos", [["A"]])
