"""What a dump holds, whatever it is stored in: names, row offsets, the sentence hash and what every reader offers."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from probing_bridge.errors import BridgeError
from probing_bridge.formats.activations.output import Output
from probing_bridge.formats.blocks import offsets_of
from probing_bridge.formats.origin import Origin

FORMAT = "lth-activations"
FORMAT_VERSION = 1
SIDES = {"encoder": "source", "decoder": "target"}
ATTENTION_KINDS = {  # kind: (side of the queries, side of the keys)
    "encoder_self": ("source", "source"),
    "encoder_decoder": ("target", "source"),
    "decoder_self": ("target", "target"),
}
HASH_BLOCK = 1024  # sentences read at once where all tokens are gone through


class ActivationError(BridgeError):
    """An activation file that cannot be written, read or compared."""


def layer_order(name: str) -> tuple[int, str]:
    """Sort key of layer names: 0, 1, ..., 10, then `norm`."""
    return (int(name), "") if name.isdecimal() else (1 << 30, name)


def sentence_hash(
    read: Callable[[str, int, int], np.ndarray],
    symbols: Mapping[str, Sequence[str]],
    offsets: Mapping[str, np.ndarray],
) -> str:
    """Sha256 (hex) over the token symbols of all pairs in order: `source TAB target NEWLINE`, UTF-8."""

    def texts(side: str, start: int, stop: int) -> Iterator[str]:
        rows = offsets[side][start : stop + 1].tolist()
        names = [symbols[side][index] for index in read(side, rows[0], rows[-1]).tolist()]
        return (" ".join(names[first - rows[0] : last - rows[0]]) for first, last in pairwise(rows))

    digest = hashlib.sha256()
    n_sentences = len(offsets["source"]) - 1
    for start in range(0, n_sentences, HASH_BLOCK):
        stop = min(start + HASH_BLOCK, n_sentences)
        for source, target in zip(texts("source", start, stop), texts("target", start, stop), strict=True):
            digest.update(f"{source}\t{target}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


class Dump(ABC):
    """A dump open for reading, be it one file or several shards; a context manager.

    Attributes:
        path: The file, or the name that the shards share.
        origin: Where the values come from.
        attributes: What else the root says of the format: dtype, attention_unit.
        n_sentences: Sentence pairs.
        components: Layer names, in order, by component (encoder, decoder): 0 = embeddings, 1 .. L, then `norm`.
        attention_kinds: Layer names, in order, by kind: encoder_self, encoder_decoder, decoder_self.
        n_best: Best tokens at each target position; 0 without output distributions.
    """

    path: Path
    origin: Origin
    attributes: dict[str, Any]
    n_sentences: int
    components: dict[str, tuple[str, ...]]
    attention_kinds: dict[str, tuple[str, ...]]
    n_best: int

    @abstractmethod
    def offsets(self, side: str) -> np.ndarray:
        """Rows of each sentence on a side (source or target): (n_sentences + 1,) int64."""

    @abstractmethod
    def unit_offsets(self, side: str) -> np.ndarray:
        """What attention relates, of each sentence: tokens, or words (attribute attention_unit); as `offsets`."""

    def attention_offsets(self, kind: str) -> np.ndarray:
        """Rows of each sentence among the (query, key) pairs of a kind: (n_sentences + 1,) int64."""
        query, key = ATTENTION_KINDS[kind]
        return offsets_of(np.diff(self.unit_offsets(query)) * np.diff(self.unit_offsets(key)))

    @abstractmethod
    def symbols(self, side: str) -> list[str]:
        """The dictionary of a side; a token id is an index into it."""

    @abstractmethod
    def counts(self, side: str) -> np.ndarray:
        """How often each symbol of a side is in the training data, as the dictionary says: (n_symbols,) int64."""

    @abstractmethod
    def dim(self, component: str) -> int:
        """Neurons of the encoder or the decoder."""

    @abstractmethod
    def n_heads(self, kind: str) -> int:
        """Heads of a kind of attention."""

    @abstractmethod
    def tokens(self, side: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Token ids of rows start..stop of a side (default: all), as the model saw them: (n_tokens,) int32."""

    @abstractmethod
    def read_states(self, component: str, layer: str, start: int, stop: int) -> np.ndarray:
        """Rows start..stop of a layer: (stop - start, d) float32."""

    @abstractmethod
    def read_attention(self, kind: str, layer: str, start: int, stop: int) -> np.ndarray:
        """Rows start..stop of a layer's attention: (stop - start, n_heads) float32."""

    @abstractmethod
    def read_output(self, start: int, stop: int) -> Output:
        """The output distributions at target rows start..stop: what should come after the token of the row."""

    @abstractmethod
    def close(self) -> None:
        """Closes what is open."""

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes what is open."""
        self.close()


def require_same_sentences(first: Dump, second: Dump) -> None:
    """Refuses two dumps of different sentences, whose rows mean different tokens.

    Raises:
        ActivationError: Their sentence hashes differ, or one has attention of words and the other of tokens.
    """
    units = [dump.attributes.get("attention_unit") for dump in (first, second) if dump.attention_kinds]
    if len(set(units)) > 1:
        raise ActivationError(
            f"{first.path} has attention of {units[0]}s, {second.path} of {units[1]}s; dump both with the same flags"
        )
    if first.origin.sentence_hash != second.origin.sentence_hash:
        counts = f"{first.n_sentences} and {second.n_sentences} sentences"
        raise ActivationError(
            f"{first.path} and {second.path} are dumps of different sentences ({counts}); dump both from the same data"
        )
