"""Representations and dumps in other tools' files, and word representations made elsewhere in ours.

`liu` is the HDF5 of contextual-repr-analysis (Liu et al., 2019), which the code of Wu et al. (2020) reads too; `npz` is
numpy's archive, without pickled objects; `vectors` is text with a word and its numbers in every line (GloVe). All of
them are written sentence by sentence, and get their name when they are whole. docs/activations.md describes the keys.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from probing_bridge import __version__
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.activations.reader import ATTENTION_KINDS, SIDES, Dump, layer_order
from probing_bridge.formats.representations import Representations, RepresentationWriter, layer_names_fault

EOS = "</s>"
ROWS = 1 << 14  # rows held at once
KEPT = ("experiment", "checkpoint", "checkpoint_hash", "level", "sparsity", "package_version")


def dump_to_liu(dump: Dump, component: str, path: str | Path) -> tuple[int, int]:
    """Writes the states of a dump's pieces as if they were words, without EOS.

    Args:
        dump: An open dump.
        component: encoder or decoder.
        path: The HDF5 file to write.

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
    attributes = {name: dump.attributes[name] for name in KEPT if name in dump.attributes}
    with RepresentationWriter(path, layers, {**attributes, "component": component}) as writer:
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


def copy_representations(source: Representations, path: str | Path, attributes: Mapping[str, Any]) -> int:
    """Writes every sentence of a file anew, checking each.

    Args:
        source: An open file.
        path: The file to write.
        attributes: What its root says.

    Returns:
        Number of sentences.
    """
    with RepresentationWriter(path, source.layers, attributes) as writer:
        for words in source.sentences():
            writer.add(words, source.read(words))
        return len(writer)


def representations_to_npz(source: Representations, path: str | Path) -> None:
    """Writes `words` (n_words,), `offsets` (n_sentences + 1,) and `layer_<name>` (n_words, d) to an npz archive."""
    sentences = list(source.sentences())
    offsets = np.concatenate(([0], np.cumsum([len(words) for words in sentences]))).astype(np.int64)

    def rows(layer: str) -> Iterator[np.ndarray]:
        return (source.read(words, [layer])[0] for words in sentences)

    with _Npz(path) as archive:
        archive.add("words", np.array([word for words in sentences for word in words]))
        archive.add("offsets", offsets)
        for layer in source.layers:
            archive.stream(f"layer_{layer}", (int(offsets[-1]), source.dim), rows(layer))


def dump_to_npz(dump: Dump, path: str | Path) -> None:
    """Writes every array of a dump to an npz archive, with `_` for `/`: `states_encoder_0`, `offsets_source`, ..."""

    def rows(read: Callable[[str, str, int, int], np.ndarray], name: str, layer: str, n: int) -> Iterator[np.ndarray]:
        return (read(name, layer, start, min(start + ROWS, n)) for start in range(0, n, ROWS))

    with _Npz(path) as archive:
        for side in ("source", "target"):
            archive.add(f"offsets_{side}", dump.offsets(side))
            archive.add(f"tokens_{side}", dump.tokens(side))
            archive.add(f"symbols_{side}", np.array(dump.symbols(side)))
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


