"""What writer and reader of word representations agree on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from probing_bridge.formats.origin import Origin

INDEX = "sentence_to_index"  # of the layout of Liu et al. (2019)
FORMAT = "lth-representations"
FORMAT_VERSION = 3
DIGEST = 16  # bytes, of 32
DIVIDED = re.compile("[\t\n\r\x0b\x0c]")  # a word with white space in it


class WordVectors(Protocol):
    """Vectors of the words of sentences, from whatever they are read."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the order of the arrays."""

    @property
    def origin(self) -> Origin:
        """Where the vectors come from."""

    @property
    def dim(self) -> int:
        """Numbers per word and layer."""

    def sentences(self) -> Iterator[Sequence[str]]:
        """The words of every different sentence."""

    def read(self, tokens: Sequence[str]) -> np.ndarray:
        """The vectors of one sentence: (n_layers, n_words, d) float32."""


def sentence_text(tokens: Sequence[str]) -> str:
    """The text under which a sentence is stored: its words joined by one space."""
    return " ".join(tokens)


def shown(text: str) -> str:
    """A text as messages call it."""
    return f"sentence {text[:80]!r}"


def digest(rows: np.ndarray) -> bytes:
    """The beginning of SHA-256 of rows as they are stored, contiguous: processors have instructions for it."""
    return hashlib.sha256(rows.reshape(-1).view(np.uint8).data).digest()[:DIGEST]


def shard_bounds(n: int, shard: int, n_shards: int) -> tuple[int, int]:
    """The numbers of the first text of a shard and of the one after its last, of n texts."""
    return n * shard // n_shards, n * (shard + 1) // n_shards
