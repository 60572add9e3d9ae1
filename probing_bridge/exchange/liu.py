"""The HDF5 of contextual-repr-analysis (Liu et al., 2019), which the code of Wu et al. (2020) reads too, written.

Word representations are copied sentence by sentence; a dump's pieces are written as if they were words.
`formats.representations.liu_file` reads the layout and describes it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.activations.reader import SIDES, Dump
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.hdf5 import WritableHdf5
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import WordVectors, sentence_text
from probing_bridge.formats.representations.layout import INDEX
from probing_bridge.formats.words import EOS


class _Writer:
    """Writes such a file sentence by sentence; it gets its name only when it is whole."""

    def __init__(self, path: str | Path, layers: Sequence[str], origin: Origin) -> None:
        self._path, self._layers, self._origin = Path(path), layers, origin
        self._place = written_beside(path)
        self.keys: dict[str, str] = {}

    def __enter__(self) -> _Writer:
        try:
            self._written = WritableHdf5(self._place.__enter__(), "x")
        except OSError as error:
            self._place.__exit__(*sys.exc_info())
            raise InputError(f"cannot be written ({error.strerror or error})", self._path) from error
        return self

    def add(self, tokens: Sequence[str], array: np.ndarray) -> None:
        """Adds the vectors of one sentence, (n_layers, n_words, d)."""
        key = self.keys.setdefault(sentence_text(tokens), str(len(self.keys)))
        self._written.file.create_dataset(key, data=np.ascontiguousarray(array, np.float32))
        self._written.check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._written as file:
                if kind is None:
                    index = file.create_dataset(INDEX, shape=(1,), dtype=h5py.string_dtype())
                    index[0] = json.dumps(self.keys)
                    file.attrs.update({**self._origin.attributes(), "layers": ",".join(self._layers)})
        except BaseException:
            self._place.__exit__(*sys.exc_info())
            raise
        self._place.__exit__(kind, error, trace)


def write_words(source: WordVectors, path: str | Path) -> int:
    """Writes every sentence of word representations.

    Args:
        source: The representations.
        path: The HDF5 file to write; it says all that they say of their origin.

    Returns:
        Number of sentences.

    Raises:
        BridgeError: A sentence that cannot be read; nothing is written then.
    """
    with _Writer(path, source.layers, source.origin) as writer:
        for words in source.sentences():
            writer.add(words, source.read(words))
        return len(writer.keys)


def write_pieces(dump: Dump, component: str, path: str | Path) -> tuple[int, int]:
    """Writes the states of a dump's pieces as if they were words, without EOS.

    Args:
        dump: An open dump.
        component: encoder or decoder.
        path: The HDF5 file to write; it says all that the dump says of its origin.

    Returns:
        Different sentences written; sentences left out because their text occurred before, as the layout finds a
        sentence by its text.

    Raises:
        BridgeError: The dump has no states of the component.
    """
    if component not in dump.components:
        raise BridgeError(
            f"{dump.path}: has no states of the {component}; it has {', '.join(dump.components) or 'none'}"
        )
    side, layers = SIDES[component], dump.components[component]
    symbols, offsets = dump.symbols(side), dump.offsets(side)
    repeated = 0
    with _Writer(path, layers, replace(dump.origin, component=component)) as writer:
        for start, stop in pairwise(offsets.tolist()):
            words = [symbols[index] for index in dump.tokens(side, start, stop)]
            kept = [number for number, word in enumerate(words) if word != EOS]
            words = [words[number] for number in kept]
            if not words or sentence_text(words) in writer.keys:
                repeated += 1
                continue
            states = np.stack([dump.read_states(component, layer, start, stop) for layer in layers])
            writer.add(words, states[:, kept])
        written = len(writer.keys)
    return written, repeated
