"""Compact levels from strangers: they become checkpoints only through the gate, and are refused in one line."""

import json
import struct

import hostile_checkpoints as make
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

pytest.importorskip("fairseq", reason="the plugin's own files: no fairseq here (extra train)")
from fairseq_lth.levels.export import expand_compact, write_compact
from probing_bridge.errors import InputError


@pytest.fixture(scope="module")
def compact(level, tmp_path_factory):
    """The compact form of the level."""
    path = tmp_path_factory.mktemp("compact") / "level.safetensors"
    write_compact(level, path)
    return path


def changed(compact, path, tensors=None, **metadata):
    """A copy with other tensors and other texts in its header."""
    with safe_open(compact, "pt") as file:
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        header = {**file.metadata(), **metadata}
    held = held if tensors is None else tensors(held)
    save_file(held, path, {name: text for name, text in header.items() if text is not None})
    return path


def configuration(compact, section, **fields):
    """Its configuration as text, with other fields in a section."""
    with safe_open(compact, "pt") as file:
        cfg = json.loads(file.metadata()["cfg"])
    cfg[section].update(fields)
    return json.dumps(cfg)


def files(compact, folder, marker):
    """Kinds of harm, and a file of each."""
    with safe_open(compact, "pt") as file:
        names = json.loads(file.metadata()["names"])
        shapes = json.loads(file.metadata()["shapes"])
    pruned = next(iter(shapes))
    for field in ("encoder_xformers_att_config", "decoder_xformers_att_config", "adaptive_softmax_cutoff"):
        code = configuration(compact, "model", **{field: make.payload(marker)})
        yield f"code in {field}", changed(compact, folder / f"{field}.safetensors", cfg=code)
    kinds = {
        "another architecture": {"cfg": configuration(compact, "model", arch="wav2vec2", _name="wav2vec2")},
        "a resolver": {"cfg": configuration(compact, "model", activation_fn="${oc.env:HOME}")},
        "a billion layers": {"cfg": configuration(compact, "model", encoder_layers=10**9)},
        "another task": {"cfg": configuration(compact, "task", _name="language_modeling")},
        "cfg a list": {"cfg": "[1]"},
        "cfg no JSON": {"cfg": "{"},
        "cfg nested": {"cfg": "[" * 100_000},
        "no cfg": {"cfg": None},
        "names a number": {"names": "3"},
        "names of lists": {"names": "[[1]]"},
        "a missing tensor": {"names": json.dumps([*names, "more"])},
        "no names": {"names": "[]"},
        "aliases a list": {"aliases": "[1]"},
        "an alias of nothing": {"aliases": json.dumps({names[0]: "nothing"})},
        "an alias of itself": {"aliases": json.dumps({names[0]: names[0]})},
        "a vast shape": {"shapes": json.dumps({**shapes, pruned: [1 << 40]})},
        "a shape whose size wraps": {"shapes": json.dumps({**shapes, pruned: [1 << 32, 1 << 32]})},
        "a shape below 0": {"shapes": json.dumps({**shapes, pruned: [-8, -2]})},
        "a shape of text": {"shapes": json.dumps({**shapes, pruned: "x"})},
        "a shape of fractions": {"shapes": json.dumps({**shapes, pruned: [1.5]})},
        "updates a text": {"updates": "many"},
        "updates below 0": {"updates": "-3"},
        "updates of 5000 digits": {"updates": "9" * 5000},
        "another version": {"format_version": "2"},
        "another format": {"format": "other"},
    }
    for number, (kind, metadata) in enumerate(kinds.items()):
        yield kind, changed(compact, folder / f"{number}.safetensors", **metadata)
    bits, values = f"{pruned}.bits", f"{pruned}.values"
    tensors = {
        "all bits": lambda held: {**held, bits: torch.full_like(held[bits], 255)},
        "fewer bits": lambda held: {**held, bits: held[bits][:1].clone()},
        "bits of floats": lambda held: {**held, bits: held[bits].float()},
        "no values": lambda held: {**held, values: held[values][:0].clone()},
        "complex values": lambda held: {**held, values: held[values].to(torch.complex64)},
    }
    for number, (kind, change) in enumerate(tensors.items()):
        yield kind, changed(compact, folder / f"t{number}.safetensors", change)
    whole = compact.read_bytes()
    contents = {
        "an empty file": b"",
        "cut in the header": whole[:100],
        "cut in the middle": whole[: len(whole) // 2],
        "a header of an exabyte": struct.pack("<Q", 1 << 60) + whole[8:],
        "noise": bytes(range(256)) * 16,
    }
    for number, (kind, content) in enumerate(contents.items()):
        path = folder / f"b{number}.safetensors"
        path.write_bytes(content)
        yield kind, path
    yield "no file", folder / "none.safetensors"
    yield "a folder", folder


def test_compact_levels_that_are_not_ours_are_refused(compact, tmp_path, measured):
    marker, target = tmp_path / "mark", tmp_path / "level.pt"
    (tmp_path / "files").mkdir()
    for kind, path in files(compact, tmp_path / "files", marker):
        message = measured(kind, lambda path=path: expand_compact(path, target), InputError)
        assert str(path) in message and {one.name for one in tmp_path.iterdir()} == {"files"}, kind
