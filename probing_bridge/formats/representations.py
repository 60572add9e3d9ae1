"""Word representations in the HDF5 layout of Liu et al. (2019): one array of all layers per sentence.

Keys "0", "1", ... hold (n_layers, n_words, d) float32 (or (n_words, d): one layer); "sentence_to_index" holds a
JSON object from the sentence text (words joined by one space) to the key. Our own files also say on the root which
checkpoint they come from and what their layers are called (`layers`: "0,1,2,norm"); files made elsewhere lack that
and are read all the same, their layers numbered from 0. `encode` and `import` write these files, `probe` reads them,
and this module is the only one that knows the layout.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from probing_bridge.errors import InputError
from probing_bridge.formats.files import file_hash, written_beside
from probing_bridge.formats.hdf5 import WritableHdf5, open_hdf5, plain_attributes, plain_dataset, unreadable
from probing_bridge.formats.layers import layer_names_fault
from probing_bridge.formats.origin import Origin

INDEX = "sentence_to_index"
FORMAT = "lth-representations"
FORMAT_VERSION = 1
_DIVIDED = re.compile("[\t\n\r\x0b\x0c]")  # a word with white space in it
_KEY = re.compile("[^\0/\ud800-\udfff]+")


def sentence_text(tokens: Sequence[str]) -> str:
    """The text under which a sentence is stored: its words joined by one space."""
    return " ".join(tokens)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    index = dict(pairs)
    if len(index) != len(pairs):
        raise ValueError("a sentence is in it twice")
    return index


class RepresentationWriter:
    """Writes a representation file sentence by sentence; the file gets its name only when it is whole.

    A context manager: leaving it normally renames the finished file into place, leaving it by an exception
    removes what was written. `origin`, where the vectors come from, may be set until then.
    """

    def __init__(self, path: str | Path, layers: Sequence[str], origin: Origin) -> None:
        """Starts a file beside the final one.

        Args:
            path: The final name.
            layers: Names of the layers, in the order of the arrays: 0 = embeddings, 1, .., `norm` = the final norm of
                a pre-norm model.
            origin: Where the vectors come from.

        Raises:
            ValueError: No layer, one that is there twice, or a name that is neither a number nor a word.
        """
        if (fault := layer_names_fault(layers)) is not None:
            raise ValueError(f"layers {','.join(layers)!r}: {fault}")
        self.layers = tuple(layers)
        self.path = Path(path)
        self._place = written_beside(path)
        self.origin = origin
        self._keys: dict[str, str] = {}
        self._lengths: dict[str, int] = {}
        self._dim: int | None = None
        self._written: WritableHdf5 | None = None

    def __enter__(self) -> RepresentationWriter:
        """Creates the file beside."""
        try:
            self._written = WritableHdf5(self._place.__enter__(), "x")
        except OSError as error:
            self._place.__exit__(*sys.exc_info())
            raise InputError(f"cannot be written ({error.strerror or error})", self.path) from error
        return self

    def __len__(self) -> int:
        """The number of different sentences."""
        return len(self._keys)

    def __contains__(self, tokens: Sequence[str]) -> bool:
        """Whether the sentence is there."""
        return sentence_text(tokens) in self._keys

    def add(self, tokens: Sequence[str], array: np.ndarray) -> None:
        """Adds one sentence; a sentence whose text is already there is left as it is.

        Args:
            tokens: The words.
            array: (n_layers, n_words, d), any float type; stored as float32.

        Raises:
            ValueError: A shape that does not fit the words or the sentences before, or a value that is not finite.
        """
        if self._written is None:
            raise ValueError("the writer is not open: use it in a `with` statement")
        text = sentence_text(tokens)
        array = np.ascontiguousarray(array, dtype=np.float32)
        shown = f"sentence {text[:80]!r}"
        if array.ndim != 3 or array.shape[1] != len(tokens) or not len(tokens):
            raise ValueError(f"{shown}: {len(tokens)} words, but an array of shape {array.shape} (layers, words, d)")
        shape = (array.shape[0], array.shape[2])
        expected = (len(self.layers), array.shape[2] if self._dim is None else self._dim)
        if shape != expected:
            raise ValueError(f"{shown}: (layers, d) is {shape}, expected {expected} of the layers' names and before")
        if not np.isfinite(array).all():
            raise ValueError(f"{shown}: a value is not finite")
        if text in self._keys:
            if self._lengths[text] != len(tokens):
                raise ValueError(f"{shown}: the same text came with {self._lengths[text]} and with {len(tokens)} words")
            return
        self._dim = shape[1]
        key = str(len(self._keys))
        self._keys[text] = key
        self._lengths[text] = len(tokens)
        self._written.file.create_dataset(key, data=array)
        self._written.check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Renames the whole file into place, or removes what was written."""
        assert self._written is not None
        written, self._written = self._written, None
        try:
            with written as file:
                if kind is None:
                    index = file.create_dataset(INDEX, shape=(1,), dtype=h5py.string_dtype())
                    index[0] = json.dumps(self._keys)
                    own = {"layers": ",".join(self.layers), "format": FORMAT, "format_version": FORMAT_VERSION}
                    file.attrs.update({**self.origin.attributes(), **own})
        except BaseException:
            self._place.__exit__(*sys.exc_info())
            raise
        self._place.__exit__(kind, error, trace)


