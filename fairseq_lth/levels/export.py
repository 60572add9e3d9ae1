"""A level without the plugin: as a plain fairseq checkpoint, or as a compact sparse file that becomes one again.

The compact file is safetensors: of every pruned parameter one bit a weight (`NAME.bits`) and the kept values in order
(`NAME.values`), everything else as it is. It saves disk, not time: dense kernels do not skip single zeros.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from fairseq.tasks.translation import TranslationConfig
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fairseq_lth import criterion
from fairseq_lth.levels.archive import write_archive
from fairseq_lth.levels.checkpoints import n_updates, require_state
from fairseq_lth.levels.fields import GateError
from fairseq_lth.levels.gate import check_checkpoint
from fairseq_lth.training import lr_scheduler
from probing_bridge.errors import InputError
from probing_bridge.formats.files import written_beside
from probing_bridge.pruning.masks import Mask, MaskError

COMPACT_FORMAT = "lth-compact"
COMPACT_VERSION = "1"


def export_plain(level: Path, target: Path) -> None:
    """Writes a level as a checkpoint that plain fairseq loads, without masks, optimizer and plugin settings.

    Args:
        level: A checkpoint of `--task lth_imp`.
        target: The file to write.

    Raises:
        BridgeError: The level cannot be read.
    """
    checkpoint, _ = require_state(level)
    save_plain(checkpoint["model"], plain_config(checkpoint["cfg"]), n_updates(checkpoint), target)


def write_compact(level: Path, target: Path) -> None:
    """Writes a level as bit masks and kept values.

    Args:
        level: A checkpoint of `--task lth_imp`.
        target: The safetensors file to write.

    Raises:
        BridgeError: The level cannot be read, or a pruned weight in it is not zero.
    """
    checkpoint, state = require_state(level)
    model: dict[str, Tensor] = checkpoint["model"]
    mask = Mask({}) if state["mask"] is None else Mask.unpack(state["mask"])
    mask.check(model)
    bits = mask.pack()["bits"]
    tensors: dict[str, Tensor] = {}
    first_name: dict[tuple[int, torch.Size, tuple[int, ...]], str] = {}
    aliases, shapes, position = {}, {}, 0
    offsets = {}
    for name, kept in mask.kept.items():
        offsets[name] = position
        position += (kept.numel() + 7) // 8
    for name, tensor in model.items():
        first = first_name.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), name)
        if first != name and tensor.numel():
            aliases[name] = first
        elif name in mask.kept:
            kept = mask.kept[name]
            tensors[f"{name}.bits"] = bits[offsets[name] : offsets[name] + (kept.numel() + 7) // 8].clone()
            tensors[f"{name}.values"] = tensor[kept].contiguous()
            shapes[name] = list(tensor.shape)
        else:
            tensors[name] = tensor.clone().contiguous()
    metadata = {
        "format": COMPACT_FORMAT,
        "format_version": COMPACT_VERSION,
        "experiment": state["experiment"],
        "level": str(state["level"]),
        "updates": str(n_updates(checkpoint)),
        "names": json.dumps(list(model)),
        "aliases": json.dumps(aliases),
        "shapes": json.dumps(shapes),
        "cfg": json.dumps(plain_config(checkpoint["cfg"])),
    }
    with written_beside(target) as beside:
        try:
            save_file(tensors, beside, metadata)
        except SafetensorError as error:  # it has the number of what the system refused in its text only
            raise OSError(str(error)) from error


def expand_compact(compact: Path, target: Path) -> None:
    """Writes the plain checkpoint of a compact file; the weights are bit-identical to the level's.

    Args:
        compact: What write_compact wrote.
        target: The checkpoint to write.

    Raises:
        InputError: It is no compact file, a damaged one, or one of a model or configuration that the gate refuses.
    """
    try:
        with safe_open(compact, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != COMPACT_FORMAT or metadata.get("format_version") != COMPACT_VERSION:
                raise InputError("is no compact level of this version", compact)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        names, aliases, shapes = (json.loads(metadata[field]) for field in ("names", "aliases", "shapes"))
        if not (isinstance(names, list) and isinstance(aliases, dict) and isinstance(shapes, dict)):
            raise InputError("is damaged: names, aliases or shapes are not of its format", compact)
        model: dict[str, Tensor] = {}
        for name in names:
            if name in aliases:
                model[name] = model[aliases[name]]
            elif name in shapes:
                model[name] = _scatter(tensors[f"{name}.bits"], tensors[f"{name}.values"], shapes[name])
            else:
                model[name] = tensors[name]
        save_plain(model, json.loads(metadata["cfg"]), int(metadata["updates"]), target)
    except GateError as error:
        raise InputError(str(error), compact) from error
    except RecursionError as error:
        raise InputError("is damaged: its description is nested too deeply", compact) from error
    except RuntimeError as error:
        raise InputError("is damaged: values and mask do not fit", compact) from error
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError, MaskError) as error:
        raise InputError(
            f"cannot be read as a compact level ({' '.join(str(error).split())[:200]})", compact
        ) from error


def _scatter(bits: Tensor, values: Tensor, shape: list[int]) -> Tensor:
    mask = Mask.unpack({"names": [""], "shapes": [shape], "bits": bits}).kept[""]
    if int(mask.count_nonzero()) != len(values):
        raise RuntimeError("another number of values than of kept weights")
    weight = torch.zeros(shape, dtype=values.dtype)
    weight[mask] = values
    return weight


def save_plain(model: dict[str, Tensor], cfg: dict[str, Any], updates: int, target: Path) -> None:
    """Writes weights as a checkpoint that plain fairseq loads.

    Args:
        model: The weights by name.
        cfg: What plain_config gives.
        updates: How many made them.
        target: The file to write.

    Raises:
        GateError: A model or configuration that is not read again.
    """
    checkpoint = {
        "args": None,
        "cfg": cfg,
        "model": model,
        "criterion": None,
        "optimizer_history": [
            {
                "criterion_name": "",
                "optimizer_name": "",
                "lr_scheduler_state": {"best": None},
                "num_updates": updates,
            }
        ],
        "task_state": {},
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0, "version": 2}},
        "last_optimizer_state": None,
    }
    check_checkpoint(checkpoint)
    with written_beside(target) as beside:
        write_archive(checkpoint, beside)


def plain_config(cfg: dict[str, Any]) -> dict[str, Any]:
    """A saved configuration as plain fairseq would have written it: translation, and the names of the bases.

    Args:
        cfg: `cfg` of a checkpoint.

    Returns:
        A new configuration of plain types; namespaces of legacy components become dictionaries.
    """
    plain = {name: _as_dict(part) for name, part in cfg.items()}
    fields = {*TranslationConfig.__dataclass_fields__, "_name"}
    plain["task"] = {name: value for name, value in plain["task"].items() if name in fields}
    plain["task"]["_name"] = "translation"
    plain["common"]["user_dir"] = None
    plain["lr_scheduler"]["_name"] = plain["lr_scheduler"]["_name"].removeprefix(lr_scheduler.PREFIX)
    plain["criterion"]["_name"] = plain["criterion"]["_name"].removeprefix(criterion.PREFIX)
    return plain


def _as_dict(part: Any) -> Any:
    """A part of a configuration; of a legacy component's namespace, which holds all flags, without the plugin's."""
    if isinstance(part, argparse.Namespace):
        return {
            name: value
            for name, value in vars(part).items()
            if not name.startswith(("imp_", "dump_")) and name not in ("task", "user_dir", "criterion", "lr_scheduler")
        }
    return dict(part) if isinstance(part, dict) else part
