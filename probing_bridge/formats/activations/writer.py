"""Writes a dump: the whole file is laid out first, then rows go to their place in whatever order they come."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from probing_bridge.formats.activations.layout import (
    ATTENTION_KINDS,
    FORMAT,
    FORMAT_VERSION,
    SIDES,
    ActivationError,
    sentence_hash,
)
from probing_bridge.formats.activations.output import DATASETS, GROUP, PER_BEST, Output, output_dtype
from probing_bridge.formats.blocks import DTYPES, lay_out, narrowed, offsets_of, write_at
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.hdf5 import WritableHdf5
from probing_bridge.formats.origin import Origin


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
        counts: Mapping[str, Sequence[int]],
        origin: Origin,
        dtype: str = "float32",
        sentences: Sequence[int] | np.ndarray | None = None,
        words: Mapping[str, Sequence[int] | np.ndarray] | None = None,
        n_best: int = 0,
    ) -> None:
        """Describes the file; nothing is written before `with`.

        Args:
            path: The final name.
            lengths: Tokens of each sentence (EOS included) by side: source, target.
            states: Neurons of each layer, by component: {"encoder": {"0": 512, ...}, ...}.
            attention: Heads of each layer, by kind: {"encoder_self": {"1": 8, ...}, ...}.
            symbols: The dictionary, by side.
            counts: How often each symbol is in the training data, as the dictionary says, by side.
            origin: Where the values come from, but for sentence_hash, which the writer finds.
            dtype: float32, or float16: then the mean of the first rows of each layer of states is stored and
                subtracted before rounding (attention is in [0, 1] and needs none).
            sentences: For a shard: the corpus numbers of its sentences, ascending. None: all.
            words: Words of each sentence by side, if attention is between words. None: it is between tokens.
            n_best: Best tokens at each target position; 0: no output distributions. They are float32 always.
        """
        self.path = Path(path)
        self._place: AbstractContextManager[Path] | None = None
        self._lengths = {side: np.asarray(lengths[side], dtype=np.int64) for side in ("source", "target")}
        self._offsets = {side: offsets_of(self._lengths[side]) for side in self._lengths}
        self._word_offsets = {side: offsets_of(np.asarray(counts)) for side, counts in (words or {}).items()}
        self._states, self._attention, self._symbols, self._counts = states, attention, symbols, counts
        self._origin = origin
        self._dtype = dtype
        self._n_best = n_best
        self._sentences = None if sentences is None else np.asarray(sentences, dtype=np.int64)
        self._places: dict[str, tuple[int, np.dtype, int]] = {}  # dataset -> byte offset, dtype, columns
        self._means: dict[str, np.ndarray] = {}
        self._missing: dict[str, np.ndarray] = {}  # dataset -> (n_sentences,) bool
        self._fd = -1

    def __enter__(self) -> ActivationWriter:
        """Lays the whole file out beside its final name."""
        try:
            self._place = written_beside(self.path)
            self._beside = self._place.__enter__()
            needed, free = self._size(), shutil.disk_usage(self._beside.parent).free
            if needed > free:
                self.abort()
                raise ActivationError(f"{self.path}: needs {needed / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB")
            self._lay_out()
            self._fd = os.open(self._beside, os.O_RDWR)
        except OSError as error:
            self.abort()
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
        for name in DATASETS if self._n_best else ():
            columns = self._n_best if name in PER_BEST else 1
            yield f"{GROUP}/{name}", self._offsets["target"], columns, output_dtype(name)

    def _attention_offsets(self, kind: str) -> np.ndarray:
        query, key = ATTENTION_KINDS[kind]
        units = self._word_offsets or self._offsets
        return offsets_of(np.diff(units[query]) * np.diff(units[key]))

    def _size(self) -> int:
        return sum(int(offsets[-1]) * columns * dtype.itemsize for _, offsets, columns, dtype in self._blocks())

    def _lay_out(self) -> None:
        self._row_offsets = {}
        with WritableHdf5(self._beside, "x") as file:
            for name, offsets, columns, dtype in self._blocks():
                has_columns = name.startswith(("states", "attention")) or name.rpartition("/")[2] in PER_BEST
                shape = (int(offsets[-1]), columns) if has_columns else (int(offsets[-1]),)
                self._places[name] = (lay_out(file, name, shape, dtype), dtype, columns)
                self._row_offsets[name] = offsets
                self._missing[name] = np.ones(len(offsets) - 1, dtype=bool)
            for side, offsets in self._offsets.items():
                file[f"offsets/{side}"] = offsets
                file.create_dataset(f"symbols/{side}", data=list(self._symbols[side]), dtype=h5py.string_dtype())
                file[f"counts/{side}"] = np.asarray(self._counts[side], dtype=np.int64)
            for side, offsets in self._word_offsets.items():
                file[f"offsets/words/{side}"] = offsets
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

    def write_output(self, sentences: Sequence[int], output: Output) -> None:
        """Writes the output distributions of some sentences, one sentence after the other."""
        for name in DATASETS:
            rows = getattr(output, name)
            self._write(f"{GROUP}/{name}", sentences, rows if name in PER_BEST else rows[:, None])

    def _write(self, name: str, sentences: Sequence[int], rows: np.ndarray) -> None:
        place, dtype, columns = self._places[name]
        numbers = np.asarray(sentences, dtype=np.int64)
        starts = self._row_offsets[name][numbers]
        counts = self._row_offsets[name][numbers + 1] - starts
        if rows.shape != (counts.sum(), columns):
            raise ValueError(f"{name}: shape {rows.shape}, expected {(int(counts.sum()), columns)}")
        if dtype == DTYPES["float16"] and name.startswith("states") and len(rows) and name not in self._means:
            self._means[name] = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        stored = narrowed(rows, self._means.get(name), dtype)
        if stored is None:
            raise ActivationError(f"{self.path}: {name} has values that {dtype.name} cannot hold (NaN or too large)")
        data = stored.reshape(-1).view(np.uint8).data
        width = columns * dtype.itemsize
        row = 0
        try:
            for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
                write_at(self._fd, data[row * width : (row + count) * width], place + start * width)
                row += count
        except OSError as error:
            raise ActivationError(f"{self.path}: cannot be written ({error.strerror})") from error
        self._missing[name][numbers] = False

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
        if self._place is not None:
            unfinished = ActivationError(f"{self.path}: was not finished")
            self._place.__exit__(ActivationError, unfinished, None)
            self._place = None

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
        with WritableHdf5(self._beside, "r+") as file:
            for name, mean in self._means.items():
                file[f"means/{name}"] = mean
            own = {"format": FORMAT, "format_version": FORMAT_VERSION, "dtype": self._dtype, "complete": True}
            own["attention_unit"] = "word" if self._word_offsets else "token"
            file.attrs.update({**replace(self._origin, sentence_hash=self._hash(file)).attributes(), **own})
        place, self._place = self._place, None
        assert place is not None
        place.__exit__(None, None, None)

    def _hash(self, file: h5py.File) -> str:
        def read(side: str, start: int, stop: int) -> np.ndarray:
            return np.asarray(file[f"tokens/{side}"][start:stop])

        return sentence_hash(read, self._symbols, self._offsets)
