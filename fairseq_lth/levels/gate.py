"""The gate that every checkpoint passes before fairseq sees it: structure, tensors, and the configuration.

`weights_only` keeps pickles from running code, but fairseq evaluates some strings of a configuration as Python while
it builds the model (`adaptive_softmax_cutoff`, `encoder_xformers_att_config`, the layers of fconv) or a criterion
(`wer_args`), opens files that others name (`encoder_embed_path`), and lets OmegaConf resolve `${...}`. Checkpoints are
passed between groups, so none of that may come from one: tasks, criteria, architectures and fields are those of an
allow-list, each with the type that fairseq's own parser gives it, alone or in a group, what would be evaluated must be
a literal, and paths are taken out.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from fairseq_lth.levels.fields import GateError, as_fields, check_flat, check_literal, field_types
from fairseq_lth.levels.sections import check_arguments, check_criterion, check_data, check_task
from fairseq_lth.preflight import import_fairseq

# The classes of models that `lth_imp` trains and its tools read: encoder-decoder models of text.
_MODELS = frozenset(
    {"TransformerModel", "TransformerAlignModel", "BARTModel", "LightConvModel", "LSTMModel", "FConvModel"}
)
_EVALUATED = frozenset(
    {
        "adaptive_input_cutoff", "adaptive_softmax_cutoff", "decoder_attention", "decoder_conv_dim",
        "decoder_glu", "decoder_kernel_size_list", "decoder_xformers_att_config", "encoder_glu",
        "encoder_kernel_size_list", "encoder_xformers_att_config", "weight_softmax",
    }
)  # fmt: skip
_EVALUATED_ELSEWHERE = frozenset({"adafactor_eps", "adam_betas", "adamax_betas", "lamb_betas", "wer_args"})
_LAYERS = frozenset({"encoder_layers", "decoder_layers"})  # a number; of fconv an expression such as [(512, 3)] * 20
_DTYPES = frozenset(
    {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool}
)
_LONGEST_TEXT = 4096
_NO_PATHS = frozenset({"restore_file"})  # of a training; fairseq needs it to be a text where it reads `args`
_PATHS = frozenset({"dump_activations", "path"})
_LARGEST = 2**63 - 1
_MOST_POSITIONS = 2**17  # fairseq computes a table of sinusoids for all of them
_MOST_VALUES = 100_000  # in a configuration; fairseq's have about 500


def check_checkpoint(checkpoint: Any) -> None:
    """Checks what fairseq and the plugin read of a checkpoint, beside the plugin's own state.

    Args:
        checkpoint: What `torch.load(weights_only=True)` gave.

    Raises:
        GateError: Another structure than fairseq's, a tensor that is not what it seems, or a configuration that
            would make fairseq run, open or allocate something.
    """
    if not isinstance(checkpoint, dict) or "model" not in checkpoint:
        raise GateError("is not a fairseq checkpoint (no model in it)")
    check_model(checkpoint["model"])
    for name, kind in _PARTS.items():
        if checkpoint.get(name) is not None and not isinstance(checkpoint[name], kind):
            raise GateError(f"{name} is a {type(checkpoint[name]).__name__}, not {_named(kind)}")
    for update in checkpoint.get("optimizer_history") or []:
        if not isinstance(update, dict) or not _is_count(update.get("num_updates", 0)):
            raise GateError("optimizer_history is not that of a training")
    if checkpoint.get("cfg") is not None:
        check_configuration(checkpoint["cfg"], checkpoint["model"])
    if checkpoint.get("args") is not None:
        check_plain(vars(checkpoint["args"]), "args")
        check_arguments(checkpoint["args"])
        check_model_fields(checkpoint["args"], checkpoint["model"])


_PARTS: dict[str, Any] = {
    "cfg": dict,
    "args": argparse.Namespace,
    "optimizer_history": list,
    "last_optimizer_state": dict,
    "extra_state": dict,
    "task_state": dict,
}


def check_model(model: Any) -> None:
    """Checks that a model is plain named tensors, each with memory of its own size.

    Raises:
        GateError: Another type, or a tensor that claims more elements than it has memory for.
    """
    if not isinstance(model, dict) or not model:
        raise GateError("its model is no dictionary of tensors")
    for name, tensor in model.items():
        shown = f"{name!s:.80}"
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise GateError(f"its model holds {shown}, a {type(tensor).__name__}, not a tensor by name")
        if tensor.layout is not torch.strided or tensor.dtype not in _DTYPES or tensor.device.type != "cpu":
            raise GateError(f"{shown} is {tensor.dtype}, {tensor.layout}, on {tensor.device}: no plain tensor")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise GateError(f"{shown} claims {tensor.numel():,} elements and has memory for fewer")


def check_configuration(cfg: Mapping[str, Any], model: Mapping[str, Tensor]) -> None:
    """Checks a saved configuration: plain values everywhere, and of the model only what its architecture has.

    Args:
        cfg: Sections by name, as fairseq saves them.
        model: The weights that it is the configuration of.

    Raises:
        GateError: The section and field, and what is wrong with it.
    """
    for section, part in cfg.items():
        if not isinstance(section, str):
            raise GateError(f"cfg has a section {section!r:.40}")
        check_plain(vars(part) if isinstance(part, argparse.Namespace) else part, f"cfg.{section}")
    check_task(cfg.get("task"))
    check_criterion(cfg.get("criterion"))
    check_data(cfg.get("dataset"), "cfg.dataset")
    check_model_fields(cfg.get("model"), model)


def check_plain(part: Any, where: str) -> None:
    """Checks that a part of a configuration holds plain values, without `${...}` that OmegaConf would resolve.

    Raises:
        GateError: The field, and what it is.
    """
    for count, (field, value) in enumerate(_leaves(part, where)):
        if count > _MOST_VALUES:
            raise GateError(f"{where} has more than {_MOST_VALUES:,} values")
        if value is not None and type(value) not in (bool, int, float, str):
            raise GateError(f"{field} is a {type(value).__name__}, not a plain value")
        if type(value) is int and abs(value) > _LARGEST:
            raise GateError(f"{field} is a whole number beyond 64 bits")
        if isinstance(value, str) and ("${" in value or len(value) > _LONGEST_TEXT):
            raise GateError(f"{field} is {value!r:.60}: a reference or too long")
        if field.rpartition(".")[2] in _EVALUATED_ELSEWHERE:
            check_literal(field, value, 0)


def _leaves(value: Any, where: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > 8:
        raise GateError(f"{where} is nested too deeply")
    if type(value) is dict:
        for key, item in value.items():
            if type(key) not in (str, int):
                raise GateError(f"{where} has the key {key!r:.40}")
            yield from _leaves(item, f"{where}.{key!s:.80}", depth + 1)
    elif type(value) in (list, tuple):
        for item in value:
            yield from _leaves(item, where, depth + 1)
    else:
        yield where, value


def check_model_fields(part: Any, model: Mapping[str, Tensor]) -> None:
    """Checks the fields of a model's configuration against the parser of its architecture, and against its weights.

    Args:
        part: `cfg.model` or `args`: a namespace or a dictionary.
        model: The weights.

    Raises:
        GateError: An architecture that is not supported, a value of another type, an expression that is no literal,
            or a size that the weights do not have.
    """
    if not isinstance(part, argparse.Namespace | dict):
        raise GateError(f"its configuration of the model is {part!r:.40}")
    fields = as_fields(part)
    names = [name for field in ("_name", "arch") if (name := fields.get(field)) is not None]  # fairseq takes the first
    components = {_model_class(name) for name in names}
    component = components.pop() if len(components) == 1 else None
    if component is None:
        raise GateError(f"its model is {names!r:.80}, no architecture that is supported here")
    widest = max(max(tensor.shape, default=1) for tensor in model.values())
    types = field_types(component)
    known = types.keys() | {f"{group}_{name}" for group, inner in _group_fields().items() for name in inner}
    for field, value in _flat(part):
        if value is None:
            continue
        check_flat(f"model field {field}", value)
        if field in _EVALUATED or (field in _LAYERS and isinstance(value, str)):
            check_literal(f"model field {field}", value, len(model))
        elif field in types and not types[field](value):
            raise GateError(f"model field {field} is {value!r:.60}, which fairseq's parser would not take")
        if type(value) is int and field in known and field.endswith("_dim") and value > max(widest, 8):
            raise GateError(f"model field {field} is {value:,}; no tensor of the model is as wide")
        if type(value) is int and field.endswith("_positions") and value > _MOST_POSITIONS:
            raise GateError(f"model field {field} is {value:,}; at most {_MOST_POSITIONS:,} are supported")
        if type(value) is int and field in _LAYERS and not 0 <= value <= len(model):
            raise GateError(f"model field {field} is {value:,}; the model has {len(model)} tensors")


def is_supported(architecture: Any) -> bool:
    """Whether checkpoints of an architecture pass the gate.

    Args:
        architecture: Its name, as `--arch` takes it.
    """
    return _model_class(architecture) is not None


def _model_class(architecture: Any) -> Any:
    """The class of an architecture's models; None if it is none that is supported."""
    import_fairseq()
    from fairseq.models import ARCH_MODEL_REGISTRY

    model = ARCH_MODEL_REGISTRY.get(architecture) if isinstance(architecture, str) else None
    return model if model is not None and model.__name__ in _MODELS else None


