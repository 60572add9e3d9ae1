"""The plugin's own part of a checkpoint from anyone: is it whole, and does it say what the weights say?

A level's number, its sparsity and its mask end up in tables and figures, and what it prunes is copied from level to
level, so nothing of it is taken on trust: every field has its type, the mask is one of this model, every weight that it
prunes is zero, the sparsity is the share of weights that it prunes, and a sample of the weights is that of the weights
that were saved with it. fairseq's average_checkpoints.py writes the state of one of its inputs beside the mean of all.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fairseq_lth.levels.fields import GateError
from probing_bridge.pruning.masks import Mask, MaskError

_EXPERIMENT = re.compile(r"[0-9a-f]{16}")
_PARENT = re.compile(r"|[0-9a-f]{16}/lth[0-9]{1,4}")
_TRANSITION = frozenset({"updates_before", "updates_after", "lr_before", "lr_after"})
_MOST = 2**31 - 1  # levels, epochs
_SAMPLED = 64  # elements of a tensor, about


def check_state(state: Mapping[str, Any], model: Mapping[str, Tensor]) -> None:
    """Checks the plugin's part of a checkpoint against its types, and its mask and sparsity against the weights.

    Args:
        state: The part; its format is the present one.
        model: The weights of the same checkpoint, which have passed the gate.

    Raises:
        GateError: The field, and what is wrong with it.
    """
    for name, fits in _FIELDS.items():
        if name not in state:
            raise GateError(f"the state of lth_imp in it has no {name}")
        if not fits(state[name]):
            raise GateError(f"{name} of the state of lth_imp is {_shown(state[name])}, which lth_imp does not write")
    if (state["level"] == 0) != (state["mask"] is None):
        raise GateError(f"level {state['level']} {'has no' if state['mask'] is None else 'has a'} mask")
    mask = Mask({}) if state["mask"] is None else _mask(state["mask"], model)
    try:
        mask.check(model)
    except MaskError as error:
        raise GateError(str(error)) from error
    _check_sparsity(state["sparsity"], mask, model)
    if sample_hash(model) != state["sample_hash"]:
        raise GateError(
            f"its state of lth_imp (level {state['level']}) was not saved with these weights: they are the mean of "
            "several checkpoints, or were changed, so they are of no level; make a mean with `python -m "
            "fairseq_lth.levels DIR --average N --export FILE.pt`, which has no state"
        )


def sample_hash(model: Mapping[str, Tensor]) -> str:
    """A hash (sha256, hex) of about 64 elements of every tensor, spread evenly, exact in any floating-point format.

    Args:
        model: Tensors by name, as they are saved.
    """
    digest = hashlib.sha256()
    for name in sorted(model):
        values = model[name].detach().reshape(-1)
        values = values[:: max(1, len(values) // _SAMPLED)].to("cpu", torch.float64)
        digest.update(name.encode() + values.numpy().tobytes())
    return digest.hexdigest()


def _mask(stored: Mapping[str, Any], model: Mapping[str, Tensor]) -> Mask:
    """The mask, unpacked only after its names and shapes are found to be those of the model."""
    names, shapes, bits = (stored.get(field) for field in ("names", "shapes", "bits"))
    if type(names) is not list or type(shapes) is not list or len(names) != len(shapes):
        raise GateError("the names and shapes of its mask are not two lists of one length")
    if len({name for name in names if type(name) is str}) != len(names):
        raise GateError("the names of its mask are not different texts")
    for name, shape in zip(names, shapes, strict=True):
        if name not in model:
            raise GateError(f"its mask has {name:.80}, which the model has not")
        if type(shape) is not list or shape != list(model[name].shape):
            raise GateError(f"its mask has another shape than the model for {name:.80}")
    if not isinstance(bits, Tensor) or bits.dtype is not torch.uint8 or bits.ndim != 1 or not bits.is_contiguous():
        raise GateError("its mask has no bits")
    try:
        return Mask.unpack(stored)
    except MaskError as error:
        raise GateError(str(error)) from error


def _check_sparsity(sparsity: float, mask: Mask, model: Mapping[str, Tensor]) -> None:
    """The pruned weights by all weights; buffers and tied weights, which the model also names, make all a range."""
    pruned = mask.n_pruned
    if pruned == 0 or sparsity == 0:
        agrees = pruned == 0 and sparsity == 0
    else:
        weights = round(pruned / sparsity)
        named = sum(tensor.numel() for tensor in model.values())
        agrees = mask.n_weights <= weights <= named and pruned / weights == sparsity
    if not agrees:
        raise GateError(f"sparsity is {sparsity} and its mask prunes {pruned:,} of {mask.n_weights:,} weights")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1  # false for NaN


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_experiment(value: Any) -> bool:
    return type(value) is str and _EXPERIMENT.fullmatch(value) is not None


def _is_start(value: Any) -> bool:
    return (
        type(value) in (list, tuple)
        and len(value) == 2
        and _is_count(value[0])
        and (value[1] is None or _is_count(value[1]))
    )


def _is_transition(value: Any) -> bool:
    return type(value) is dict and value.keys() <= _TRANSITION and all(map(_is_number, value.values()))


_FIELDS: dict[str, Any] = {
    "experiment": _is_experiment,
    "dense": _is_experiment,
    "parent": lambda value: type(value) is str and _PARENT.fullmatch(value) is not None,
    "start": _is_start,
    "level": _is_count,
    "epoch": _is_count,
    "end_of_epoch": lambda value: type(value) is bool,
    "finished": lambda value: type(value) is bool,
    "sparsity": _is_share,
    "mask": lambda value: value is None or type(value) is dict,
    "transition": _is_transition,
    "sample_hash": lambda value: type(value) is str,
    "seconds": lambda value: _is_number(value) and value >= 0,
}


def _shown(value: Any) -> str:
    return repr(value)[:60] if type(value) in (str, int, float, bool) else f"a {type(value).__name__}"
