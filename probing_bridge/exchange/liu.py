"""The HDF5 of contextual-repr-analysis (Liu et al., 2019), which the code of Wu et al. (2020) reads too.

It is the layout of our own word representations, so these are copied, sentence by sentence; a dump's pieces are written
as if they were words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from probing_bridge.errors import BridgeError
from probing_bridge.formats.activations.reader import SIDES, Dump
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import RepresentationWriter
from probing_bridge.formats.words import EOS


class WordVectors(Protocol):
    """Vectors of the words of sentences, from whatever they are read."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the order of the arrays."""

    @property
    def origin(self) -> Origin:
        """Where the vectors come from."""

    def sentences(self) -> Iterator[Sequence[str]]:
        """The words of every different sentence."""

    def read(self, tokens: Sequence[str]) -> np.ndarray:
        """The vectors of one sentence: (n_layers, n_words, d) float32."""


def write_vectors(source: WordVectors, path: str | Path, origin: Origin) -> int:
    """Writes every sentence of a source, checking each.

    Args:
        source: Vectors of words, from whatever they were read.
        path: The HDF5 file to write.
        origin: What the file says of where they come from.

    Returns:
        Number of sentences.

    Raises:
        BridgeError: A sentence that cannot be used; nothing is written then.
    """
    with RepresentationWriter(path, source.layers, origin) as writer:
        for words in source.sentences():
            writer.add(words, source.read(words))
        return len(writer)


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
    with RepresentationWriter(path, layers, replace(dump.origin, component=component)) as writer:
        for start, stop in pairwise(offsets.tolist()):
            words = [symbols[index] for index in dump.tokens(side, start, stop)]
            kept = [number for number, word in enumerate(words) if word != EOS]
            words = [words[number] for number in kept]
            if not words or words in writer:
                repeated += 1
                continue
            states = np.stack([dump.read_states(component, layer, start, stop) for layer in layers])
            writer.add(words, states[:, kept])
        written = len(writer)
    return written, repeated
