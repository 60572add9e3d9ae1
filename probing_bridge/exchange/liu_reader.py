"""The HDF5 of contextual-repr-analysis (Liu et al., 2019), read: one array of all layers per sentence.

Keys "0", "1", ... hold (n_layers, n_words, d) floats (or (n_words, d): one layer); "sentence_to_index" holds a JSON
object from the sentence text (words joined by one space) to the key. Files that `export` made also say on the root
where they come from and what their layers are called (`layers`: "0,1,2,norm"); those of others have their layers
numbered from 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from probing_bridge.errors import InputError
from probing_bridge.formats.hdf5 import open_hdf5, plain_attributes, plain_dataset, unreadable
from probing_bridge.formats.layers import layer_names_fault
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations.layout import DIVIDED, sentence_text, shown

INDEX = "sentence_to_index"
_KEY = re.compile("[^\0/\ud800-\udfff]+")


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    index = dict(pairs)
    if len(index) != len(pairs):
        raise ValueError("a sentence is in it twice")
    return index


class LiuVectors:
    """The vectors of such a file, open for reading; also a context manager.

    Attributes:
        path: The file.
        origin: What the root says of where the vectors come from; files made elsewhere say nothing.
        layers: Names of the layers, in the order of the arrays; 0, 1, .. where the file does not name them.
        dim: Numbers per word and layer.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens a file and checks its index and the shape of its first sentence.

        Args:
            path: The HDF5 file.

        Raises:
            InputError: No such file, not HDF5, no index, arrays of another shape than the layout's, names of layers
                that do not fit the arrays, or an attribute of another type than ours.
        """
        self.path = Path(path)
        self._file = open_hdf5(self.path, "word representations in the layout of Liu et al. (2019)")
        try:
            self._keys = self._read_index()
            attributes = plain_attributes(self._file)
            self.origin = Origin.of(attributes, self.path)
            _, first = self._open(next(iter(self._keys)))
            self.layers = self._layer_names(attributes.get("layers"), first[0])
        except Exception:
            self._file.close()
            raise
        self.dim = first[2]

    def _layer_names(self, given: object, n_layers: int) -> tuple[str, ...]:
        if given is None:
            return tuple(str(number) for number in range(n_layers))
        if not isinstance(given, str):
            raise InputError(f"attribute 'layers' is {given!r}, expected names such as '0,1,2,norm'", self.path)
        layers = tuple(given.split(",")) if given else ()
        if (fault := layer_names_fault(layers, n_layers)) is not None:
            raise InputError(f"attribute 'layers' {fault}", self.path)
        return layers

    def _read_index(self) -> dict[str, str]:
        kind = "an activation dump, not word representations" if "states" in self._file else "not a layout we know"
        there = INDEX in self._file
        dataset = h5py.Dataset(plain_dataset(self._file.id, INDEX.encode(), self.path)) if there else None
        if dataset is None or dataset.shape != (1,):
            raise InputError(f"has no dataset {INDEX!r} of shape (1,): {kind}", self.path)
        try:
            index = json.loads(dataset.asstr()[0], object_pairs_hook=_each_once)
        except (TypeError, ValueError, OSError, RecursionError) as error:
            raise InputError(f"{INDEX!r} is not a JSON object ({error!s:.200})", self.path) from error
        if type(index) is not dict or not all(type(key) is str and _KEY.fullmatch(key) for key in index.values()):
            raise InputError(f"{INDEX!r} does not map sentences to keys", self.path)
        if len(set(index.values())) != len(index):
            raise InputError(f"{INDEX!r} gives one key to two sentences", self.path)
        if not index:
            raise InputError("holds no sentence", self.path)
        if (text := next(filter(DIVIDED.search, index), None)) is not None:
            raise InputError(f"{shown(text)} has a word with white space in it", self.path)
        if "" in index:
            raise InputError("has a sentence without words", self.path)
        return index

    def _open(self, text: str) -> tuple[h5py.h5d.DatasetID, tuple[int, int, int]]:
        """The array of a stored sentence and its (layers, words, d), with nothing read but the header."""
        key = self._keys[text]
        name = f"{shown(text)} (key {key!r})"
        dataset = plain_dataset(self._file.id, key.encode(), self.path, name)
        shape = dataset.shape
        if dataset.get_type().get_class() != h5py.h5t.FLOAT or len(shape) not in (2, 3) or 0 in shape:
            found = f"{dataset.dtype} of shape {shape}"
            raise InputError(f"{name}: expected floats of shape (layers, words, d), found {found}", self.path)
        return dataset, (shape if len(shape) == 3 else (1, *shape))

    def sentences(self) -> Iterator[list[str]]:
        """The words of every sentence, in the order of the index."""
        return (text.split(" ") for text in self._keys)

    def read(self, tokens: Sequence[str]) -> np.ndarray:
        """Reads one sentence.

        Args:
            tokens: The words of one of `sentences`.

        Returns:
            (n_layers, n_words, d) float32.

        Raises:
            InputError: The sentence has another number of words, layers or dimensions than it should, or holds a value
                that is not finite.
        """
        text = sentence_text(tokens)
        dataset, shape = self._open(text)
        if shape[1] != len(tokens):
            raise InputError(f"{shown(text)} has {len(tokens)} words but {shape[1]} vectors", self.path)
        expected = (len(self.layers), len(tokens), self.dim)
        if shape != expected:
            raise InputError(
                f"{shown(text)}: expected the shape {expected} of the first sentence, found {shape}", self.path
            )
        array = np.empty(dataset.shape, np.float32)
        try:
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        except OSError as error:
            raise unreadable(shown(text), self.path, error) from error
        if not np.isfinite(array).all():
            raise InputError(f"{shown(text)}: a value is not finite", self.path)
        return array.reshape(shape)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> LiuVectors:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self.close()
