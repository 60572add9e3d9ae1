"""The gate that every checkpoint passes before fairseq sees it: structure, tensors, and the configuration.

`weights_only` keeps pickles from running code, but fairseq evaluates some strings of a configuration as Python while
it builds the model (`adaptive_softmax_cutoff`, `encoder_xformers_att_config`, the layers of fconv), opens files that
others name (`encoder_embed_path`), and lets OmegaConf resolve `${...}`. Checkpoints are passed between groups, so none
of that may come from one: architectures and fields are those of an allow-list, each with the type that fairseq's own
parser gives it, what would be evaluated must be a literal, and paths are taken out.
"""

from __future__ import annotations

import argparse
import ast
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from fairseq_lth.preflight import import_fairseq

# The classes of models that `lth_imp` trains and its tools read: encoder-decoder models of text.
_MODELS = frozenset(
    {"TransformerModel", "TransformerAlignModel", "BARTModel", "LightConvModel", "LSTMModel", "FConvModel"}
)
_TASKS = frozenset({"translation", "lth_imp"})
_EVALUATED = frozenset(
    {
        "adaptive_input_cutoff", "adaptive_softmax_cutoff", "decoder_attention", "decoder_conv_dim",
        "decoder_glu", "decoder_kernel_size_list", "decoder_xformers_att_config", "encoder_glu",
        "encoder_kernel_size_list", "encoder_xformers_att_config", "weight_softmax", "xformers_att_config",
    }
)  # fmt: skip
_LAYERS = frozenset({"encoder_layers", "decoder_layers"})  # a number; of fconv an expression such as [(512, 3)] * 20
_DTYPES = frozenset(
    {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool}
)
_LONGEST_TEXT = 4096
_NO_PATHS = frozenset({"restore_file"})  # of a training; fairseq needs it to be a text where it reads `args`
_LARGEST = 2**63 - 1
_MOST_POSITIONS = 2**17  # fairseq computes a table of sinusoids for all of them
_MOST_VALUES = 100_000  # in a configuration; fairseq's have about 500


class GateError(Exception):
    """What a checkpoint may not hold; the message says where."""


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
        _check_task(_get(checkpoint["args"], "task"))
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
    _check_task(_get(cfg.get("task"), "_name"))
    check_model_fields(cfg.get("model"), model)


def _check_task(name: Any) -> None:
    if name not in _TASKS:
        raise GateError(f"its task is {name!r:.40}; supported are {' and '.join(sorted(_TASKS))}")


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
    import_fairseq()
    from fairseq.models import ARCH_MODEL_REGISTRY

    if not isinstance(part, argparse.Namespace | dict):
        raise GateError(f"its configuration of the model is {part!r:.40}")
    names = [name for field in ("_name", "arch") if (name := _get(part, field)) is not None]  # fairseq takes the first
    components = {ARCH_MODEL_REGISTRY.get(name) if isinstance(name, str) else None for name in names}
    component = components.pop() if len(components) == 1 else None
    if component is None or component.__name__ not in _MODELS:
        raise GateError(f"its model is {names!r:.80}, no architecture that is supported here")
    widest = max(max(tensor.shape, default=1) for tensor in model.values())
    fields = vars(part) if isinstance(part, argparse.Namespace) else part
    types = _field_types(component)
    for field, value in fields.items():
        if value is None:
            continue
        if field in _EVALUATED or (field in _LAYERS and isinstance(value, str)):
            _check_literal(field, value, len(model))
        elif field in types and not types[field](value):
            raise GateError(f"model field {field} is {value!r:.60}, which fairseq's parser would not take")
        if type(value) is int and field in types and field.endswith("_dim") and value > max(widest, 8):
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
    import_fairseq()
    from fairseq.models import ARCH_MODEL_REGISTRY

    model = ARCH_MODEL_REGISTRY.get(architecture)
    return model is not None and model.__name__ in _MODELS


def _check_literal(field: str, value: Any, most_layers: int) -> None:
    """A text that fairseq evaluates: literals, and lists repeated or joined as in `[(512, 3)] * 20`."""
    if not isinstance(value, str):
        return
    try:
        literal(value, max(most_layers, 64))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GateError(f"model field {field} is {value!r:.60}, which fairseq would run as Python") from error


def literal(text: str, longest: int) -> Any:
    """Evaluates a Python literal in which lists may be added, and repeated by a small number.

    Args:
        text: The text, e.g. `[(512, 3)] * 20`.
        longest: The largest number of elements of a repeated list.

    Raises:
        ValueError: Anything else stands in it.
        SyntaxError: It is no Python expression.
    """
    return _value(ast.parse(text.strip(), mode="eval").body, longest)


def _value(node: ast.expr, longest: int) -> Any:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _value(node.left, longest), _value(node.right, longest)
        if isinstance(node.op, ast.Add) and isinstance(left, list) and isinstance(right, list):
            return left + right
        if isinstance(node.op, ast.Mult) and isinstance(left, list) and type(right) is int:
            if len(left) * right > longest:
                raise ValueError("a list longer than the model is deep")
            return left * right
        raise ValueError("an operation that is none of lists")
    return ast.literal_eval(node)


@functools.cache
def _field_types(component: Any) -> dict[str, Any]:
    """Field -> whether a value is what fairseq's parser of the model would give it."""
    parser = argparse.ArgumentParser(add_help=False)
    component.add_args(parser)
    return {action.dest: functools.partial(_fits, action) for action in parser._actions}


def _fits(action: argparse.Action, value: Any) -> bool:
    if action.nargs == 0:
        return isinstance(value, bool)
    if action.choices is not None and value not in action.choices:
        return False
    if action.type is int:
        return type(value) is int
    if action.type is float:
        return type(value) in (int, float)
    return type(value) in (str, bool, int, float, list, tuple)


def without_paths(part: Any, keep: Mapping[str, Any]) -> None:
    """Takes every path out of a model's or a task's configuration, in place, so that fairseq opens none of them.

    Args:
        part: `cfg.model` or `cfg.task`: a namespace, a dictionary or what OmegaConf made of one.
        keep: Fields that the user gave on this command line.
    """
    names = list(vars(part) if isinstance(part, argparse.Namespace) else part)
    for name in names:
        if name not in {*keep, *_NO_PATHS} and (name.endswith(("_path", "_file")) or name == "dump_activations"):
            setattr(part, name, None)


def _get(part: Any, name: str) -> Any:
    fields = vars(part) if isinstance(part, argparse.Namespace) else part
    return fields.get(name) if isinstance(fields, dict) else None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _named(kind: type) -> str:
    return {"dict": "a dictionary", "list": "a list", "Namespace": "a namespace"}[kind.__name__]
