"""Checkpoints: safe reading, what the plugin stores in them, and atomic copies.

fairseq writes the first checkpoint of a save atomically and copies it in place to the other names, so a kill can leave
`checkpoint_last.pt` cut short, and a hard link to a name that is copied onto would be overwritten. Hence: levels are
linked only to files fairseq never writes in place, everything else is copied beside and renamed, and a
`checkpoint_last.pt` that cannot be read is replaced by the newest complete checkpoint of the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch

from fairseq_lth.levels.archive import ArchiveError, check_archive
from fairseq_lth.levels.fields import GateError
from fairseq_lth.levels.gate import check_checkpoint
from fairseq_lth.levels.state import check_state
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import file_hash, written_beside
from probing_bridge.formats.origin import Origin
from probing_bridge.pruning.masks import Mask

STATE_KEY = "ImpTask"  # the name of the task class: fairseq stores get_checkpoint_dict under it
STATE_FORMAT = 1
_NEVER_WRITTEN_IN_PLACE = re.compile(r"checkpoint(\d+|_\d+_\d+)\.pt")
_WAY_OUT = (
    "; where you trust the file, load it once with the fairseq that wrote it and save its cfg as plain dictionaries "
    "(omegaconf.OmegaConf.to_container), without its optimizer"
)


class CheckpointError(BridgeError):
    """A checkpoint that cannot be used."""


def allow_checkpoint_globals() -> None:
    """Tells torch which types fairseq's checkpoints hold beyond tensors, so that `weights_only` loading accepts them.

    Namespace: legacy model and criterion configurations. numpy arrays and scalars: the meters of `--eval-bleu`.
    """
    numpy_core = np._core.multiarray  # type: ignore[attr-defined]
    dtypes = [type(np.dtype(name)) for name in ("int64", "int32", "float64", "float32", "bool")]
    torch.serialization.add_safe_globals(
        [argparse.Namespace, np.ndarray, np.dtype, numpy_core._reconstruct, numpy_core.scalar, *dtypes]
    )


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint safely; tensors stay on disk (memory-mapped) until they are used, but in very old files.

    Args:
        path: The file.

    Returns:
        The checkpoint as fairseq wrote it, names of weights without the prefix of a wrapper.

    Raises:
        CheckpointError: Missing, cut short, no fairseq checkpoint, or with a global that is not allowed (named).
    """
    allow_checkpoint_globals()
    try:
        is_zip = check_archive(path)  # torch before 1.6 wrote another format, which cannot be memory-mapped
        checkpoint = torch.load(path, map_location="cpu", mmap=is_zip, weights_only=True)
        check_checkpoint(checkpoint)
        checkpoint["model"] = without_wrapper(checkpoint["model"])
        _check_imp_state(checkpoint)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (ArchiveError, GateError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    except pickle.UnpicklingError as error:
        unexpected = re.search(r"(?:Unsupported global|GLOBAL) (\S+)", str(error))
        if unexpected:
            raise CheckpointError(f"{path}: holds {unexpected[1]}, which is not loaded for safety{_WAY_OUT}") from error
        raise CheckpointError(f"{path}: is not a checkpoint that can be loaded safely") from error
    except Exception as error:  # torch's safe unpickler ends in any of them on bytes that are no pickle
        raise CheckpointError(f"{path}: cannot be read; it is cut short or no checkpoint") from error
    return checkpoint


def without_wrapper(model: dict[str, Any]) -> dict[str, Any]:
    """Weights by the names of the model, where DistributedDataParallel's `module.` stands before all of them."""
    while all(name.startswith("module.") for name in model):
        model = {name.removeprefix("module."): tensor for name, tensor in model.items()}
    return model


def _check_imp_state(checkpoint: dict[str, Any]) -> None:
    """Checks the plugin's part; one of another format version counts as that of another task, as in imp_state."""
    state = (checkpoint.get("extra_state") or {}).get(STATE_KEY)
    if state is not None and not isinstance(state, dict):
        raise GateError(f"the state of lth_imp in it is a {type(state).__name__}")
    if state and state.get("format") == STATE_FORMAT:
        check_state(state, checkpoint["model"])


def require_loadable(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint that a model is to be built from.

    Args:
        path: The file.

    Returns:
        The checkpoint as fairseq wrote it.

    Raises:
        CheckpointError: As read_checkpoint, or nothing in it says what model it is.
    """
    checkpoint = read_checkpoint(path)
    if not (checkpoint.get("cfg") or checkpoint.get("args")):
        raise CheckpointError(f"{path}: has weights but no configuration (cfg), so fairseq cannot build its model")
    return checkpoint


def require_dictionary(checkpoint: dict[str, Any], dictionary: Any, folder: str | Path) -> None:
    """Refuses a source dictionary whose size is not that of the model's embeddings.

    Args:
        checkpoint: What read_checkpoint gave.
        dictionary: fairseq's dictionary.
        folder: Where it was read from.

    Raises:
        CheckpointError: Another size, with both.
    """
    embeddings = checkpoint["model"].get("encoder.embed_tokens.weight")
    if embeddings is not None and len(embeddings) != len(dictionary):
        raise CheckpointError(
            f"{folder}: its source dictionary has {len(dictionary)} symbols, but the model was trained with "
            f"{len(embeddings)}; give the data that the model was trained on"
        )


class ImpState(TypedDict):
    """The plugin's part of a checkpoint, in plain types and packed bits.

    Attributes:
        format: STATE_FORMAT.
        experiment: Identity of the experiment.
        parent: `experiment/lthK` of the level that it branched from; empty if it did not.
        dense: The experiment whose dense training it goes back to: its own, or that of its first ancestor.
        start: The level that the experiment started at and the epoch that finished it; 0 and None from scratch.
        level: The level in training, 0 = dense.
        epoch: The epoch in training, 1-based, counted on through all levels.
        end_of_epoch: Whether the epoch is finished.
        finished: Whether the level is.
        sparsity: Share of all weights that are pruned, in [0, 1].
        mask: The level's mask as Mask.pack gives it; None at level 0.
        transition: The level's Rewound, by field; empty at level 0.
        sample_hash: That of the weights, see levels.state.
        seconds: Wall time spent on the level.
    """

    format: int
    experiment: str
    parent: str
    dense: str
    start: list[Any]
    level: int
    epoch: int
    end_of_epoch: bool
    finished: bool
    sparsity: float
    mask: dict[str, Any] | None
    transition: dict[str, Any]
    sample_hash: str
    seconds: float


def imp_state(checkpoint: dict[str, Any]) -> ImpState | None:
    """The plugin's part of a checkpoint, or None where another task wrote it."""
    state = (checkpoint.get("extra_state") or {}).get(STATE_KEY)
    return state if isinstance(state, dict) and state.get("format") == STATE_FORMAT else None  # type: ignore[return-value]


def level_metrics(state: ImpState | None) -> dict[str, float]:
    """Level and sparsity of a checkpoint, for logs; nothing where another task wrote it."""
    if state is None:
        return {}
    pruned = 0.0 if state["mask"] is None else Mask.unpack(state["mask"]).sparsity
    return {"level": state["level"], "sparsity": state["sparsity"], "sparsity_prunable": pruned}


def level_record(path: str | Path) -> Origin:
    """Reads which experiment and level a checkpoint is. Plain fairseq checkpoints are fine.

    Args:
        path: The checkpoint file.

    Returns:
        What a file made from it says of its origin. Of a checkpoint that the plugin did not write, experiment and
        level are unknown, and the sparsity is the share of weights that are zero.

    Raises:
        CheckpointError: As read_checkpoint.
    """
    return origin_of(read_checkpoint(path), path)


def origin_of(checkpoint: dict[str, Any], path: str | Path) -> Origin:
    """The same of a checkpoint that has been read already.

    Args:
        checkpoint: What read_checkpoint gave.
        path: Its file.
    """
    state = imp_state(checkpoint)
    file = Origin(checkpoint=Path(path).name, checkpoint_hash=file_hash(path))
    if state is None:
        return replace(file, sparsity=_share_of_zeros(checkpoint["model"]))
    return replace(
        file,
        experiment=state["experiment"],
        level=state["level"],
        parent=state["parent"],
        sparsity=state["sparsity"],
    )


def _share_of_zeros(model: dict[str, Any]) -> float:
    """Zeros among the floating point weights; tied weights, which are saved as one storage, count once."""
    tensors = {
        (tensor.untyped_storage().data_ptr(), tensor.storage_offset()): tensor
        for tensor in model.values()
        if torch.is_tensor(tensor) and tensor.is_floating_point()
    }
    total = sum(tensor.numel() for tensor in tensors.values())
    return 1.0 - sum(int(tensor.count_nonzero()) for tensor in tensors.values()) / total if total else 0.0


def place(source: str | Path, target: str | Path) -> None:
    """Puts a copy of a checkpoint under another name, atomically; a hard link where fairseq never writes in place."""
    source, target = Path(source), Path(target)
    with written_beside(target) as beside:
        if _NEVER_WRITTEN_IN_PLACE.fullmatch(source.name):
            with contextlib.suppress(OSError):  # a file system without hard links, or another device
                os.link(source, beside)
                return
        shutil.copyfile(source, beside)


def archive_best(directory: Path, level: int) -> None:
    """Gives what `--keep-best-checkpoints` kept the level in its name, so that the next level's search starts anew."""
    for path in directory.glob("checkpoint.best_*.pt"):
        path.replace(path.with_name(path.name.replace("checkpoint.", f"checkpoint_lth{level}.", 1)))


def n_updates(checkpoint: dict[str, Any]) -> int:
    """Updates made until a checkpoint was written."""
    return checkpoint["optimizer_history"][-1]["num_updates"]


def newest_complete(directory: Path, experiment: str) -> Path | None:
    """The checkpoint of this experiment with the most updates among those that can be read, or None."""
    best: tuple[int, Path] | None = None
    for path in sorted(directory.glob("checkpoint*.pt")):
        with contextlib.suppress(CheckpointError):
            checkpoint = read_checkpoint(path)
            state = imp_state(checkpoint)
            if state is None or state["experiment"] != experiment or "optimizer_history" not in checkpoint:
                continue
            updates = n_updates(checkpoint)
            if checkpoint.get("last_optimizer_state") is not None and (best is None or updates > best[0]):
                best = updates, path
    return best[1] if best else None


def require_state(path: str | Path) -> tuple[dict[str, Any], ImpState]:
    """Reads a checkpoint that the plugin must have written.

    Returns:
        The checkpoint and the plugin's part of it.

    Raises:
        InputError: Another task wrote it.
        CheckpointError: As read_checkpoint.
    """
    checkpoint = read_checkpoint(path)
    state = imp_state(checkpoint)
    if state is None:
        raise InputError("was not written by --task lth_imp, so it has neither masks nor points to rewind to", path)
    return checkpoint, state
