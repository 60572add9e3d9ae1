"""Checkpoints made to do harm: what they make fairseq run, open or allocate, and what they say that is not so."""

from __future__ import annotations

import copy
import io
import os
import pickle
import shutil
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

Change = Callable[[dict[str, Any]], Any]


def payload(marker: Path) -> str:
    """A Python expression that leaves a mark where it is evaluated."""
    return f"__import__('pathlib').Path({str(marker)!r}).touch() or None"


class Payload:
    """A pickle that leaves a mark where it is loaded."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._marker),)


def evaluated(marker: Path) -> Iterator[tuple[str, Change]]:
    """Strings that fairseq evaluates, by the field of the model's configuration."""
    code = payload(marker)
    for field in (
        "encoder_xformers_att_config", "decoder_xformers_att_config", "adaptive_softmax_cutoff",
    ):  # fmt: skip
        yield f"code in {field}", model_field(field, code)
    yield "code in fconv's layers", _arch("fconv", encoder_layers=code)
    yield "code in fconv's attention", _arch("fconv", decoder_attention=code)
    yield "code in lstm's attention", _arch("lstm", decoder_attention=code)
    yield "code in a nested decoder", model_field("decoder", {"xformers_att_config": code})
    yield "code in a nested encoder", model_field("encoder", {"xformers_att_config": code})
    yield "code for both sides", model_field("xformers_att_config", code)
    yield "code in a nested decoder of an old checkpoint", _old(decoder={"xformers_att_config": code})
    yield "code in a criterion", _section("criterion", ctc(f"({code},) * 4"))
    yield "code in a criterion of an old checkpoint", _old(criterion="ctc", wer_args=f"({code},) * 4")
    yield "code in a criterion of a namespace", _section("criterion", Namespace(**_CLOAKED, wer_args=code))
    yield "code of an optimizer", _section("optimizer", {"_name": "adam", "adam_betas": code})
    yield "a resolver of OmegaConf", model_field("activation_fn", "${oc.env:HOME}")


_CLOAKED = {"_name": "cross_entropy", "criterion": "ctc", "post_process": "letter"}


def ctc(code: str) -> dict[str, Any]:
    """The settings of fairseq's criterion that evaluates one of them."""
    return {
        "_name": "ctc", "zero_infinity": False, "sentence_avg": False, "post_process": "letter", "wer_lm_weight": 2.0,
        "wer_word_score": -1.0, "wer_sil_weight": 0.0, "wer_kenlm_model": None, "wer_lexicon": None, "wer_args": code,
    }  # fmt: skip


def sections(marker: Path) -> Iterator[tuple[str, Change]]:
    """What else than the model fairseq builds of a configuration, and groups in the model's."""
    yield "another criterion", _section("criterion", {"_name": "composite_loss", "underlying_criterion": "ctc"})
    yield "another criterion, masked", _section("criterion", {"_name": "masked_ctc"})
    yield "a criterion that is a text", _section("criterion", "ctc")
    yield "no criterion", _section("criterion", None)
    yield "a criterion that is a list", _section("criterion", {"_name": ["cross_entropy"]})
    smoothed = {"_name": "label_smoothed_cross_entropy", "label_smoothing": "0.1"}
    yield "a text where a criterion has a number", _section("criterion", smoothed)
    yield "a group in a criterion", _section("criterion", {"_name": "cross_entropy", "sentence_avg": {"a": 1}})
    yield "another task before a supported one", task_field(task="audio_pretraining")
    yield "a reader of data that runs a shell", task_field(dataset_impl="fasta")
    yield "the same by the name of its class", task_field(dataset_impl="ChoiceEnum.fasta")
    yield "a reader of an old checkpoint", _old(dataset_impl="fasta")
    yield "a language that leads out", task_field(source_lang="../../en")
    yield "a language for a shell", task_field(target_lang=f"de; touch {marker}")
    yield "a validation set that leads out", _section("dataset", {"valid_subset": "valid,../../x"})
    yield "a validation set from the root", _section("dataset", {"valid_subset": "/etc/passwd"})
    yield "options of BLEU that are none", task_field(eval_bleu_args="[1]")
    yield "groups in options of BLEU", task_field(eval_bleu_detok_args='{"a": {"b": 1}}')
    yield "a beam without end", task_field(eval_bleu_args='{"beam": 1000000000}')
    yield "a group in a task", task_field(data={"a": "b"})
    yield "a tokenizer that is a path", _old(tokenizer="../../../../x")
    yield "a nested decoder that is none", model_field("decoder", "x")
    yield "a field that no decoder has", model_field("decoder", {"x": 1})
    yield "a group in a nested decoder", model_field("decoder", {"layers": {"x": 1}})
    yield "a billion nested layers", model_field("decoder", {"layers": 10**9})
    yield "a billion layers of both sides", model_field("layers", 10**9)
    yield "a vast nested embedding", model_field("encoder", {"embed_dim": 1 << 40})
    yield "a vast output", model_field("decoder", {"output_dim": 1 << 40})
    yield "another group in the model", model_field("dropout_of", {"p": 0.1})


