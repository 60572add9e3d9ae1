"""The task's flags, and fairseq's own that are refused beside them before training starts."""

import argparse
from dataclasses import dataclass, field, fields
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.tasks.translation import TranslationConfig
from fairseq.utils import split_paths

from fairseq_lth.capture.dump_flags import DumpConfig
from fairseq_lth.errors import RunRefused
from fairseq_lth.levels.gate import is_supported
from fairseq_lth.training.pruning_flags import rewind_epochs
from fairseq_lth.training.schedule import Schedule
from fairseq_lth.training.settings import RunSettings, TaskSettings
from probing_bridge.pruning.criteria import PRUNING_CRITERIA

REWINDS = ("lr", "weights", "none")
SCOPES = ("global", "layer")


@dataclass
class PruningConfig(FairseqDataclass):
    """Flags of iterative magnitude pruning."""

    imp_iterations: int = field(
        default=0, metadata={"help": "K: number of prunings, which give the levels 1..K (0: only the dense level 0)"}
    )
    imp_rate: float = field(
        default=0.2, metadata={"help": "share of the remaining weights that each pruning removes (0: none, a control)"}
    )
    imp_rewind_epoch: Any = field(
        default=None,
        metadata={
            "help": "R: rewind to the end of this epoch (0: the start); needed to prune: one, or one a pruning (3,3,1)"
        },
    )
    imp_rewind: ChoiceEnum(REWINDS) = field(  # type: ignore[valid-type]
        default="lr",
        metadata={"help": "after a pruning rewind the learning rate, also the weights and optimizer, or nothing"},
    )
    imp_score: ChoiceEnum(list(PRUNING_CRITERIA)) = field(  # type: ignore[valid-type]
        default="magnitude", metadata={"help": "what decides which weights go"}
    )
    imp_scope: ChoiceEnum(SCOPES) = field(  # type: ignore[valid-type]
        default="global", metadata={"help": "rank all prunable weights together, or those of each module"}
    )
    imp_prune_embeddings: bool = field(
        default=False, metadata={"help": "also prune embeddings and what is tied to them"}
    )
    imp_keep_biases: bool = field(default=False, metadata={"help": "do not prune biases"})
    imp_calibration_batches: Optional[int] = field(  # noqa: UP045 - only this spelling can fairseq read
        default=None, metadata={"help": "batches of the training set that --imp-score wanda and gradient look at"}
    )
    imp_seed: int = field(default=1, metadata={"help": "seed of scores, batches and weights that are drawn"})
    imp_masks_from: Optional[str] = field(  # noqa: UP045
        default=None, metadata={"help": "the --save-dir of another run, whose masks are used level by level"}
    )
    imp_reinit: bool = field(
        default=False,
        metadata={"help": "draw all weights anew after each pruning; masks are those of --restore-file's run"},
    )


@dataclass
class ImpConfig(TranslationConfig, PruningConfig, DumpConfig):
    """Flags of `--task lth_imp`: those of translation, of iterative magnitude pruning and of the activation dump."""


def show_flags() -> None:
    """Prints every flag that `--task lth_imp` adds to fairseq's, with its default (`python -m fairseq_lth flags`).

    The --help of fairseq's own commands is over before they know of the task.
    """
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, formatter_class=argparse.ArgumentDefaultsHelpFormatter, add_help=False
    )
    for command, flags in (("fairseq-train", PruningConfig), ("fairseq-validate", DumpConfig)):
        gen_parser_from_dataclass(parser.add_argument_group(f"{command} --task lth_imp"), flags())
    print(parser.format_help(), end="")


def check_values(cfg: TaskSettings) -> None:
    """Refuses an empty value, which is what a shell makes of a variable that is not set; fairseq takes it for none.

    Raises:
        RunRefused: One of the task's own flags has one.
    """
    for own in (PruningConfig, DumpConfig):
        for one in fields(own):
            if getattr(cfg, one.name, None) == "":
                raise RunRefused(f"--{one.name.replace('_', '-')}: an empty value: is a variable of the shell not set?")


def check_flags(root: RunSettings) -> None:
    """Refuses fairseq's own flags that would break pruning, rewinding or resuming.

    Args:
        root: fairseq's configuration of the whole run.

    Raises:
        RunRefused: The first of them, with the reason.
    """
    if not is_supported(root.model._name):
        raise RunRefused(
            f"--arch {root.model._name}: no architecture that is supported here, so its levels could not be read: take "
            "one of transformer, transformer_align, bart_base, lightconv, lstm or fconv, or a variant of these"
        )
    for flag, (given, reason) in (_of_levels(root) | _of_epochs(root) | _of_weights(root)).items():
        if given:
            raise RunRefused(f"{flag} cannot be combined with --task lth_imp: {reason}")


