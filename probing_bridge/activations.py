"""Activations of sentence pairs under teacher forcing: what `--dump-activations` writes and `similarity` reads.

One HDF5 file. `states/<component>/<layer>` holds (n_tokens, d) and `attention/<kind>/<layer>` (n_pairs, n_heads), each
one contiguous block with the sentences in corpus order; `offsets/...` say where a sentence begins. Because the blocks
are contiguous, writer and reader move rows with plain positioned reads and writes: batches may come in any order, and
neither side ever holds more than the rows it was asked for. Several processes write one shard each; `open_dump` reads
the shards as one. docs/activations.md describes the layout for other programs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from probing_bridge import __version__
from probing_bridge.errors import BridgeError

FORMAT = "lth-activations"
FORMAT_VERSION = 1
SIDES = {"encoder": "source", "decoder": "target"}
ATTENTION_KINDS = {  # kind: (side of the queries, side of the keys)
    "encoder_self": ("source", "source"),
    "encoder_decoder": ("target", "source"),
    "decoder_self": ("target", "target"),
}
DTYPES: dict[str, np.dtype] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
HASH_BLOCK = 1024  # sentences read at once where all tokens are gone through


class ActivationError(BridgeError):
    """An activation file that cannot be written, read or compared."""


def layer_order(name: str) -> tuple[int, str]:
    """Sort key of layer names: 0, 1, ..., 10, then `norm`."""
    return (int(name), "") if name.isdigit() else (1 << 30, name)


def shard_path(path: str | Path, shard: int, n_shards: int) -> Path:
    """The file of one shard: FILE.h5 becomes FILE.shard0-of-2.h5."""
    path = Path(path)
    return path.with_name(f"{path.stem}.shard{shard}-of-{n_shards}{path.suffix}")


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Row offsets, (n + 1,) int64, of sentences with the given lengths."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)


def _sentence_hash(
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


class ActivationWriter:
    """Writes a dump, sentences in any order; the file gets its name only when every sentence is there.

    A context manager: leaving it normally checks that nothing is missing and renames the file into place, leaving it
    by an exception removes what was written.
    """

    def __init__(
        self,
        path: str | Path,
        lengths: Mapping[str, Sequence[int] | np.ndarray],
        states: Mapping[str, Mapping[str, int]],
        attention: Mapping[str, Mapping[str, int]],
        symbols: Mapping[str, Sequence[str]],
        attributes: Mapping[str, Any],
        dtype: str = "float32",
        sentences: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        """Describes the file; nothing is written before `with`.

        Args:
            path: The final name.
            lengths: Tokens of each sentence (EOS included) by side: source, target.
            states: Neurons of each layer, by component: {"encoder": {"0": 512, ...}, ...}.
            attention: Heads of each layer, by kind: {"encoder_self": {"1": 8, ...}, ...}.
            symbols: The dictionary, by side.
            attributes: Where the values come from: checkpoint, checkpoint_hash, experiment, level, sparsity, ...
            dtype: float32, or float16: then the mean of the first rows of each layer of states is stored and
                subtracted before rounding (attention is in [0, 1] and needs none).
            sentences: For a shard: the corpus numbers of its sentences, ascending. None: all.
        """
        self.path = Path(path)
        self._beside = self.path.with_name(f".{self.path.name}.tmp")
        self._lengths = {side: np.asarray(lengths[side], dtype=np.int64) for side in ("source", "target")}
        self._offsets = {side: offsets_of(self._lengths[side]) for side in self._lengths}
        self._states, self._attention, self._symbols = states, attention, symbols
        self._attributes = dict(attributes)
        self._dtype = dtype
        self._sentences = None if sentences is None else np.asarray(sentences, dtype=np.int64)
        self._places: dict[str, tuple[int, np.dtype, int]] = {}  # dataset -> byte offset, dtype, columns
        self._means: dict[str, np.ndarray] = {}
        self._missing: dict[str, np.ndarray] = {}  # dataset -> (n_sentences,) bool
        self._fd = -1

    def __enter__(self) -> ActivationWriter:
        """Lays the whole file out beside its final name."""
        try:
            needed, free = self._size(), shutil.disk_usage(self.path.absolute().parent).free
            if needed > free:
                raise ActivationError(f"{self.path}: needs {needed / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB")
            self._lay_out()
            self._fd = os.open(self._beside, os.O_RDWR)
        except OSError as error:
            self._beside.unlink(missing_ok=True)
            raise ActivationError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        return self

    def _blocks(self) -> Iterator[tuple[str, np.ndarray, int, np.dtype]]:
        """Every block of rows: name, offsets of its sentences, columns, dtype."""
        for side in ("source", "target"):
            yield f"tokens/{side}", self._offsets[side], 1, np.dtype("<i4")
        for component, layers in self._states.items():
            for layer, dim in layers.items():
                yield f"states/{component}/{layer}", self._offsets[SIDES[component]], dim, DTYPES[self._dtype]
        for kind, layers in self._attention.items():
            rows = self._attention_offsets(kind)
            for layer, heads in layers.items():
                yield f"attention/{kind}/{layer}", rows, heads, DTYPES[self._dtype]

    def _attention_offsets(self, kind: str) -> np.ndarray:
        query, key = ATTENTION_KINDS[kind]
        return offsets_of(self._lengths[query] * self._lengths[key])

    def _size(self) -> int:
        return sum(int(offsets[-1]) * columns * dtype.itemsize for _, offsets, columns, dtype in self._blocks())

    def _lay_out(self) -> None:
        at_once = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        at_once.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # so that every block has its place in the file now
        at_once.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        links.set_create_intermediate_group(True)
        self._row_offsets = {}
        with h5py.File(self._beside, "w") as file:
            for name, offsets, columns, dtype in self._blocks():
                shape = (int(offsets[-1]),) if name.startswith("tokens") else (int(offsets[-1]), columns)
                space, kind = h5py.h5s.create_simple(shape), h5py.h5t.py_create(dtype, logical=True)
                block = h5py.h5d.create(file.id, name.encode(), kind, space, dcpl=at_once, lcpl=links)
                self._places[name] = (int(block.get_offset() or 0), dtype, columns)
                self._row_offsets[name] = offsets
                self._missing[name] = np.ones(len(offsets) - 1, dtype=bool)
            for side, offsets in self._offsets.items():
                file[f"offsets/{side}"] = offsets
                file.create_dataset(f"symbols/{side}", data=list(self._symbols[side]), dtype=h5py.string_dtype())
            for kind in self._attention:
                file[f"offsets/attention/{kind}"] = self._attention_offsets(kind)
            if self._sentences is not None:
                file["sentences"] = self._sentences

    def write_tokens(self, side: str, sentences: Sequence[int], ids: np.ndarray) -> None:
        """Writes the token ids of some sentences, (n_tokens,) one sentence after the other, as the model sees them."""
        self._write(f"tokens/{side}", sentences, np.asarray(ids)[:, None])

    def write_states(self, component: str, layer: str, sentences: Sequence[int], rows: np.ndarray) -> None:
        """Writes one layer of some sentences, (n_tokens, d), one sentence after the other."""
        self._write(f"states/{component}/{layer}", sentences, rows)

    def write_attention(self, kind: str, layer: str, sentences: Sequence[int], rows: np.ndarray) -> None:
        """Writes one layer's attention of some sentences, (n_pairs, n_heads): sentence by sentence, query-major."""
        self._write(f"attention/{kind}/{layer}", sentences, rows)

    def _write(self, name: str, sentences: Sequence[int], rows: np.ndarray) -> None:
        place, dtype, columns = self._places[name]
        numbers = np.asarray(sentences, dtype=np.int64)
        starts = self._row_offsets[name][numbers]
        counts = self._row_offsets[name][numbers + 1] - starts
        if rows.shape != (counts.sum(), columns):
            raise ValueError(f"{name}: shape {rows.shape}, expected {(int(counts.sum()), columns)}")
        if dtype == DTYPES["float16"] and name.startswith("states") and len(rows):
            if name not in self._means:
                self._means[name] = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
            rows = rows - self._means[name]
        with np.errstate(over="ignore"):  # a value too large for float16 becomes infinite, and is refused below
            stored = np.ascontiguousarray(rows, dtype=dtype)
        if dtype.kind == "f" and not np.isfinite(stored).all():
            raise ActivationError(f"{self.path}: {name} has values that {dtype.name} cannot hold (NaN or too large)")
        data = stored.reshape(-1).view(np.uint8).data
        width = columns * dtype.itemsize
        row = 0
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            self._put(data[row * width : (row + count) * width], place + start * width)
            row += count
        self._missing[name][numbers] = False

    def _put(self, data: memoryview, position: int) -> None:
        while data:
            try:
                done = os.pwrite(self._fd, data, position)
            except OSError as error:
                raise ActivationError(f"{self.path}: cannot be written ({error.strerror})") from error
            data, position = data[done:], position + done

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the file and gives it its name, or removes it."""
        try:
            if kind is None:
                self._complete()
        finally:
            self.abort()

    def abort(self) -> None:
        """Removes what was written and has not got its name yet."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._beside.unlink(missing_ok=True)

    @property
    def is_whole(self) -> bool:
        """Whether every sentence is there."""
        return not any(missing.any() for missing in self._missing.values())

    def _complete(self) -> None:
        for name, missing in self._missing.items():
            if missing.any():
                first = int(np.flatnonzero(missing)[0])
                raise ActivationError(
                    f"{self.path}: {int(missing.sum())} of {len(missing)} sentences never came (first: {first}, {name})"
                )
        with h5py.File(self._beside, "r+") as file:
            for name, mean in self._means.items():
                file[f"means/{name}"] = mean
            own = {"format": FORMAT, "format_version": FORMAT_VERSION, "dtype": self._dtype}
            own |= {"package_version": __version__, "sentence_hash": self._hash(file), "complete": True}
            file.attrs.update({**self._attributes, **own})
        os.replace(self._beside, self.path)

    def _hash(self, file: h5py.File) -> str:
        def read(side: str, start: int, stop: int) -> np.ndarray:
            return np.asarray(file[f"tokens/{side}"][start:stop])

        return _sentence_hash(read, self._symbols, self._offsets)