def structures(marker: Path) -> Iterator[tuple[str, Change]]:
    """Other structures, types and sizes than fairseq writes."""
    yield "a list", lambda c: [c]
    yield "a text", lambda c: "model"
    yield "no model", lambda c: {name: part for name, part in c.items() if name != "model"}
    yield "a model that is a list", lambda c: {**c, "model": list(c["model"].values())}
    yield "a model without tensors", lambda c: {**c, "model": dict.fromkeys(c["model"], "weight")}
    yield "an empty model", lambda c: {**c, "model": {}}
    yield "whole numbers as names", lambda c: {**c, "model": dict(enumerate(c["model"].values()))}
    yield "complex weights", _weights(lambda weight: weight.to(torch.complex64))
    yield "sparse weights", _weights(lambda weight: weight.to_sparse())
    yield "a weight of a terabyte", _weights(lambda weight: torch.zeros(1).expand(1 << 19, 1 << 19))
    yield "cfg a list", lambda c: {**c, "cfg": [c["cfg"]]}
    yield "cfg a text", lambda c: {**c, "cfg": "cfg"}
    yield "cfg without a model", _section("model", None)
    yield "cfg without a task", _section("task", None)
    yield "another task", task_field(_name="language_modeling")
    yield "a task of a stranger", task_field(_name="../../task")
    yield "another architecture", _arch("wav2vec2")
    yield "another architecture behind a supported one", model_field("_name", "wav2vec2")
    yield "another task in the arguments of an old checkpoint", _as_arguments(task="language_modeling")
    yield (
        "another architecture in the arguments of an old checkpoint",
        _as_arguments(task="translation", arch="wav2vec2"),
    )
    yield "no architecture", _arch("transformer_of_a_stranger")
    yield "a tensor in the configuration", model_field("dropout", torch.zeros(3))
    yield "a text where a number stands", model_field("encoder_layers", "two")
    yield "a list where a number stands", model_field("encoder_embed_dim", [16])
    yield "a billion layers", model_field("encoder_layers", 10**9)
    yield "a million layers by a text", _arch("fconv", encoder_layers="[(512, 3)] * 1000000")
    yield "a vast embedding", model_field("encoder_embed_dim", 1 << 40)
    yield "a vast feed-forward layer", model_field("decoder_ffn_embed_dim", 1 << 40)
    yield "a table of positions without end", model_field("max_source_positions", 1 << 40)
    yield "an activation that is none", model_field("activation_fn", "os.system")
    yield "nested configuration", model_field("quant_noise", _nested(200))
    yield "optimizer_history a text", lambda c: {**c, "optimizer_history": "none"}
    yield "updates that are a text", lambda c: {**c, "optimizer_history": [{"num_updates": "many"}]}
    yield "extra_state a list", lambda c: {**c, "extra_state": [1]}
    yield "task_state a text", lambda c: {**c, "task_state": "x"}


