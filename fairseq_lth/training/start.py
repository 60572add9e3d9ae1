"""Where a training starts: from scratch, from its own last checkpoint, or from a level of another experiment.

Decided before anything is trained or written: a save dir that belongs to another experiment, and checkpoints that do
not fit, are refused here; a `checkpoint_last.pt` that a kill cut short is replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairseq_lth.errors import RunRefused
from fairseq_lth.guards import writing
from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import (
    CheckpointError,
    ImpState,
    imp_state,
    n_updates,
    newest_complete,
    place,
    read_checkpoint,
    require_state,
)
from fairseq_lth.levels.fields import as_fields
from fairseq_lth.training.experiment import differences, experiment_id
from fairseq_lth.training.lr_scheduler import PREFIX
from fairseq_lth.training.pruning_flags import rewind_epochs
from fairseq_lth.training.settings import RunSettings, TaskSettings, is_master
from probing_bridge.errors import BridgeError

logger = logging.getLogger(__name__)
_SHOWN = 5  # settings that differ, in one line
_Loaded = tuple[dict[str, Any], ImpState]  # a checkpoint and the plugin's part of it


@dataclass(frozen=True)
class Start:
    """The start of a training.

    Attributes:
        experiment: Identity of the experiment.
        parent: `experiment/lthK` that it branched from, or empty.
        dense: The experiment whose dense training it goes back to: its own, or that of its first ancestor.
        checkpoint: The file fairseq will load, or None for a training from scratch.
        level: The level the experiment starts at; 0 from scratch.
        epoch: The epoch that finished that level, or None from scratch.
        updates: Updates made until the checkpoint was written.
        shapes: Shape of every tensor of the checkpoint's model.
    """

    experiment: str
    parent: str
    dense: str
    checkpoint: Path | None = None
    level: int = 0
    epoch: int | None = None
    updates: int = 0
    shapes: Mapping[str, torch.Size] = field(default_factory=dict)

    def require_same_model(self, model: nn.Module) -> None:
        """Compares names and shapes, so that another model's checkpoint is named in one line.

        Raises:
            RunRefused: The checkpoint is one of another model.
        """
        if self.checkpoint is None:
            return
        for name, tensor in model.state_dict().items():
            if torch.is_tensor(tensor) and self.shapes.get(name) != tensor.shape:
                there = tuple(self.shapes[name]) if name in self.shapes else "missing"
                raise RunRefused(
                    f"{self.checkpoint} is of another model: {name} is {there} in it, {tuple(tensor.shape)} here"
                )


def find_start(cfg: TaskSettings, root: RunSettings) -> Start:
    """Finds the start of a training, and points fairseq's `--restore-file` at it.

    Args:
        cfg: The task's configuration.
        root: fairseq's configuration of the whole run; `checkpoint.restore_file` may be changed.

    Raises:
        RunRefused: The save dir belongs to another experiment, or a checkpoint cannot be used.
    """
    try:
        return _find_start(cfg, root)
    except BridgeError as error:
        raise RunRefused(str(error)) from None


def tell_finished(directory: Path, first: int, last: int) -> None:
    """Says it in the log where nothing is left to train, since all levels are there, or more than were asked for.

    Args:
        directory: The save dir.
        first: The level that the experiment starts at.
        last: K, the last level that is asked for.
    """
    there = paths.level_checkpoints(directory)
    if not set(range(first, last + 1)) <= there.keys():
        return
    more = f", and more, up to level {max(there)}" if max(there) > last else ""
    logger.info("all %d levels after level %d are there%s: nothing is left to train", last - first, first, more)


def _find_start(cfg: TaskSettings, root: RunSettings) -> Start:
    directory, given = Path(root.checkpoint.save_dir), Path(root.checkpoint.restore_file)
    own = _own_checkpoints(directory)
    if str(given) == paths.LAST:
        origin, parent = None, next((state["parent"] for _, state in own.values()), "")
        experiment = experiment_id(cfg, root, parent)
    else:
        origin = require_state(given)
        experiment, parent = _identify(cfg, root, origin[1])
    _require_experiment(own, experiment, parent, cfg, root)
    last = _last_checkpoint(directory, own, experiment, is_master(root))
    if last is not None:
        _require_same_shares(root, directory / paths.LAST, last)
        root.checkpoint.restore_file = paths.LAST
        return _start(experiment, parent, directory / paths.LAST, last, *last[1]["start"])
    if origin is None:
        return Start(experiment, parent, experiment)
    checkpoint, state = origin
    if state["experiment"] == experiment:  # the same experiment goes on in another folder
        _require_same_shares(root, given, origin)
        return _start(experiment, parent, given, origin, *state["start"])
    _require_same_scheduler(root, given, checkpoint)
    _require_rewind_epochs(cfg, given, checkpoint, state["level"])
    return _start(experiment, parent, given, origin, state["level"], state["epoch"])


def _start(experiment: str, parent: str, path: Path, loaded: _Loaded, level: int, epoch: int | None) -> Start:
    checkpoint, state = loaded
    shapes = {name: tensor.shape for name, tensor in checkpoint["model"].items() if torch.is_tensor(tensor)}
    return Start(experiment, parent, state["dense"], path, level, epoch, n_updates(checkpoint), shapes)


def _identify(cfg: TaskSettings, root: RunSettings, origin: ImpState) -> tuple[str, str]:
    """Identity and parent of this run: those of the checkpoint given if it is of the same experiment, else a branch."""
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


def _require_same_scheduler(root: RunSettings, path: Path, checkpoint: dict[str, Any]) -> None:
    """Refuses a branch with another scheduler than its parent, whose state and rewind points it would go on from."""
    here = root.lr_scheduler._name.removeprefix(PREFIX)
    there = str(_saved(checkpoint, "lr_scheduler", "_name")).removeprefix(PREFIX)
    if here != there:
        raise RunRefused(
            f"--lr-scheduler {here}: {path} was trained with {there:.40}, and a branch goes on with its state: give "
            f"--lr-scheduler {there:.40}"
        )


def _saved(checkpoint: dict[str, Any], group: str, name: str) -> Any:
    """A setting in the configuration of a checkpoint; None if it is not there. A legacy component has a namespace."""
    return as_fields((checkpoint.get("cfg") or {}).get(group)).get(name)


def _require_rewind_epochs(cfg: TaskSettings, path: Path, checkpoint: dict[str, Any], level: int) -> None:
    """Refuses a branch that would rewind to an epoch its parent's dense training did not have."""
    known = checkpoint["optimizer_history"][-1]["lr_scheduler_state"]["points"]
    for epoch in rewind_epochs(cfg)[level:]:
        if epoch not in known and str(cfg.imp_rewind) != "none":
            raise RunRefused(f"--imp-rewind-epoch {epoch}: the dense training of {path} ended with epoch {max(known)}")


