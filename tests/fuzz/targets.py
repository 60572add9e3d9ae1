"""What is fuzzed: each target takes any bytes as a file of a kind, and has seeds from the inputs of the tests."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import struct
import sys
import tempfile
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

TESTS = Path(__file__).resolve().parents[1]
for folder in (TESTS / "probing_bridge", TESTS / "probing_bridge" / "corpora" / "readers"):
    sys.path.insert(0, str(folder))

import corpora  # noqa: E402
import synthetic_results  # noqa: E402

from fairseq_lth.levels.checkpoints import STATE_FORMAT, STATE_KEY, require_loadable  # noqa: E402
from fairseq_lth.levels.export import expand_compact, write_compact  # noqa: E402
from fairseq_lth.levels.state import sample_hash  # noqa: E402
from probing_bridge.corpora.readers.formats import BIOUL  # noqa: E402
from probing_bridge.corpora.suite import load_suite  # noqa: E402
from probing_bridge.corpora.tasks import PAPER_TASKS, TASKS, read_instances  # noqa: E402
from probing_bridge.exchange.liu import write_words  # noqa: E402
from probing_bridge.formats.activations.reader import ActivationFile, ActivationWriter  # noqa: E402
from probing_bridge.formats.columns import TABLES  # noqa: E402
from probing_bridge.formats.origin import Origin  # noqa: E402
from probing_bridge.formats.representations import Representations, RepresentationWriter  # noqa: E402
from probing_bridge.formats.tables import read_table  # noqa: E402
from probing_bridge.pruning.masks import Mask  # noqa: E402

TRIED = [*PAPER_TASKS.values(), TASKS["feat_case"]]
READS = [(task.name, format, compat) for task in TRIED for format in task.formats for compat in (False, True)]


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        read: Takes a file's bytes and an empty folder; raises a BridgeError where the file is refused.
        seeds: The bytes of good files, and of files near to good ones.
        lines: Whether a refusal may have several lines, one for each fault.
    """

    read: Callable[[bytes, Path], None]
    seeds: Callable[[Path], Iterator[bytes]]
    lines: bool = False


def read_corpus(data: bytes, folder: Path) -> None:
    """The first byte chooses task, format and compat; the rest is the file."""
    task, format, compat = READS[data[0] % len(READS)] if data else READS[0]
    path = folder / "corpus"
    path.write_bytes(data[1:])
    read_instances(task, path, compat=compat, format=format)


def corpus_seeds(folder: Path) -> Iterator[bytes]:
    """The small corpus of every format, as each task and way of reading it."""
    for number, (_, format, _) in enumerate(READS):
        _, _, text = corpora.CORPORA["conll2003" if format == BIOUL else format]
        yield bytes([number]) + text.encode()


SUITE = """compat: liu2019
tasks:
  pos: {train: a.conllu, dev: a.conllu, test: a.conllu}
  ner: {train: b, dev: b, test: b, format: conll2003}
"""


def read_suite(data: bytes, folder: Path) -> None:
    """A suite in a folder that has the files of SUITE."""
    for name in ("a.conllu", "b"):
        (folder / name).touch()
    (folder / "suite.yaml").write_bytes(data)
    load_suite(folder / "suite.yaml")


def suite_seeds(folder: Path) -> Iterator[bytes]:
    """A good suite, and what YAML has beyond it: anchors, tags, flows, documents, block texts."""
    yield SUITE.encode()
    for text in ("a: &a [1]\nb: *a\n", "tasks: !!python/name:os.system\n", "--- 1\n...\n", "? [a]\n: {b: |\n c\n}\n"):
        yield text.encode()
    yield b"tasks:\n  pos: {train: ../a, dev: /etc/passwd, test: 'a\\0'}\n  pos: []\n"


def read_any_table(data: bytes, folder: Path) -> None:
    """The first byte chooses the table; the rest is the file."""
    names = list(TABLES)
    path = folder / "table.csv"
    path.write_bytes(data[1:])
    read_table(path, names[data[0] % len(names)] if data else names[0])


