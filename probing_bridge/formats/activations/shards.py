"""The shards that several processes wrote, read as one dump in corpus order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from probing_bridge.formats.activations.layout import SIDES, ActivationError, Dump, sentence_hash
from probing_bridge.formats.activations.output import Output
from probing_bridge.formats.blocks import offsets_of

if TYPE_CHECKING:
    from probing_bridge.formats.activations.reader import ActivationFile


class ShardedActivations(Dump):
    """The shards of one dump, read as one file in corpus order."""

    def __init__(self, path: Path, shards: Sequence[ActivationFile]) -> None:
        """Checks that the shards belong together and together hold every sentence once.

        Args:
            path: The name that the shards share.
            shards: The open shards.

        Raises:
            ActivationError: Shards of different checkpoints or layers, or a sentence that is in none or in two.
        """
        self.path, self._shards = path, tuple(shards)
        first = self._shards[0]
        for shard in self._shards[1:]:
            if (
                replace(shard.origin, sentence_hash="") != replace(first.origin, sentence_hash="")
                or any(shard.attributes[name] != first.attributes[name] for name in ("dtype", "attention_unit"))
                or shard.components != first.components
                or shard.attention_kinds != first.attention_kinds
                or shard.n_best != first.n_best
            ):
                raise ActivationError(f"{shard.path}: does not belong to {first.path}; dump all shards again")
        self.components, self.attention_kinds = first.components, first.attention_kinds
        self.n_best = first.n_best
        numbers = np.concatenate([shard.sentences for shard in self._shards])
        self.n_sentences = len(numbers)
        order = np.argsort(numbers, kind="stable")
        if not np.array_equal(numbers[order], np.arange(self.n_sentences)):
            raise ActivationError(f"{path}: its shards do not hold every sentence once; dump all shards again")
        # sentence -> shard and number of the sentence inside it
        self._shard = np.repeat(np.arange(len(shards)), [shard.n_sentences for shard in shards])[order]
        self._local = np.concatenate([np.arange(shard.n_sentences) for shard in shards])[order]
        sides = ("source", "target")
        self._offsets = {side: self._merged([shard.offsets(side) for shard in shards]) for side in sides}
        self._units = {side: self._merged([shard.unit_offsets(side) for shard in shards]) for side in sides}
        symbols = {side: first.symbols(side) for side in ("source", "target")}
        self.attributes = first.attributes
        self.origin = replace(first.origin, sentence_hash=sentence_hash(self.tokens, symbols, self._offsets))

    def _merged(self, offsets: Sequence[np.ndarray]) -> np.ndarray:
        """Offsets in corpus order from those of the shards."""
        lengths = [np.diff(own) for own in offsets]
        starts = np.cumsum([0, *(len(some) for some in lengths[:-1])])
        return offsets_of(np.concatenate(lengths)[starts[self._shard] + self._local])

    def offsets(self, side: str) -> np.ndarray:
        """See Dump."""
        return self._offsets[side]

    def unit_offsets(self, side: str) -> np.ndarray:
        """See Dump."""
        return self._units[side]

    def symbols(self, side: str) -> list[str]:
        """See Dump."""
        return self._shards[0].symbols(side)

    def counts(self, side: str) -> np.ndarray:
        """See Dump."""
        return self._shards[0].counts(side)

    def dim(self, component: str) -> int:
        """See Dump."""
        return self._shards[0].dim(component)

    def n_heads(self, kind: str) -> int:
        """See Dump."""
        return self._shards[0].n_heads(kind)

    def tokens(self, side: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """See Dump."""
        stop = int(self._offsets[side][-1]) if stop is None else stop
        own = [shard.offsets(side) for shard in self._shards]
        parts = self._pieces(self._offsets[side], own, start, stop)
        return _joined([self._shards[shard].tokens(side, *rows) for shard, *rows in parts], np.zeros(0, np.int32))

    def read_states(self, component: str, layer: str, start: int, stop: int) -> np.ndarray:
        """See Dump."""
        side = SIDES[component]
        parts = self._pieces(self._offsets[side], [shard.offsets(side) for shard in self._shards], start, stop)
        read = [self._shards[shard].read_states(component, layer, *rows) for shard, *rows in parts]
        return _joined(read, np.zeros((0, self.dim(component)), np.float32))

    def read_attention(self, kind: str, layer: str, start: int, stop: int) -> np.ndarray:
        """See Dump."""
        own = [shard.attention_offsets(kind) for shard in self._shards]
        parts = self._pieces(self.attention_offsets(kind), own, start, stop)
        read = [self._shards[shard].read_attention(kind, layer, *rows) for shard, *rows in parts]
        return _joined(read, np.zeros((0, self.n_heads(kind)), np.float32))

    def read_output(self, start: int, stop: int) -> Output:
        """See Dump."""
        parts = self._pieces(self._offsets["target"], [shard.offsets("target") for shard in self._shards], start, stop)
        read = [self._shards[shard].read_output(*rows) for shard, *rows in parts]
        return Output.joined(read or [self._shards[0].read_output(0, 0)])

    def _pieces(
        self, offsets: np.ndarray, own: Sequence[np.ndarray], start: int, stop: int
    ) -> Iterator[tuple[int, int, int]]:
        """The shard and its rows of every sentence that rows start..stop touch."""
        if not 0 <= start <= stop <= offsets[-1]:
            raise ValueError(f"rows {start}..{stop} of {offsets[-1]}")
        sentence = int(np.searchsorted(offsets, start, side="right")) - 1
        while start < stop:
            end = min(stop, int(offsets[sentence + 1]))
            if end > start:
                shard, local = int(self._shard[sentence]), int(self._local[sentence])
                first = int(own[shard][local]) + start - int(offsets[sentence])
                yield shard, first, first + end - start
            start, sentence = end, sentence + 1

    def close(self) -> None:
        """Closes the shards."""
        for shard in self._shards:
            shard.close()


def _joined(parts: list[np.ndarray], empty: np.ndarray) -> np.ndarray:
    return np.concatenate(parts) if parts else empty
