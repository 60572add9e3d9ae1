"""The identity of an experiment: a hash of what defines its numbers, the same on every resume and in every folder."""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

from fairseq import utils
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.optim import OPTIMIZER_REGISTRY
from fairseq.optim.lr_scheduler import LR_SCHEDULER_REGISTRY
from omegaconf import DictConfig, OmegaConf

from fairseq_lth.errors import RunRefused
from fairseq_lth.training.lr_scheduler import PREFIX
from fairseq_lth.training.mask_choice import mask_seed, masks_experiment
from fairseq_lth.training.settings import RunSettings, TaskSettings
from probing_bridge.formats.files import file_hash

logger = logging.getLogger(__name__)

# Part of the identity; everything else (folders, logging, workers, saving, validation) leaves the weights alone.
_DATASET = (
    "max_tokens", "batch_size", "required_batch_size_multiple", "required_seq_len_multiple", "train_subset",
    "curriculum", "num_shards", "shard_id", "grouped_shuffling", "update_epoch_batch_itr",
    "update_ordered_indices_seed",
)  # fmt: skip
_COMMON = ("seed", "fp16", "bf16", "amp", "memory_efficient_fp16", "memory_efficient_bf16", "fp16_no_flatten_grads")
_OPTIMIZATION = ("max_epoch", "clip_norm", "sentence_avg", "lr", "skip_remainder_batch")
_TASK = (
    "source_lang", "target_lang", "left_pad_source", "left_pad_target", "max_source_positions",
    "max_target_positions", "upsample_primary", "truncate_source", "num_batch_buckets", "imp_rate", "imp_rewind",
    "imp_score", "imp_scope", "imp_calibration_batches", "imp_prune_embeddings", "imp_keep_biases", "imp_reinit",
)  # fmt: skip


def experiment_id(cfg: TaskSettings, root: RunSettings, parent: str) -> str:
    """Hashes model, data, optimisation, pruning and parent.

    The number of prunings is left out, so that a finished experiment can be continued with more. The number of
    processes counts only through the batch of an update.

    Args:
        cfg: The task's configuration, with both languages set.
        root: fairseq's configuration as the user gave it.
        parent: `experiment/lthK` of the level it branches from, or empty.

    Returns:
        16 hex digits.
    """
    world_size = root.distributed_training.distributed_world_size
    rewinds = list(cfg.imp_rewind_epoch)
    definition = {
        "parent": parent,
        "data": [_data_hash(path, cfg, root.dataset.train_subset) for path in utils.split_paths(cfg.data)],
        "model": _plain(root.model, drop=("data", "user_dir", "save_dir")),
        "criterion": _plain(root.criterion),
        "optimizer": _plain(root.optimizer),
        "lr_scheduler": _plain(root.lr_scheduler),
        "task": {name: _plain(cfg[name]) for name in _TASK},
        "rewind_epochs": rewinds[:1] if len(set(rewinds)) == 1 else rewinds,
        "seed": mask_seed(cfg),
        "masks_from": None if cfg.imp_masks_from is None else masks_experiment(cfg.imp_masks_from),
        "dataset": {name: _plain(root.dataset[name]) for name in _DATASET},
        "common": {name: _plain(root.common[name]) for name in _COMMON},
        "optimization": {name: _plain(root.optimization[name]) for name in _OPTIMIZATION},
        "update_freq": [world_size * frequency for frequency in root.optimization.update_freq],
    }
    return hashlib.sha256(json.dumps(definition, sort_keys=True, default=str).encode()).hexdigest()[:16]


def check_data(cfg: TaskSettings, subset: str | None) -> None:
    """Checks that the data folder and the files of the language pair are there.

    Args:
        cfg: The task's configuration.
        subset: A split that must be there, or None where only the dictionaries are needed.

    Raises:
        RunRefused: What is missing, and which language pairs are there.
    """
    if not cfg.data:
        raise RunRefused("the folder of the binarised data (from fairseq-preprocess) is missing on the command line")
    for path in utils.split_paths(cfg.data):
        if not Path(path).is_dir():
            raise RunRefused(f"{path}: no such data folder; make it with fairseq-preprocess")
    folder = Path(utils.split_paths(cfg.data)[0])
    pairs = sorted({name.split(".")[1] for name in _split_files(folder)})
    there = f"{folder} has {', '.join(pairs) or 'no binarised sentence pairs (fairseq-preprocess makes them)'}"
    source, target = cfg.source_lang, cfg.target_lang
    if source is None and target is None:
        if not pairs:
            raise RunRefused(there)
        return
    if source is None or target is None:
        raise RunRefused(f"give both --source-lang and --target-lang, or neither; {there}")
    dictionaries = [folder / f"dict.{language}.txt" for language in (source, target)]
    known = {f"{source}-{target}", f"{target}-{source}"} & set(pairs)
    if (subset and not known) or not all(dictionary.is_file() for dictionary in dictionaries):
        raise RunRefused(f"--source-lang {source} --target-lang {target}: no such language pair; {there}")
    if subset and not any(name.startswith(f"{subset}.") for name in _split_files(folder)):
        raise RunRefused(f"{folder}: has no split {subset!r}")


def _split_files(folder: Path) -> list[str]:
    """Files named like fairseq's splits: `<split>.<source>-<target>.<language>...`."""
    names = (entry.name for entry in folder.iterdir())
    return [name for name in names if len(name.split(".")) >= 3 and len(name.split(".")[1].split("-")) == 2]


def _data_hash(path: str, cfg: TaskSettings, subset: str) -> str:
    """Hashes the dictionaries and the training data, every byte of them."""
    digest = hashlib.sha256()
    folder = Path(path)
    for language in (cfg.source_lang, cfg.target_lang):
        dictionary = folder / f"dict.{language}.txt"
        digest.update(dictionary.read_bytes() if dictionary.is_file() else b"")
    for name in sorted(_split_files(folder)):
        if name.startswith(f"{subset}."):
            about = (folder / name).stat()
            digest.update(f"{name} {_hash_once(folder / name, about.st_size, about.st_mtime_ns)}".encode())
    return digest.hexdigest()


@functools.lru_cache
def _hash_once(path: Path, size: int, changed: int) -> str:
    """The hash of a file, read once a process unless it changes; of gigabytes it takes seconds, and says so."""
    began = time.monotonic()
    found = file_hash(path)
    if (seconds := time.monotonic() - began) > 1:
        logger.info("%s: read %d bytes in %.0f seconds for the identity of the experiment", path, size, seconds)
    return found


def _plain(value: Any, drop: tuple[str, ...] = ()) -> Any:
    """A configuration as plain types, without the rewind prefix the plugin adds and the keys that are no settings."""
    if isinstance(value, DictConfig):
        value = OmegaConf.to_container(value, resolve=True, enum_to_str=True)
    if isinstance(value, argparse.Namespace):
        return _legacy_flags(value)
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(value, dict):
        return {
            key: item.removeprefix(PREFIX) if key == "_name" and isinstance(item, str) else item
            for key, item in value.items()
            if key not in drop
        }
    return value


def _legacy_flags(namespace: argparse.Namespace) -> dict[str, Any]:
    """The flags of a component without a dataclass: fairseq hands it every flag of the run, so its own are picked."""
    name = namespace._name.removeprefix(PREFIX)
    component = LR_SCHEDULER_REGISTRY.get(name) or OPTIMIZER_REGISTRY.get(name) or ARCH_MODEL_REGISTRY.get(name)
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    if component is not None:
        component.add_args(parser)
    own = {action.dest for action in parser._actions}
    return {"_name": name, **{flag: value for flag, value in vars(namespace).items() if flag in own}}
