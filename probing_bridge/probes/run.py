"""The stage `probe`: plan, check everything and tell every fault at once, train what is missing, write the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from probing_bridge.cluster.jobs import Cluster
from probing_bridge.corpora.suite import load_suite
from probing_bridge.errors import Faults, InputError
from probing_bridge.formats.files import remove_leftovers
from probing_bridge.probes import inputs
from probing_bridge.probes.costs import announcement, seconds
from probing_bridge.probes.executors import Executor, run_here, run_in_processes, run_on_cluster
from probing_bridge.probes.grid import Job, ModelInfo, Unit, list_jobs, make_units, unfinished
from probing_bridge.probes.measures import TaskData
from probing_bridge.probes.parts import PARTS, current_parts, note_current, states
from probing_bridge.probes.problem import Recipe
from probing_bridge.probes.rows import write_tables
from probing_bridge.probes.units import Ending
from probing_bridge.progress import Progress, tell


@dataclass(frozen=True)
class Request:
    """What is to be probed, how and where.

    Attributes:
        suite: The suite file.
        corpora: Where its paths start; the suite's folder if None.
        reps: Word representations, a file per model.
        output: The results folder; finished jobs are kept in it too.
        tasks: Of the suite; all if None.
        layers: Names of layers; all of each file if None.
        recipes: Kinds of probes, mixes and seeds.
        measures: Keys of MEASURES.
        allow_mixed: Whether several experiments may stand in one table.
        workers: Processes at a time on this machine.
        cluster: Where jobs run instead; None for this machine.
        memory: Bytes for features; half of what is free if None.
        resamples: Bootstrap samples behind the intervals and p-values of the tables.
        command: What the tables say made them.
    """

    suite: Path
    corpora: Path | None
    reps: Sequence[Path]
    output: Path
    tasks: Sequence[str] | None
    layers: Sequence[str] | None
    recipes: Sequence[Recipe]
    measures: Sequence[str]
    allow_mixed: bool
    workers: int
    cluster: Cluster | None
    memory: int | None
    resamples: int
    command: str

    @property
    def folder(self) -> Path:
        """Where the parts of finished jobs are."""
        return self.output / PARTS


@dataclass(frozen=True)
class Plan:
    """What is to be done: read and checked.

    Attributes:
        states: Which data and files there are, from `states` of parts.
        language: Of the suite's corpora; empty if it does not say.
        models: The representation files.
        jobs: All jobs, finished or not.
        left: What is not finished.
        tasks: Task -> its data, of what is left.
    """

    states: dict[str, str]
    language: str
    models: list[ModelInfo]
    jobs: list[Job]
    left: list[Job]
    tasks: dict[str, TaskData]


@dataclass(frozen=True)
class Finished:
    """What there is at the end.

    Attributes:
        tables: Name of the table -> its rows, of everything in it.
        n_jobs: Jobs of the request.
        failed: Those that failed now.
    """

    tables: dict[str, pd.DataFrame]
    n_jobs: int
    failed: list[Ending]


def run(request: Request) -> Finished:
    """Trains what is not finished and writes the tables.

    Args:
        request: What is asked for.

    Returns:
        The tables, and the jobs that failed.

    Raises:
        BridgeError: Everything that is wrong with the input, a fault a line; nothing is trained then.
    """
    plan = make_plan(request)
    for warning in inputs.warnings(plan.models, plan.language):
        tell(f"warning: {warning}")
    remove_leftovers(request.folder)
    try:
        request.folder.mkdir(parents=True, exist_ok=True)
        note_current(request.folder, plan.states)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", request.folder) from error
    failed: list[Ending] = []
    if plan.left:
        sharing = request.workers if request.cluster is None else 1
        units = make_units(
            plan.left, plan.tasks, request.folder, request.command, request.workers, sharing, request.memory
        )
        tell(announcement(plan.left, len(plan.jobs), plan.tasks))
        failed = work(_executor(request), units)
    tables = write_tables(request.output, request.folder, request.resamples)
    return Finished(tables, len(plan.jobs), failed)


def make_plan(request: Request) -> Plan:
    """Finds out what is to be done and checks all of it.

    Args:
        request: What is asked for.

    Raises:
        BridgeError: All faults, a line each.
    """
    faults = Faults()
    if request.output.exists() and not request.output.is_dir():
        faults.add(str(InputError("is not a folder", request.output)))
    suite = faults.of(load_suite, request.suite, request.corpora)
    specs = {} if suite is None else inputs.task_specs(suite, request.tasks, faults)
    models = inputs.open_models(request.reps, request.layers, faults)
    if not request.allow_mixed and models:
        faults.of(inputs.check_experiments, models)
    faults.of(inputs.check_sides, models, "" if suite is None else suite.side)
    data_hashes = {name: spec.data_hash for name, spec in specs.items()}
    own = states(data_hashes, {(model.experiment, model.name): model.hash for model in models})
    parts = faults.of(current_parts, request.folder, own) or []
    faults.of(inputs.check_table, request.output, request.folder, parts, models, allow_mixed=request.allow_mixed)
    faults.of(inputs.check_levels, request.output, parts, models)
    jobs = list_jobs(models, list(specs.values()), request.recipes, request.measures)
    left = [job for whole in jobs if (job := unfinished(whole, request.folder)) is not None]
    names = dict.fromkeys(job.task.name for job in left)
    tasks = {} if suite is None else inputs.read_tasks(suite, specs, names, faults)
    inputs.check_representations(left, tasks, faults)
    faults.tell()
    return Plan(own, "" if suite is None else suite.language, models, jobs, left, tasks)


def _executor(request: Request) -> Executor:
    if request.cluster is not None:
        return run_on_cluster(request.cluster, request.folder / "submitit")
    return run_here if request.workers == 1 else run_in_processes(request.workers)


def work(executor: Executor, units: Sequence[Unit]) -> list[Ending]:
    """Runs all units, then those jobs again that another runner was at.

    Args:
        executor: Where.
        units: The units.

    Returns:
        What failed.
    """
    failed, wait = [], False
    costs = {job: seconds(job, unit.tasks[job.task.name]) for unit in units for job in unit.jobs}
    n_ended = 0
    with Progress(sum(costs.values())) as bar:
        while units:
            elsewhere: set[Job] = set()
            for endings in executor(units, wait):
                ended = [ending.job for ending in endings if ending.status != "elsewhere"]
                n_ended += len(ended)
                bar.set_description_str(f"{n_ended} of {len(costs)} jobs, ", refresh=False)
                bar.update(sum(costs[job] for job in ended))
                failed += [ending for ending in endings if ending.status == "failed"]
                elsewhere |= {ending.job for ending in endings if ending.status == "elsewhere"}
            units, wait = list(_only(units, elsewhere)), True
    return failed


def _only(units: Sequence[Unit], jobs: set[Job]) -> Iterator[Unit]:
    for unit in units:
        some = tuple(job for job in unit.jobs if job in jobs)
        if some:
            yield replace(unit, jobs=some)
