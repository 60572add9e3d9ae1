"""The identity of an experiment: a hash of what defines its numbers, the same on every resume and in every folder."""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
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
from fairseq_lth.training.pruning_flags import given_rewind_epochs, rewind_epochs
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
    definition = {
        **_settings(cfg, root, root.optimization.max_epoch),
        "parent": parent,
        "data": [_data_hash(path, cfg, root.dataset.train_subset) for path in utils.split_paths(cfg.data)],
        "masks_from": None if cfg.imp_masks_from is None else masks_experiment(cfg.imp_masks_from),
    }
    return hashlib.sha256(json.dumps(definition, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _settings(cfg: TaskSettings, root: RunSettings, epochs: int) -> dict[str, Any]:
    """What flags say of the identity; the rest is said by files and by what the experiment branched from.

    Args:
        cfg: The task's configuration.
        root: fairseq's configuration of the whole run.
        epochs: E; the plugin changes `max_epoch` once it has planned the experiment.
    """
    world_size = root.distributed_training.distributed_world_size
    rewinds = given_rewind_epochs(cfg)
    return {
        "model": _plain(root.model, drop=("data", "user_dir", "save_dir")),
        "criterion": _plain(root.criterion),
        "optimizer": _plain(root.optimizer),
        "lr_scheduler": _plain(root.lr_scheduler),
        "task": {name: _plain(cfg[name]) for name in _TASK},
        "rewind_epochs": rewinds[:1] if len(set(rewinds)) == 1 else rewinds,
        "seed": mask_seed(cfg),
        "dataset": {name: _plain(root.dataset[name]) for name in _DATASET},
        "common": {name: _plain(root.common[name]) for name in _COMMON},
        "optimization": {**{name: _plain(root.optimization[name]) for name in _OPTIMIZATION}, "max_epoch": epochs},
        "update_freq": [world_size * frequency for frequency in root.optimization.update_freq],
    }


def differences(cfg: TaskSettings, root: RunSettings, saved: Any, start: Sequence[int | None]) -> list[str]:
    """The settings in which this run and one that has saved a checkpoint are different experiments.

    Args:
        cfg: The task's configuration.
        root: fairseq's configuration as the user gave it.
        saved: That of the checkpoint, in which `max_epoch` counts all levels (Schedule.total_epochs).
        start: The level that the run of the checkpoint started at, and the epoch that finished it.

    Returns:
        `--imp-rate 0.2 there, 0.3 here` and the like; empty where the flags say the same.
    """
    now = _flat(_settings(cfg, root, root.optimization.max_epoch))
    try:
        there: Any = OmegaConf.create(saved, flags={"allow_objects": True})
        if there.task.source_lang is None:  # the data said it
            there.task.source_lang, there.task.target_lang = cfg.source_lang, cfg.target_lang
        before = _flat(_settings(there.task, there, _dense_epochs(there, start)))
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        return [f"its configuration cannot be compared ({type(error).__name__})"]
    both = [name for name in now if name in before]  # another architecture or optimizer has other settings of its own
    return [f"{name} {before[name]} there, {now[name]} here" for name in both if before[name] != now[name]]


def _dense_epochs(saved: Any, start: Sequence[int | None]) -> int:
    """E of a checkpoint's configuration: the other way round of Schedule.total_epochs."""
    level, ended = start
    rewinds = rewind_epochs(saved.task)[level:]
    return (saved.optimization.max_epoch - (ended or 0) + sum(rewinds)) // (len(rewinds) + (ended is None))


def _flat(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings by the flag that sets them."""
    named = {"rewind_epochs": "imp_rewind_epoch", "seed": "imp_seed", "update_freq": "update_freq (times processes)"}
    found = {}
    for group, values in settings.items():
        for name, value in values.items() if isinstance(values, dict) else [(named[group], values)]:
            name = {"model": "arch"}.get(group, group) if name == "_name" else name
            found["--" + name.replace("_", "-")] = json.dumps(value, default=str).strip('"')
    return found


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
    """Hashes the dictionaries and the training data, every byte of them; beside `train` fairseq takes `train1`, ..."""
    digest = hashlib.sha256()
    trained_on = re.compile(rf"{re.escape(subset)}[0-9]*\.")
    folder = Path(path)
    for language in (cfg.source_lang, cfg.target_lang):
        dictionary = folder / f"dict.{language}.txt"
        digest.update(dictionary.read_bytes() if dictionary.is_file() else b"")
    for name in sorted(_split_files(folder)):
        if trained_on.match(name):
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
