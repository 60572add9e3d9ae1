"""Points of the dense training that weights are rewound to (Frankle et al. 2019): files, and going back to them.

The state at the end of epoch R is fairseq's own checkpoint under a name of its own; R = 0 is the initialisation, which
fairseq never saves, so it is written before the first update.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from fairseq.distributed import utils as distributed_utils
from torch import nn

from fairseq_lth.errors import RunRefused
from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import imp_state, place, read_checkpoint
from fairseq_lth.pruning.zeros import copy_to_masters
from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import written_beside


def save_initialisation(directory: Path, model: nn.Module) -> None:
    """Writes the model as it is before the first update."""
    path = paths.rewind_checkpoint(directory, 0)
    directory.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside:
        torch.save({"model": model.state_dict(), "last_optimizer_state": None}, beside)


def place_rewind_point(source: Path, directory: Path, epoch: int) -> None:
    """Gives the checkpoint at the end of a dense epoch its name as a rewind point.

    Raises:
        RunRefused: It is not the end of that epoch of a dense training.
    """
    target = paths.rewind_checkpoint(directory, epoch)
    if target.is_file():
        return
    try:
        state = imp_state(read_checkpoint(source))
    except BridgeError as error:
        raise RunRefused(str(error)) from None
    dense_end = state is not None and state["level"] == 0 and state["end_of_epoch"] and state["epoch"] == epoch
    if epoch > 0 and not dense_end:
        raise RunRefused(f"{source}: is not the end of epoch {epoch} of a dense training by --task lth_imp")
    place(source, target)


def load_rewind_point(directory: Path, epoch: int, distributed: Any) -> dict[str, Any]:
    """Reads a rewind point on the master process and hands it to all.

    Args:
        directory: The run directory.
        epoch: R.
        distributed: fairseq's distributed configuration.

    Returns:
        `model` and `last_optimizer_state`.

    Raises:
        RunRefused: It is missing or cannot be read.
    """
    point: Any = None
    several = distributed.distributed_world_size > 1
    if not several or (distributed.distributed_rank or 0) == 0:
        try:
            checkpoint = read_checkpoint(paths.rewind_checkpoint(directory, epoch))
        except BridgeError as error:
            raise RunRefused(f"{error}; --imp-rewind weights needs the state at the end of epoch {epoch}") from None
        point = {name: checkpoint[name] for name in ("model", "last_optimizer_state")}
    if several:
        group = distributed_utils.get_data_parallel_group()
        point = distributed_utils.broadcast_object(point, src_rank=0, group=group)
    return point


@torch.no_grad()
def rewind_weights(point: dict[str, Any], model: nn.Module, optimizer: Any) -> None:
    """Puts weights, fp32 masters and optimizer state back to a rewind point.

    Args:
        point: What load_rewind_point returned.
        model: The model in training.
        optimizer: Its fairseq optimizer.
    """
    model.load_state_dict(point["model"], strict=True)
    copy_to_masters(optimizer)
    state = point["last_optimizer_state"]
    if state is None:  # the initialisation: as the optimizer was built, with its present parameter groups
        state = {**optimizer.state_dict(), "state": {}}
    optimizer.load_state_dict(state)
