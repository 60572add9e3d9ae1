"""Words to the pieces of a Hugging Face tokenizer, every piece with its word.

A fast tokenizer says which characters a piece is of, so the whole sentence is cut at once, as the model reads it.
The others (Marian, FSMT, M2M100) cut every word by itself, as the word after another, by their own rule of what begins
a word. Words that are written like a symbol of the tokenizer's own, as `[MASK]`, are text like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from probing_bridge.capture.windows import BEFORE, Segmenter, WordByWord
from probing_bridge.formats.words import WordsError


def segmenter_of(tokenizer: Any, start: int | None = None) -> Segmenter:
    """What cuts words.

    Args:
        tokenizer: Of open_tokenizer.
        start: What a decoder begins with, which reads its words shifted by one; None: the pieces are an encoder's.
    """
    kind = FastSegmenter if tokenizer.is_fast else SlowSegmenter
    before, after = _around(tokenizer)
    return kind(tokenizer, before, after) if start is None else kind(tokenizer, [start, *before], after[:-1])


def with_specials(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text with the symbols that the model has before and after it."""
    return list(tokenizer(text, split_special_tokens=True, truncation=False)["input_ids"])


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and after a text."""
    whole = with_specials(tokenizer, BEFORE)
    bare = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(BEFORE))
    for start in range(len(whole)):
        if whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :]
    raise WordsError(f"the tokenizer ({type(tokenizer).__name__}) gives {BEFORE!r} other pieces among its own symbols")


def _unknown(tokenizer: Any) -> int:
    return -1 if tokenizer.unk_token_id is None else int(tokenizer.unk_token_id)


def _no_padding(ids: Sequence[int], pad: int | None, unknown: int) -> list[int]:
    """Ids of a word's pieces; one that is written like the padding symbol is unknown, where there is such a symbol."""
    return [unknown if index == pad and unknown >= 0 else index for index in ids]


class FastSegmenter(Segmenter):
    """Cuts a whole sentence, and looks which word the characters of a piece are of."""

    def __init__(self, tokenizer: Any, before: Sequence[int], after: Sequence[int]) -> None:
        """Takes the tokenizer, and what it puts before and after a text."""
        super().__init__(_unknown(tokenizer), before, after)
        self._tokenizer, self._pad = tokenizer, tokenizer.pad_token_id

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """See Segmenter."""
        text = " ".join(words)
        cut = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, truncation=False
        )
        # the word of every character; a space is of the word after it, as in the pieces that have it in front
        widths = [len(word) + (number > 0) for number, word in enumerate(words)]
        word_at = np.repeat(np.arange(len(words)), widths)
        pieces: list[list[int]] = [[] for _ in words]
        for piece, (start, stop) in zip(cut["input_ids"], cut["offset_mapping"], strict=True):
            owners = {int(word_at[place]) for place in range(start, stop) if text[place] != " "}
            if len(owners) > 1:
                raise WordsError(f"the tokenizer makes one piece of {text[start:stop][:40]!r}, which is several words")
            pieces[owners.pop() if owners else int(word_at[min(start, len(text) - 1)])].append(piece)
        if self._unknown < 0 and not all(pieces):
            word = words[pieces.index([])]
            raise WordsError(f"the tokenizer has no piece of the word {word[:40]!r}, and no unknown symbol")
        return [_no_padding(own, self._pad, self._unknown) or [self._unknown] for own in pieces]


class SlowSegmenter(WordByWord):
    """Cuts a word at a time."""

    def __init__(self, tokenizer: Any, before: Sequence[int], after: Sequence[int]) -> None:
        """Takes the tokenizer, and what it puts before and after a text."""
        self._tokenizer, self._pad = tokenizer, tokenizer.pad_token_id
        super().__init__(_unknown(tokenizer), before, after)

    def _cut(self, text: str) -> list[str]:
        return list(self._tokenizer.tokenize(text, split_special_tokens=True))

    def _ids(self, pieces: Sequence[str]) -> list[int]:
        return _no_padding(self._tokenizer.convert_tokens_to_ids(list(pieces)), self._pad, self._unknown)