class Representations:
    """A representation file, open for reading; also a context manager.

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
        self._file = open_hdf5(self.path, "word representations as `encode` writes them")
        try:
            self._keys = self._read_index()
            attributes = plain_attributes(self._file)
            self.origin = Origin.of(attributes, self.path)
            _, first = self._open(next(iter(self._keys)))
            self.layers = self._layer_names(attributes.get("layers"), first[0])
        except Exception:
            self._file.close()
            raise
        self._places = {name: place for place, name in enumerate(self.layers)}
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
            raise InputError(f"has no dataset {INDEX!r} of shape (1,): {kind}; make it with `encode`", self.path)
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
        if (text := next(filter(_DIVIDED.search, index), None)) is not None:
            raise InputError(f"sentence {text[:80]!r} has a word with white space in it", self.path)
        return index

    def _open(self, text: str) -> tuple[h5py.h5d.DatasetID, tuple[int, int, int]]:
        """The array of a stored sentence and its (layers, words, d), with nothing read but the header."""
        key = self._keys[text]
        shown = f"sentence {text[:80]!r} (key {key!r})"
        dataset = plain_dataset(self._file.id, key.encode(), self.path, shown)
        shape = dataset.shape
        if dataset.get_type().get_class() != h5py.h5t.FLOAT or len(shape) not in (2, 3) or 0 in shape:
            found = f"{dataset.dtype} of shape {shape}"
            raise InputError(f"{shown}: expected floats of shape (layers, words, d), found {found}", self.path)
        return dataset, (shape if len(shape) == 3 else (1, *shape))

    @cached_property
    def hash(self) -> str:
        """The sha256 of the file's bytes, in hexadecimal."""
        return file_hash(self.path)

    def __len__(self) -> int:
        """The number of different sentences."""
        return len(self._keys)

    def __contains__(self, tokens: Sequence[str]) -> bool:
        """Whether the sentence is there."""
        return sentence_text(tokens) in self._keys

    def sentences(self) -> Iterator[list[str]]:
        """The words of every sentence, in the order of the index."""
        return (text.split(" ") for text in self._keys)

    def require_layers(self, layers: Sequence[str]) -> None:
        """Refuses names that no layer has.

        Raises:
            InputError: Such a name, with those that there are.
        """
        for name in layers:
            if name not in self._places:
                raise InputError(f"has the layers {','.join(self.layers)}, no layer {name}", self.path)

    def read(self, tokens: Sequence[str], layers: Sequence[str] | None = None) -> np.ndarray:
        """Reads one sentence.

        Args:
            tokens: The words.
            layers: Names of the layers, in the order wanted; all if None.

        Returns:
            (len(layers), n_words, d) float32.

        Raises:
            InputError: The sentence or a layer is not in the file, the sentence has another number of words, layers or
                dimensions than it should, or holds a value that is not finite.
        """
        text = sentence_text(tokens)
        shown = f"sentence {text[:80]!r}"
        if text not in self._keys:
            raise InputError(f"{shown} is missing; encode the output of `sentences` again", self.path)
        dataset, shape = self._open(text)
        if shape[1] != len(tokens):
            raise InputError(f"{shown} has {len(tokens)} words but {shape[1]} vectors", self.path)
        if (shape[0], shape[2]) != (len(self.layers), self.dim):
            expected = (len(self.layers), len(tokens), self.dim)
            raise InputError(f"{shown}: expected the shape {expected} of the first sentence, found {shape}", self.path)
        array = np.empty(dataset.shape, np.float32)
        try:
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        except OSError as error:
            raise unreadable(shown, self.path, error) from error
        array = array.reshape(shape)
        if layers is not None:
            self.require_layers(layers)
            array = array[[self._places[name] for name in layers]]
        if not np.isfinite(array).all():
            raise InputError(f"{shown}: a value is not finite", self.path)
        return array

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Representations:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self.close()
