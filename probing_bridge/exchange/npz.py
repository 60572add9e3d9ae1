"""Representations and dumps as numpy's archives, without pickled objects, and word representations read from them.

An archive is written array by array, and gets its name when it is whole. docs/activations.md describes the keys.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np

from probing_bridge.errors import InputError
from probing_bridge.formats.activations.output import DATASETS, GROUP
from probing_bridge.formats.activations.reader import ATTENTION_KINDS, SIDES, Dump, layer_order
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.layers import layer_names_fault
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import Representations, sentence_text
from probing_bridge.formats.sentences import divided_word

ROWS = 1 << 14  # rows held at once
_MOST_UNPACKED = 50  # bytes that one stored byte may become; vectors shrink by a tenth


def _bytes_of(texts: Sequence[str]) -> np.ndarray:
    """Texts without line ends as the bytes of their lines, (n,) uint8; numpy's own pads all to the longest."""
    return np.frombuffer("\n".join(texts).encode("utf-8", "surrogatepass"), np.uint8)


def _packed(origin: Origin) -> np.ndarray:
    return np.array(json.dumps(origin.attributes()))


def write_representations(source: Representations, path: str | Path) -> None:
    """Writes `words` (lines as bytes), `offsets` (n_sentences + 1,), `layer_<name>` (n_words, d), `origin`."""
    sentences = list(source.sentences())
    offsets = np.concatenate(([0], np.cumsum([len(words) for words in sentences]))).astype(np.int64)

    def rows(layer: str) -> Iterator[np.ndarray]:
        return (source.read(words, [layer])[0] for words in sentences)

    with _Npz(path) as archive:
        archive.add("origin", _packed(source.origin))
        archive.add("words", _bytes_of([word for words in sentences for word in words]))
        archive.add("offsets", offsets)
        for layer in source.layers:
            archive.stream(f"layer_{layer}", (int(offsets[-1]), source.dim), rows(layer))


def write_dump(dump: Dump, path: str | Path) -> None:
    """Writes every array of a dump, with `_` for `/` (`states_encoder_0`, `tokens_source`, ..), and `origin` (JSON)."""

    def rows(read: Callable[[str, str, int, int], np.ndarray], name: str, layer: str, n: int) -> Iterator[np.ndarray]:
        return (read(name, layer, start, min(start + ROWS, n)) for start in range(0, n, ROWS))

    with _Npz(path) as archive:
        archive.add("origin", _packed(dump.origin))
        for side in ("source", "target"):
            archive.add(f"offsets_{side}", dump.offsets(side))
            archive.add(f"tokens_{side}", dump.tokens(side))
            archive.add(f"symbols_{side}", _bytes_of(dump.symbols(side)))
        for component, layers in dump.components.items():
            n = int(dump.offsets(SIDES[component])[-1])
            for layer in layers:
                name = f"states_{component}_{layer}"
                archive.stream(name, (n, dump.dim(component)), rows(dump.read_states, component, layer, n))
        for kind in (kind for kind in ATTENTION_KINDS if kind in dump.attention_kinds):
            offsets = dump.attention_offsets(kind)
            archive.add(f"offsets_attention_{kind}", offsets)
            for layer in dump.attention_kinds[kind]:
                n = int(offsets[-1])
                name = f"attention_{kind}_{layer}"
                archive.stream(name, (n, dump.n_heads(kind)), rows(dump.read_attention, kind, layer, n))
        if dump.n_best:
            output = dump.read_output(0, int(dump.offsets("target")[-1]))
            for name in DATASETS:
                archive.add(f"{GROUP}_{name}", getattr(output, name))


class _Npz:
    """An npz archive that is written array by array, each in pieces."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._place = written_beside(path)

    def __enter__(self) -> _Npz:
        try:
            self._zip = zipfile.ZipFile(self._place.__enter__(), "w", zipfile.ZIP_STORED)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror or error})", self._path) from error
        return self

    def add(self, name: str, array: np.ndarray) -> None:
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)

    def stream(self, name: str, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)
            for part in parts:
                member.write(np.ascontiguousarray(part, "<f4").tobytes())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._place.__exit__(kind, error, trace)


def _are_finite(layer: np.ndarray) -> bool:
    """Whether values are finite as float32 too."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(layer.astype(np.float32, copy=False)).all())


_BROKEN = (zlib.error, zipfile.BadZipFile, NotImplementedError, MemoryError, SyntaxError)


