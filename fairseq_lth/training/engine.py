"""The training engine of iterative magnitude pruning: what happens at level boundaries, and the state that survives.

fairseq trains on in one process; the task calls in here before and after each update, after validation and after
saving. At the first update of a level `_start_level` prunes, rewinds and resets the best checkpoint, as a deterministic
function of the checkpoint before: a process killed anywhere makes the same transition again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fairseq import checkpoint_utils
from torch import nn

from fairseq_lth.errors import RunRefused
from fairseq_lth.guards import writing
from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import STATE_FORMAT, ImpState, archive_best, place
from fairseq_lth.levels.records import WeightCounts, is_recorded, record_level
from fairseq_lth.levels.state import sample_hash
from fairseq_lth.training.lr_scheduler import ATTRIBUTE, RewindMixin, Rewound
from fairseq_lth.training.mask_choice import MaskChoice, how_pruned, require_same_weights
from fairseq_lth.training.pruning_flags import rewind_epochs
from fairseq_lth.training.rewind import (
    draw_weights,
    fetch_rewind_points,
    load_rewind_point,
    place_rewind_point,
    rewind_weights,
    save_initialisation,
)
from fairseq_lth.training.schedule import Schedule
from fairseq_lth.training.settings import RunSettings, TaskSettings, is_master
from fairseq_lth.training.start import Start, tell_finished
from fairseq_lth.training.zeros import GradientMasks, Optimizer, zero_pruned
from probing_bridge.errors import BridgeError
from probing_bridge.pruning.criteria import prunable_parameters
from probing_bridge.pruning.masks import Mask

logger = logging.getLogger(__name__)


class PruningEngine:
    """One experiment in training.

    Attributes:
        schedule: When levels end and where they rewind to.
        level: The level being trained.
        mask: Its mask; None at level 0.
    """

    def __init__(self, cfg: TaskSettings, root: RunSettings, start: Start) -> None:
        """Plans the experiment.

        Args:
            cfg: The task's configuration.
            root: fairseq's configuration of the whole run, before the plugin changes it.
            start: Where the training starts.
        """
        epochs = root.optimization.max_epoch
        self.schedule = Schedule(epochs, rewind_epochs(cfg), start.level, start.epoch or epochs)
        self.level = start.level
        self.mask: Mask | None = None
        self._cfg = cfg
        self._choice = MaskChoice(cfg, root)
        self._mode = str(cfg.imp_rewind)
        self._start = start
        self._directory = Path(root.checkpoint.save_dir)
        self._is_master = is_master(root)
        self._transition: dict[str, Any] = {}
        self._seconds = 0.0
        self._since = time.monotonic()
        self._epoch, self._updates_to_come, self._pending = 0, 1, True
        self._optimizer: Optimizer | None = None
        self._gradients: GradientMasks | None = None
        self._state: ImpState | None = None  # of the checkpoint that fairseq is writing

    @property
    def level_state(self) -> dict[str, float]:
        """Level and sparsity of the model, for logs."""
        counts = self._counts
        return {"level": self.level, "sparsity": counts.sparsity, "sparsity_prunable": counts.sparsity_prunable}

    def attach(self, model: nn.Module, build: Callable[[], nn.Module]) -> None:
        """Takes the model that will be trained, and checks that what it will load is of it.

        Args:
            model: The model.
            build: Builds another one with weights drawn from torch's random state.

        Raises:
            RunRefused: The checkpoint or a mask is of another model, or nothing may be pruned.
        """
        self._model, self._build = model, build
        self._parameters = prunable_parameters(model, self._cfg.imp_prune_embeddings, self._cfg.imp_keep_biases)
        if not self._parameters:
            raise RunRefused("this model has no weights that may be pruned")
        n_weights = sum(parameter.numel() for parameter in model.parameters())
        n_prunable = sum(parameter.numel() for parameter in self._parameters.values())
        self._counts = WeightCounts(n_weights, n_prunable, 0)
        self._start.require_same_model(model)
        to_come = range(self._start.level + 1, self.schedule.iterations + 1)
        self._choice.attach(model, self._parameters, to_come)

    def take_data(self, dataset: Any) -> None:
        """Takes the training set, which some scores look at.

        Args:
            dataset: fairseq's dataset.

        Raises:
            RunRefused: It is too small for what the score is to look at, or the score cannot judge this model.
        """
        self._choice.take_data(dataset)

    def begin_epoch(self, epoch: int, to_come: int) -> None:
        """Notes the epoch; what it needs is done at its first update, where the optimizer is at hand.

        Args:
            epoch: The epoch, 1-based.
            to_come: Updates until the end of its level, or until its own if the next may have other batches.
        """
        self._epoch, self._updates_to_come, self._pending = epoch, to_come, True

    def before_backward(self, criterion: Any, optimizer: Optimizer, update_num: int) -> None:
        """Called before each forward and backward pass; starts the level at the first of an epoch.

        Args:
            criterion: fairseq's criterion.
            optimizer: fairseq's optimizer.
            update_num: Updates made so far.

        Raises:
            RunRefused: The learning rate's schedule ends before the level does.
        """
        if not self._pending:
            return
        self._pending = False
        self._optimizer = optimizer
        level = self.schedule.level(self._epoch)
        if level > self.level:
            self._start_level(level, criterion, optimizer)
        elif level == 0 and update_num == 0 and self._is_master:
            with writing(self._directory):
                save_initialisation(self._directory, self._model, self._start.dense)
        self._scheduler.refuse_rate_of_zero(self.level, self._updates_to_come)

    def _start_level(self, level: int, criterion: Any, optimizer: Optimizer) -> None:
        """Prunes, rewinds and starts the search for the best checkpoint anew; the training goes on from there."""
        rewind_epoch = self.schedule.rewind_epoch(level)
        mask = self._choice.next_mask(self.mask, level, criterion)
        if self._mode == "weights":
            point = load_rewind_point(self._directory, rewind_epoch, self._start.dense)
            rewind_weights(point, self._model, optimizer)
        elif self._cfg.imp_reinit:
            rewind_weights(draw_weights(self._build, self._cfg.imp_seed, level), self._model, optimizer)
        self._use_mask(mask)
        zero_pruned(mask, self._parameters, optimizer)
        rewound = self._scheduler.freeze() if self._mode == "none" else self._scheduler.rewind(rewind_epoch)
        if hasattr(checkpoint_utils.save_checkpoint, "best"):
            del checkpoint_utils.save_checkpoint.best
        if self._is_master:
            archive_best(self._directory, level - 1)
        self.level, self._transition = level, asdict(rewound)
        self._seconds, self._since = 0.0, time.monotonic()
        logger.info("level %d: %s, mask %s; %s", level, self._counts, mask.hash()[:16], rewound)

    def after_backward(self) -> None:
        """Masks the gradients, before they are reduced, converted, measured and clipped."""
        self._scheduler.loss_of_epoch = None
        if self._gradients is not None:
            self._gradients.mask_gradients()

    def mask_weights(self) -> None:
        """Sets pruned weights to zero, for a forward pass that must not depend on anything else keeping them so."""
        if self._gradients is not None:
            self._gradients.mask_weights()

    def after_validation(self, loss: float) -> None:
        """Hands the scheduler the loss of the first validation set, on which some schedulers depend."""
        if self._scheduler.loss_of_epoch is None:
            self._scheduler.loss_of_epoch = float(loss)

    def state(self, end_of_epoch: bool) -> ImpState:
        """The plugin's part of the checkpoint that fairseq is about to write.

        Raises:
            RunRefused: A pruned weight is not zero.
        """
        if self.mask is not None:
            try:
                self.mask.check(self._parameters)
            except BridgeError as error:
                raise RunRefused(f"{error}; {type(self._optimizer).__name__} does not keep pruned weights") from None
        self._state = {
            "format": STATE_FORMAT,
            "experiment": self._start.experiment,
            "parent": self._start.parent,
            "dense": self._start.dense,
            "start": [self._start.level, self._start.epoch],
            "level": self.level,
            "epoch": self._epoch,
            "end_of_epoch": end_of_epoch,
            "finished": end_of_epoch and self.schedule.finishes_level(self._epoch),
            "sparsity": self._counts.sparsity,
            "mask": None if self.mask is None else self.mask.pack(),
            "transition": self._transition,
            "sample_hash": sample_hash(self._model.state_dict()),
            "seconds": self._seconds + time.monotonic() - self._since,
        }
        return self._state

    def saved(self, path: Path) -> None:
        """Names what was saved: the level it finishes, and the point it is to be rewound to. Master process only.

        Args:
            path: The checkpoint just written, with what `state` returned last.

        Raises:
            RunRefused: The level or its records cannot be written.
        """
        assert self._state is not None
        with writing(self._directory):
            self._name(path, self._state, self._scheduler.updates)

    def load(self, state: ImpState) -> None:
        """Goes on from a checkpoint, or starts a branch from a level; the model is loaded already.

        Args:
            state: The plugin's part of the checkpoint.

        Raises:
            RunRefused: The mask does not fit the model, or a point to rewind weights to is missing.
        """
        path = self._start.checkpoint
        assert path is not None
        try:
            if state["mask"] is not None:
                mask = Mask.unpack(state["mask"])
                require_same_weights(mask, self._parameters, path)
                self._use_mask(mask)
        except BridgeError as error:
            raise RunRefused(str(error)) from None
        self.level, self._epoch = state["level"], state["epoch"]
        continues = state["experiment"] == self._start.experiment
        if continues:
            self._transition, self._seconds = dict(state["transition"]), state["seconds"]
        if not self._is_master:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        with writing(self._directory):
            if continues:
                self._name(path, state, self._start.updates)
                tell_finished(self._directory, self._start.level, self.schedule.iterations)
            if self._mode == "weights":
                ended = self._epoch if state["end_of_epoch"] else self._epoch - 1
                to_come = sorted(set(self.schedule.rewind_epochs[self.level :]))
                reached = [epoch for epoch in to_come if self.level > 0 or epoch <= ended]
                fetch_rewind_points(path.parent, self._directory, reached, self._start.dense)

    def _name(self, path: Path, state: ImpState, updates: int) -> None:
        """Gives a checkpoint the names it deserves and writes the records of the level that it finishes."""
        if not state["end_of_epoch"]:
            return
        epoch, level = state["epoch"], state["level"]
        if level == 0 and epoch in self.schedule.rewind_epochs and self._mode != "none":
            place_rewind_point(path, self._directory, epoch)
        if not state["finished"]:
            return
        checkpoint = paths.level_checkpoint(self._directory, level)
        if checkpoint.is_file() and is_recorded(self._directory, level):
            return
        if not checkpoint.is_file():
            place(path, checkpoint)
        mask = self.mask or Mask.full(self._parameters)
        pruning = {}
        if level > 0:
            pruning = how_pruned(self._cfg, self.schedule.rewind_epoch(level), Rewound(**self._transition))
        record_level(self._directory, state, mask, self._counts, updates, pruning)

    def _use_mask(self, mask: Mask) -> None:
        self.mask = Mask({name: kept.to(self._parameters[name].device) for name, kept in mask.kept.items()})
        self._gradients = GradientMasks(self.mask, self._parameters)
        self._counts = replace(self._counts, pruned=self.mask.n_pruned)

    @property
    def _scheduler(self) -> RewindMixin:
        return getattr(self._optimizer, ATTRIBUTE)
