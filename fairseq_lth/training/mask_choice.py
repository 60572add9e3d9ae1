"""Which mask a level gets: what a score leaves, or the mask of the same level of another run (`--imp-masks-from`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairseq import utils
from torch import Tensor

from fairseq_lth.errors import RunRefused
from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import CheckpointError, ImpState, require_state
from fairseq_lth.training.calibration import Calibration, require_inputs, weighed
from fairseq_lth.training.lr_scheduler import Rewound
from fairseq_lth.training.processes import gather
from fairseq_lth.training.settings import RunSettings, TaskSettings
from probing_bridge.errors import BridgeError
from probing_bridge.pruning.criteria import PRUNING_CRITERIA, prune
from probing_bridge.pruning.masks import Mask, MaskError


def masks_experiment(run: str) -> str:
    """The identity of the run whose masks are used.

    Args:
        run: Its save dir.

    Raises:
        CheckpointError: It has no pruned level.
    """
    pruned = [path for level, path in paths.level_checkpoints(run).items() if level > 0]
    if not pruned:
        raise CheckpointError(f"--imp-masks-from {run}: has no pruned levels (checkpoint_lth1.pt ...)")
    return require_state(pruned[0])[1]["experiment"]


def check_given_masks(run: str, levels: range, parameters: Mapping[str, Tensor]) -> None:
    """Checks before training that another run has a mask of this model for every level.

    Args:
        run: Its save dir.
        levels: The levels that will be pruned.
        parameters: The prunable parameters by name.

    Raises:
        CheckpointError: A level is missing, or of another experiment than the others.
        MaskError: A mask is of another model.
    """
    experiment = masks_experiment(run)
    for level in levels:
        path = paths.level_checkpoint(run, level)
        if not path.is_file():
            raise CheckpointError(f"--imp-masks-from {run}: has no {path.name}, whose mask level {level} is to have")
        state = require_state(path)[1]
        if state["experiment"] != experiment:
            raise CheckpointError(f"{path}: is of another experiment than the levels beside it")
        require_same_weights(_mask(state), parameters, path)


def require_same_weights(mask: Mask, parameters: Mapping[str, Tensor], path: str | Path) -> None:
    """Checks that a mask covers exactly the weights that may be pruned here.

    Raises:
        MaskError: It is of another model or of other flags.
    """
    if mask.kept.keys() != parameters.keys():
        odd = sorted(mask.kept.keys() ^ parameters.keys())
        raise MaskError(
            f"{path}: its mask and the model differ in {odd[0]}: it is of another model, or was made with other "
            "--imp-prune-embeddings or --imp-keep-biases"
        )
    try:
        mask.check_fits(parameters)
    except MaskError as error:
        raise MaskError(f"{path}: {error}") from None


class MaskChoice:
    """Chooses the masks of the levels of one experiment, the same on every process."""

    def __init__(self, cfg: TaskSettings, root: RunSettings) -> None:
        """Remembers the flags.

        Args:
            cfg: The task's configuration.
            root: fairseq's configuration of the whole run.
        """
        self._cfg, self._root = cfg, root
        self._data = PRUNING_CRITERIA[str(cfg.imp_score)].data
        self._calibration: Calibration | None = None

    def attach(self, model: Any, parameters: Mapping[str, Tensor], levels: range) -> None:
        """Takes the model in training.

        Args:
            model: The model.
            parameters: Its prunable parameters by name.
            levels: The levels that will be pruned.

        Raises:
            RunRefused: The run whose masks are used has not all of them, or they are of another model.
        """
        self._model, self._parameters = model, parameters
        if self._cfg.imp_masks_from is not None:
            try:
                check_given_masks(self._cfg.imp_masks_from, levels, parameters)
            except BridgeError as error:
                raise RunRefused(str(error)) from None

    def take_data(self, dataset: Any) -> None:
        """Draws the batches that a score looks at, if it looks at data.

        Args:
            dataset: The training set.

        Raises:
            RunRefused: It has too few batches, or a weight has no input.
        """
        cfg, settings = self._cfg, self._root.dataset
        if cfg.imp_calibration_batches is None:
            return
        own = (cfg.max_source_positions, cfg.max_target_positions)
        positions = utils.resolve_max_positions(own, self._model.max_positions(), settings.max_tokens)
        self._calibration = Calibration(dataset, settings, positions, cfg.imp_calibration_batches, cfg.imp_seed)
        if self._data == "input_norms":
            require_inputs(self._parameters, self._model, self._calibration)

    def next_mask(self, before: Mask | None, level: int, criterion: Any) -> Mask:
        """The mask of a level that begins.

        Args:
            before: The mask of the level before; None for level 0.
            level: The level.
            criterion: fairseq's criterion, for scores that look at the loss.

        Raises:
            RunRefused: A score is NaN, another run's mask is gone or keeps what is pruned here, or the processes
                differ.
        """
        try:
            mask = self._next_mask(before or Mask.full(self._parameters), level, criterion)
        except BridgeError as error:
            raise RunRefused(str(error)) from None
        if len(set(gather(mask.hash()))) != 1:
            raise RunRefused("the processes chose different masks: their weights differ, training is not in step")
        return mask

    def _next_mask(self, before: Mask, level: int, criterion: Any) -> Mask:
        cfg = self._cfg
        if cfg.imp_masks_from is not None:
            return _given_mask(cfg.imp_masks_from, before, level)
        weights: Mapping[str, Tensor] = self._parameters
        if self._calibration is not None:
            weights = weighed(self._data, weights, self._model, criterion, self._calibration)
        return prune(dict(weights), before, cfg.imp_rate, str(cfg.imp_score), str(cfg.imp_scope), cfg.imp_seed, level)


def _given_mask(run: str, before: Mask, level: int) -> Mask:
    """The mask of the same level of another run.

    Raises:
        MaskError: It keeps what is pruned here.
        CheckpointError: That run has no such level any more.
    """
    mask = _mask(require_state(paths.level_checkpoint(run, level))[1])
    for name, kept in before.kept.items():
        if bool((mask.kept[name] & ~kept.cpu()).any()):
            raise MaskError(
                f"{paths.level_checkpoint(run, level)}: its mask keeps weights of {name} that level {level - 1} has "
                "pruned; branch from a level of the same run, or from level 0"
            )
    return mask


def _mask(state: ImpState) -> Mask:
    assert state["mask"] is not None  # of a level above 0
    return Mask.unpack(state["mask"])


def how_pruned(cfg: TaskSettings, rewind_epoch: int, rewound: Rewound) -> dict[str, Any]:
    """How a level above 0 was pruned and rewound, by column of `lth.csv`.

    Args:
        cfg: The task's configuration.
        rewind_epoch: R of the level.
        rewound: The rewind of the learning rate at its start.
    """
    chosen: dict[str, Any] = {"rate": cfg.imp_rate, "score": str(cfg.imp_score), "scope": str(cfg.imp_scope)}
    chosen["calibration_batches"] = cfg.imp_calibration_batches
    if cfg.imp_masks_from is not None:
        chosen = {"score": "masks_from", "masks_from": masks_experiment(cfg.imp_masks_from)}
    elif cfg.imp_rate == 0:
        chosen = {"rate": 0.0, "score": "none"}
    rewind = "reinit" if cfg.imp_reinit else str(cfg.imp_rewind)
    return {
        **chosen,
        "seed": mask_seed(cfg),
        "rewind": rewind,
        "rewind_epoch": None if rewind == "none" else rewind_epoch,
        "lr_rise": rewound.lr_rise,
    }


def mask_seed(cfg: TaskSettings) -> int | None:
    """The seed of what is drawn, scores, batches or weights; None where nothing is."""
    drawn = {name for name, criterion in PRUNING_CRITERIA.items() if criterion.is_drawn}
    return cfg.imp_seed if cfg.imp_reinit or str(cfg.imp_score) in drawn else None
