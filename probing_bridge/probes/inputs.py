"""What a probing run is given: a suite of tasks and representation files, checked before anything is trained."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from probing_bridge.corpora.suite import Suite
from probing_bridge.corpora.tasks import TASKS, label_vocabulary
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.origin import common_experiment
from probing_bridge.formats.representations import Representations, sentence_text
from probing_bridge.probes.experiment import SPLITS, TaskData, TaskSpec
from probing_bridge.probes.grid import Job, ModelInfo
from probing_bridge.probes.metrics import span_parts
from probing_bridge.probes.parts import all_parts


def task_specs(suite: Suite, only: Sequence[str] | None) -> dict[str, TaskSpec]:
    """What a suite says of its tasks, with a hash of each task's data.

    Args:
        suite: The suite.
        only: These tasks; all if None.

    Returns:
        Task -> what is known before its files are read.

    Raises:
        BridgeError: A task that the suite does not have.
    """
    for task in only or ():
        if task not in suite.tasks:
            raise BridgeError(f"--tasks {task}: not in {suite.path}, which has {', '.join(suite.tasks)}")
    hashes: dict[Path, str] = {}
    specs = {}
    for task, files in suite.tasks.items():
        if only is not None and task not in only:
            continue
        row = TASKS[task]
        for split in SPLITS:
            path = files.path(split)
            if path not in hashes:
                hashes[path] = _content_hash(path)
        identity = [task, files.format, files.compat, *(hashes[files.path(split)] for split in SPLITS)]
        data_hash = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        specs[task] = TaskSpec(task, row.metric, data_hash, row.batch_size, row.patience, files.compat)
    return specs


def _content_hash(path: Path) -> str:
    """The sha256 of a file's text, packed or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    digest = hashlib.sha256()
    try:
        with opened(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read ({error})", path) from error
    return digest.hexdigest()


def read_tasks(suite: Suite, specs: dict[str, TaskSpec], names: Iterable[str]) -> dict[str, TaskData]:
    """Reads the files of tasks.

    Args:
        suite: The suite.
        specs: From `task_specs`.
        names: Which tasks.

    Returns:
        Task -> its data.

    Raises:
        BridgeError: A fault of a file, or labels that do not fit the metric.
    """
    tasks = {}
    for name in names:
        splits = {split: suite.tasks[name].read(split) for split in SPLITS}
        labels = label_vocabulary(*(splits[split] for split in SPLITS))
        if specs[name].metric.startswith("span"):
            try:
                span_parts(labels)
            except BridgeError as error:
                raise InputError(f"task {name}: {error}", suite.tasks[name].train.parent) from error
        tasks[name] = TaskData(specs[name], dict(splits), labels or None)
    return tasks


def open_models(paths: Sequence[Path], layers: Sequence[str] | None, *, allow_mixed: bool) -> list[ModelInfo]:
    """Opens representation files and reads where they come from.

    Args:
        paths: One file per model.
        layers: Names of the layers to probe; all if None.
        allow_mixed: Whether files of several experiments may stand in one table; those of a branch and of the level
            that it came from always may.

    Returns:
        The models in the order given.

    Raises:
        BridgeError: Two files of one name, a layer that a file does not have, or mixed experiments.
    """
    models: list[ModelInfo] = []
    for path in paths:
        with Representations(path) as representations:
            chosen = representations.layers if layers is None else tuple(layers)
            representations.require_layers(chosen)
            attributes = representations.attributes
            level, sparsity = (_number(attributes, name, path) for name in ("level", "sparsity"))
            models.append(
                ModelInfo(
                    path,
                    path.stem,
                    str(attributes.get("experiment", "")),
                    None if level is None or level < 0 else int(level),
                    sparsity,
                    chosen,
                    representations.hash,
                    str(attributes.get("parent", "")),
                )
            )
    names = [(model.experiment, model.name) for model in models]
    for model, name in zip(models, names, strict=True):
        if names.count(name) > 1:
            raise BridgeError(f"two of the --reps are named {model.name!r}: rows are told apart by it, so rename one")
    if not allow_mixed and common_experiment([model.origin for model in models]) is None:
        experiments = sorted({model.experiment for model in models})
        shown = ", ".join(
            f"{one or 'unknown'} ({next(m.path for m in models if m.experiment == one)})" for one in experiments
        )
        raise BridgeError(f"--reps come from several experiments: {shown}; give each its own table, or --allow-mixed")
    return models


def _number(attributes: dict[str, Any], name: str, path: Path) -> float | None:
    """An attribute that is a number, or not there."""
    try:
        return None if name not in attributes else float(attributes[name])
    except (TypeError, ValueError) as error:
        raise InputError(f"attribute {name!r} is {attributes[name]!r}, not a number", path) from error


def check_table(output: Path, folder: Path, models: Sequence[ModelInfo], *, allow_mixed: bool) -> None:
    """Refuses to replace a table whose jobs are not beside it, or to add to one of another experiment.

    Args:
        output: The table.
        folder: The folder of parts.
        models: The representation files.
        allow_mixed: Whether several experiments may stand in one table; a branch and what it came from always may.

    Raises:
        InputError: See above.
    """
    if not output.exists():
        return
    if not folder.is_dir():
        raise InputError(f"is there, but not the finished jobs it was made from ({folder}); move it away first", output)
    from probing_bridge.formats.tables import read_table

    before = set(read_table(output, "probes")["experiment"])
    if allow_mixed or not before or before == {model.experiment for model in models}:
        return
    origins = [part.origin for part in all_parts(folder) if part.key.measure != "baseline"]
    if common_experiment([*origins, *(model.origin for model in models)]) is None:
        shown = ", ".join(sorted(one or "unknown" for one in before))
        raise InputError(
            f"holds rows of another experiment ({shown}); choose another --output, or --allow-mixed", output
        )


def check_representations(jobs: Iterable[Job], tasks: dict[str, TaskData]) -> None:
    """Reads every sentence that the jobs need once, so that a fault is found before anything is trained.

    Args:
        jobs: Unfinished jobs.
        tasks: The data of their tasks.

    Raises:
        InputError: Sentences that are missing in a file (how many, and the first), a sentence with another number
            of vectors than words, or a value that is not finite.
    """
    wanted: dict[Path, set[str]] = {}
    for job in jobs:
        if job.model.path is not None:
            wanted.setdefault(job.model.path, set()).add(job.task)
    for path, names in wanted.items():
        sentences = {sentence_text(tokens): tokens for name in sorted(names) for tokens in tasks[name].sentences}
        with Representations(path) as representations:
            missing = [text for text, tokens in sentences.items() if tokens not in representations]
            if missing:
                shown = missing[0] if len(missing[0]) <= 80 else missing[0][:77] + "..."
                raise InputError(
                    f"{len(missing)} of {len(sentences)} sentences are missing, the first is {shown!r}; "
                    "encode the output of `sentences` for this suite",
                    path,
                )
            for tokens in sentences.values():
                representations.read(tokens)