def _of_levels(root: RunSettings) -> dict[str, tuple[bool, str]]:
    """Flags under which levels or the way back to them would be lost: is it given, and what it would do."""
    checkpoint = root.checkpoint
    return {
        "--dump-activations": (root.task.dump_activations is not None, "it belongs to fairseq-validate"),
        "--dump-output": (root.task.dump_output != 0, "it belongs to fairseq-validate"),
        f"--valid-subset {root.dataset.valid_subset}": (
            root.dataset.train_subset in root.dataset.valid_subset.split(","),
            f"{root.dataset.train_subset} is trained on, and fairseq would count the epochs of both in one place",
        ),
        "--patience": (checkpoint.patience > 0, "early stopping would leave levels out"),
        "--max-update": (bool(root.optimization.max_update), "levels are counted in epochs: use --max-epoch"),
        "--no-save": (checkpoint.no_save, "levels are checkpoints"),
        "--no-last-checkpoints": (checkpoint.no_last_checkpoints, "an interrupted run goes on from checkpoint_last.pt"),
        "--no-save-optimizer-state": (
            checkpoint.no_save_optimizer_state,
            "an interrupted run could not go on as if nothing had happened",
        ),
        "--reset-dataloader": (checkpoint.reset_dataloader, "fairseq would drop the masks without a word"),
        "--reset-optimizer": (checkpoint.reset_optimizer, "pruned weights and the schedule's rewind points go with it"),
        "--reset-lr-scheduler": (checkpoint.reset_lr_scheduler, "the schedule's rewind points go with it"),
        "--finetune-from-model": (
            checkpoint.finetune_from_model is not None,
            "fairseq would drop the masks without a word; branch from a level with --restore-file",
        ),
        "--continue-once": (
            getattr(checkpoint, "continue_once", None) is not None,
            "branch from a level with --restore-file",
        ),
        "--checkpoint-suffix": (bool(checkpoint.checkpoint_suffix), "levels have fixed names"),
        "--write-checkpoints-asynchronously": (
            checkpoint.write_checkpoints_asynchronously,
            "a level must be on disk before it is named",
        ),
    }


def _of_epochs(root: RunSettings) -> dict[str, tuple[bool, str]]:
    """Flags that end a run before its last epoch, or whose value for an epoch a rewind would not bring back.

    fairseq counts epochs on after a rewind, so epoch R + 1 of a later level takes what is given for the last ones.
    """
    optimization, curriculum = root.optimization, root.dataset.curriculum
    rewound = min(rewind_epochs(root.task), default=None)  # R; the epochs above it are trained again
    frequencies = list(optimization.update_freq)
    return {
        f"--stop-min-lr {optimization.stop_min_lr}": (
            optimization.stop_min_lr >= 0,
            "the training would end there, without the levels that come after",
        ),
        f"--stop-time-hours {optimization.stop_time_hours}": (
            optimization.stop_time_hours > 0,
            "fairseq counts the hours of all starts, so the run would never come to its last level",
        ),
        f"--update-freq {','.join(map(str, frequencies))}": (
            rewound is not None and len(set(frequencies[rewound:])) > 1,
            f"the epochs after --imp-rewind-epoch {rewound} need the same number, since fairseq does not rewind it",
        ),
        f"--curriculum {curriculum}": (
            rewound is not None and curriculum > rewound,
            f"fairseq does not rewind it: at most --imp-rewind-epoch {rewound}",
        ),
        f"DATA in several folders ({root.task.data})": (
            rewound is not None and len(split_paths(root.task.data)) > 1,
            "fairseq takes one for each epoch and does not rewind that: put all sentence pairs into one folder",
        ),
    }


def _of_weights(root: RunSettings) -> dict[str, tuple[bool, str]]:
    """Flags under which pruned weights would come back, or could not be reached."""
    distributed, common = root.distributed_training, root.common
    return {
        "--store-ema": (
            root.ema.store_ema,
            "its copy of the weights is kept out of the task's reach and would keep pruned weights alive",
        ),
        "--use-bmuf": (root.optimization.use_bmuf, "its block momentum would bring pruned weights back"),
        f"--ddp-backend {distributed.ddp_backend}": (
            str(distributed.ddp_backend) in ("fully_sharded", "slowmo"),
            "no process holds whole weights and gradients: use legacy_ddp, no_c10d or pytorch_ddp",
        ),
        "--model-parallel-size": (common.model_parallel_size > 1, "no process holds all weights to rank"),
        "--pipeline-model-parallel": (distributed.pipeline_model_parallel, "no process holds all weights to rank"),
        "--zero-sharding": (
            str(distributed.zero_sharding) != "none",
            "the optimizer states of pruned weights would be out of reach",
        ),
        "--quantization-config-path": (
            common.quantization_config_path is not None,
            "quantised weights are not exactly zero where they are pruned",
        ),
        "--quant-noise-pq": (
            float(_model_flag(root, "quant_noise_pq", "quant_noise", "pq")) > 0,
            "it replaces weights, pruned ones too",
        ),
        "--quant-noise-scalar": (
            float(_model_flag(root, "quant_noise_scalar", "quant_noise", "scalar")) > 0,
            "it replaces weights, pruned ones too",
        ),
        "--encoder-xformers-att-config": (
            bool(_model_flag(root, "encoder_xformers_att_config", "encoder", "xformers_att_config")),
            "its attention hides the weights it is made of",
        ),
        "--decoder-xformers-att-config": (
            bool(_model_flag(root, "decoder_xformers_att_config", "decoder", "xformers_att_config")),
            "its attention hides the weights it is made of",
        ),
    }


def check_saving(root: RunSettings, schedule: Schedule) -> None:
    """Checks that fairseq saves at every epoch that becomes a named checkpoint, and can tell which is the best.

    Raises:
        RunRefused: `--save-interval` misses one, or the best is to be chosen by BLEU, which is not measured.
    """
    interval = root.checkpoint.save_interval
    if interval < 1:
        raise RunRefused(f"--save-interval {interval}: must be 1 or more")
    if root.checkpoint.best_checkpoint_metric == "bleu" and not root.task.eval_bleu:
        raise RunRefused("--best-checkpoint-metric bleu: BLEU is not measured; give --eval-bleu too")
    for epoch in schedule.saved_epochs():
        if epoch % interval:
            raise RunRefused(
                f"--save-interval {interval}: nothing would be saved at the end of epoch {epoch}, which finishes a "
                "level or is rewound to"
            )


def _model_flag(root: RunSettings, flat: str, group: str, name: str) -> Any:
    """A flag of the model: one attribute of the command line's namespace, or of a nested hydra group."""
    model = root.model
    value = getattr(model, flat, None)
    if value is None:
        value = getattr(getattr(model, group, None), name, None)
    return value or 0
