"""Words to pieces and back: what a model sees of given words, and one vector a word from those of its pieces.

Every piece knows its word, so words are neither merged nor lost. Sentences that are longer than the model's positions
become overlapping windows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from probing_bridge.formats.words import WordsError

BEFORE = "a"  # a word that stands before another while that is cut into its pieces
NO_WORD = -1


@dataclass(frozen=True)
class Window:
    """One sequence for the model.

    Attributes:
        ids: The pieces, with the symbols that the model has before and after them.
        owners: The word each piece belongs to, counted from the window's first; NO_WORD for spaces and such symbols.
        first: Number of the window's first word in the sentence.
        keep: The words of the window whose vectors are taken from it, as a range of `owners`.
        source: Of the words of a target, the pieces of its source, which the encoder reads.
    """

    ids: list[int]
    owners: list[int]
    first: int
    keep: range
    source: tuple[int, ...] = ()


class Segmenter(ABC):
    """Turns words into the ids of their pieces.

    Attributes:
        n_pieces: Pieces given out so far.
        n_unknown: Those that the dictionary does not have.
    """

    def __init__(self, unknown: int, before: Sequence[int], after: Sequence[int], space: Sequence[int] = ()) -> None:
        """Takes what does not belong to words.

        Args:
            unknown: Id of the unknown symbol; -1 if there is none.
            before: Ids that begin every sequence.
            after: Ids that end it, such as EOS.
            space: Ids between two words, in dictionaries that have the space as a symbol.
        """
        self._unknown, self._before, self._after, self._space = unknown, list(before), list(after), list(space)
        self.n_pieces = self.n_unknown = 0

    @property
    def unknown(self) -> float:
        """Share of the pieces so far that the dictionary does not know."""
        return self.n_unknown / max(1, self.n_pieces)

    @abstractmethod
    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """The ids of each word's pieces, at least one a word.

        Raises:
            WordsError: A piece is of several words.
        """

    def windows(self, words: Sequence[str], limit: int) -> Iterator[Window]:
        """Cuts a sentence into the sequences that are encoded; one, unless it is too long.

        Windows overlap by about half, and a word's vector is taken from the window in whose middle it is.

        Args:
            words: The sentence.
            limit: The largest number of pieces that the model takes, with those before and after the words.

        Raises:
            WordsError: A single word has more pieces than that, or a piece is of several words.
        """
        pieces = self.pieces(words)
        self.n_pieces += sum(map(len, pieces))
        self.n_unknown += sum(ids.count(self._unknown) for ids in pieces)
        widths = [len(ids) + len(self._space) for ids in pieces]
        limit -= len(self._before) + len(self._after)
        if max(widths) > limit:
            longest = words[widths.index(max(widths))]
            raise WordsError(f"the word {longest[:40]!r} has {max(widths)} pieces, and the model takes {limit}")
        starts, stops = _spans(widths, limit)
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            # where two windows overlap, the first half of the overlap belongs to the earlier one
            first = (start + stops[number - 1]) // 2 if number else 0
            last = (starts[number + 1] + stop) // 2 if number + 1 < len(starts) else stop
            yield self._window(pieces[start:stop], start, range(first - start, last - start))

    def sequence(self, words: Sequence[str], limit: int) -> tuple[int, ...]:
        """The ids of a sentence that is read whole; one without words is only what begins and ends it.

        Raises:
            WordsError: It has more pieces than the limit, or a piece is of several words.
        """
        window = self._window(self.pieces(words) if words else [], 0, range(len(words)))
        if len(window.ids) > limit:
            raise WordsError(f"the source has {len(window.ids)} pieces, and the model takes {limit}")
        return tuple(window.ids)

    def _window(self, pieces: Sequence[list[int]], first: int, keep: range) -> Window:
        ids, owners = [*self._before], [NO_WORD] * len(self._before)
        for number, own in enumerate(pieces):
            space = self._space if number else []
            ids += space + own
            owners += [NO_WORD] * len(space) + [number] * len(own)
        return Window([*ids, *self._after], owners + [NO_WORD] * len(self._after), first, keep)


class WordByWord(Segmenter):
    """Cuts every word by itself, as the word after a space where it has one before it.

    So dictionaries that mark the space before a word (byte-level ones, sentencepiece without a dummy prefix) give the
    pieces of the whole sentence.
    """

    def __init__(self, unknown: int, before: Sequence[int], after: Sequence[int], space: Sequence[int] = ()) -> None:
        """As the base class; what a subclass needs in `_cut` and `_ids` is set before."""
        super().__init__(unknown, before, after, space)
        self._cut_before = self._cut(BEFORE)
        self.pieces_of = lru_cache(maxsize=1 << 16)(self._pieces_of)

    @abstractmethod
    def _cut(self, text: str) -> list[str]:
        """The pieces of a text."""

    @abstractmethod
    def _ids(self, pieces: Sequence[str]) -> list[int]:
        """Their ids; a word that happens to be written like the padding symbol is unknown."""

    def _text(self, word: str) -> str:
        """What of a word is cut into pieces."""
        return word

    def _pieces_of(self, word: str, is_first: bool) -> list[int]:
        """Ids of a word's pieces; the unknown symbol for a word of which nothing is left (an empty one, say)."""
        text = self._text(word)
        if is_first or self._space:
            pieces = self._cut(text)
        else:
            pieces = self._cut(f"{BEFORE} {text}")
            if pieces[: len(self._cut_before)] != self._cut_before:
                raise WordsError(f"the BPE makes pieces of several words, as of {word[:40]!r} with the one before it")
            pieces = pieces[len(self._cut_before) :]
        return self._ids(pieces) or [self._unknown]

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """See Segmenter."""
        return [self.pieces_of(word, number == 0) for number, word in enumerate(words)]


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