def _flat(part: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a model by the names of its flags, whatever way fairseq's Transformer would take them.

    It takes whole groups (`decoder: {layers: 6}`, as trainings by hydra may write them), and names without their group
    (`layers`) for all of them.
    """
    groups = _group_fields()
    for field, value in as_fields(part).items():
        if value is not None and field in groups:
            if type(value) is not dict:
                raise GateError(f"model field {field} is {value!r:.60}, no group of fields")
            for name, one in value.items():
                if name not in groups[field]:
                    raise GateError(f"model field {field}.{name!s:.60} is none of fairseq's {field}")
                yield f"{field}_{name}", one
        elif field != "_name" and any(field in names for names in groups.values()):
            yield from ((f"{group}_{field}", value) for group, names in groups.items() if field in names)
        else:
            yield field, value


@functools.cache
def _group_fields() -> dict[str, frozenset[str]]:
    """Group -> the names of its fields, of fairseq's Transformer."""
    from fairseq.models.transformer.transformer_config import DecoderConfig, EncDecBaseConfig, QuantNoiseConfig

    groups = {"encoder": EncDecBaseConfig, "decoder": DecoderConfig, "quant_noise": QuantNoiseConfig}
    return {name: frozenset(one.name for one in dataclasses.fields(group)) for name, group in groups.items()}


def without_paths(part: Any, keep: Mapping[str, Any]) -> None:
    """Takes every path out of a part of a configuration, in place, so that fairseq opens none of them.

    Args:
        part: `args` or a section of `cfg`: a namespace, a dictionary or what OmegaConf made of one.
        keep: Fields that the user gave on this command line.
    """
    fields = vars(part) if isinstance(part, argparse.Namespace) else part
    for name in list(fields):
        if name in _group_fields() and isinstance(fields[name], Mapping):
            without_paths(fields[name], {})
        elif name not in {*keep, *_NO_PATHS} and (name.endswith(("_path", "_file")) or name in _PATHS):
            fields[name] = None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _named(kind: type) -> str:
    return {"dict": "a dictionary", "list": "a list", "Namespace": "a namespace"}[kind.__name__]