def states(marker: Path) -> Iterator[tuple[str, Change]]:
    """What the plugin's own part says that is not so."""
    yield "the state a list", _state_as([1])
    yield "level a text", _state(level="9")
    yield "level below 0", _state(level=-1)
    yield "experiment a number", _state(experiment=3)
    yield "parent that is none", _state(parent="../../x")
    yield "epoch a text", _state(epoch="last")
    yield "the mask a list", _state(mask=[1])
    yield "a mask without bits", _mask(bits=None)
    yield "a mask of few bits", _mask(bits=torch.zeros(1, dtype=torch.uint8))
    yield "a mask of floats", _mask(bits=torch.zeros(4))
    yield "a mask of other names", _mask(names=["a"], shapes=[[8]], bits=torch.zeros(1, dtype=torch.uint8))
    yield "a mask of vast shapes", _mask(names=["a"], shapes=[[1 << 40]], bits=torch.zeros(1, dtype=torch.uint8))
    yield "a mask of shapes below 0", _mask(names=["a"], shapes=[[-8]], bits=torch.zeros(1, dtype=torch.uint8))
    yield "a mask of all ones", _mask_filled(255)
    yield "a mask of all zeros", _mask_filled(0)
    yield "a pruned weight that is not zero", _revived


def archives(good: Path, folder: Path, marker: Path) -> Iterator[tuple[str, Path]]:
    """Files whose bytes are not what torch.save writes."""
    content = good.read_bytes()
    for name, cut in (("empty", 0), ("of one byte", 1), ("cut in the middle", len(content) // 2)):
        yield f"a file {name}", _file(folder, name, content[:cut])
    yield "a file without its last byte", _file(folder, "last", content[:-1])
    yield "a text", _file(folder, "text", b"hello\n" * 100)
    yield "noise", _file(folder, "noise", bytes(range(256)) * 64)
    yield "a plain pickle that runs", _file(folder, "pickle", pickle.dumps(Payload(marker), 2))
    yield "a pickle that runs inside an archive", _replaced(good, folder, "runs", pickle.dumps(Payload(marker), 2))
    yield "a pickle that is cut", _replaced(good, folder, "cutpickle", b"\x80\x02}q\x00")
    yield "a memo of four billion", _replaced(good, folder, "memo", b"\x80\x02Nr\xff\xff\xff\xff.")
    yield "a shortened record", _record(good, folder, "short", lambda data: data[: len(data) // 2])
    yield "a lengthened record", _record(good, folder, "long", lambda data: data + bytes(1024))
    yield "compressed records", _compressed(good, folder)
    yield "a missing record", _record(good, folder, "missing", None)
    legacy = folder / "legacy.pt"
    buffer = io.BytesIO()
    torch.save({"model": {"a": torch.zeros(64)}}, buffer, _use_new_zipfile_serialization=False)
    legacy.write_bytes(buffer.getvalue()[:-100])
    yield "an old file that is cut", legacy
    key = b"9\n\x00\n9"
    keyed = b"\x80\x02(X\x07\x00\x00\x00storage%bX%b%bX\x03\x00\x00\x00cpu%btQ."
    named = len(key).to_bytes(4, "little")
    yield "a storage of lines", _replaced(good, folder, "lines", keyed % (b"K\x04", named, key, b"N"))
    yield "a record named with lines", _replaced(good, folder, "named", keyed % (b"K\x04", named, key, b"K\x01"))


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / f"{name.replace(' ', '_')}.pt"
    path.write_bytes(content)
    return path


def _records(good: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(good) as archive:
        return [(record.filename, archive.read(record)) for record in archive.infolist()]


def _written(path: Path, records: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in records:
            archive.writestr(name, data)
    return path


def _replaced(good: Path, folder: Path, name: str, data: bytes) -> Path:
    records = [(record, data if record.endswith("/data.pkl") else old) for record, old in _records(good)]
    return _written(folder / f"{name}.pt", records)


def _record(good: Path, folder: Path, name: str, change: Callable[[bytes], bytes] | None) -> Path:
    """The largest storage changed, or left out."""
    records = _records(good)
    largest = max((record for record in records if "/data/" in record[0]), key=lambda record: len(record[1]))
    kept = [record for record in records if record is not largest]
    return _written(folder / f"{name}.pt", kept if change is None else [*kept, (largest[0], change(largest[1]))])


def _compressed(good: Path, folder: Path) -> Path:
    return _written(folder / "compressed.pt", _records(good), zipfile.ZIP_DEFLATED)


def changed(good: Path, target: Path, change: Change) -> Path:
    """A copy of a checkpoint with a change."""
    checkpoint = torch.load(good, weights_only=False)
    torch.save(change(copy.deepcopy(checkpoint)), target)
    return target


def copied(good: Path, target: Path) -> Path:
    """A copy of a checkpoint."""
    shutil.copyfile(good, target)
    return target


def _fields(checkpoint: dict[str, Any], **fields: Any) -> dict[str, Any]:
    model = checkpoint["cfg"]["model"]
    if isinstance(model, Namespace):
        vars(model).update(fields)
    else:
        model.update(fields)
    return checkpoint


def model_field(field: str, value: Any) -> Change:
    """Sets a field of the configuration of the model."""
    return lambda checkpoint: _fields(checkpoint, **{field: value})


def _arch(name: str, **fields: Any) -> Change:
    return lambda checkpoint: _fields(checkpoint, arch=name, _name=name, **fields)


def _as_arguments(**fields: Any) -> Change:
    """The configuration as fairseq 0.9 wrote it: one namespace of all flags."""
    return lambda c: {**c, "cfg": None, "args": Namespace(**{**vars(c["cfg"]["model"]), "_name": None, **fields})}


def _old(**fields: Any) -> Change:
    return _as_arguments(**{"task": "translation", "criterion": "cross_entropy", **fields})


def _section(name: str, value: Any) -> Change:
    return lambda checkpoint: {**checkpoint, "cfg": {**checkpoint["cfg"], name: value}}


def section_field(name: str, **fields: Any) -> Change:
    """Sets fields of a section of the configuration."""
    return lambda checkpoint: {
        **checkpoint, "cfg": {**checkpoint["cfg"], name: {**checkpoint["cfg"][name], **fields}},
    }  # fmt: skip


def task_field(**fields: Any) -> Change:
    """Sets fields of the configuration of the task."""
    return section_field("task", **fields)


def _weights(change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    def apply(checkpoint: dict[str, Any]) -> dict[str, Any]:
        name = "encoder.layers.0.fc1.weight"
        checkpoint["model"][name] = change(checkpoint["model"][name])
        return checkpoint

    return apply


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _state_as(value: Any) -> Change:
    return lambda c: {**c, "extra_state": {**c["extra_state"], "ImpTask": value}}


def _state(**fields: Any) -> Change:
    return lambda c: _state_as({**c["extra_state"]["ImpTask"], **fields})(c)


def _mask(**fields: Any) -> Change:
    return lambda c: _state(mask={**c["extra_state"]["ImpTask"]["mask"], **fields})(c)


def _mask_filled(byte: int) -> Change:
    def apply(c: dict[str, Any]) -> dict[str, Any]:
        bits = torch.full_like(c["extra_state"]["ImpTask"]["mask"]["bits"], byte)
        return _mask(bits=bits)(c)

    return apply


def _revived(c: dict[str, Any]) -> dict[str, Any]:
    for name in c["extra_state"]["ImpTask"]["mask"]["names"]:
        c["model"][name][c["model"][name] == 0] = 0.5
    return c
