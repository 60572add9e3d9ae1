"""The training engine of iterative magnitude pruning: what happens at level boundaries, and the state that survives.

fairseq trains on in one process; the task calls in here before and after each update, after validation and after
saving. At the first update of a level the engine prunes, rewinds and resets the best checkpoint, as a deterministic
function of the checkpoint before: a process killed anywhere makes the same transition again.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils
from torch import nn

from fairseq_lth.config import rewind_epochs
from fairseq_lth.errors import RunRefused
from fairseq_lth.guards import writing
from fairseq_lth.levels import paths, records
from fairseq_lth.levels.checkpoints import STATE_FORMAT, file_hash, imp_state, place, read_checkpoint, require_state
from fairseq_lth.pruning.criteria import prunable_parameters, prune
from fairseq_lth.pruning.masks import Mask, MaskError
from fairseq_lth.pruning.zeros import GradientMasks, zero_pruned
from fairseq_lth.training.lr_scheduler import ATTRIBUTE, RewindMixin, Rewound
from fairseq_lth.training.rewind import load_rewind_point, place_rewind_point, rewind_weights, save_initialisation
from fairseq_lth.training.schedule import Schedule
from fairseq_lth.training.start import Start
from probing_bridge.errors import BridgeError

logger = logging.getLogger(__name__)


class PruningEngine:
    """One experiment in training.

    Attributes:
        schedule: When levels end and where they rewind to.
        level: The level being trained.
        mask: Its mask; None at level 0.
    """

    def __init__(self, cfg: Any, root: Any, start: Start) -> None:
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
        self._start = start
        self._directory = Path(root.checkpoint.save_dir)
        self._distributed = root.distributed_training
        self._restore_file = Path(root.checkpoint.restore_file)
        self._rows: list[dict[str, Any]] = []
        self._transition: dict[str, Any] = {}
        self._seconds = 0.0
        self._since = time.monotonic()
        self._epoch = 0
        self._pending = True
        self._optimizer: Any = None
        self._gradients: GradientMasks | None = None

    @property
    def is_master(self) -> bool:
        """Whether this process writes files."""
        return (self._distributed.distributed_rank or 0) == 0

    @property
    def weights_sparsity(self) -> float:
        """Share of all weights that are pruned."""
        return self._n_pruned / self._n_weights

    @property
    def prunable_sparsity(self) -> float:
        """Share of the prunable weights that are pruned."""
        return self._n_pruned / max(self._n_prunable, 1)

    def level_state(self) -> dict[str, Any]:
        """Level and sparsity of the model, for logs and for tasks that evaluate the checkpoint."""
        return {
            "experiment": self._start.experiment,
            "level": self.level,
            "sparsity": self.weights_sparsity,
            "sparsity_prunable": self.prunable_sparsity,
        }

    def attach(self, model: nn.Module) -> None:
        """Takes the model that will be trained, and checks that the checkpoint it will load is one of it.

        Raises:
            RunRefused: The checkpoint is one of another model.
        """
        self._model = model
        self._parameters = prunable_parameters(model, self._cfg.imp_prune_embeddings, self._cfg.imp_keep_biases)
        if not self._parameters:
            raise RunRefused("this model has no weights that may be pruned")
        self._n_weights = sum(parameter.numel() for parameter in model.parameters())
        self._n_prunable = sum(parameter.numel() for parameter in self._parameters.values())
        self._n_pruned = 0
        if self._start.checkpoint is not None:
            self._check_model(self._start.checkpoint)

    def begin_epoch(self, epoch: int) -> None:
        """Notes the epoch; what it needs is done at its first update, where the optimizer is at hand."""
        self._epoch = epoch
        self._pending = True

    def before_backward(self, optimizer: Any, update_num: int) -> None:
        """Called before each forward and backward pass; starts the level at the first of an epoch.

        Args:
            optimizer: fairseq's optimizer.
            update_num: Updates made so far.
        """
        if not self._pending:
            return
        self._pending = False
        self._optimizer = optimizer
        scheduler = self._scheduler
        level = self.schedule.level(self._epoch)
        if level > self.level:
            self._start_level(level, optimizer, scheduler)
        elif level == 0 and update_num == 0 and self.is_master:
            with writing(self._directory):
                save_initialisation(self._directory, self._model)

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

    def state(self, end_of_epoch: bool) -> dict[str, Any]:
        """The plugin's part of a checkpoint, as plain types and packed bits.

        Raises:
            RunRefused: A pruned weight is not zero.
        """
        if self.mask is not None:
            try:
                self.mask.check(self._parameters)
            except BridgeError as error:
                raise RunRefused(f"{error}; {type(self._optimizer).__name__} does not keep pruned weights") from None
        finished = end_of_epoch and self.schedule.finishes_level(self._epoch)
        rows = [*self._rows, self._row()] if finished else self._rows
        return {
            "format": STATE_FORMAT,
            "experiment": self._start.experiment,
            "parent": self._start.parent,
            "start": [self._start.level, self._start.epoch],
            "level": self.level,
            "epoch": self._epoch,
            "end_of_epoch": end_of_epoch,
            "finished": finished,
            "sparsity": self.weights_sparsity,
            "mask": None if self.mask is None else self.mask.pack(),
            "rows": rows,
            "transition": self._transition,
            "seconds": self._elapsed(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint, or starts a branch from a level; the model is loaded already.

        Raises:
            RunRefused: The mask does not fit the model.
        """
        try:
            if state["mask"] is not None:
                self._use_mask(Mask.unpack(state["mask"]))
        except BridgeError as error:
            raise RunRefused(f"{self._start.checkpoint}: {error}") from None
        self.level = state["level"]
        self._epoch = state["epoch"]
        continues = state["experiment"] == self._start.experiment
        if continues:
            self._rows = list(state["rows"])
            self._transition = dict(state["transition"])
            self._seconds = state["seconds"]
        if self.is_master:
            self._directory.mkdir(parents=True, exist_ok=True)
            with writing(self._directory):
                if continues:
                    self.saved(self._restored_path())
                self._fetch_rewind_points()

    def saved(self, path: Path) -> None:
        """Names what was saved: the level it finishes, and the point it is to be rewound to. Master process only.

        Args:
            path: The checkpoint just written, at the end of an epoch.
        """
        state = imp_state(read_checkpoint(path))
        if state is None or not state["end_of_epoch"]:
            return
        epoch, directory = state["epoch"], self._directory
        if epoch in self.schedule.rewind_epochs and state["level"] == 0 and str(self._cfg.imp_rewind) != "none":
            place_rewind_point(path, directory, epoch)
        if state["finished"]:
            level = paths.level_checkpoint(directory, state["level"])
            if not level.is_file():
                place(path, level)
            self._rows = list(state["rows"])
            self._write_records()

    def _start_level(self, level: int, optimizer: Any, scheduler: RewindMixin) -> None:
        """Prunes, rewinds and starts the search for the best checkpoint anew."""
        mode, rewind_epoch = str(self._cfg.imp_rewind), self.schedule.rewind_epoch(level)
        before = self.mask or Mask.full(self._parameters)
        try:
            mask = prune(
                dict(self._parameters),
                before,
                self._cfg.imp_rate,
                str(self._cfg.imp_score),
                str(self._cfg.imp_scope),
                self._cfg.imp_seed,
                level,
            )
        except BridgeError as error:
            raise RunRefused(str(error)) from None
        self._require_same_on_all_ranks(mask)
        if mode == "weights":
            point = load_rewind_point(self._directory, rewind_epoch, self._distributed)
            rewind_weights(point, self._model, optimizer)
        self._use_mask(mask)
        zero_pruned(mask, self._parameters, optimizer)
        rewound = scheduler.freeze() if mode == "none" else scheduler.rewind(rewind_epoch)
        self._archive_best_checkpoints(level - 1)
        self.level, self._transition = level, asdict(rewound)
        self._seconds, self._since = 0.0, time.monotonic()
        self._log_level(rewound)

    def _use_mask(self, mask: Mask) -> None:
        if mask.kept.keys() != self._parameters.keys():
            odd = sorted(mask.kept.keys() ^ self._parameters.keys())
            raise MaskError(
                f"its mask and the model differ in {odd[0]}: it is of another model, or was made with other "
                "--imp-prune-embeddings or --imp-keep-biases"
            )
        mask.check({name: torch.zeros_like(parameter) for name, parameter in self._parameters.items()})
        devices = {name: parameter.device for name, parameter in self._parameters.items()}
        self.mask = Mask({name: kept.to(devices[name]) for name, kept in mask.kept.items()})
        self._gradients = GradientMasks(self.mask, self._parameters)
        self._n_pruned = self.mask.n_pruned

    def _require_same_on_all_ranks(self, mask: Mask) -> None:
        if self._distributed.distributed_world_size == 1:
            return
        hashes = [""] * self._distributed.distributed_world_size
        torch.distributed.all_gather_object(hashes, mask.hash())
        if len(set(hashes)) != 1:
            raise RunRefused("the processes chose different masks: their weights differ, training is not in step")

    def _archive_best_checkpoints(self, level: int) -> None:
        """Starts the best-checkpoint logic anew; a level's `--keep-best-checkpoints` get the level into their names."""
        if hasattr(checkpoint_utils.save_checkpoint, "best"):
            del checkpoint_utils.save_checkpoint.best
        if self.is_master:
            for path in self._directory.glob("checkpoint.best_*.pt"):
                path.replace(path.with_name(path.name.replace("checkpoint.", f"checkpoint_lth{level}.", 1)))

    def _log_level(self, rewound: Rewound) -> None:
        assert self.mask is not None
        logger.info(
            "level %d: pruned %d of %d prunable weights (sparsity %.4f, of all weights %.4f), mask %s; "
            "learning rate %.6g at update %d of the schedule -> %.6g at update %d",
            self.level, self._n_pruned, self._n_prunable, self.prunable_sparsity, self.weights_sparsity,
            self.mask.hash()[:16], rewound.lr_before, rewound.updates_before, rewound.lr_after, rewound.updates_after,
        )  # fmt: skip

    @property
    def _scheduler(self) -> RewindMixin:
        return getattr(self._optimizer, ATTRIBUTE)

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._since

    def _row(self) -> dict[str, Any]:
        """The row of `lth.csv` of the level that has just been finished; the file's hash is added when it is there."""
        cfg, pruned = self._cfg, self.level > 0
        return {
            "experiment": self._start.experiment,
            "level": self.level,
            "epoch": self._epoch,
            "updates": self._scheduler.updates,
            "lr": self._transition.get("lr_after"),
            "sparsity_prunable": self.prunable_sparsity,
            "sparsity": self.weights_sparsity,
            "weights": self._n_weights,
            "prunable_weights": self._n_prunable,
            "pruned_weights": self._n_pruned,
            "rate": cfg.imp_rate if pruned else None,
            "score": str(cfg.imp_score) if pruned else None,
            "scope": str(cfg.imp_scope) if pruned else None,
            "rewind": str(cfg.imp_rewind) if pruned else None,
            "rewind_epoch": self.schedule.rewind_epoch(self.level)
            if pruned and str(cfg.imp_rewind) != "none"
            else None,
            "lr_before": self._transition.get("lr_before"),
            "updates_before": self._transition.get("updates_before"),
            "updates_after": self._transition.get("updates_after"),
            "parent": self._start.parent,
            "mask_hash": (self.mask or Mask.full(self._parameters)).hash(),
            "wall_seconds": round(self._elapsed(), 1),
            "checkpoint": paths.level_checkpoint("", self.level).name,
        }

    def _write_records(self) -> None:
        """Writes both tables; hashes of checkpoints that are known already are kept."""
        path = self._directory / paths.RECORDS
        known = {row["level"]: row["checkpoint_hash"] for row in records.read_rows(path)}
        rows, modules = [], []
        for row in self._rows:
            level, checkpoint = row["level"], self._directory / row["checkpoint"]
            if not checkpoint.is_file():
                continue
            rows.append({**row, "checkpoint_hash": known.get(str(level)) or file_hash(checkpoint)})
            state = imp_state(read_checkpoint(checkpoint))
            packed = state["mask"] if state else None
            mask = Mask.full(self._parameters) if packed is None else Mask.unpack(packed)
            modules += records.module_rows(mask, row["experiment"], level)
        records.write_rows(path, records.LEVEL_COLUMNS, rows)
        records.write_rows(self._directory / paths.MODULES, records.MODULE_COLUMNS, modules)

    def _restored_path(self) -> Path:
        own = self._restore_file == Path(paths.LAST)
        return self._directory / paths.LAST if own else self._restore_file

    def _fetch_rewind_points(self) -> None:
        """Takes the points that weights are rewound to from the folder this experiment branched from."""
        if str(self._cfg.imp_rewind) != "weights":
            return
        for epoch in sorted(set(self.schedule.rewind_epochs[self.level :])):
            if paths.rewind_checkpoint(self._directory, epoch).is_file() or (self.level == 0 and epoch > self._epoch):
                continue
            source = self._restored_path().parent
            for candidate in (paths.rewind_checkpoint(source, epoch), paths.epoch_checkpoint(source, epoch)):
                if candidate.is_file():
                    place_rewind_point(candidate, self._directory, epoch)
                    break
            else:
                raise RunRefused(
                    f"--imp-rewind weights: {source} has no {paths.rewind_checkpoint('', epoch).name}, the state at "
                    f"the end of epoch {epoch} that weights are rewound to"
                )

    def _check_model(self, path: Path) -> None:
        """Compares names and shapes, so that another model's checkpoint is named in one line."""
        try:
            loaded = require_state(path)[0]["model"]
        except BridgeError as error:
            raise RunRefused(str(error)) from None
        for name, tensor in self._model.state_dict().items():
            if torch.is_tensor(tensor) and (name not in loaded or loaded[name].shape != tensor.shape):
                there = tuple(loaded[name].shape) if name in loaded else "missing"
                raise RunRefused(f"{path} is of another model: {name} is {there} in it, {tuple(tensor.shape)} here")
