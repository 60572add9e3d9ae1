"""One file of word representations: its layout checked, its rows read by position and checked against their digests."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from probing_bridge.errors import InputError
from probing_bridge.formats.blocks import DTYPES, Block, read_stored, widened
from probing_bridge.formats.hdf5 import open_hdf5, plain_attributes, require_plain
from probing_bridge.formats.layers import layer_names_fault
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations.layout import DIGEST, DIVIDED, FORMAT, FORMAT_VERSION, digest, shown

_SAMPLE = 64  # texts whose digests are checked when a file is opened


class RepresentationFile:
    """One file, the whole or a shard: its texts, where their rows lie, and their digests.

    Attributes:
        path: The file.
        origin: Where its vectors come from.
        layers: Names of the layers, in order.
        dtype: float32 or float16.
        first: Number of its first text in the corpus.
        of: Texts of the corpus.
        identity: What the shards of one set of representations have in common.
        texts: Its texts, in order.
        offsets: (n_texts + 1,) int64, the rows of each.
        blocks: Where the rows of each layer lie.
        digests: (n_layers, n_texts, DIGEST) uint8.
        dim: Numbers per word and layer.
    """

    def __init__(self, path: Path) -> None:
        """Opens a file, and checks its layout and the digests of some texts.

        Raises:
            InputError: No such file, or what is wrong with it.
        """
        self.path = path
        with open_hdf5(path, "word representations as `encode` writes them") as file:
            attributes = plain_attributes(file)
            self._check_root(file, attributes)
            require_plain(file)
            self.origin = Origin.of(attributes, path)
            self.identity = (replace(self.origin, unknown_pieces=None), self.layers, self.dtype, self.of)
            self._read_layout(file)
        self._fd = os.open(path, os.O_RDONLY)
        try:
            self._check_sample()
        except BaseException:
            self.close()
            raise

    def _check_root(self, file: h5py.File, attributes: dict[str, Any]) -> None:
        if attributes.get("format") != FORMAT:
            kind = "an activation dump, not word representations" if "states" in file else "not a layout we know"
            raise InputError(f"holds no {FORMAT}: {kind}; make it with `encode`", self.path)
        version, layers = attributes.get("format_version"), attributes.get("layers")
        if version != FORMAT_VERSION:
            raise InputError(f"has format version {version!r:.80}, expected {FORMAT_VERSION}; encode again", self.path)
        if not isinstance(layers, str):
            raise InputError(f"attribute 'layers' is {layers!r:.80}, expected names such as '0,1,2,norm'", self.path)
        self.layers, self.dtype = tuple(layers.split(",")) if layers else (), attributes.get("dtype")
        if (fault := layer_names_fault(self.layers)) is not None:
            raise InputError(f"attribute 'layers' {fault}", self.path)
        if not isinstance(self.dtype, str) or self.dtype not in DTYPES:
            raise InputError(f"attribute 'dtype' is {self.dtype!r:.80}, expected {' or '.join(DTYPES)}", self.path)
        self.first, self.of = attributes.get("first"), attributes.get("of")
        if type(self.first) is not int or type(self.of) is not int:
            raise InputError("attributes 'first' and 'of' are not whole numbers", self.path)

    def _read_layout(self, file: h5py.File) -> None:
        self.offsets = self._array(file, "offsets", np.dtype(np.int64), None)
        raw = self._array(file, "texts", np.dtype(np.uint8), None)
        if not len(self.offsets) or self.offsets[0] != 0 or (np.diff(self.offsets) < 1).any():
            raise InputError("damaged: offsets do not ascend from 0", self.path)
        try:
            self.texts = raw.tobytes().decode("utf-8", "surrogatepass").split("\n") if raw.size else []
        except UnicodeDecodeError as error:
            raise InputError("damaged: texts are not UTF-8", self.path) from error
        if len(self.texts) != len(self.offsets) - 1:
            raise InputError(f"damaged: {len(self.texts)} texts, {len(self.offsets) - 1} offsets", self.path)
        for text, (start, stop) in zip(self.texts, pairwise(self.offsets.tolist()), strict=True):
            if not text or DIVIDED.search(text) or text.count(" ") + 1 != stop - start:
                raise InputError(f"damaged: {shown(text)} does not have {stop - start} words", self.path)
        rows, dtype, size = int(self.offsets[-1]), DTYPES[str(self.dtype)], self.path.stat().st_size
        self.blocks, digests = [], []
        for layer in self.layers:
            dataset = self._dataset(file, f"layers/{layer}")
            columns, position = (dataset.shape or (0,))[-1], dataset.id.get_offset()
            if dataset.shape != (rows, columns) or dataset.dtype != dtype or not columns:
                found = f"{dataset.dtype} of shape {dataset.shape}"
                raise InputError(f"damaged: layer {layer} is {found}, expected {rows} rows of {dtype}", self.path)
            if rows and (position is None or position + dataset.nbytes > size):
                raise InputError(f"damaged: layer {layer} does not lie inside the file", self.path)
            narrow = self.dtype == "float16"
            mean = self._array(file, f"means/{layer}", np.dtype(np.float32), (columns,)) if narrow else None
            if mean is not None and not np.isfinite(mean).all():
                raise InputError(f"damaged: the mean of layer {layer} is not finite", self.path)
            self.blocks.append(Block(position or 0, rows, columns, dtype, mean))
            digests.append(self._array(file, f"digests/{layer}", np.dtype(np.uint8), (len(self.texts), DIGEST)))
        if len({block.columns for block in self.blocks}) > 1:
            raise InputError("damaged: its layers are not equally wide", self.path)
        self.digests, self.dim = np.stack(digests), self.blocks[0].columns

    def _dataset(self, file: h5py.File, name: str) -> h5py.Dataset:
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise InputError(f"damaged: it has no array {name}; encode again", self.path)
        return dataset

    def _array(self, file: h5py.File, name: str, dtype: np.dtype, shape: tuple[int, ...] | None) -> np.ndarray:
        """Reads a dataset whole; of any length if no shape is expected."""
        dataset = self._dataset(file, name)
        if dataset.dtype != dtype or (dataset.ndim != 1 if shape is None else dataset.shape != shape):
            raise InputError(f"damaged: {name} is {dataset.dtype} of shape {dataset.shape}; encode again", self.path)
        return np.asarray(dataset[()])

    def _check_sample(self) -> None:
        """Checks some texts of every layer, so that a file that was changed as a whole is not taken for the old one."""
        for number in np.unique(
            np.linspace(0, len(self.texts) - 1, min(_SAMPLE, len(self.texts))).astype(int)
        ).tolist():
            n_rows = int(self.offsets[number + 1] - self.offsets[number])
            for place in range(len(self.layers)):
                self.read(place, number, number + 1, np.empty((n_rows, self.dim), np.float32))

    def read(self, place: int, first: int, last: int, out: np.ndarray) -> None:
        """Reads texts of a layer.

        Args:
            place: Which layer.
            first: The first text.
            last: The one after the last.
            out: (their rows, d) float32, contiguous: where they go.

        Raises:
            InputError: Values that are not those that were written, or not finite.
        """
        block, start = self.blocks[place], int(self.offsets[first])
        stored = out if block.dtype == out.dtype else np.empty(out.shape, block.dtype)
        try:
            read_stored(self._fd, block, start, stored)
        except EOFError:
            raise InputError("was cut short while it was read", self.path) from None
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", self.path) from error
        for number, known in enumerate(self.digests[place, first:last], first):
            rows = stored[self.offsets[number] - start : self.offsets[number + 1] - start]
            if digest(rows) != known.tobytes():
                reason = f"{shown(self.texts[number])}: layer {self.layers[place]} has other values than were written"
                raise InputError(f"{reason}; encode again, or export, change and import", self.path)
        if not np.isfinite(stored).all():
            raise InputError(f"layer {self.layers[place]} has a value that is not finite", self.path)
        if stored is not out:
            out[:] = widened(stored, block.mean)

    def content_hash(self) -> str:
        """Sha256 (hex) of the texts, the layers' names, and the means and digests of their values."""
        whole = hashlib.sha256("".join(f"{text}\n" for text in self.texts).encode("utf-8", "surrogatepass"))
        for layer, block, digests in zip(self.layers, self.blocks, self.digests, strict=True):
            whole.update(f"{layer} {self.dtype}\n".encode())
            whole.update(b"" if block.mean is None else block.mean.tobytes())
            whole.update(digests.tobytes())
        return whole.hexdigest()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)