def table_seeds(folder: Path) -> Iterator[bytes]:
    """The tables of made-up results, and the header alone of those that are not among them."""
    synthetic_results.write_results(folder / "results", levels=2, tasks=2, layers=1)
    for number, (name, table) in enumerate(TABLES.items()):
        path = folder / "results" / f"{name}.csv"
        lines = path.read_bytes().splitlines(keepends=True)[:4] if path.is_file() else []
        yield bytes([number]) + (b"".join(lines) or ",".join(table.columns).encode() + b"\n")


def write_dump(path: Path) -> None:
    """Two sentence pairs, encoder and attention of one layer."""
    lengths, symbols = {"source": [2, 3], "target": [2, 2]}, {"source": ["a", "b"], "target": ["a", "b"]}
    counts = {"source": [5, 3], "target": [4, 4]}
    origin = Origin(experiment="0" * 16, level=1, sparsity=0.2)
    layers = {"encoder": {"0": 3, "1": 3}}
    with ActivationWriter(path, lengths, layers, {"encoder_self": {"1": 2}}, symbols, counts, origin) as dump:
        for side, sizes in lengths.items():
            for number, size in enumerate(sizes):
                dump.write_tokens(side, [number], torch.zeros(size, dtype=torch.int32).numpy())
        for layer in ("0", "1"):
            dump.write_states("encoder", layer, [0, 1], torch.ones(5, 3).numpy())
        for number, size in enumerate(lengths["source"]):
            dump.write_attention("encoder_self", "1", [number], torch.full((size * size, 2), 1 / size).numpy())


def write_representations(path: Path) -> None:
    """Two sentences in two layers."""
    with RepresentationWriter(path, [["a"], ["b", "c"]], ["0", "1"], 2, Origin(level=1, sparsity=0.2)) as writer:
        writer.add(["a"], np.ones((2, 1, 2), np.float32))
        writer.add(["b", "c"], np.ones((2, 2, 2), np.float32))


def write_liu(path: Path) -> None:
    """The same in the layout of Liu et al. (2019)."""
    write_representations(path.with_suffix(".own"))
    with Representations(path.with_suffix(".own")) as source:
        write_words(source, path)


GOOD = {"dump": write_dump, "representations": write_representations, "liu": write_liu}
# Datasets and groups that good files need not have.
MORE = {"dump": ["means/states/encoder/0", "states/encoder/norm", "states/decoder", "sentences"]}


@functools.cache
def good_file(kind: str) -> bytes:
    """The bytes of a file of one of the kinds of GOOD."""
    with tempfile.TemporaryDirectory() as folder:
        GOOD[kind](Path(folder) / "good.h5")
        return (Path(folder) / "good.h5").read_bytes()


@functools.cache
def names_in(kind: str) -> list[str]:
    """The attributes of its root, and its datasets, whose names have a slash."""
    with h5py.File(io.BytesIO(good_file(kind))) as file:
        names = list(file.attrs)
        file.visititems(lambda name, item: names.append(f"/{name}") if isinstance(item, h5py.Dataset) else None)
    return [*names, *MORE.get(kind, [])]