class Dump(ABC):
    """A dump open for reading, be it one file or several shards; a context manager.

    Attributes:
        path: The file, or the name that the shards share.
        attributes: What the root says: checkpoint, checkpoint_hash, experiment, level, sparsity, sentence_hash, ...
        n_sentences: Sentence pairs.
        components: Layer names, in order, by component (encoder, decoder): 0 = embeddings, 1 .. L, then `norm`.
        attention_kinds: Layer names, in order, by kind: encoder_self, encoder_decoder, decoder_self.
    """

    path: Path
    attributes: dict[str, Any]
    n_sentences: int
    components: dict[str, tuple[str, ...]]
    attention_kinds: dict[str, tuple[str, ...]]

    @abstractmethod
    def offsets(self, side: str) -> np.ndarray:
        """Rows of each sentence on a side (source or target): (n_sentences + 1,) int64."""

    def attention_offsets(self, kind: str) -> np.ndarray:
        """Rows of each sentence among the (query, key) pairs of a kind: (n_sentences + 1,) int64."""
        query, key = ATTENTION_KINDS[kind]
        return offsets_of(np.diff(self.offsets(query)) * np.diff(self.offsets(key)))

    @abstractmethod
    def symbols(self, side: str) -> list[str]:
        """The dictionary of a side; a token id is an index into it, and fairseq gives frequent tokens low ids."""

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


