"""Points of the dense training that weights are rewound to (Frankle et al. 2019, Algorithm 1): files, and going back.

The state at the end of epoch R is fairseq's own checkpoint under a name of its own; R = 0 is the initialisation, which
fairseq never saves, so it is written before the first update.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairseq_lth.errors import RunRefused
from fairseq_lth.levels import paths
from fairseq_lth.levels.archive import write_archive
from fairseq_lth.levels.checkpoints import imp_state, place, read_checkpoint
from fairseq_lth.training.zeros import Optimizer, copy_to_masters
from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import written_beside

_EXPERIMENT = "lth_experiment"  # of the initialisation; a fairseq checkpoint says it in the plugin's part


def save_initialisation(directory: Path, model: nn.Module, experiment: str) -> None:
    """Writes the model as it is before the first update, and which experiment's it is."""
    path = paths.rewind_checkpoint(directory, 0)
    with written_beside(path) as beside:
        write_archive({"model": model.state_dict(), "last_optimizer_state": None, _EXPERIMENT: experiment}, beside)


def place_rewind_point(source: Path, directory: Path, epoch: int) -> None:
    """Gives the checkpoint at the end of a dense epoch its name as a rewind point, unless there is one.

    Args:
        source: That checkpoint.
        directory: The run directory.
        epoch: The epoch; 0 for the initialisation.
    """
    target = paths.rewind_checkpoint(directory, epoch)
    if not target.is_file():
        place(source, target)


def fetch_rewind_points(source: Path, directory: Path, epochs: Iterable[int], dense: str) -> None:
    """Takes the rewind points that a run directory lacks from another one.

    Args:
        source: The run directory of the experiment that this one branched from.
        directory: The run directory.
        epochs: The epochs that weights will be rewound to.
        dense: The experiment whose dense training it is.

    Raises:
        RunRefused: The other has none for an epoch, or one that is not the end of that epoch of that training.
    """
    for epoch in epochs:
        if paths.rewind_checkpoint(directory, epoch).is_file():
            continue
        for candidate in (paths.rewind_checkpoint(source, epoch), paths.epoch_checkpoint(source, epoch)):
            if candidate.is_file():
                _read_point(candidate, epoch, dense)
                place_rewind_point(candidate, directory, epoch)
                break
        else:
            raise RunRefused(
                f"--imp-rewind weights: {source} has no {paths.rewind_checkpoint('', epoch).name}, the state at "
                f"the end of epoch {epoch} that weights are rewound to"
            )


def _read_point(path: Path, epoch: int, dense: str) -> dict[str, Any]:
    """Reads the state at the end of an epoch of one dense training.

    Raises:
        RunRefused: It cannot be read, is another state than that, or one of another experiment.
    """
    try:
        checkpoint = read_checkpoint(path)
    except BridgeError as error:
        raise RunRefused(f"{error}; --imp-rewind weights needs the state at the end of epoch {epoch}") from None
    state = imp_state(checkpoint)
    if epoch == 0:
        experiment, fits = checkpoint.get(_EXPERIMENT), state is None
    else:
        experiment = None if state is None else state["experiment"]
        fits = state is not None and state["level"] == 0 and state["end_of_epoch"] and state["epoch"] == epoch
    if not fits or (epoch > 0) == (checkpoint.get("last_optimizer_state") is None):
        raise RunRefused(f"{path}: is not the end of epoch {epoch} of a dense training by --task lth_imp")
    if experiment != dense:
        raise RunRefused(f"{path}: is of experiment {experiment!s:.40}, and the dense training is of {dense}")
    return checkpoint


def load_rewind_point(directory: Path, epoch: int, dense: str) -> dict[str, Any]:
    """Reads a rewind point, memory-mapped, so that every process of a training reads its own.

    Args:
        directory: The run directory.
        epoch: R.
        dense: The experiment whose dense training it is.

    Returns:
        `model` and `last_optimizer_state`.

    Raises:
        RunRefused: It is missing, cannot be read, or is of another experiment.
    """
    checkpoint = _read_point(paths.rewind_checkpoint(directory, epoch), epoch, dense)
    return {name: checkpoint.get(name) for name in ("model", "last_optimizer_state")}


def draw_weights(build: Callable[[], nn.Module], seed: int, level: int) -> dict[str, Any]:
    """Draws the initialisation of a level anew (Frankle & Carbin 2019: random reinitialisation).

    Args:
        build: Builds the model with weights drawn from torch's random state.
        seed: Of the draw.
        level: Each level has weights of its own.

    Returns:
        `model` and `last_optimizer_state` (None), as of a rewind point. The random state is left as it was.
    """
    key = hashlib.sha256(f"{seed}/{level}/weights".encode()).digest()[:7]
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int.from_bytes(key, "little"))
        return {"model": build().state_dict(), "last_optimizer_state": None}


@torch.no_grad()
def rewind_weights(point: dict[str, Any], model: nn.Module, optimizer: Optimizer) -> None:
    """Puts weights, fp32 masters and optimizer state back to a rewind point.

    Args:
        point: What load_rewind_point returned.
        model: The model in training.
        optimizer: Its fairseq optimizer.

    Raises:
        RunRefused: The point is of another model or another optimizer.
    """
    try:
        _rewind(point, model, optimizer)
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunRefused(
            f"the point that weights are rewound to is not of this model and optimizer: {reason}"
        ) from None


def _rewind(point: dict[str, Any], model: nn.Module, optimizer: Optimizer) -> None:
    model.load_state_dict(point["model"], strict=True)
    copy_to_masters(optimizer)
    state = point["last_optimizer_state"]
    if state is None:  # the initialisation: as the optimizer was built, with its present parameter groups
        state = {**optimizer.state_dict(), "state": {}}
    optimizer.load_state_dict(state)
