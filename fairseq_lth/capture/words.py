"""Words to pieces and back: which subwords the model sees for given words, and one vector a word from theirs.

Every word goes through fairseq's tokenizer by itself and through its BPE as the word after a space, where it has one
before it: so words are neither merged nor lost, every piece knows its word, and BPEs that see the space (byte-level
ones, sentencepiece without a dummy prefix) give the pieces of the whole sentence. Sentences that are longer than the
model's positions become overlapping windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from fairseq.tokenizer import tokenize_line
from torch import Tensor

from probing_bridge.formats.words import WordsError

SPACE_IS_A_PIECE = ("characters", "bytes")  # in these BPEs the model sees a symbol for the space between two words
BEFORE = "a"  # a word that stands before another while that is cut into its pieces
NO_WORD = -1


@dataclass(frozen=True)
class Window:
    """One sequence for the encoder.

    Attributes:
        ids: The pieces, EOS last.
        owners: The word each piece belongs to, counted from the window's first; NO_WORD for spaces and EOS.
        first: Number of the window's first word in the sentence.
        keep: The words of the window whose vectors are taken from it, as a range of `owners`.
    """

    ids: list[int]
    owners: list[int]
    first: int
    keep: range


class Segmenter:
    """Turns words into the ids of their pieces.

    Attributes:
        n_pieces: Pieces given out so far.
        n_unknown: Those that the dictionary does not have.
    """

    def __init__(self, dictionary: Any, tokenizer: Any | None, bpe: Any | None, bpe_name: str | None) -> None:
        """Takes fairseq's own objects.

        Args:
            dictionary: The source dictionary.
            tokenizer: fairseq's tokenizer, or None.
            bpe: fairseq's BPE, or None.
            bpe_name: The BPE's name in fairseq's registry.
        """
        self._dictionary, self._tokenizer, self._bpe = dictionary, tokenizer, bpe
        self._has_spaces = bpe_name in SPACE_IS_A_PIECE
        self._space = self._ids(self._cut(" ")) if self._has_spaces else []
        self._before = self._cut(BEFORE)
        self.pieces_of = lru_cache(maxsize=1 << 16)(self._pieces_of)
        self.n_pieces = self.n_unknown = 0

    @property
    def unknown(self) -> float:
        """Share of the pieces so far that the dictionary does not know."""
        return self.n_unknown / max(1, self.n_pieces)

    def _ids(self, pieces: Sequence[str]) -> list[int]:
        # a word that happens to be written like the padding symbol must not become padding
        pad, unknown = self._dictionary.pad(), self._dictionary.unk()
        ids = map(self._dictionary.index, pieces)
        return [unknown if index == pad else index for index in ids]

    def _cut(self, text: str) -> list[str]:
        return tokenize_line(text if self._bpe is None else self._bpe.encode(text))

    def _pieces_of(self, word: str, is_first: bool) -> list[int]:
        """Ids of a word's pieces; the unknown symbol for a word of which nothing is left (an empty one, say)."""
        text = word if self._tokenizer is None else self._tokenizer.encode(word)
        if is_first or self._has_spaces:
            pieces = self._cut(text)
        else:
            pieces = self._cut(f"{BEFORE} {text}")
            if pieces[: len(self._before)] != self._before:
                raise WordsError(f"the BPE makes pieces of several words, as of {word[:40]!r} with the one before it")
            pieces = pieces[len(self._before) :]
        return self._ids(pieces) or [self._dictionary.unk()]

    def windows(self, words: Sequence[str], limit: int) -> Iterator[Window]:
        """Cuts a sentence into the sequences that are encoded; one, unless it is too long.

        Windows overlap by about half, and a word's vector is taken from the window in whose middle it is.

        Args:
            words: The sentence.
            limit: The largest number of pieces that the encoder takes, EOS included.

        Raises:
            WordsError: A single word has more pieces than that, or the BPE makes pieces across words.
        """
        pieces = [self.pieces_of(word, number == 0) for number, word in enumerate(words)]
        self.n_pieces += sum(map(len, pieces))
        self.n_unknown += sum(ids.count(self._dictionary.unk()) for ids in pieces)
        widths = [len(ids) + len(self._space) for ids in pieces]
        if max(widths) > limit - 1:
            longest = words[widths.index(max(widths))]
            raise WordsError(f"the word {longest[:40]!r} has {max(widths)} pieces, and the model takes {limit - 1}")
        starts, stops = _spans(widths, limit - 1)
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            # where two windows overlap, the first half of the overlap belongs to the earlier one
            first = (start + stops[number - 1]) // 2 if number else 0
            last = (starts[number + 1] + stop) // 2 if number + 1 < len(starts) else stop
            yield self._window(pieces[start:stop], start, range(first - start, last - start))

    def _window(self, pieces: Sequence[list[int]], first: int, keep: range) -> Window:
        ids: list[int] = []
        owners: list[int] = []
        for number, own in enumerate(pieces):
            space = self._space if number else []
            ids += space + own
            owners += [NO_WORD] * len(space) + [number] * len(own)
        return Window([*ids, self._dictionary.eos()], [*owners, NO_WORD], first, keep)


def _spans(widths: Sequence[int], limit: int) -> tuple[list[int], list[int]]:
    """First and last (exclusive) words of windows of at most `limit` pieces, each overlapping the next by half."""
    starts, stops = [], []
    start = 0
    while True:
        stop, width = start, 0
        while stop < len(widths) and width + widths[stop] <= limit:
            width += widths[stop]
            stop += 1
        starts.append(start)
        stops.append(stop)
        if stop == len(widths):
            return starts, stops
        passed = widths[start]
        start += 1
        while start < stop - 1 and passed < width / 2:
            passed += widths[start]
            start += 1


def pool(rows: Tensor, owners: Tensor, n_words: int, pooling: str) -> Tensor:
    """One vector a word from those of its pieces.

    Args:
        rows: (n_pieces, d).
        owners: (n_pieces,), ascending: the word of each piece.
        n_words: Number of words; each has at least one piece.
        pooling: mean, first or last.

    Returns:
        (n_words, d).
    """
    counts = torch.bincount(owners, minlength=n_words)
    if pooling == "mean":
        return rows.new_zeros(n_words, rows.shape[1]).index_add_(0, owners, rows) / counts[:, None]
    ends = counts.cumsum(0)
    return rows[ends - counts if pooling == "first" else ends - 1]
