"""Where a training starts: from scratch, from its own last checkpoint, or from a level of another experiment.

Decided before anything is trained or written: a save dir that belongs to another experiment, and checkpoints that do
not fit, are refused here; a `checkpoint_last.pt` that a kill cut short is replaced.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_lth.config import rewind_epochs
from fairseq_lth.errors import RunRefused
from fairseq_lth.guards import writing
from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import (
    CheckpointError,
    imp_state,
    newest_complete,
    place,
    read_checkpoint,
    require_state,
)
from fairseq_lth.training.experiment import experiment_id
from probing_bridge.errors import BridgeError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """The start of a training.

    Attributes:
        experiment: Identity of the experiment.
        parent: `experiment/lthK` that it branched from, or empty.
        checkpoint: The file fairseq will load, or None for a training from scratch.
        level: The level the experiment starts at; 0 from scratch.
        epoch: The epoch that finished that level, or None from scratch.
    """

    experiment: str
    parent: str
    checkpoint: Path | None
    level: int
    epoch: int | None


def find_start(cfg: Any, root: Any, is_master: bool) -> Start:
    """Finds the start of a training, and points fairseq's `--restore-file` at it.

    Args:
        cfg: The task's configuration.
        root: fairseq's configuration of the whole run; `checkpoint.restore_file` may be changed.
        is_master: Whether this process writes checkpoints.

    Raises:
        RunRefused: The save dir belongs to another experiment, or a checkpoint cannot be used.
    """
    directory = Path(root.checkpoint.save_dir)
    given = Path(root.checkpoint.restore_file)
    try:
        origin = None if str(given) == paths.LAST else require_state(given)[1]
        experiment, parent = _identify(cfg, root, origin, directory)
        _require_own(directory, experiment)
        own = _own_checkpoint(directory, experiment, is_master)
    except BridgeError as error:
        raise RunRefused(str(error)) from None
    if own is not None:
        root.checkpoint.restore_file = paths.LAST
        level, epoch = read_checkpoint(own)["extra_state"]["ImpTask"]["start"]
        return Start(experiment, parent, own, level, epoch)
    if origin is None:
        return Start(experiment, parent, None, 0, None)
    if origin["experiment"] == experiment:  # the same experiment goes on in another folder
        return Start(experiment, parent, given, *origin["start"])
    _require_rewind_epochs(cfg, given, origin["level"])
    return Start(experiment, parent, given, origin["level"], origin["epoch"])


def _identify(cfg: Any, root: Any, origin: dict[str, Any] | None, directory: Path) -> tuple[str, str]:
    """Identity and parent of this run: those of the checkpoint given if it is of the same experiment, else a branch."""
    if origin is None:
        parent = _parent_of_own(directory)
        return experiment_id(cfg, root, parent), parent
    same = experiment_id(cfg, root, origin["parent"])
    if origin["experiment"] == same:
        return same, origin["parent"]
    if not (origin["end_of_epoch"] and origin["finished"]):
        raise CheckpointError(
            f"--restore-file {root.checkpoint.restore_file}: a new experiment can only branch from a finished level "
            "(checkpoint_lthK.pt)"
        )
    if cfg.imp_iterations <= origin["level"]:
        raise CheckpointError(
            f"--imp-iterations {cfg.imp_iterations}: the branch starts at level {origin['level']}, so it must be more"
        )
    parent = f"{origin['experiment']}/lth{origin['level']}"
    return experiment_id(cfg, root, parent), parent


def _require_rewind_epochs(cfg: Any, path: Path, level: int) -> None:
    """Refuses a branch that would rewind to an epoch its parent's dense training did not have."""
    known = read_checkpoint(path)["optimizer_history"][-1]["lr_scheduler_state"]["points"]
    for epoch in rewind_epochs(cfg)[level:]:
        if epoch not in known and str(cfg.imp_rewind) != "none":
            raise RunRefused(f"--imp-rewind-epoch {epoch}: the dense training of {path} ended with epoch {max(known)}")


def _parent_of_own(directory: Path) -> str:
    """The parent that the run in a save dir recorded, if there is one."""
    for path in (directory / paths.LAST, *paths.level_checkpoints(directory).values()):
        if path.is_file():
            try:
                state = imp_state(read_checkpoint(path))
            except CheckpointError:
                continue
            if state is not None:
                return state["parent"]
    return ""


def _require_own(directory: Path, experiment: str) -> None:
    """Refuses a save dir with checkpoints of another experiment or of another task."""
    for path in (directory / paths.LAST, *paths.level_checkpoints(directory).values()):
        if not path.is_file():
            continue
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError:
            if path.name == paths.LAST:
                continue  # cut short: replaced below
            raise
        state = imp_state(checkpoint)
        if state is None:
            raise CheckpointError(f"{path}: another task wrote it; give another --save-dir")
        if state["experiment"] != experiment:
            raise CheckpointError(
                f"{path} belongs to experiment {state['experiment']}, and these flags and data make {experiment}: "
                "use the same ones to continue it, or another --save-dir"
            )


def _own_checkpoint(directory: Path, experiment: str, is_master: bool) -> Path | None:
    """This experiment's newest checkpoint, put in place of a `checkpoint_last.pt` that is missing or cut short."""
    last = directory / paths.LAST
    try:
        read_checkpoint(last)
        return last
    except CheckpointError:
        newest = newest_complete(directory, experiment) if directory.is_dir() else None
    if newest is None:
        if last.is_file():
            raise CheckpointError(
                f"{last}: cannot be read and no other checkpoint of the run can: use another --save-dir"
            )
        return None
    if is_master:
        logger.warning("%s is missing or cut short: going on from %s", last, newest.name)
        with writing(directory):
            place(newest, last)
    return newest
