"""Models x tasks x layers x seeds x kinds of probes as one list of jobs that may be stopped and started at will.

A job is one model, task, probe, seed and measure, with all its unfinished layers together; jobs on the same
sentences of a model form a unit, which reads the features once; `executors` says where units run. What is finished is
skipped, what another runner is at is waited for, and what fails is reported and does not stop the rest.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from probing_bridge import __version__
from probing_bridge.errors import BridgeError
from probing_bridge.formats.origin import Origin, common_experiment
from probing_bridge.formats.representations import Representations, sentence_text
from probing_bridge.probes.baselines import BASELINES
from probing_bridge.probes.experiment import MEASURES, Outcome, TaskData, TaskSpec, control_metric, measure_baseline
from probing_bridge.probes.features import Features, available_memory, load_features
from probing_bridge.probes.parts import Part, PartKey, claim, load_part, save_part
from probing_bridge.probes.rows import detail_rows, score_rows
from probing_bridge.probes.training import Recipe


@dataclass(frozen=True)
class ModelInfo:
    """One representation file and what its root says; or no file, for baselines.

    Attributes:
        path: The file; None for baselines.
        name: Its name without the ending; `-` for baselines.
        experiment: Identity of the training run; empty if unknown.
        level: None if unknown.
        sparsity: Of all weights; None if unknown.
        layers: Names of the layers to probe.
        hash: sha256 of the file; empty for baselines.
        parent: `experiment/lthK` of the level that the training branched from; empty if it did not.
    """

    path: Path | None
    name: str
    experiment: str
    level: int | None = None
    sparsity: float | None = None
    layers: tuple[str, ...] = ()
    hash: str = ""
    parent: str = ""

    @property
    def origin(self) -> Origin:
        """Which level of which experiment it is."""
        return Origin(self.experiment, self.level, self.parent)


@dataclass(frozen=True)
class Job:
    """One model, task, kind of probe, seed and measure.

    Attributes:
        model: Whose features.
        task: Task key.
        metric: The task's own metric.
        data_hash: Of the task's data.
        measure: score, control, mdl or baseline.
        recipe: How the probe is trained; None for baselines.
        baseline: Which baseline; empty otherwise.
        layers: Layers still to be done, `mix`, or `-` for baselines.
    """

    model: ModelInfo
    task: str
    metric: str
    data_hash: str
    measure: str
    recipe: Recipe | None
    baseline: str
    layers: tuple[str, ...]

    def key(self, layer: str) -> PartKey:
        """The part that one of its layers fills."""
        probe, seed = (self.baseline, None) if self.recipe is None else (self.recipe.probe, self.recipe.seed)
        return PartKey(self.model.experiment, self.model.name, self.task, probe, seed, self.measure, layer)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that its numbers depend on."""
        return {
            "data_hash": self.data_hash,
            "reps_hash": self.model.hash,
            "level": self.model.level,
            "parent": self.model.parent,
            "sparsity": self.model.sparsity,
            "package_version": __version__,
            "metric": self.metric,
            "recipe": None if self.recipe is None else asdict(self.recipe),
        }

    def __str__(self) -> str:
        """As it is named in messages."""
        if self.recipe is None:
            return f"{self.baseline} of {self.task}"
        return f"{self.measure} of {self.task} on {self.model.name}, {self.recipe.probe}, seed {self.recipe.seed}"


@dataclass(frozen=True)
class Report:
    """How a job ended.

    Attributes:
        job: The job.
        status: done, failed, or elsewhere (another runner is at it).
        message: Why it failed, in one line.
    """

    job: Job
    status: str
    message: str = ""


@dataclass(frozen=True)
class Unit:
    """Jobs on the same sentences of one model, with all that a worker needs to do them.

    Attributes:
        jobs: The jobs.
        tasks: The data of their tasks.
        folder: The folder of parts.
        command: The command line, for the rows.
        memory: Bytes that features may take in memory; half of what is free where it runs if None.
        threads: Threads of a worker; None leaves PyTorch's own number.
    """

    jobs: tuple[Job, ...]
    tasks: dict[str, TaskData]
    folder: Path
    command: str
    memory: int | None
    threads: int | None


def list_jobs(
    models: Sequence[ModelInfo], tasks: Sequence[TaskSpec], recipes: Sequence[Recipe], measures: Sequence[str]
) -> list[Job]:
    """Every job of a run, finished or not: the baselines of each task, then the probes.

    Args:
        models: The representation files.
        tasks: The tasks.
        recipes: Kinds of probes and seeds.
        measures: Of score, control and mdl.

    Returns:
        The jobs. A regression has no description length, so no mdl.
    """
    one = common_experiment([model.origin for model in models])  # a branch has baselines once, not its parent's too
    experiments = dict.fromkeys(model.experiment for model in models) if one is None else [one]
    jobs = [
        Job(ModelInfo(None, "-", experiment), task.task, task.metric, task.data_hash, "baseline", None, kind, ("-",))
        for experiment in experiments
        for task in tasks
        for kind in BASELINES
    ]
    for model in models:
        jobs += [
            Job(
                model,
                data.task,
                data.metric,
                data.data_hash,
                measure,
                recipe,
                "",
                ("mix",) if recipe.mix else model.layers,
            )
            for data in tasks
            for recipe in (data.recipe(one) for one in recipes)
            for measure in measures
            if not (measure == "mdl" and data.metric == "pearson")
        ]
    return jobs


