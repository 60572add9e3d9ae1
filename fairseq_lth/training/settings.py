"""What the plugin uses of fairseq's configuration, as types: fairseq's own have none, and a typo would go unnoticed.

At run time these are omegaconf nodes, and namespaces where a component of fairseq has no dataclass. A flag with an
enumeration holds a member that prints as its value, hence `object` and `str(...)` around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Group(Protocol):
    """A group of flags, whose values can also be had by name."""

    def __getitem__(self, name: str) -> Any:
        """The value of a flag."""


class TaskSettings(Group, Protocol):
    """The flags of `--task lth_imp` (fairseq_lth.config.ImpConfig)."""

    data: str
    source_lang: str | None
    target_lang: str | None
    train_subset: str
    eval_bleu: bool
    max_source_positions: int
    max_target_positions: int
    required_seq_len_multiple: int
    num_batch_buckets: int
    imp_iterations: int
    imp_rate: float
    imp_rewind_epoch: object
    imp_rewind: object
    imp_score: object
    imp_scope: object
    imp_prune_embeddings: bool
    imp_keep_biases: bool
    imp_calibration_batches: int | None
    imp_seed: int
    imp_masks_from: str | None
    imp_reinit: bool
    dump_activations: str | None
    dump_states: bool
    dump_attention: bool
    dump_layers: str | None
    dump_output: int
    dump_dtype: object
    dump_words: object

    def _get_parent(self) -> Any:
        """The whole configuration (RunSettings); None where the task was configured alone."""


class Checkpointing(Protocol):
    """`checkpoint`."""

    save_dir: str
    restore_file: str
    save_interval: int
    best_checkpoint_metric: str
    patience: int
    no_save: bool
    no_last_checkpoints: bool
    no_save_optimizer_state: bool
    reset_dataloader: bool
    reset_optimizer: bool
    reset_lr_scheduler: bool
    finetune_from_model: str | None
    checkpoint_suffix: str
    write_checkpoints_asynchronously: bool
    load_checkpoint_on_all_dp_ranks: bool
    keep_last_epochs: int
    no_epoch_checkpoints: bool


class Distributed(Protocol):
    """`distributed_training`."""

    distributed_rank: int | None
    distributed_world_size: int
    ddp_backend: object
    pipeline_model_parallel: bool
    zero_sharding: object


class Optimization(Group, Protocol):
    """`optimization`."""

    max_epoch: int
    max_update: int
    update_freq: Sequence[int]
    skip_remainder_batch: bool
    stop_min_lr: float
    stop_time_hours: float
    use_bmuf: bool


class Common(Group, Protocol):
    """`common`."""

    model_parallel_size: int
    quantization_config_path: str | None


class Dataset(Group, Protocol):
    """`dataset`."""

    train_subset: str
    valid_subset: str
    max_tokens: int | None
    batch_size: int | None
    required_batch_size_multiple: int
    curriculum: int
    update_ordered_indices_seed: bool


class Evaluation(Protocol):
    """`common_eval`."""

    path: str | None


class Ema(Protocol):
    """`ema`."""

    store_ema: bool


class RunSettings(Protocol):
    """fairseq's configuration of a whole run; model, criterion, optimizer and scheduler have flags of their own."""

    task: TaskSettings
    checkpoint: Checkpointing
    distributed_training: Distributed
    optimization: Optimization
    common: Common
    common_eval: Evaluation
    dataset: Dataset
    ema: Ema
    model: Any
    criterion: Any
    optimizer: Any
    lr_scheduler: Any


def is_master(root: RunSettings) -> bool:
    """Whether this process writes files."""
    return (root.distributed_training.distributed_rank or 0) == 0
