"""Activations of sentence pairs under teacher forcing: what `--dump-activations` writes and `similarity` reads.

One HDF5 file. `states/<component>/<layer>` holds (n_tokens, d) and `attention/<kind>/<layer>` (n_pairs, n_heads), each
one contiguous block with the sentences in corpus order; `offsets/...` say where a sentence begins. Because the blocks
are contiguous, writer and reader move rows with plain positioned reads and writes: batches may come in any order, and
neither side ever holds more than the rows it was asked for. Several processes write one shard each; `open_dump` reads
the shards as one. docs/activations.md describes the layout for other programs.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from probing_bridge import __version__
from probing_bridge.errors import InputError
from probing_bridge.formats.activations.layout import (
    ATTENTION_KINDS,
    FORMAT,
    FORMAT_VERSION,
    SIDES,
    ActivationError,
    Dump,
    layer_order,
    require_same_sentences,
)
from probing_bridge.formats.activations.output import DATASETS, GROUP, PER_BEST, Output, output_dtype
from probing_bridge.formats.activations.shards import ShardedActivations
from probing_bridge.formats.activations.writer import ActivationWriter
from probing_bridge.formats.blocks import DTYPES, Block, read_rows
from probing_bridge.formats.hdf5 import open_hdf5, plain_attributes, require_plain
from probing_bridge.formats.layers import layer_names_fault
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.shards import shard_path, shard_paths

__all__ = [
    "ATTENTION_KINDS",
    "DTYPES",
    "SIDES",
    "ActivationError",
    "ActivationFile",
    "ActivationWriter",
    "Dump",
    "layer_order",
    "open_dump",
    "require_same_sentences",
    "shard_path",
]


class ActivationFile(Dump):
    """One file, open for reading."""

    def __init__(self, path: str | Path) -> None:
        """Opens a file and checks that its parts fit each other and lie inside it.

        Args:
            path: The file.

        Raises:
            ActivationError: No such file, truncated, of a newer version, another kind of file, or damaged.
        """
        self.path = Path(path)
        try:
            with open_hdf5(self.path, "the file of --dump-activations") as file:
                self._check_root(file)
                require_plain(file)
                self._read_layout(file)
        except InputError as error:
            raise ActivationError(str(error)) from error
        except (OSError, KeyError, RuntimeError) as error:
            raise self._error(f"damaged or truncated ({error}); dump it again") from error
        self._fd = os.open(self.path, os.O_RDONLY)

    def _error(self, message: str) -> ActivationError:
        return ActivationError(f"{self.path}: {' '.join(message.split())}")

    def _check_root(self, file: h5py.File) -> None:
        self.attributes = plain_attributes(file)
        if self.attributes.get("format") != FORMAT:
            found = self.attributes.get("format", "other HDF5 data")
            raise self._error(f"holds {found}, not an activation dump; expected the file of --dump-activations")
        version = self.attributes.get("format_version")
        if version != FORMAT_VERSION:
            ours = f"this probing_bridge {__version__} reads version {FORMAT_VERSION}"
            raise self._error(f"has format version {version}, but {ours}; install the one that wrote it or dump again")
        if self.attributes.get("complete") is not True:
            raise self._error("is not complete; dump it again")
        self.origin = Origin.of(self.attributes, self.path)

    def _read_layout(self, file: h5py.File) -> None:
        self._size = os.path.getsize(self.path)
        self._offsets = {side: self._read_offsets(file, side) for side in ("source", "target")}
        self._units = self._offsets
        if self.attributes.get("attention_unit") == "word":
            self._units = {side: self._read_offsets(file, f"words/{side}") for side in ("source", "target")}
        self.n_sentences = len(self._offsets["source"]) - 1
        if {len(offsets) for offsets in (*self._offsets.values(), *self._units.values())} != {self.n_sentences + 1}:
            raise self._error("damaged: source and target do not have the same number of sentences; dump it again")
        if any((np.diff(self._units[side]) > np.diff(self._offsets[side])).any() for side in self._units):
            raise self._error("damaged: a sentence has more words than tokens; dump it again")
        self.sentences = self._small(file, "sentences") if "sentences" in file else np.arange(self.n_sentences)
        if self.sentences.dtype.kind not in "iu" or len(self.sentences) != self.n_sentences:
            raise self._error("damaged: sentences are not one number each; dump it again")
        self._n_symbols = {side: len(self._dataset(file, f"symbols/{side}")) for side in ("source", "target")}
        self._blocks: dict[str, Block] = {}
        for side in ("source", "target"):
            self._add_block(file, f"tokens/{side}", int(self._offsets[side][-1]), np.dtype("<i4"))
        self.components = self._layers(file, "states", tuple(SIDES))
        for component, layers in self.components.items():
            for layer in layers:
                self._add_layer(file, f"states/{component}/{layer}", int(self._offsets[SIDES[component]][-1]))
        self.attention_kinds = self._layers(file, "attention", tuple(ATTENTION_KINDS))
        for kind, layers in self.attention_kinds.items():
            for layer in layers:
                self._add_layer(file, f"attention/{kind}/{layer}", int(self.attention_offsets(kind)[-1]))
        self.n_best = self._add_output(file, int(self._offsets["target"][-1])) if GROUP in file else 0

    def _layers(self, file: h5py.File, group: str, known: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        found = {}
        for name in (name for name in known if f"{group}/{name}" in file):
            layers = file[f"{group}/{name}"]
            if not isinstance(layers, h5py.Group):
                raise self._error(f"damaged: {group}/{name} is an array, not a group of layers; dump it again")
            if (fault := layer_names_fault(list(layers))) is not None:
                raise self._error(f"damaged: {group}/{name} {fault}; dump it again")
            found[name] = tuple(sorted(layers, key=layer_order))
        return found

    def _dataset(self, file: h5py.File, name: str) -> h5py.Dataset:
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
            raise self._error(f"damaged: it has no array {name}; dump it again")
        return dataset

    def _small(self, file: h5py.File, name: str) -> np.ndarray:
        """Reads a dataset whole, after checking that the file is large enough to hold it."""
        dataset = self._dataset(file, name)
        if dataset.ndim > 1 or dataset.nbytes > self._size:
            raise self._error(f"damaged: {name} has shape {dataset.shape}; dump it again")
        return np.asarray(dataset[()])

    def _read_offsets(self, file: h5py.File, side: str) -> np.ndarray:
        offsets = self._small(file, f"offsets/{side}")
        if offsets.dtype != np.int64 or len(offsets) < 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
            raise self._error(f"damaged: offsets/{side} do not ascend from 0; dump it again")
        return offsets

    def _add_layer(self, file: h5py.File, name: str, rows: int) -> None:
        self._add_block(file, name, rows, DTYPES.get(str(self.attributes.get("dtype"))))
        columns, group = self._blocks[name].columns, f"{name.rpartition('/')[0]}/"
        others = (block for other, block in self._blocks.items() if other.startswith(group))
        if any(block.columns != columns for block in others):
            raise self._error(f"damaged: {name} has {columns} columns, unlike another layer; dump it again")

    def _add_output(self, file: h5py.File, rows: int) -> int:
        """Adds the output distributions; returns K, the number of best tokens at each position."""
        for name in DATASETS:
            self._add_block(file, f"{GROUP}/{name}", rows, output_dtype(name))
        columns = {name: self._blocks[f"{GROUP}/{name}"].columns for name in DATASETS}
        n_best, known = columns[PER_BEST[0]], self._n_symbols["target"]
        if not 1 <= n_best <= known or columns != {name: n_best if name in PER_BEST else 1 for name in DATASETS}:
            raise self._error(f"damaged: its output has {columns} columns; dump it again")
        return n_best

    def _add_block(self, file: h5py.File, name: str, rows: int, expected: np.dtype | None) -> None:
        dataset = self._dataset(file, name)
        columns = 1 if dataset.ndim == 1 else dataset.shape[-1]
        position = dataset.id.get_offset()
        if dataset.shape not in ((rows,), (rows, columns)) or dataset.dtype != expected:
            found = f"{dataset.shape} {dataset.dtype}"
            raise self._error(f"damaged: {name} is {found}, expected {rows} rows; dump it again")
        if dataset.size and (position is None or position + dataset.nbytes > self._size):
            raise self._error(f"damaged: {name} does not lie inside the file; dump it again")
        mean = self._small(file, f"means/{name}") if f"means/{name}" in file else None
        if mean is not None and (mean.dtype != np.float32 or mean.shape != (columns,) or not np.isfinite(mean).all()):
            raise self._error(f"damaged: means/{name} are not {columns} finite numbers; dump it again")
        self._blocks[name] = Block(position or 0, rows, columns, dataset.dtype, mean)

    def offsets(self, side: str) -> np.ndarray:
        """See Dump."""
        return self._offsets[side]

    def unit_offsets(self, side: str) -> np.ndarray:
        """See Dump."""
        return self._units[side]

    def symbols(self, side: str) -> list[str]:
        """See Dump."""
        name = f"symbols/{side}"
        with h5py.File(self.path, "r") as file:
            dataset = self._dataset(file, name)
            if h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1 or dataset.nbytes > self._size:
                raise self._error(f"damaged: {name} is no list of texts; dump it again")
            texts: list[bytes] = []
            size, step = 0, max(16, (256 << 20) // self._size)  # each text may be as long as the file
            for start in range(0, len(dataset), step):
                texts += dataset[start : start + step].tolist()
                size += sum(map(len, texts[start:]))
                if size > self._size:
                    raise self._error(f"damaged: {name} is longer than the file; dump it again")
        try:
            return [text.decode("utf-8") for text in texts]
        except UnicodeDecodeError as error:
            raise self._error(f"damaged: {name} holds {error.object[:40]!r}, which is not UTF-8") from error

    def counts(self, side: str) -> np.ndarray:
        """See Dump."""
        with h5py.File(self.path, "r") as file:
            counts = self._small(file, f"counts/{side}")
        if counts.dtype != np.int64 or len(counts) != self._n_symbols[side]:
            raise self._error(f"damaged: counts/{side} are not one number a symbol; dump it again")
        return counts

    def dim(self, component: str) -> int:
        """See Dump."""
        return self._blocks[f"states/{component}/{self.components[component][0]}"].columns

    def n_heads(self, kind: str) -> int:
        """See Dump."""
        return self._blocks[f"attention/{kind}/{self.attention_kinds[kind][0]}"].columns

    def tokens(self, side: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """See Dump."""
        ids = self._read(f"tokens/{side}", start, int(self._offsets[side][-1]) if stop is None else stop)[:, 0]
        known = self._n_symbols[side]
        if len(ids) and not (ids.min() >= 0 and ids.max() < known):
            raise self._error(f"damaged: tokens/{side} has an id beyond its {known} symbols; dump it again")
        return ids

    def read_states(self, component: str, layer: str, start: int, stop: int) -> np.ndarray:
        """See Dump."""
        return self._read(f"states/{component}/{layer}", start, stop)

    def read_attention(self, kind: str, layer: str, start: int, stop: int) -> np.ndarray:
        """See Dump."""
        return self._read(f"attention/{kind}/{layer}", start, stop)

    def read_output(self, start: int, stop: int) -> Output:
        """See Dump."""
        read = {name: self._read(f"{GROUP}/{name}", start, stop) for name in DATASETS}
        output = Output(**{name: rows if name in PER_BEST else rows[:, 0] for name, rows in read.items()})
        fault = output.fault(self._n_symbols["target"])
        if fault is not None:
            raise self._error(f"damaged: {GROUP} has {fault}; dump it again")
        return output

    def _read(self, name: str, start: int, stop: int) -> np.ndarray:
        block = self._blocks.get(name)
        if block is None:
            raise self._error(f"has no {name}; it holds {', '.join(self._blocks)}")
        try:
            return read_rows(self._fd, block, start, stop)
        except EOFError:
            raise self._error(f"was cut short while it was read ({name})") from None

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def open_dump(path: str | Path) -> Dump:
    """Opens a dump: the file of that name, or the shards FILE.shard0-of-N.h5 .. of one.

    Args:
        path: The name given to `--dump-activations`.

    Returns:
        The dump, with its sentences in corpus order.

    Raises:
        ActivationError: Neither there, both there, a shard missing, or a file that ActivationFile refuses.
    """
    path = Path(path)
    try:
        paths = shard_paths(path, "dump again")
    except InputError as error:
        raise ActivationError(str(error)) from error
    if not paths:
        return ActivationFile(path)
    with ExitStack() as opened:
        dump = ShardedActivations(path, [opened.enter_context(ActivationFile(one)) for one in paths])
        opened.pop_all()
        return dump
