"""Which mask a level gets: what a score leaves, or the mask of the same level of another run (`--imp-masks-from`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from fairseq_lth.errors import RunRefused
from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import CheckpointError, ImpState, require_state
from fairseq_lth.pruning.criteria import PRUNING_CRITERIA, prune
from fairseq_lth.pruning.masks import Mask, MaskError
from fairseq_lth.training.lr_scheduler import Rewound
from fairseq_lth.training.processes import gather
from fairseq_lth.training.settings import Distributed, TaskSettings


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


def next_mask(cfg: TaskSettings, weights: Mapping[str, Tensor], before: Mask, level: int) -> Mask:
    """The mask of a level that begins.

    Args:
        cfg: The task's configuration.
        weights: The prunable parameters by name.
        before: The mask of the level before.
        level: The level.

    Raises:
        MaskError: A weight is NaN, or a mask of another run keeps what is pruned here.
        CheckpointError: That run has no such level any more.
    """
    run = cfg.imp_masks_from
    if run is None:
        score, scope = str(cfg.imp_score), str(cfg.imp_scope)
        return prune(dict(weights), before, cfg.imp_rate, score, scope, cfg.imp_seed, level)
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


def require_one_mask(mask: Mask, distributed: Distributed) -> None:
    """Compares a mask over all processes.

    Raises:
        RunRefused: They differ.
    """
    if distributed.distributed_world_size > 1 and len(set(gather(mask.hash()))) != 1:
        raise RunRefused("the processes chose different masks: their weights differ, training is not in step")


def how_pruned(cfg: TaskSettings, rewind_epoch: int, rewound: Rewound) -> dict[str, Any]:
    """How a level above 0 was pruned and rewound, by column of `lth.csv`.

    Args:
        cfg: The task's configuration.
        rewind_epoch: R of the level.
        rewound: The rewind of the learning rate at its start.
    """
    chosen: dict[str, Any] = {"rate": cfg.imp_rate, "score": str(cfg.imp_score), "scope": str(cfg.imp_scope)}
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
    """The seed of what is drawn, scores or weights; None where nothing is."""
    drawn = {name for name, criterion in PRUNING_CRITERIA.items() if criterion.is_drawn}
    return cfg.imp_seed if cfg.imp_reinit or str(cfg.imp_score) in drawn else None
