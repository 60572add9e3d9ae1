"""The HDF5 of contextual-repr-analysis (Liu et al., 2019): one array of all layers per sentence.

Keys "0", "1", ... hold (n_layers, n_words, d) floats (or (n_words, d): one layer); "sentence_to_index" holds a JSON
object from the sentence text (words joined by one space) to the key. Files that `export` made also say on the root
where they come from and what their layers are called (`layers`: "0,1,2,norm"); those of others have their layers
numbered from 0.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np

from probing_bridge.errors import InputError
from probing_bridge.formats.blocks import offsets_of
from probing_bridge.formats.files import file_hash
from probing_bridge.formats.hdf5 import open_hdf5, plain_attributes, plain_dataset, unreadable
from probing_bridge.formats.layers import layer_names_fault
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations.layout import DIVIDED, INDEX, shown

_KEY = re.compile("[^\0/\ud800-\udfff]+")


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    index = dict(pairs)
    if len(index) != len(pairs):
        raise ValueError("a sentence is in it twice")
    return index


class LiuFile:
    """Such a file, open for reading; it offers what RepresentationFile does.

    Attributes:
        path: The file.
        origin: What the root says of where the vectors come from; files made elsewhere say nothing.
        layers: Names of the layers, in the order of the arrays; 0, 1, .. where the file does not name them.
        dim: Numbers per word and layer.
        texts: Its texts, in the order of the index.
        offsets: (n_texts + 1,) int64, as their words say.
        first: 0.
        of: The number of its texts.
    """

    first = 0

    def __init__(self, path: Path) -> None:
        """Opens a file and checks its index and the shape of its first sentence.

        Args:
            path: The HDF5 file.

        Raises:
            InputError: No such file, not HDF5, no index, arrays of another shape than the layout's, names of layers
                that do not fit the arrays, or an attribute of another type than ours.
        """
        self.path = path
        self._file = open_hdf5(path, "word representations")
        try:
            index = self._read_index()
            self.texts, self._keys, self.of = list(index), list(index.values()), len(index)
            attributes = plain_attributes(self._file)
            self.origin = Origin.of(attributes, path)
            _, first = self._open(0)
            self.layers = self._layer_names(attributes.get("layers"), first[0])
            self.dim = first[2]
        except Exception:
            self._file.close()
            raise
        counts = [text.count(" ") + 1 for text in self.texts]
        self.offsets = offsets_of(np.asarray(counts, np.int64))
        self.identity = (self.origin, self.layers)

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

    def _open(self, number: int) -> tuple[h5py.h5d.DatasetID, tuple[int, int, int]]:
        """The array of a sentence and its (layers, words, d), with nothing read but the header."""
        key = self._keys[number]
        name = f"{shown(self.texts[number])} (key {key!r})"
        dataset = plain_dataset(self._file.id, key.encode(), self.path, name)
        shape = dataset.shape
        if dataset.get_type().get_class() != h5py.h5t.FLOAT or len(shape) not in (2, 3) or 0 in shape:
            found = f"{dataset.dtype} of shape {shape}"
            raise InputError(f"{name}: expected floats of shape (layers, words, d), found {found}", self.path)
        return dataset, (shape if len(shape) == 3 else (1, *shape))

    def content_hash(self) -> str:
        """The sha256 of the file's bytes, in hexadecimal."""
        return file_hash(self.path)

    def open_sentence(self, number: int) -> h5py.h5d.DatasetID:
        """The array of a sentence, of which nothing is read but the header.

        Raises:
            InputError: It has another number of words, layers or dimensions than it should.
        """
        name, n_words = shown(self.texts[number]), int(self.offsets[number + 1] - self.offsets[number])
        dataset, shape = self._open(number)
        if shape[1] != n_words:
            raise InputError(f"{name} has {n_words} words but {shape[1]} vectors", self.path)
        expected = (len(self.layers), n_words, self.dim)
        if shape != expected:
            raise InputError(f"{name}: expected the shape {expected} of the first sentence, found {shape}", self.path)
        return dataset

    def read(self, place: int, first: int, last: int, out: np.ndarray) -> None:
        """Reads texts of a layer; see RepresentationFile.

        Raises:
            InputError: A sentence that has another number of words, layers or dimensions than it should, or a value
                that is not finite.
        """
        start = self.offsets[first]
        for number in range(first, last):
            name, dataset = shown(self.texts[number]), self.open_sentence(number)
            rows = out[self.offsets[number] - start : self.offsets[number + 1] - start]
            chosen = dataset.get_space()
            if len(dataset.shape) == 3:
                chosen.select_hyperslab((place, 0, 0), (1, *rows.shape))
            try:
                dataset.read(h5py.h5s.create_simple(rows.shape), chosen, rows)
            except OSError as error:
                raise unreadable(name, self.path, error) from error
            if not np.isfinite(rows).all():
                raise InputError(f"{name}: a value is not finite", self.path)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