class _Npz:
    """An npz archive that is written array by array, each in pieces."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._beside = self._path.with_name(f".{self._path.name}.tmp")

    def __enter__(self) -> _Npz:
        try:
            self._zip = zipfile.ZipFile(self._beside, "w", zipfile.ZIP_STORED)
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

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self._zip.close()
            if kind is None:
                os.replace(self._beside, self._path)
        finally:
            self._beside.unlink(missing_ok=True)


def npz_to_representations(path: str | Path, output: str | Path, attributes: Mapping[str, Any]) -> int:
    """Reads an archive with the arrays of representations_to_npz.

    Args:
        path: The npz file.
        output: The representation file to write.
        attributes: What its root says.

    Returns:
        Number of different sentences.

    Raises:
        InputError: Not such an archive, or arrays that do not fit each other.
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError("no such file", path) from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError("is not an npz archive", path) from error
    try:
        names = (name.removeprefix("layer_") for name in archive.files if name.startswith("layer_"))
        layers = sorted(names, key=layer_order)
        words, offsets = archive["words"].tolist(), archive["offsets"].tolist()
        states = [archive[f"layer_{name}"] for name in layers]
    except (AttributeError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"expected the arrays words, offsets, layer_0, layer_1, ... ({error})", path) from error
    if (fault := layer_names_fault(layers)) is not None:
        raise InputError(f"the arrays layer_0, layer_1, ...: {fault}", path)
    if {layer.shape for layer in states} != {(len(words), states[0].shape[-1])}:
        raise InputError(f"{len(words)} words, but layers of shape {[layer.shape for layer in states]}", path)
    if offsets[:1] != [0] or offsets[-1] != len(words) or any(last <= first for first, last in pairwise(offsets)):
        raise InputError(f"offsets do not ascend from 0 to the number of words, {len(words)}", path)
    with RepresentationWriter(output, layers, {**attributes, "package_version": __version__}) as writer:
        for first, last in pairwise(offsets):
            if words[first:last] not in writer:
                writer.add(words[first:last], np.stack([layer[first:last] for layer in states]))
        return len(writer)


def vectors_to_representations(
    path: str | Path, sentences: str | Path, output: str | Path, attributes: Mapping[str, Any]
) -> tuple[int, float]:
    """Gives every word of a sentences file its vector from a text file (GloVe, word2vec), as one layer.

    A word is looked up as it is, then in lower case; one that is not there gets the vector of `<unk>` or `unk`, or
    zeros where the file has none.

    Args:
        path: Text, a word and its numbers in each line; a first line of two numbers is skipped (word2vec).
        sentences: What `sentences` wrote.
        output: The representation file to write.
        attributes: What its root says.

    Returns:
        Number of different sentences; share of words without a vector.

    Raises:
        InputError: A line that is no word with as many numbers as the first, or a file that is not there.
    """
    lines = [line.replace("\t", " ").split(" ") for line in _lines(sentences) if line]
    wanted = {form for words in lines for word in words for form in (word, word.lower())} | {"<unk>", "unk"}
    vectors = _read_vectors(path, wanted)
    dim = len(next(iter(vectors.values()))) if vectors else 0
    if not dim:
        raise InputError("has a vector for none of the words; is it of this language?", path)
    unknown = vectors.get("<unk>", vectors.get("unk", np.zeros(dim, np.float32)))
    n_words = n_unknown = 0
    with RepresentationWriter(output, ["0"], {**attributes, "package_version": __version__}) as writer:
        for words in lines:
            found = [vectors.get(word, vectors.get(word.lower())) for word in words]
            n_words += len(words)
            n_unknown += sum(vector is None for vector in found)
            writer.add(words, np.stack([unknown if vector is None else vector for vector in found])[None])
        return len(writer), n_unknown / max(1, n_words)


def _lines(path: str | Path) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except FileNotFoundError as error:
        raise InputError("no such file", path) from error
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 ({error.reason} at byte {error.start})", path) from error


def _read_vectors(path: str | Path, wanted: set[str]) -> dict[str, np.ndarray]:
    vectors: dict[str, np.ndarray] = {}
    dim = None
    for number, line in enumerate(_lines(path), start=1):
        word, *numbers = line.rstrip(" ").split(" ")
        if number == 1 and len(numbers) == 1 and word.isdigit():
            continue
        dim = len(numbers) if dim is None else dim
        if len(numbers) > dim:  # some words of GloVe 840B hold spaces
            word, numbers = " ".join([word, *numbers[:-dim]]), numbers[-dim:]
        if word not in wanted:
            continue
        try:
            vectors[word] = np.array(numbers, dtype=np.float32)
        except ValueError as error:
            raise InputError(f"expected a word and {dim} numbers ({error})", path, number) from error
        if len(numbers) != dim or not dim or not np.isfinite(vectors[word]).all():
            raise InputError(f"expected a word and {dim} finite numbers, as in the first line", path, number)
    return vectors
