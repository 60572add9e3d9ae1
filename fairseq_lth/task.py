"""Task `lth_imp`: translation with iterative magnitude pruning in one `fairseq-train`.

fairseq's hooks, each of which asks the engine; nothing is decided here. Without training (fairseq-generate,
fairseq-validate) it is the translation task.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from pathlib import Path
from typing import Any

from fairseq.logging import metrics
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationTask
from omegaconf import DictConfig

from fairseq_lth import config
from fairseq_lth.capture.dump import ActivationDump
from fairseq_lth.capture.dump_flags import give_batch_size, refuse_translating, require_dumping_task
from fairseq_lth.config import ImpConfig
from fairseq_lth.criterion import require_readable, resolve_alias
from fairseq_lth.errors import RunRefused
from fairseq_lth.guards import guard_saving
from fairseq_lth.levels.checkpoints import STATE_KEY, ImpState, imp_state, level_metrics, require_loadable
from fairseq_lth.training import lock
from fairseq_lth.training.engine import PruningEngine
from fairseq_lth.training.experiment import check_data
from fairseq_lth.training.lr_scheduler import rewindable
from fairseq_lth.training.processes import refused_together
from fairseq_lth.training.pruning_flags import check_pruning, resolve_masks
from fairseq_lth.training.schedule import Schedule, updates_of
from fairseq_lth.training.settings import RunSettings, TaskSettings, is_master
from fairseq_lth.training.start import find_start
from fairseq_lth.training.stopping import stop_between_epochs, stop_when_asked
from fairseq_lth.training.zeros import Optimizer
from probing_bridge.errors import BridgeError

logger = logging.getLogger(__name__)


@register_task("lth_imp", dataclass=ImpConfig)
class ImpTask(TranslationTask):
    """Translation whose model is pruned, rewound and retrained K times.

    Attributes:
        engine: The pruning engine; None unless the task trains.
        train_iterator: fairseq's iterator over the epoch in training; None before the first.
        dump: What `--dump-activations` writes; None without it.
        level_state: `level`, `sparsity` and `sparsity_prunable` of a checkpoint that is evaluated; empty if not known.
    """

    engine: PruningEngine | None = None
    dump: ActivationDump | None = None

    @classmethod
    def add_args(cls, parser: Any) -> None:
        """Adds the flags; of a dump that is asked for, looks whether it will come to this task at all."""
        super().add_args(parser)
        refuse_translating(parser, sys.argv[1:])
        require_dumping_task(sys.argv[1:])
        give_batch_size(parser, sys.argv[1:])

    @classmethod
    def setup_task(cls, cfg: TaskSettings, **kwargs: Any) -> ImpTask:
        """Checks everything that can be known before training, plans the experiment and tells fairseq how long it is.

        Raises:
            RunRefused: Bad flags, data or checkpoints.
        """
        config.check_values(cfg)
        root: RunSettings | None = cfg._get_parent()
        if kwargs.pop("from_checkpoint", False) or root is None or root.common_eval.path is not None:
            check_data(cfg, None)
            evaluated = _check_evaluated(root)
            cfg.eval_bleu = cfg.eval_bleu and not cfg.dump_activations  # a dump takes one forward pass a sentence
            task = super().setup_task(cfg, **kwargs)
            task.level_state = level_metrics(evaluated)
            if cfg.dump_output and not cfg.dump_activations:
                raise RunRefused(f"--dump-output {cfg.dump_output}: is of a dump; give --dump-activations FILE.h5 too")
            if cfg.dump_activations:
                assert root is not None  # the flag came with fairseq-validate's
                task.dump = ActivationDump(task, root)
            return task
        try:
            with refused_together():
                check_data(cfg, root.dataset.train_subset)
                check_pruning(cfg, root.optimization.max_epoch)
                config.check_flags(root)
                lock.require_one_training(root.distributed_training)
                if is_master(root):
                    lock.hold(Path(root.checkpoint.save_dir))
            with refused_together():
                task = super().setup_task(cfg, **kwargs)
                resolve_alias(root)
                require_readable(root)
                resolve_masks(cfg, root)
                start = find_start(cfg, root)
                task.engine = PruningEngine(cfg, root, start)
                config.check_saving(root, task.engine.schedule)
        except SystemExit:
            if is_master(root):
                lock.release(Path(root.checkpoint.save_dir))
            raise
        stop_when_asked()
        guard_saving()
        root.optimization.max_epoch = task.engine.schedule.total_epochs
        # fairseq hands on what the first process read as a pickle, which `weights_only` rightly refuses
        root.checkpoint.load_checkpoint_on_all_dp_ranks = True
        _use_rewindable_scheduler(root)
        if root.checkpoint.keep_last_epochs < 0:  # the levels are kept; fairseq would keep every epoch beside them
            root.checkpoint.no_epoch_checkpoints = True
        if not cfg.imp_iterations:
            logger.warning("--imp-iterations is 0: nothing will be pruned, only level 0 trained")
        return task

    def __init__(self, cfg: TaskSettings, src_dict: Any, tgt_dict: Any) -> None:
        """See TranslationTask."""
        super().__init__(cfg, src_dict, tgt_dict)
        self.level_state: dict[str, float] = {}
        self.train_iterator: Any = None
        self.has_same_batches = False  # in every epoch

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Builds the model and hands it to the engine."""
        build = functools.partial(super().build_model, cfg, from_checkpoint)
        model = build()
        if self.engine is not None:
            self.engine.attach(model, build)
        return model

    def load_dataset(self, split: str, *args: Any, **kwargs: Any) -> None:
        """Loads a split; the engine gets to know the training set."""
        super().load_dataset(split, *args, **kwargs)
        if self.engine is not None and split == self.cfg.train_subset:
            self.engine.take_data(self.datasets[split])

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Builds the training batches with the seed of epoch 1 in every process.

        fairseq seeds them with the first epoch of the process, so a resumed run would see other batches.
        """
        if self.dump is not None:
            return self.dump.batches(dataset, super().get_batch_iterator, **kwargs)
        if self.engine is None or dataset is not self.datasets.get(self.cfg.train_subset):
            return super().get_batch_iterator(dataset, *args, **kwargs)
        epoch = kwargs.get("epoch", 1)
        fresh = dataset not in self.dataset_to_epoch_iter
        cached = not (kwargs.get("disable_iterator_cache") or kwargs.get("update_epoch_batch_itr"))
        self.has_same_batches = cached and self.can_reuse_epoch_itr(dataset)
        if not self.has_same_batches:
            self.train_iterator = super().get_batch_iterator(dataset, *args, **kwargs)
            return self.train_iterator
        if self.cfg._get_parent().dataset.update_ordered_indices_seed:
            kwargs["seed"] += 1 - epoch  # this flag adds the epoch of the process to the seed
        self.train_iterator = super().get_batch_iterator(dataset, *args, **{**kwargs, "epoch": 1})
        if fresh:
            dataset.set_epoch(epoch)
            self.train_iterator.epoch = max(epoch, 1)
        return self.train_iterator

    def begin_epoch(self, epoch: int, model: Any) -> None:
        """Tells the engine."""
        super().begin_epoch(epoch, model)
        if self.engine is not None:
            stop_between_epochs(epoch - 1, self.cfg._get_parent().checkpoint.save_interval)
            self.engine.begin_epoch(epoch, self._updates_to_come(self.engine.schedule, epoch))

    def _updates_to_come(self, schedule: Schedule, epoch: int) -> int:
        """Updates until the end of the level; where every epoch has batches of its own, until that of the epoch."""
        optimization = self.cfg._get_parent().optimization
        last = schedule.last_epoch(schedule.level(epoch)) if self.has_same_batches else epoch
        how = (optimization.update_freq, optimization.skip_remainder_batch)
        batches = len(self.train_iterator) - optimization.skip_remainder_batch  # fairseq drops the last, even if full
        done = updates_of(range(epoch, epoch + 1), self.train_iterator.iterations_in_epoch, *how)
        return updates_of(range(epoch, last + 1), batches, *how) - done

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Optimizer, update_num: int, ignore_grad: bool = False
    ) -> Any:
        """One forward and backward pass, after which the gradients of pruned weights are zero."""
        if self.engine is None:
            return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        self.engine.before_backward(criterion, optimizer, update_num)
        result = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        self.engine.after_backward()
        return result

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        """One forward pass, whose activations are dumped if that was asked for."""
        if self.dump is None:
            return super().valid_step(sample, model, criterion)
        with self.dump.record(model, sample):
            return super().valid_step(sample, model, criterion) if sample else (0.0, 0, {})

    def reduce_metrics(self, logging_outputs: Any, criterion: Any) -> None:
        """Adds level and sparsity to every train and valid line of the log, and so to TensorBoard."""
        super().reduce_metrics(logging_outputs, criterion)
        level = self.level_state if self.engine is None else self.engine.level_state
        for name, value in level.items():
            metrics.log_scalar(f"lth_{name}", value, weight=0, priority=210, round=5)

    def post_validate(self, model: Any, stats: dict[str, Any], agg: Any) -> None:
        """Hands the validation loss to the scheduler's state.

        Raises:
            RunRefused: The metric that tells the best checkpoint is none of the validation.
        """
        if self.engine is None:
            return
        metric = self.cfg._get_parent().checkpoint.best_checkpoint_metric
        if metric not in stats:
            known = ", ".join(sorted(name for name in stats if name != "num_updates" and not name.startswith("lth_")))
            raise RunRefused(f"--best-checkpoint-metric {metric}: the validation measures {known}: give one of these")
        self.engine.after_validation(stats[metric])

    def post_save(self, path: str, num_updates: int) -> None:
        """Names the checkpoint if it finishes a level."""
        if self.engine is not None:
            self.engine.saved(Path(path))

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """The engine's state, which fairseq gives back on resume."""
        if self.engine is None:
            return {}
        return {STATE_KEY: self.engine.state(self.train_iterator.end_of_epoch())}

    def set_checkpoint_dict(self, state: ImpState) -> None:
        """Restores the engine; called after model, optimizer, scheduler and iterator are."""
        if self.engine is not None:
            self.engine.load(state)


def _check_evaluated(root: RunSettings | None) -> ImpState | None:
    """Reads the head of the checkpoints that are evaluated, so that a bad one is named in one line.

    Returns:
        The plugin's part of the last of them.
    """
    given = root.common_eval.path if root is not None else None
    state = None
    for path in given.split(os.pathsep) if given else []:
        try:
            state = imp_state(require_loadable(path))
        except BridgeError as error:
            raise RunRefused(str(error)) from None
    return state


def _use_rewindable_scheduler(root: RunSettings) -> None:
    """Replaces the scheduler's name in fairseq's configuration by that of its rewindable form."""
    scheduler = root.lr_scheduler
    name = rewindable(scheduler._name)
    scheduler._name = name
    if not isinstance(scheduler, DictConfig):  # a legacy scheduler gets a namespace
        scheduler.lr_scheduler = name
