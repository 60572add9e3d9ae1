"""Reads word representations, in one file or in shards, or in one file in the layout of Liu et al. (2019)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from probing_bridge.errors import InputError
from probing_bridge.formats.hdf5 import open_hdf5
from probing_bridge.formats.representations.file import RepresentationFile
from probing_bridge.formats.representations.layout import INDEX, sentence_text, shown
from probing_bridge.formats.representations.liu_file import LiuFile
from probing_bridge.formats.shards import shard_paths

_PIECE = 2**22  # numbers read at a time, 16 MB, so that what is held does not grow with the corpus


class Representations:
    """Word representations, open for reading; also a context manager.

    Attributes:
        path: The file, or the name that the shards share.
        origin: Where the vectors come from.
        layers: Names of the layers, in the order of the arrays.
        dim: Numbers per word and layer.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens the file of that name, or the shards FILE.shard0-of-N.hdf5 .. of one, and checks that it is whole.

        Args:
            path: The name given to `encode`.

        Raises:
            InputError: Neither there, both there, a shard missing or of another model, not such a file, damaged, or
                changed since it was written.
        """
        self.path = Path(path)
        paths = shard_paths(self.path, "encode them too") or [self.path]
        with ExitStack() as opened:
            self._files = [opened.enter_context(closing(_opened(one))) for one in paths]
            first = self._files[0]
            self.layers, self.dim = first.layers, first.dim
            self.origin, last = first.origin, 0
            for file in self._files:
                if file.identity != first.identity or file.first != last:
                    raise InputError(f"does not belong to {first.path.name}; encode all shards again", file.path)
                last += len(file.texts)
            if last != first.of:
                raise InputError(f"holds {last} of {first.of} texts; encode again", self.path)
            self._places = {text: (file, number) for file in self._files for number, text in enumerate(file.texts)}
            if len(self._places) != last:
                raise InputError("has a sentence twice", self.path)
            if not last:
                raise InputError("holds no sentence", self.path)
            shares = [file.origin.unknown_pieces for file in self._files if file.origin.unknown_pieces is not None]
            if shares:  # of each shard by itself: the worst is what is warned of
                self.origin = replace(self.origin, unknown_pieces=max(shares))
            opened.pop_all()

    @cached_property
    def hash(self) -> str:
        """Sha256 (hex) of texts and values, without reading the values; of shards, of their hashes."""
        hashes = [file.content_hash() for file in self._files]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()

    def __len__(self) -> int:
        """The number of different sentences."""
        return len(self._places)

    def __contains__(self, tokens: Sequence[str]) -> bool:
        """Whether the sentence is there."""
        return sentence_text(tokens) in self._places

    def sentences(self) -> Iterator[list[str]]:
        """The words of every sentence, in the order of the corpus."""
        return (text.split(" ") for text in self._places)

    def require_layers(self, layers: Sequence[str]) -> None:
        """Refuses names that no layer has.

        Raises:
            InputError: Such a name, with those that there are.
        """
        for name in layers:
            if name not in self.layers:
                raise InputError(f"has the layers {','.join(self.layers)}, no layer {name}", self.path)

    def read(self, tokens: Sequence[str], layers: Sequence[str] | None = None) -> np.ndarray:
        """Reads one sentence.

        Args:
            tokens: The words.
            layers: Names of the layers, in the order wanted; all if None.

        Returns:
            (len(layers), n_words, d) float32.

        Raises:
            InputError: The sentence or a layer is not in the file, the sentence has another number of words than it
                should, or values that are not those that were written.
        """
        layers = self.layers if layers is None else layers
        out = np.empty((len(layers), len(tokens), self.dim), np.float32)
        self.read_into([tokens], layers, out)
        return out

    def read_into(self, sentences: Iterable[Sequence[str]], layers: Sequence[str], out: np.ndarray) -> None:
        """Reads many sentences, neighbours in the file in pieces of some megabytes.

        Args:
            sentences: Their words.
            layers: Names of the layers.
            out: (len(layers), words of all sentences, d) float32: where they go, one sentence after the other.

        Raises:
            InputError: As for `read`.
        """
        self.require_layers(layers)
        runs = self._runs(sentences)
        for place, layer in enumerate(layers):
            row = 0
            for file, first, last in runs:
                n_rows = int(file.offsets[last] - file.offsets[first])
                file.read(self.layers.index(layer), first, last, out[place, row : row + n_rows])
                row += n_rows

    def check_shapes(self, sentences: Iterable[Sequence[str]]) -> None:
        """Looks whether sentences have a vector for each word, without reading any.

        Raises:
            InputError: One that is not there, or has another number of words, layers or dimensions than it should.
        """
        for file, first, last in self._runs(sentences):
            if isinstance(file, LiuFile):  # ours was checked when it was opened
                for number in range(first, last):
                    file.open_sentence(number)

    def _runs(self, sentences: Iterable[Sequence[str]]) -> list[tuple[RepresentationFile | LiuFile, int, int]]:
        """Sentences as ranges of texts that follow each other in a file, of at most _PIECE numbers a layer."""
        runs: list[tuple[RepresentationFile | LiuFile, int, int]] = []
        for tokens in sentences:
            text = sentence_text(tokens)
            if text not in self._places:
                raise InputError(f"{shown(text)} is missing; encode the output of `sentences` again", self.path)
            file, number = self._places[text]
            n_words = int(file.offsets[number + 1] - file.offsets[number])
            if n_words != len(tokens):
                raise InputError(f"{shown(text)} has {len(tokens)} words but {n_words} vectors", self.path)
            goes_on = bool(runs) and runs[-1][0] is file and runs[-1][2] == number
            if goes_on and int(file.offsets[number + 1] - file.offsets[runs[-1][1]]) * self.dim <= _PIECE:
                runs[-1] = (file, runs[-1][1], number + 1)
            else:
                runs.append((file, number, number + 1))
        return runs

    def close(self) -> None:
        """Closes what is open."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Representations:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes what is open."""
        self.close()


def _opened(path: Path) -> RepresentationFile | LiuFile:
    """A file in our layout or in that of Liu et al. (2019)."""
    with open_hdf5(path, "word representations as `encode` writes them") as file:
        is_liu = INDEX in file
    return LiuFile(path) if is_liu else RepresentationFile(path)
