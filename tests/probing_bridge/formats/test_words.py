"""Which pieces make a word."""

import pytest

from probing_bridge.formats.words import WordsError, bpe_of, require_bpe, word_starts, words_of


@pytest.mark.parametrize(
    ("pieces", "bpe", "expected"),
    [
        (["the", "hou@@", "s@@", "es", "burn"], "subword_nmt", [1, 1, 0, 0, 1]),
        (["▁the", "▁hou", "s", "es", "▁", "burn"], "sentencepiece", [1, 1, 0, 0, 1, 0]),
        (["s", "▁the"], "sentencepiece", [1, 1]),
        (["▁", "<unk>", "man", "▁caf", "<unk>", "s"], "sentencepiece", [1, 0, 0, 1, 0, 0]),
        (["The", "Ġhou", "ses", "Ġ", "<unk>"], "byte_level", [1, 1, 0, 1, 0]),
        (["caf@@", "<unk>", "s"], "subword_nmt", [1, 0, 1]),  # whether an unknown piece goes on is lost
        (["[CLS]", "the", "hou", "##s", "##es", "burn", "[SEP]"], "word_piece", [1, 1, 1, 0, 0, 1, 1]),
        (["the</w>", "hou", "ses</w>", "<unk>", "burn</w>"], "end_of_word", [1, 1, 0, 1, 1]),
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
        (["a", "Ġb", "12"], "byte_level"),
        (["a", "##b", "12"], "word_piece"),
        (["a", "b</w>", "12</w>"], "end_of_word"),
        ([], "subword_nmt"),
    ],
)
def test_the_bpe_of_a_dictionary_is_the_one_whose_marks_it_has(symbols: list[str], bpe: str) -> None:
    assert bpe_of(symbols) == bpe


def test_numbers_in_place_of_pieces_and_the_marks_of_another_bpe_are_refused() -> None:
    with pytest.raises(WordsError, match="numbers in place of pieces"):
        bpe_of(["<s>", "31373", "995", "13", "madeupword0000"])
    with pytest.raises(WordsError, match="not the marks of subword_nmt; by theirs it is sentencepiece"):
        require_bpe("subword_nmt", ["▁a", "b"])
    require_bpe("sentencepiece", ["▁a", "b"])


def test_marks_are_taken_off_the_words() -> None:
    assert words_of(["the", "hou@@", "s@@", "es", "burn@@"], "subword_nmt") == ["the", "houses", "burn"]
    assert words_of(["▁the", "▁hou", "ses", "▁", "<unk>"], "sentencepiece") == ["the", "houses", "<unk>"]
    assert words_of(["The", "Ġhou", "ses"], "byte_level") == ["The", "houses"]
    assert words_of(["the", "hou", "##ses", "burn"], "word_piece") == ["the", "houses", "burn"]
    assert words_of(["the</w>", "hou", "ses</w>"], "end_of_word") == ["the", "houses"]
    assert words_of([], "subword_nmt") == []