def _require_same_shares(root: RunSettings, path: Path, loaded: _Loaded) -> None:
    """Refuses to go on within an epoch with other processes: fairseq counts the batches that each has seen.

    Raises:
        RunRefused: The checkpoint stands within an epoch, whose batches were shared out in another way.
    """
    checkpoint, state = loaded
    if state["end_of_epoch"]:
        return
    processes = _saved(checkpoint, "distributed_training", "distributed_world_size")
    there = _shares(processes, _saved(checkpoint, "optimization", "update_freq") or ())
    here = _shares(root.distributed_training.distributed_world_size, root.optimization.update_freq)
    if there != here:
        raise RunRefused(
            f"{path}: stands in the middle of epoch {state['epoch']} of a training with {there}, and {here} would miss "
            f"or repeat batches of it: go on with {there} until the end of the epoch is saved, or with --restore-file "
            "from a checkpoint of the end of an epoch, in another --save-dir"
        )


def _shares(processes: int | None, frequencies: Iterable[int]) -> str:
    """How the batches of an update are shared out, by the flags that say so."""
    return f"--distributed-world-size {processes} --update-freq {','.join(map(str, frequencies))}"


def _own_checkpoints(directory: Path) -> dict[Path, _Loaded]:
    """The last checkpoint and the levels of a save dir; a last checkpoint that was cut short is left out."""
    own: dict[Path, _Loaded] = {}
    for path in (directory / paths.LAST, *paths.level_checkpoints(directory).values()):
        if not path.is_file():
            continue
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError:
            if path.name == paths.LAST:
                continue
            raise
        state = imp_state(checkpoint)
        if state is None:
            raise CheckpointError(f"{path}: another task wrote it; give another --save-dir")
        own[path] = checkpoint, state
    return own


def _require_experiment(
    own: Mapping[Path, _Loaded], experiment: str, parent: str, cfg: TaskSettings, root: RunSettings
) -> None:
    """Refuses a save dir with checkpoints of another experiment, and says in what it is another."""
    for path, (checkpoint, state) in own.items():
        if state["experiment"] == experiment:
            continue
        found = differences(cfg, root, checkpoint.get("cfg"), state["start"])
        if parent != state["parent"]:
            found = [f"branched from {state['parent'] or 'no level'} there, {parent or 'no level'} here", *found]
        found = found or ["the same flags, but other data, dictionaries or masks"]
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise CheckpointError(
            f"{path} is of another experiment ({'; '.join(found[:_SHOWN])}{more}): use the same settings to continue "
            "it, or another --save-dir"
        )


def _last_checkpoint(directory: Path, own: Mapping[Path, _Loaded], experiment: str, writes: bool) -> _Loaded | None:
    """This experiment's newest checkpoint, put in place of a `checkpoint_last.pt` that is missing or cut short."""
    last = directory / paths.LAST
    if last in own:
        return own[last]
    newest = newest_complete(directory, experiment) if directory.is_dir() else None
    if newest is None:
        if last.is_file():
            raise CheckpointError(
                f"{last}: cannot be read and no other checkpoint of the run can: use another --save-dir"
            )
        return None
    if writes:
        logger.warning("%s is missing or cut short: going on from %s", last, newest.name)
        with writing(directory):
            place(newest, last)
    return require_state(newest)
