"""The features of many sentences as one array, read once and shared by all tasks, layers and epochs of a model.

In memory where it fits, else in a file without a name that the system pages in as rows are asked for and removes by
itself when the process ends, however it ends.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from probing_bridge.formats.representations import Representations, sentence_text
from probing_bridge.machine import free_memory
from probing_bridge.probes.devices import CPU, Place

_CHUNK_ROWS = 1024  # read at a time for means and standard deviations
_ROUNDING = 1e-6  # a neuron that varies by less than this share of its size is constant: float32 has no more digits


class Features:
    """Word vectors of all sentences of some tasks.

    Attributes:
        values: (n_layers, n_words, d) float32, the rows of a sentence together, in the order of its words.
        layers: The name of each layer.
        starts: Sentence text -> its first row.
    """

    def __init__(self, values: torch.Tensor, layers: Sequence[str], starts: dict[str, int], place: Place = CPU) -> None:
        """Takes the array; moves it to the place of the probes if it fits, else rows go there batch by batch.

        Args:
            values: (n_layers, n_words, d) float32.
            layers: The name of each layer.
            starts: Sentence text -> first row.
            place: Where probes are trained.
        """
        self.layers = tuple(layers)
        self.starts = starts
        self.device = place.device
        self.values = values.to(place.device) if values.nbytes <= place.memory else values
        self._affine: tuple[torch.Tensor, torch.Tensor] | None = None  # (n_layers, d): added, after multiplying by

    @property
    def dim(self) -> int:
        """Numbers per word and layer."""
        return self.values.shape[2]

    def gather(self, rows: torch.Tensor, layers: Sequence[int], out: torch.Tensor) -> torch.Tensor:
        """Collects rows of some layers.

        Args:
            rows: (n,) int64.
            layers: Positions in `self.layers`.
            out: (at least len(layers), at least n, d) where they go, on the device.

        Returns:
            (len(layers), n, d) float32: the part of `out` that was filled.
        """
        out = out[: len(layers), : len(rows)]
        rows = rows.to(self.values.device)
        for place, layer in zip(out, layers, strict=True):
            if self.values.device == out.device:
                torch.index_select(self.values[layer], 0, rows, out=place)
            else:
                place.copy_(torch.index_select(self.values[layer], 0, rows))
            if self._affine is not None:
                torch.addcmul(self._affine[0][layer], place, self._affine[1][layer], out=place)
        return out

    def standardised(self, rows: np.ndarray) -> Features:
        """The same features, each neuron of each layer less its mean and divided by its standard deviation.

        Args:
            rows: (n, 1 or 2) the words over which both are taken, each row once however often it is here.

        Returns:
            Features on the same array, standardised as they are gathered. A neuron that is constant over these words
            is only centred.
        """
        mean, deviation = self._moments(torch.from_numpy(np.unique(rows)))
        varies = deviation > _ROUNDING * torch.hypot(mean, deviation)
        scale = torch.where(varies, 1 / torch.where(varies, deviation, 1.0), 1.0)
        other = copy.copy(self)
        other._affine = ((-mean * scale).to(self.values.dtype), scale.to(self.values.dtype))
        return other

    def _moments(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n_layers, d) float64 means and population standard deviations over rows, chunk by chunk.

        Sums are of differences from the first chunk's mean, so that nothing cancels.
        """
        layers = range(len(self.layers))
        buffer = torch.empty(
            (len(layers), min(_CHUNK_ROWS, len(rows)), self.dim), dtype=self.values.dtype, device=self.device
        )
        sums = buffer.new_zeros((2, len(layers), self.dim), dtype=torch.float64)
        center = self.gather(rows[:_CHUNK_ROWS], layers, buffer).mean(dim=1, keepdim=True)
        for part in rows.split(_CHUNK_ROWS):
            values = self.gather(part, layers, buffer).sub_(center)
            sums[0] += values.sum(dim=1)
            sums[1] += values.square_().sum(dim=1)
        shift, square = sums / len(rows)
        return center[:, 0].double() + shift, (square - shift.square()).clamp_min(0).sqrt()


def load_features(
    representations: Representations,
    sentences: Iterable[Sequence[str]],
    layers: Sequence[str] | None,
    folder: Path,
    memory: int | None = None,
    place: Place = CPU,
) -> Features:
    """Reads the features of sentences; each different text once.

    Args:
        representations: The open file.
        sentences: Word lists, repeated as they may be.
        layers: Names of the layers; all if None.
        folder: Where an array that is larger than `memory` goes.
        memory: Bytes that may be taken; half of what is free if None.
        place: Where probes are trained.

    Returns:
        The features.

    Raises:
        InputError: From Representations.read_into: a missing sentence, another length, damaged values.
    """
    wanted = {sentence_text(tokens): tokens for tokens in sentences}
    layers = representations.layers if layers is None else tuple(layers)
    starts: dict[str, int] = {}
    n_words = 0
    for text, tokens in wanted.items():
        starts[text] = n_words
        n_words += len(tokens)
    shape = (len(layers), n_words, representations.dim)
    n_bytes = 4 * len(layers) * n_words * representations.dim
    if n_bytes <= (free_memory() // 2 if memory is None else memory):
        values = np.empty(shape, np.float32)
    else:
        with tempfile.TemporaryFile(dir=folder) as file:  # the mapping keeps the nameless file alive
            os.posix_fallocate(file.fileno(), 0, n_bytes)  # a page without room on the disk would end the process
            values = np.memmap(file, np.float32, "w+", shape=shape)
    representations.read_into(wanted.values(), layers, values)
    return Features(torch.from_numpy(values), layers, starts, place)
