"""Writes word representations: the file is laid out first, then the texts go to their places in any order."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from probing_bridge.errors import InputError
from probing_bridge.formats.blocks import DTYPES, Block, lay_out, narrowed, offsets_of, write_at
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.hdf5 import WritableHdf5
from probing_bridge.formats.layers import layer_names_fault
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations.layout import (
    DIGEST,
    DIVIDED,
    FORMAT,
    FORMAT_VERSION,
    WordVectors,
    digest,
    sentence_text,
    shard_bounds,
    shown,
)
from probing_bridge.formats.shards import shard_path


class RepresentationWriter:
    """Writes a representation file, or one shard of it; the file gets its name only when it is whole.

    A context manager: leaving it normally checks that every text came and renames the finished file into place,
    leaving it by an exception removes what was written. `origin`, where the vectors come from, may be set until then.

    Attributes:
        path: The final name.
        layers: Names of the layers, in the order of the arrays.
    """

    def __init__(
        self,
        path: str | Path,
        sentences: Iterable[Sequence[str]],
        layers: Sequence[str],
        dim: int,
        origin: Origin,
        dtype: str = "float32",
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """Describes the file; nothing is written before `with`.

        Args:
            path: The name of the whole; a shard's number is put into it.
            sentences: The words of every sentence of the corpus; one whose text was there before is left out.
            layers: Names of the layers, in the order of the arrays: 0 = embeddings, 1, .., `norm` = the final norm of
                a pre-norm model.
            dim: Numbers per word and layer.
            origin: Where the vectors come from.
            dtype: float32, or float16: then the mean of the first texts that come is stored for each layer, and taken
                off before rounding.
            shard: (i, n): this process writes the i-th of n shards, from 0; (0, 1): the whole.

        Raises:
            ValueError: No layer, one that is there twice, a name that is neither a number nor a word; a sentence
                without words, or one whose text is that of another with other words.
        """
        if (fault := layer_names_fault(layers)) is not None:
            raise ValueError(f"layers {','.join(layers)!r}: {fault}")
        self.layers, self.origin, self._dim, self._dtype = tuple(layers), origin, dim, dtype
        self.path = Path(path) if shard[1] == 1 else shard_path(path, *shard)
        self._place = written_beside(self.path)
        lengths: dict[str, int] = {}
        for tokens in sentences:
            text = sentence_text(tokens)
            if not text or DIVIDED.search(text) or text.count(" ") != len(tokens) - 1:
                raise ValueError(f"{shown(text)}: no words, or a word with white space in it")
            lengths[text] = len(tokens)
        self._n_texts = len(lengths)
        self._first, last = shard_bounds(self._n_texts, *shard)
        self._numbers = {text: number for number, text in enumerate(list(lengths)[self._first : last])}
        counts = [lengths[text] for text in self._numbers]
        self._offsets = offsets_of(np.asarray(counts, np.int64))
        self._missing = np.ones(len(counts), dtype=bool)
        self._digests = np.zeros((len(self.layers), len(counts), DIGEST), np.uint8)
        self._means: list[np.ndarray | None] = [None] * len(self.layers)
        self._blocks: list[Block] = []
        self._fd = -1

    def __enter__(self) -> RepresentationWriter:
        """Lays the whole file out beside its final name."""
        self._beside = self._place.__enter__()
        try:
            dtype, rows = DTYPES[self._dtype], int(self._offsets[-1])
            needed = len(self.layers) * rows * self._dim * dtype.itemsize
            free = shutil.disk_usage(self._beside.parent).free
            if needed > free:
                reason = f"needs {needed / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB"
                raise InputError(f"{reason}; make room, or choose float16", self.path)
            with WritableHdf5(self._beside, "x") as file:
                for layer in self.layers:
                    position = lay_out(file, f"layers/{layer}", (rows, self._dim), dtype)
                    self._blocks.append(Block(position, rows, self._dim, dtype))
                file["texts"] = np.frombuffer("\n".join(self._numbers).encode("utf-8", "surrogatepass"), np.uint8)
                file["offsets"] = self._offsets
            self._fd = os.open(self._beside, os.O_WRONLY)
        except OSError as error:
            self._place.__exit__(*sys.exc_info())
            raise InputError(f"cannot be written ({error.strerror or error})", self.path) from error
        except BaseException:
            self._place.__exit__(*sys.exc_info())
            raise
        return self

    def __len__(self) -> int:
        """The number of different texts that this process writes."""
        return len(self._numbers)

    def wants(self, tokens: Sequence[str]) -> bool:
        """Whether the sentence is one of this process's and has not come yet."""
        number = self._numbers.get(sentence_text(tokens))
        return number is not None and bool(self._missing[number])

    def add(self, tokens: Sequence[str], array: np.ndarray) -> None:
        """Writes one sentence.

        Args:
            tokens: The words, as they were among the sentences.
            array: (n_layers, n_words, d), any float type.

        Raises:
            ValueError: A sentence that was not to come, a shape that does not fit it, or a value that is not finite
                or that float16 cannot hold.
            InputError: The system refused to write.
        """
        if self._fd < 0:
            raise ValueError("the writer is not open: use it in a `with` statement")
        text = sentence_text(tokens)
        number = self._numbers.get(text)
        if number is None:
            raise ValueError(f"{shown(text)}: is none of those to be written")
        start, stop = self._offsets[number : number + 2].tolist()
        expected = (len(self.layers), stop - start, self._dim)
        if array.shape != expected:
            raise ValueError(f"{shown(text)}: an array of shape {array.shape}, expected {expected} (layers, words, d)")
        for place, (block, rows) in enumerate(zip(self._blocks, array, strict=True)):
            if self._means[place] is None and self._dtype == "float16" and np.isfinite(rows).all():
                self._means[place] = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
            stored = narrowed(rows, self._means[place], block.dtype)
            if stored is None:
                raise ValueError(f"{shown(text)}: a value is not finite, or too large for {self._dtype}")
            self._digests[place, number] = np.frombuffer(digest(stored), np.uint8)
            try:
                write_at(self._fd, stored.reshape(-1).view(np.uint8).data, block.position + start * block.width)
            except OSError as error:
                raise InputError(f"cannot be written ({error.strerror or error})", self.path) from error
        self._missing[number] = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the file and gives it its name, or removes what was written."""
        descriptor, self._fd = self._fd, -1
        os.close(descriptor)
        try:
            if kind is None:
                self._complete()
        except BaseException:
            self._place.__exit__(*sys.exc_info())
            raise
        self._place.__exit__(kind, error, trace)

    def _complete(self) -> None:
        if self._missing.any():
            first = next(text for text, number in self._numbers.items() if self._missing[number])
            raise ValueError(f"{int(self._missing.sum())} of {len(self)} sentences never came, first {shown(first)}")
        with WritableHdf5(self._beside, "r+") as file:
            for place, layer in enumerate(self.layers):
                file[f"digests/{layer}"] = self._digests[place]
                if self._dtype == "float16":
                    mean = self._means[place]
                    file[f"means/{layer}"] = np.zeros(self._dim, np.float32) if mean is None else mean
            own = {"format": FORMAT, "format_version": FORMAT_VERSION, "layers": ",".join(self.layers)}
            numbers = {"dtype": self._dtype, "first": self._first, "of": self._n_texts}
            file.attrs.update({**self.origin.attributes(), **own, **numbers})


def write_vectors(source: WordVectors, path: str | Path, origin: Origin) -> int:
    """Writes every sentence of a source, checking each.

    Args:
        source: Vectors of words, from whatever they were read.
        path: The file to write.
        origin: What the file says of where they come from.

    Returns:
        Number of sentences.

    Raises:
        BridgeError: A sentence that cannot be used; nothing is written then.
    """
    with RepresentationWriter(path, source.sentences(), source.layers, source.dim, origin) as writer:
        for words in source.sentences():
            if writer.wants(words):
                writer.add(words, source.read(words))
        return len(writer)
