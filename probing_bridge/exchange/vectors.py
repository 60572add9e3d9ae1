"""Text with a word and its numbers in every line (GloVe, word2vec): the same vector wherever the word stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from probing_bridge.errors import InputError
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.sentences import read_sentences
from probing_bridge.formats.text import numbered_lines

_MOST_DIGITS = 18  # of a number of words or of columns


class TextVectors:
    """The vectors of the words of a sentences file; one layer.

    A word is looked up as it is, then in lower case; one that is not there gets the vector of `<unk>` or `unk`, or
    zeros where the file has none.

    Attributes:
        layers: One, `0`.
        dim: Numbers of each word.
        origin: Unknown.
    """

    layers = ("0",)
    origin = Origin()

    def __init__(self, path: str | Path, sentences: str | Path) -> None:
        """Reads the vectors of the words that occur.

        Args:
            path: Text, a word and its numbers in each line; a first line of two numbers says how many words and
                numbers there are (word2vec).
            sentences: What `sentences` wrote.

        Raises:
            InputError: A line that is no word with as many numbers as the first or is endless, a word that is there
                twice, a first line that says otherwise, or a file that is not there.
        """
        self._lines = [text.words for text in read_sentences(sentences)]
        words = {word for line in self._lines for word in line}
        self._vectors = _read(path, words | {word.lower() for word in words} | {"<unk>", "unk"})
        if not self._vectors:
            raise InputError("has a vector for none of the words; is it of this language?", path)
        zeros = np.zeros_like(next(iter(self._vectors.values())))
        self.dim = len(zeros)
        self._unknown = self._vectors.get("<unk>", self._vectors.get("unk", zeros))

    def _find(self, word: str) -> np.ndarray | None:
        return self._vectors.get(word, self._vectors.get(word.lower()))

    @property
    def unknown_share(self) -> float:
        """Share of the words of the sentences file that have no vector."""
        found = [self._find(word) is not None for line in self._lines for word in line]
        return 1 - sum(found) / max(1, len(found))

    def sentences(self) -> Iterator[Sequence[str]]:
        """The words of every different sentence."""
        return iter(dict.fromkeys(self._lines))

    def read(self, tokens: Sequence[str]) -> np.ndarray:
        """The vectors of some words: (1, n_words, d) float32."""
        found = [self._find(word) for word in tokens]
        return np.stack([self._unknown if vector is None else vector for vector in found])[None]


def _read(path: str | Path, wanted: set[str]) -> dict[str, np.ndarray]:
    """The vectors of the wanted words; every line's word and length is checked."""
    vectors: dict[str, np.ndarray] = {}
    lines: dict[str, int] = {}  # word -> its line
    dim, stated = None, None
    for number, line in numbered_lines(path):
        word, *numbers = line.rstrip(" ").split(" ")
        if number == 1 and len(numbers) == 1 and _is_count(word) and _is_count(numbers[0]):
            stated, dim = int(word), int(numbers[0])
            continue
        dim = len(numbers) if dim is None else dim
        if len(numbers) > dim > 0 and not _is_number(numbers[-dim - 1]):  # some words of GloVe 840B hold spaces
            word, numbers = " ".join([word, *numbers[:-dim]]), numbers[-dim:]
        if (first := lines.setdefault(word, number)) != number:
            raise InputError(
                f"has {word!r} again, which line {first} has: which vector is it? take one out", path, number
            )
        if len(numbers) != dim or not dim:
            said = "line 1 says" if stated is not None else "the first line has"
            raise InputError(f"expected a word and {dim} finite numbers, as {said}; found {len(numbers)}", path, number)
        if word in wanted:
            vectors[word] = _vector(numbers, path, number)
    if stated is not None and stated != len(lines):
        raise InputError(f"says {stated} words, but {len(lines)} follow: is it a part of a file?", path, 1)
    return vectors


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _vector(numbers: list[str], path: str | Path, line: int) -> np.ndarray:
    try:
        vector = np.array(numbers, dtype=np.float32)
    except ValueError as error:
        raise InputError(f"expected a word and {len(numbers)} numbers ({error})", path, line) from error
    if not np.isfinite(vector).all():
        raise InputError(f"expected a word and {len(numbers)} finite numbers", path, line)
    return vector
