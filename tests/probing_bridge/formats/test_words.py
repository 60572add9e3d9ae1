"""Which pieces make a word."""

import pytest

from probing_bridge.formats.words import bpe_of, without_marks, word_starts


@pytest.mark.parametrize(
    ("pieces", "bpe", "expected"),
    [
        (["the", "hou@@", "s@@", "es", "burn"], "subword_nmt", [1, 1, 0, 0, 1]),
        (["▁the", "▁hou", "s", "es", "▁", "burn"], "sentencepiece", [1, 1, 0, 0, 1, 0]),
        (["s", "▁the"], "sentencepiece", [1, 1]),
        ([], "subword_nmt", []),
        (["no", "marks"], "subword_nmt", [1, 1]),
    ],
)
def test_words_from_subwords(pieces: list[str], bpe: str, expected: list[int]) -> None:
    assert word_starts(pieces, bpe) == [bool(value) for value in expected]


@pytest.mark.parametrize(
    ("symbols", "bpe"),
    [
        (["▁a", "▁b", "c@@"], "sentencepiece"),
        (["▁a", "b@@", "c@@"], "subword_nmt"),
        (["a", "b"], "subword_nmt"),
        (["▁a", "b@@"], "subword_nmt"),
    ],
)
def test_the_bpe_of_a_dictionary_is_the_one_whose_marks_it_has(symbols: list[str], bpe: str) -> None:
    assert bpe_of(symbols) == bpe


def test_marks_are_taken_off_a_line() -> None:
    assert without_marks("the hou@@ s@@ es  burn@@") == ["the", "houses", "burn"]
    assert without_marks("") == []
