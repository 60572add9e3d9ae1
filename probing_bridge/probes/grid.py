"""Models x tasks x layers x seeds x kinds of probes as one list of jobs that may be stopped and started at will.

A job is one model, task, probe, seed and measure, with all its unfinished layers together; jobs on the same
sentences of a model form a unit, which reads the features once. `units` does them, `executors` says where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from probing_bridge import __version__
from probing_bridge.formats.origin import Origin, common_experiment
from probing_bridge.formats.representations import sentence_text
from probing_bridge.machine import free_memory
from probing_bridge.probes.baselines import BASELINES
from probing_bridge.probes.measures import MEASURES, TaskData, TaskSpec
from probing_bridge.probes.metrics import METRICS
from probing_bridge.probes.parts import PartKey, load_part
from probing_bridge.probes.problem import Recipe


@dataclass(frozen=True)
class ModelInfo:
    """One representation file and what its root says; or no file, for baselines.

    Attributes:
        path: The file; None for baselines.
        name: Its name without the ending; `-` for baselines.
        origin: Where its vectors come from; of baselines, the experiment.
        layers: Names of the layers to probe.
        hash: sha256 of the file; empty for baselines.
        dim: Numbers per word and layer; 0 for baselines.
    """

    path: Path | None
    name: str
    origin: Origin
    layers: tuple[str, ...] = ()
    hash: str = ""
    dim: int = 0

    @property
    def experiment(self) -> str:
        """Identity of the experiment; empty if unknown."""
        return self.origin.experiment


@dataclass(frozen=True)
class Job:
    """One model, task, kind of probe, seed and measure.

    Attributes:
        model: Whose features.
        task: Which task.
        measure: A key of MEASURES; `baseline` where there is no probe.
        recipe: How the probe is trained; None for baselines.
        baseline: Which baseline; empty otherwise.
        layers: Layers still to be done, `mix`, or `-` for baselines.
    """

    model: ModelInfo
    task: TaskSpec
    measure: str
    recipe: Recipe | None
    baseline: str
    layers: tuple[str, ...]

    def key(self, layer: str) -> PartKey:
        """The part that one of its layers fills."""
        probe, seed = (self.baseline, None) if self.recipe is None else (self.recipe.probe, self.recipe.seed)
        return PartKey(self.model.experiment, self.model.name, self.task.name, probe, seed, self.measure, layer)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that its numbers depend on."""
        return {
            "data_hash": self.task.data_hash,
            "reps_hash": self.model.hash,
            "level": self.model.origin.level,
            "parent": self.model.origin.parent,
            "sparsity": self.model.origin.sparsity,
            "package_version": __version__,
            "metric": self.task.metric,
            "features": "" if self.recipe is None else self.task.features,
            "recipe": None if self.recipe is None else asdict(self.recipe),
        }

    def __str__(self) -> str:
        """As it is named in messages."""
        if self.recipe is None:
            return f"{self.baseline} of {self.task.name}"
        return f"{self.measure} of {self.task.name} on {self.model.name}, {self.recipe.probe}, seed {self.recipe.seed}"


@dataclass(frozen=True)
class Unit:
    """Jobs on the same sentences of one model, with all that a worker needs to do them.

    Attributes:
        jobs: The jobs.
        tasks: The data of their tasks.
        folder: The folder of parts.
        command: The command line, for the rows.
        memory: Bytes that features may take in memory; half of what is free where it runs if None.
        sharing: How many such units share a machine, its cores and its GPUs.
    """

    jobs: tuple[Job, ...]
    tasks: dict[str, TaskData]
    folder: Path
    command: str
    memory: int | None
    sharing: int


def list_jobs(
    models: Sequence[ModelInfo], tasks: Sequence[TaskSpec], recipes: Sequence[Recipe], measures: Sequence[str]
) -> list[Job]:
    """Every job of a run, finished or not: the baselines of each task, then the probes.

    Args:
        models: The representation files.
        tasks: The tasks.
        recipes: Kinds of probes and seeds.
        measures: Keys of MEASURES.

    Returns:
        The jobs; a regression has none of the measures of labels.
    """
    one = common_experiment([model.origin for model in models])  # a branch has baselines once, not its parent's too
    experiments = dict.fromkeys(model.experiment for model in models) if one is None else [one]
    jobs = [
        Job(ModelInfo(None, "-", Origin(experiment)), task, "baseline", None, kind, ("-",))
        for experiment in experiments
        for task in tasks
        for kind in BASELINES
    ]
    for model in models:
        jobs += [
            Job(model, task, measure, recipe, "", ("mix",) if recipe.mix else model.layers)
            for task in tasks
            for recipe in map(task.recipe, recipes)
            for measure in measures
            if MEASURES[measure].of_numbers or not METRICS[task.metric].of_numbers
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
        part = load_part(job.key(layer).path(folder), with_arrays=False)
        if part is None or {**part.fingerprint, "command": None} != {**job.fingerprint, "command": None}:
            layers.append(layer)
    return replace(job, layers=tuple(layers)) if layers else None


def make_units(
    jobs: Sequence[Job],
    tasks: dict[str, TaskData],
    folder: Path,
    command: str,
    workers: int,
    sharing: int,
    memory: int | None,
) -> list[Unit]:
    """Groups jobs by model and by tasks whose sentences the largest task of the group has too.

    Args:
        jobs: Unfinished jobs.
        tasks: The data of their tasks.
        folder: The folder of parts.
        command: The command line.
        workers: How many units run at a time; where there are too few units they are cut.
        sharing: How many of them share a machine.
        memory: Bytes for features in all on a machine; half of what is free if None.

    Returns:
        The units.
    """
    heads = _cluster(tasks)
    groups: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        place = (
            ("-", "-", "-") if job.model.path is None else (job.model.experiment, job.model.name, heads[job.task.name])
        )
        groups.setdefault(place, []).append(job)
    pieces = max(1, -(-workers // max(1, len(groups))))
    if sharing > 1:
        memory = (free_memory() // 2 if memory is None else memory) // sharing
    units = []
    for group in groups.values():
        for first in range(pieces):
            some = tuple(group[first::pieces])
            if some:
                data = {job.task.name: tasks[job.task.name] for job in some}
                units.append(Unit(some, data, folder, command, memory, sharing))
    return units


def _cluster(tasks: dict[str, TaskData]) -> dict[str, str]:
    """Task -> the task whose sentences include its own; a task that no larger one covers heads its own cluster."""
    texts = {name: {sentence_text(tokens) for tokens in data.sentences} for name, data in tasks.items()}
    heads: dict[str, str] = {}
    for name in sorted(texts, key=lambda name: -len(texts[name])):
        heads[name] = next((head for head in heads.values() if texts[name] <= texts[head]), name)
    return heads