@dataclass(frozen=True)
class _Block:
    """Where the rows of a dataset lie in the file."""

    position: int
    rows: int
    columns: int
    dtype: np.dtype
    mean: np.ndarray | None


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
            with h5py.File(self.path, "r") as file:
                self._check_root(file)
                self._read_layout(file)
        except (OSError, KeyError, RuntimeError) as error:
            reason = "no such file" if not self.path.exists() else f"damaged, truncated or not an HDF5 file ({error})"
            raise self._error(f"{reason}; dump it again") from error
        self._fd = os.open(self.path, os.O_RDONLY)

    def _error(self, message: str) -> ActivationError:
        return ActivationError(f"{self.path}: {' '.join(message.split())}")

    def _check_root(self, file: h5py.File) -> None:
        self.attributes = {name: _plain(value) for name, value in file.attrs.items()}
        if self.attributes.get("format") != FORMAT:
            found = self.attributes.get("format", "other HDF5 data")
            raise self._error(f"holds {found}, not an activation dump; expected the file of --dump-activations")
        version = self.attributes.get("format_version")
        if version != FORMAT_VERSION:
            raise self._error(
                f"has format version {version}, but this probing_bridge {__version__} reads version {FORMAT_VERSION};"
                " install the version that wrote it or dump again"
            )
        if self.attributes.get("complete") is not True:
            raise self._error("is not complete; dump it again")

    def _read_layout(self, file: h5py.File) -> None:
        self._size = os.path.getsize(self.path)
        self._offsets = {side: self._read_offsets(file, side) for side in ("source", "target")}
        self.n_sentences = len(self._offsets["source"]) - 1
        if len(self._offsets["target"]) != self.n_sentences + 1:
            raise self._error("damaged: source and target do not have the same number of sentences; dump it again")
        self.sentences = self._small(file, "sentences") if "sentences" in file else np.arange(self.n_sentences)
        self._blocks: dict[str, _Block] = {}
        for side in ("source", "target"):
            self._add_block(file, f"tokens/{side}", int(self._offsets[side][-1]))
        self.components = self._layers(file, "states", tuple(SIDES))
        for component, layers in self.components.items():
            for layer in layers:
                self._add_block(file, f"states/{component}/{layer}", int(self._offsets[SIDES[component]][-1]))
        self.attention_kinds = self._layers(file, "attention", tuple(ATTENTION_KINDS))
        for kind, layers in self.attention_kinds.items():
            for layer in layers:
                self._add_block(file, f"attention/{kind}/{layer}", int(self.attention_offsets(kind)[-1]))

    def _layers(self, file: h5py.File, group: str, known: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        names = [name for name in known if f"{group}/{name}" in file]
        return {name: tuple(sorted(file[f"{group}/{name}"], key=layer_order)) for name in names}

    def _small(self, file: h5py.File, name: str) -> np.ndarray:
        """Reads a dataset whole, after checking that the file is large enough to hold it."""
        dataset = file[name]
        if dataset.ndim > 1 or dataset.nbytes > self._size:
            raise self._error(f"damaged: {name} has shape {dataset.shape}; dump it again")
        return np.asarray(dataset[()])

    def _read_offsets(self, file: h5py.File, side: str) -> np.ndarray:
        offsets = self._small(file, f"offsets/{side}")
        if offsets.dtype != np.int64 or len(offsets) < 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
            raise self._error(f"damaged: offsets/{side} do not ascend from 0; dump it again")
        return offsets

    def _add_block(self, file: h5py.File, name: str, rows: int) -> None:
        dataset = file[name]
        columns = 1 if dataset.ndim == 1 else dataset.shape[-1]
        expected = "<i4" if name.startswith("tokens") else DTYPES.get(self.attributes["dtype"])
        position = dataset.id.get_offset()
        if dataset.shape not in ((rows,), (rows, columns)) or dataset.dtype != expected:
            raise self._error(
                f"damaged: {name} is {dataset.shape} {dataset.dtype}, expected {rows} rows; dump it again"
            )
        if dataset.size and (position is None or position + dataset.nbytes > self._size):
            raise self._error(f"damaged: {name} does not lie inside the file; dump it again")
        mean = self._small(file, f"means/{name}") if f"means/{name}" in file else None
        self._blocks[name] = _Block(position or 0, rows, columns, dataset.dtype, mean)

    def offsets(self, side: str) -> np.ndarray:
        """See Dump."""
        return self._offsets[side]

    def symbols(self, side: str) -> list[str]:
        """See Dump."""
        with h5py.File(self.path, "r") as file:
            return [text.decode("utf-8", "surrogatepass") for text in self._small(file, f"symbols/{side}")]

    def dim(self, component: str) -> int:
        """See Dump."""
        return self._blocks[f"states/{component}/{self.components[component][0]}"].columns

    def n_heads(self, kind: str) -> int:
        """See Dump."""
        return self._blocks[f"attention/{kind}/{self.attention_kinds[kind][0]}"].columns

    def tokens(self, side: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """See Dump."""
        stop = int(self._offsets[side][-1]) if stop is None else stop
        return self._read(f"tokens/{side}", start, stop)[:, 0]

    def read_states(self, component: str, layer: str, start: int, stop: int) -> np.ndarray:
        """See Dump."""
        return self._read(f"states/{component}/{layer}", start, stop)

    def read_attention(self, kind: str, layer: str, start: int, stop: int) -> np.ndarray:
        """See Dump."""
        return self._read(f"attention/{kind}/{layer}", start, stop)

    def _read(self, name: str, start: int, stop: int) -> np.ndarray:
        block = self._blocks.get(name)
        if block is None:
            raise self._error(f"has no {name}; it holds {', '.join(self._blocks)}")
        if not 0 <= start <= stop <= block.rows:
            raise ValueError(f"rows {start}..{stop} of {block.rows}")
        rows = np.empty((stop - start, block.columns), dtype=block.dtype)
        rest = rows.reshape(-1).view(np.uint8).data
        position = block.position + start * block.columns * block.dtype.itemsize
        while rest:  # the kernel gives at most 2 GB at once
            done = os.preadv(self._fd, [rest], position)
            if not done:
                raise self._error(f"was cut short while it was read ({name})")
            rest, position = rest[done:], position + done
        if block.dtype != DTYPES["float16"]:
            return rows
        wide = rows.astype(np.float32)
        return wide if block.mean is None else np.add(wide, block.mean, out=wide)

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


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
            same = ("checkpoint_hash", "dtype", "source_lang", "target_lang", "package_version")
            if (
                any(shard.attributes.get(name) != first.attributes.get(name) for name in same)
                or shard.components != first.components
                or shard.attention_kinds != first.attention_kinds
            ):
                raise ActivationError(f"{shard.path}: does not belong to {first.path}; dump all shards again")
        self.components, self.attention_kinds = first.components, first.attention_kinds
        numbers = np.concatenate([shard.sentences for shard in self._shards])
        self.n_sentences = len(numbers)
        order = np.argsort(numbers, kind="stable")
        if not np.array_equal(numbers[order], np.arange(self.n_sentences)):
            raise ActivationError(f"{path}: its shards do not hold every sentence once; dump all shards again")
        # sentence -> shard and number of the sentence inside it
        self._shard = np.repeat(np.arange(len(shards)), [shard.n_sentences for shard in shards])[order]
        self._local = np.concatenate([np.arange(shard.n_sentences) for shard in shards])[order]
        self._offsets = {side: self._merge_offsets(side) for side in ("source", "target")}
        symbols = {side: first.symbols(side) for side in ("source", "target")}
        shared = {name: value for name, value in first.attributes.items() if name not in ("shard", "n_shards")}
        self.attributes = {**shared, "sentence_hash": _sentence_hash(self.tokens, symbols, self._offsets)}

    def _merge_offsets(self, side: str) -> np.ndarray:
        lengths = [np.diff(shard.offsets(side)) for shard in self._shards]
        starts = np.cumsum([0, *(len(some) for some in lengths[:-1])])
        return offsets_of(np.concatenate(lengths)[starts[self._shard] + self._local])

    def offsets(self, side: str) -> np.ndarray:
        """See Dump."""
        return self._offsets[side]

    def symbols(self, side: str) -> list[str]:
        """See Dump."""
        return self._shards[0].symbols(side)

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
    pattern = re.compile(re.escape(path.stem) + r"\.shard(\d+)-of-(\d+)" + re.escape(path.suffix))
    folder = path.parent.iterdir() if path.parent.is_dir() else iter(())
    found = [match for other in folder if (match := pattern.fullmatch(other.name))]
    if not found:
        return ActivationFile(path)
    if path.exists():
        raise ActivationError(f"{path}: there are a whole dump and shards of this name; delete those that are old")
    counts = {int(match[2]) for match in found}
    if len(counts) > 1:
        raise ActivationError(f"{path}: there are shards of dumps by {sorted(counts)} processes; delete the old ones")
    paths = [shard_path(path, shard, counts.copy().pop()) for shard in range(max(counts))]
    absent = [one.name for one in paths if not one.exists()]
    if absent:
        raise ActivationError(f"{path}: shards are missing: {', '.join(absent)}; dump again")
    with ExitStack() as opened:
        dump = ShardedActivations(path, [opened.enter_context(ActivationFile(one)) for one in paths])
        opened.pop_all()
        return dump


def require_same_sentences(first: Dump, second: Dump) -> None:
    """Refuses two dumps of different sentences, whose rows mean different tokens.

    Raises:
        ActivationError: Their sentence hashes differ.
    """
    if first.attributes.get("sentence_hash") != second.attributes.get("sentence_hash"):
        counts = f"{first.n_sentences} and {second.n_sentences} sentences"
        raise ActivationError(
            f"{first.path} and {second.path} are dumps of different sentences ({counts}); dump both from the same data"
        )


def _plain(value: Any) -> Any:
    """An HDF5 attribute as a Python value."""
    return value.item() if isinstance(value, np.generic) else value