class NpzVectors:
    """Word representations in an archive with the arrays of write_representations.

    Attributes:
        layers: Their names.
        dim: Numbers per word and layer.
        origin: What the archive says of where they come from; nothing if it was made elsewhere.
    """

    def __init__(self, path: str | Path) -> None:
        """Reads an archive.

        Args:
            path: The npz file.

        Raises:
            InputError: Not such an archive, or arrays that do not fit each other.
        """
        self._path = path
        arrays = _load(path)
        names = (name.removeprefix("layer_") for name in arrays if name.startswith("layer_"))
        try:
            self.layers = tuple(sorted(names, key=layer_order))
            said = json.loads(str(arrays["origin"])) if "origin" in arrays else {}
            words, offsets = (arrays[name] for name in ("words", "offsets"))
        except (KeyError, ValueError, RecursionError) as error:
            raise InputError(f"expected the arrays words, offsets, layer_0, layer_1, ... ({error})", path) from error
        if not isinstance(said, dict):
            raise InputError(f"the array origin holds {str(said)[:80]}, expected a JSON object", path)
        self.origin = Origin.of(said, path)
        if (fault := layer_names_fault(self.layers)) is not None:
            raise InputError(f"the arrays layer_0, layer_1, ...: {fault}", path)
        self._states = [arrays[f"layer_{name}"] for name in self.layers]
        self._words = self._texts(words)
        self._check(offsets)
        self.dim = self._states[0].shape[1]
        self._rows: dict[str, tuple[int, int]] = {}
        for number, (first, last) in enumerate(pairwise(offsets.tolist()), start=1):
            sentence = sentence_text(self._words[first:last])
            if not sentence:
                raise InputError(f"sentence {number} is one empty word; take it out", path)
            if sentence in self._rows:
                raise InputError(f"sentence {number}, {sentence!r:.80}, is in it twice; take one out", path)
            self._rows[sentence] = (first, last)

    def _texts(self, words: np.ndarray) -> list[str]:
        if words.dtype != np.uint8 or words.ndim != 1:
            found = f"the array words is {words.dtype} of shape {words.shape}"
            raise InputError(f"{found}, expected a line a word as UTF-8 bytes (n,) uint8", self._path)
        try:
            return words.tobytes().decode("utf-8", "surrogatepass").split("\n")
        except UnicodeDecodeError as error:
            raise InputError(f"the array words is no UTF-8 ({error})", self._path) from error

    def _check(self, offsets: np.ndarray) -> None:
        words, shapes = self._words, [layer.shape for layer in self._states]
        if not shapes or len(set(shapes)) > 1 or len(shapes[0]) != 2 or shapes[0][0] != len(words) or not shapes[0][1]:
            raise InputError(f"{len(words)} words, but layers of shape {shapes}", self._path)
        if any(layer.dtype.kind != "f" or not _are_finite(layer) for layer in self._states):
            raise InputError("a layer holds a value that is no finite float of 32 bits", self._path)
        if (word := divided_word(words)) is not None:
            raise InputError(f"the word {word!r:.80} has white space in it", self._path)
        numbers = offsets.tolist() if offsets.dtype.kind in "iu" and offsets.ndim == 1 else []
        ascend = all(first < last for first, last in pairwise(numbers))
        if len(numbers) < 2 or numbers[0] != 0 or numbers[-1] != len(words) or not ascend:
            raise InputError(f"offsets do not ascend from 0 to the number of words, {len(words)}", self._path)

    def sentences(self) -> Iterator[Sequence[str]]:
        """The words of every different sentence."""
        return (self._words[first:last] for first, last in self._rows.values())

    def read(self, tokens: Sequence[str]) -> np.ndarray:
        """The vectors of one sentence: (n_layers, n_words, d)."""
        first, last = self._rows[sentence_text(tokens)]
        return np.stack([layer[first:last] for layer in self._states])


def check_sizes(path: str | Path) -> None:
    """Refuses arrays that are not as large as their headers say, or that a few bytes would unpack to.

    Args:
        path: An npz archive.

    Raises:
        InputError: One of these, or a member that is no array.
    """
    with zipfile.ZipFile(path) as archive:
        seen: set[str] = set()
        for member in archive.infolist():
            if member.filename in seen:
                raise InputError(f"holds {member.filename!r:.80} twice", path)
            seen.add(member.filename)
            if member.file_size > (1 << 20) + _MOST_UNPACKED * member.compress_size:
                raise InputError(f"{member.filename!r:.80} would unpack to {member.file_size:,} bytes: refused", path)
            if not member.filename.endswith(".npy"):
                raise InputError(f"holds {member.filename!r:.80}, which is no array", path)
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
                if dtype.hasobject or file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
                    raise InputError(f"{member.filename!r:.80} does not have the size that it says it has", path)


def _load(path: str | Path) -> dict[str, np.ndarray]:
    try:
        check_sizes(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise InputError("no such file", path) from error
    except (OSError, ValueError, AttributeError, TypeError, EOFError, RuntimeError, *_BROKEN) as error:
        raise InputError("is not an npz archive without pickled objects", path) from error