VALUES: list[Callable[[bytes], Any]] = [
    lambda data: None,
    lambda data: int.from_bytes(data[:8], "little", signed=True),
    lambda data: np.frombuffer(data[:8].ljust(8, b"\0"), "<f8")[0],
    lambda data: data.decode("latin-1"),
    lambda data: data,
    lambda data: np.frombuffer(data[: len(data) // 4 * 4], "<i4"),
    lambda data: np.frombuffer(data[: len(data) // 4 * 4], "<f4").reshape(-1, 1),
    lambda data: [part.decode("latin-1") for part in data.split(b" ")],
]


def put_file(data: bytes, kind: str, path: Path) -> None:
    """A whole file, or changes to a good one: a byte for the name, a byte for the kind of value and its length."""
    if data.startswith(b"\x89HDF"):
        path.write_bytes(data)
        return
    path.write_bytes(good_file(kind))
    stream, names = io.BytesIO(data), names_in(kind)
    with h5py.File(path, "r+") as file:
        while len(head := stream.read(2)) == 2:
            value = VALUES[head[1] >> 5](stream.read(head[1] & 31))
            _change(file, names[head[0] % len(names)], value)


def read_dump(data: bytes, folder: Path) -> None:
    """A dump, as put_file has it: all that is in it is read."""
    path = folder / "dump.h5"
    put_file(data, "dump", path)
    with ActivationFile(path) as dump:
        for side in ("source", "target"):
            dump.symbols(side)
            dump.tokens(side)
        for component, layers in dump.components.items():
            dump.dim(component)
            for layer in layers:
                dump.read_states(component, layer, 0, 1)
        for kind, layers in dump.attention_kinds.items():
            dump.n_heads(kind)
            for layer in layers:
                dump.read_attention(kind, layer, 0, 1)


def _change(file: h5py.File, name: str, value: Any) -> None:
    """Puts a value where HDF5 takes it; None takes away what is there."""
    place = file if "/" in name else file.attrs
    with contextlib.suppress(TypeError, ValueError, KeyError, RuntimeError, OSError):
        if name in place:
            del place[name]
        if value is not None:
            place[name] = value


def read_representations(data: bytes, folder: Path) -> None:
    """Representations, as put_file has them; the first byte chooses the layout."""
    path = folder / "reps.hdf5"
    put_file(data[1:], "liu" if data[:1] == b"\1" else "representations", path)
    with Representations(path) as reps:
        for tokens in reps.sentences():
            reps.read(tokens)


def file_seeds(kind: str, first: bytes = b"") -> Iterator[bytes]:
    """A good file, and every kind of value in the place of each of its attributes and datasets."""
    yield first + good_file(kind)
    yield first
    for name in range(len(names_in(kind))):
        for value in range(len(VALUES)):
            yield first + bytes([name, value << 5 | 4, 1, 0, 0, 0])


def dump_seeds(folder: Path) -> Iterator[bytes]:
    """Of a dump."""
    return file_seeds("dump")


def representation_seeds(folder: Path) -> Iterator[bytes]:
    """Of both layouts."""
    yield from file_seeds("representations", b"\0")
    yield from file_seeds("liu", b"\1")


def checkpoint() -> dict[str, Any]:
    """A level of a model of two tensors."""
    weight = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    model = {"encoder.layers.0.fc1.weight": weight, "encoder.embed_tokens.weight": torch.ones(3, 2)}
    mask = Mask({"encoder.layers.0.fc1.weight": weight != 0})
    state = {
        "format": STATE_FORMAT, "experiment": "0" * 16, "parent": "", "dense": "0" * 16, "start": [0, None], "level": 1,
        "epoch": 2, "end_of_epoch": True, "finished": True, "sparsity": 0.2, "mask": mask.pack(),
        "transition": {"lr_after": 0.1}, "sample_hash": sample_hash(model), "seconds": 1.0,
    }  # fmt: skip
    fields = {"arch": "transformer", "_name": "transformer", "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.1}
    more = {"encoder_embed_dim": 2, "encoder_xformers_att_config": "{'a': 1}", "encoder_embed_path": "/x"}
    cfg = {
        "task": {"_name": "lth_imp", "source_lang": "en"}, "model": Namespace(**fields, **more), "common": {"seed": 1},
        "lr_scheduler": {"_name": "lth_fixed"}, "criterion": {"_name": "masked_cross_entropy"},
    }  # fmt: skip
    history = [{"num_updates": 3, "optimizer_name": "FairseqAdam", "lr_scheduler_state": {"best": None}}]
    return {
        "args": None, "cfg": cfg, "model": model, "optimizer_history": history, "task_state": {},
        "extra_state": {STATE_KEY: state}, "last_optimizer_state": None,
    }  # fmt: skip


def _archive(whole: bytes, pickled: bytes | None = None) -> bytes:
    """A checkpoint's archive with another data.pkl, or its data.pkl alone."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        records = {record.filename: archive.read(record) for record in archive.infolist()}
    name = next(name for name in records if name.endswith("/data.pkl"))
    if pickled is None:
        return records[name]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for record, data in {**records, name: pickled}.items():
            archive.writestr(record, data)
    return target.getvalue()


def _saved(value: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


WHOLE = _saved(checkpoint())
PICKLED = b"\x80\x02}"  # how a pickled dictionary begins


def read_checkpoint(data: bytes, folder: Path) -> None:
    """The data.pkl of an archive whose records are those of a level, or a whole file."""
    path = folder / "level.pt"
    path.write_bytes(_archive(WHOLE, data) if data.startswith(PICKLED) else data)
    require_loadable(path)


def checkpoint_seeds(folder: Path) -> Iterator[bytes]:
    """A level, its pickle, a level 0, one of old arguments, and the format of torch before 1.6."""
    level = checkpoint()
    state = level["extra_state"][STATE_KEY]
    dense = {**level, "extra_state": {STATE_KEY: {**state, "level": 0, "mask": None, "sparsity": 0.0}}}
    arguments = Namespace(**{**vars(level["cfg"]["model"]), "task": "translation", "_name": None})
    for value in (level, dense, {**level, "cfg": None, "args": arguments, "extra_state": {}}):
        yield _saved(value)
        yield _archive(_saved(value))
    yield _saved(level, _use_new_zipfile_serialization=False)


def _compact(folder: Path) -> tuple[dict[str, str], bytes]:
    """The texts of a compact level's header, and the whole file."""
    (folder / "level.pt").write_bytes(WHOLE)
    write_compact(folder / "level.pt", folder / "level.safetensors")
    whole = (folder / "level.safetensors").read_bytes()
    header = json.loads(whole[8 : 8 + struct.unpack("<Q", whole[:8])[0]])
    return dict(sorted(header["__metadata__"].items())), whole


@functools.cache
def compact_fields() -> tuple[str, ...]:
    """The names of the texts of its header."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple(_compact(Path(folder))[0])


def read_compact(data: bytes, folder: Path) -> None:
    """The texts of the header, with zero bytes between, over good tensors; or a whole file."""
    path = folder / "level.safetensors"
    if data[3:9] == b"\0\0\0\0\0{":
        path.write_bytes(data)
    else:
        texts = [text.decode("utf-8", "replace") for text in data.split(b"\0")]
        weight = {"bits": torch.tensor([0b10010000], dtype=torch.uint8), "values": torch.tensor([1.0, 2.0])}
        tensors = {f"encoder.layers.0.fc1.weight.{name}": tensor for name, tensor in weight.items()}
        header = dict(zip(compact_fields(), texts, strict=False))
        save_file({**tensors, "encoder.embed_tokens.weight": torch.ones(3, 2)}, path, header)
    expand_compact(path, folder / "level.pt")


def compact_seeds(folder: Path) -> Iterator[bytes]:
    """A compact level, the texts of its header, and each of them with the kind of value that it must not have."""
    texts, whole = _compact(folder)
    yield whole
    yield b"\0".join(text.encode() for text in texts.values())
    for name in texts:
        for text in ("[]", "{}", "-1", '{"a": [1]}'):
            yield b"\0".join(text.encode() for text in {**texts, name: text}.values())


TARGETS = {
    "readers": Target(read_corpus, corpus_seeds),
    "suites": Target(read_suite, suite_seeds, lines=True),
    "tables": Target(read_any_table, table_seeds),
    "compact": Target(read_compact, compact_seeds),
    "dump": Target(read_dump, dump_seeds),
    "representations": Target(read_representations, representation_seeds),
    "checkpoint": Target(read_checkpoint, checkpoint_seeds),
}