def unfinished(job: Job, folder: Path) -> Job | None:
    """What is left of a job.

    Args:
        job: A job with all its layers.
        folder: The folder of parts.

    Returns:
        The job with the layers that have no part with its fingerprint; None if there are none.
    """
    layers = []
    for layer in job.layers:
        part = load_part(job.key(layer).path(folder), with_predictions=False)
        if part is None or {**part.fingerprint, "command": None} != {**job.fingerprint, "command": None}:
            layers.append(layer)
    return replace(job, layers=tuple(layers)) if layers else None


def make_units(
    jobs: Sequence[Job], tasks: dict[str, TaskData], folder: Path, command: str, workers: int, memory: int | None
) -> list[Unit]:
    """Groups jobs by model and by tasks whose sentences the largest task of the group has too.

    Args:
        jobs: Unfinished jobs.
        tasks: The data of their tasks.
        folder: The folder of parts.
        command: The command line.
        workers: How many units run at a time; where there are too few units they are cut.
        memory: Bytes for features in all; half of what is free if None.

    Returns:
        The units.
    """
    heads = _cluster(tasks)
    groups: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        place = ("-", "-", "-") if job.model.path is None else (job.model.experiment, job.model.name, heads[job.task])
        groups.setdefault(place, []).append(job)
    pieces = max(1, -(-workers // max(1, len(groups))))
    if workers > 1:
        memory = (available_memory() // 2 if memory is None else memory) // workers
    threads = None if workers == 1 else max(1, (os.cpu_count() or 1) // workers)
    units = []
    for group in groups.values():
        for first in range(pieces):
            some = tuple(group[first::pieces])
            if some:
                data = {job.task: tasks[job.task] for job in some}
                units.append(Unit(some, data, folder, command, memory, threads))
    return units


def _cluster(tasks: dict[str, TaskData]) -> dict[str, str]:
    """Task -> the task whose sentences include its own; a task that no larger one covers heads its own cluster."""
    texts = {name: {sentence_text(tokens) for tokens in data.sentences} for name, data in tasks.items()}
    heads: dict[str, str] = {}
    for name in sorted(texts, key=lambda name: -len(texts[name])):
        heads[name] = next((head for head in heads.values() if texts[name] <= texts[head]), name)
    return heads


def iterate_unit(unit: Unit, *, wait: bool = False) -> Iterator[Report]:
    """Does the jobs of a unit one after the other.

    Args:
        unit: The jobs.
        wait: Whether to wait for jobs that another runner is at.

    Yields:
        How each ended.
    """
    if unit.threads is not None:
        torch.set_num_threads(unit.threads)
    held = _HeldFeatures(unit)
    for job in unit.jobs:
        lock = job.key(job.layers[0] if job.layers in (("mix",), ("-",)) else "layers").path(unit.folder)
        lock = lock.with_suffix(".lock")
        try:
            with claim(lock, wait=wait) as claimed:
                if not claimed:
                    yield Report(job, "elsewhere")
                    continue
                left = unfinished(job, unit.folder)
                if left is not None:
                    _do(left, unit, held)
            yield Report(job, "done")
        except BridgeError as error:
            yield Report(job, "failed", str(error))
        except Exception as error:  # whatever it is must not stop the other jobs; its traceback is kept
            path = lock.with_suffix(".error.txt")
            path.write_text(traceback.format_exc(), encoding="utf-8")
            reason = (str(error).splitlines() or [""])[0]
            yield Report(job, "failed", f"{type(error).__name__}: {reason} (traceback in {path})")


def run_unit(unit: Unit, wait: bool) -> list[Report]:
    """Does the jobs of a unit, for a worker process.

    Args:
        unit: The jobs.
        wait: Whether to wait for jobs that another runner is at.

    Returns:
        How each ended.
    """
    return list(iterate_unit(unit, wait=wait))


class _HeldFeatures:
    """The features of a unit, read when the first job needs them and kept while the next needs the same layers."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._held: Features | None = None

    def get(self, job: Job) -> Features:
        """The features of a job's layers."""
        layers = job.model.layers if job.layers == ("mix",) else job.layers
        if self._held is None or self._held.layers != layers:
            self._held = None  # the old ones go before the new ones come
            assert job.model.path is not None
            sentences = [tokens for data in self._unit.tasks.values() for tokens in data.sentences]
            device = torch.device("cuda") if torch.cuda.is_available() else None
            with Representations(job.model.path) as representations:
                self._held = load_features(
                    representations, sentences, layers, self._unit.folder, self._unit.memory, device
                )
        return self._held


def _do(job: Job, unit: Unit, held: _HeldFeatures) -> None:
    """Does one job and saves a part for each layer."""
    data = unit.tasks[job.task]
    if job.recipe is None:
        outcomes = [measure_baseline(data, job.baseline)]
    else:
        outcomes = MEASURES[job.measure](data, held.get(job), job.recipe)
    for layer, outcome in zip(job.layers, outcomes, strict=True):
        save_part(_part(job, layer, outcome, unit.command), unit.folder)


def _part(job: Job, layer: str, outcome: Outcome, command: str) -> Part:
    metric = job.metric
    if job.measure == "control":
        metric = control_metric(metric)
    rows = [{**row, "best_epoch": outcome.best_epoch} for row in score_rows(outcome, metric, job.measure)]
    details = (
        [] if outcome.predictions is None or job.measure == "control" else detail_rows(outcome.predictions, metric)
    )
    fingerprint = {**job.fingerprint, "command": command}
    return Part(job.key(layer), fingerprint, rows, details, outcome.predictions, metric)
