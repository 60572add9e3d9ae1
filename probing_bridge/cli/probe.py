"""`probe`: train the probes of a suite on representations, and write one table of their scores."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probing_bridge.cluster import add_cluster_arguments, asked_cluster
from probing_bridge.errors import BridgeError, InputError

if TYPE_CHECKING:
    import pandas as pd

    from probing_bridge.probes.executors import Executor
    from probing_bridge.probes.grid import Job, Report, Unit


def _whole_numbers(text: str) -> list[int]:
    """`1,2,5` as numbers, each once."""
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text!r}: expected different numbers with commas between, as 1,2,3")
    return numbers


def _names(text: str) -> list[str]:
    """`0,1,norm` as names, each once."""
    names = text.split(",")
    if "" in names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r}: expected different names with commas between, as 0,6,norm")
    return names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `probe`."""
    from probing_bridge.corpora.suite import add_suite_arguments

    add_suite_arguments(parser)
    add = parser.add_argument
    add("--reps", required=True, type=Path, nargs="+", metavar="FILE", help="word representations, a file per model")
    add("--output", required=True, type=Path, metavar="CSV", help="the table; finished jobs are kept beside it")
    add("--tasks", nargs="+", metavar="TASK", help="only these tasks of the suite")
    add("--layers", type=_names, metavar="LAYER,LAYER", help="only these, as 0,6,norm (default: all)")
    add("--probe", nargs="+", default=["linear"], choices=("linear", "mlp"), help="kinds of probes (default: linear)")
    add("--mix", action="store_true", help="also probe a learned mix of all layers")
    add("--control", action="store_true", help="also train on control tasks, for selectivity")
    add("--mdl", action="store_true", help="also measure the minimum description length of the labels")
    add("--seeds", type=_whole_numbers, default=[133], metavar="N,N", help="seeds (default: 133, the recipe's)")
    add("--jobs", type=int, default=1, metavar="N", help="processes at a time on this machine (default: 1)")
    add_cluster_arguments(parser, "jobs")
    add("--memory", type=float, metavar="GB", help="memory for features (default: half of what is free)")
    add("--allow-mixed", action="store_true", help="take representations of several experiments in one table")


def run(arguments: argparse.Namespace) -> None:
    """Trains what is not finished, writes the tables and prints a summary.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input, found before anything is trained.
        SystemExit: Status 1 if a job failed; the others are finished then.
    """
    from probing_bridge.corpora.suite import load_suite
    from probing_bridge.probes import grid, inputs
    from probing_bridge.probes.rows import write_tables

    if arguments.jobs < 1:
        raise BridgeError(f"--jobs {arguments.jobs}: expected at least 1")
    if arguments.memory is not None and arguments.memory < 0:
        raise BridgeError(f"--memory {arguments.memory}: expected gigabytes")
    if not arguments.output.resolve().parent.is_dir():
        raise InputError("no such folder", arguments.output.resolve().parent)
    folder = arguments.output.with_suffix(".parts")
    suite = load_suite(arguments.suite, arguments.data)
    specs = inputs.task_specs(suite, arguments.tasks)
    models = inputs.open_models(arguments.reps, arguments.layers, allow_mixed=arguments.allow_mixed)
    inputs.check_table(arguments.output, folder, models, allow_mixed=arguments.allow_mixed)
    jobs = grid.list_jobs(models, list(specs.values()), _recipes(arguments), _measures(arguments))
    left = [job for whole in jobs if (job := grid.unfinished(whole, folder)) is not None]
    failed: list[Report] = []
    if left:
        tasks = inputs.read_tasks(suite, specs, dict.fromkeys(job.task for job in left))
        inputs.check_representations(left, tasks)
        folder.mkdir(parents=True, exist_ok=True)
        memory = None if arguments.memory is None else int(arguments.memory * 1e9)
        units = grid.make_units(left, tasks, folder, _command(), arguments.jobs, memory)
        failed = _work(_executor(arguments, folder), units)
    data_hashes = {name: spec.data_hash for name, spec in specs.items()}
    reps_hashes = {(model.experiment, model.name): model.hash for model in models}
    tables = write_tables(arguments.output, folder, data_hashes, reps_hashes)
    print(summary(tables))
    for report in failed:
        print(f"failed: {report.job}: {report.message}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(jobs)} jobs failed; run again to try them again", file=sys.stderr)
        raise SystemExit(1)


def _command() -> str:
    return shlex.join(["python", "-m", "probing_bridge.run", *sys.argv[1:]])


def _recipes(arguments: argparse.Namespace) -> list[Any]:
    from probing_bridge.probes.training import Recipe

    mixes = (False, True) if arguments.mix else (False,)
    return [
        Recipe(probe, mix, seed)
        for probe in dict.fromkeys(arguments.probe)
        for mix in mixes
        for seed in arguments.seeds
    ]


def _measures(arguments: argparse.Namespace) -> list[str]:
    return ["score"] + ["control"] * arguments.control + ["mdl"] * arguments.mdl


def _executor(arguments: argparse.Namespace, folder: Path) -> Executor:
    from probing_bridge.probes import executors

    if cluster := asked_cluster(arguments):
        return executors.run_on_cluster(cluster, folder / "submitit")
    return executors.run_here if arguments.jobs == 1 else executors.run_in_processes(arguments.jobs)


def _work(executor: Executor, units: Sequence[Unit]) -> list[Report]:
    """Runs all units, then those jobs again that another runner was at; returns what failed."""
    from tqdm import tqdm

    failed, wait = [], False
    with tqdm(total=sum(len(unit.jobs) for unit in units), unit="job", disable=None) as bar:
        while units:
            elsewhere: set[Job] = set()
            for reports in executor(units, wait):
                bar.update(sum(report.status != "elsewhere" for report in reports))
                failed += [report for report in reports if report.status == "failed"]
                elsewhere |= {report.job for report in reports if report.status == "elsewhere"}
            units, wait = list(_only(units, elsewhere)), True
    return failed


def _only(units: Sequence[Unit], jobs: set[Job]) -> Iterator[Unit]:
    from dataclasses import replace

    for unit in units:
        some = tuple(job for job in unit.jobs if job in jobs)
        if some:
            yield replace(unit, jobs=some)


def summary(tables: dict[str, pd.DataFrame]) -> str:
    """The best layer of each task and model, as in the report's tables, beside the majority baselines.

    Args:
        tables: The probes table among others.

    Returns:
        Lines of text; scores are means over seeds.
    """
    from probing_bridge.results.naming import rows_of
    from probing_bridge.results.probing import best_scores

    lines = [f"{'task':24} {'model':16} {'probe':7} {'layer':>5} {'score':>7} {'majority':>9} {'by word':>9}"]
    for row in rows_of(best_scores(tables["probes"])):
        baselines = " ".join(f"{'-' if x != x else f'{x:.3f}':>9}" for x in (row.majority, row.word_majority))
        lines.append(f"{row.task:24} {row.model:16} {row.probe:7} {row.layer:>5} {row.score:7.3f} {baselines}")
    return "\n".join(lines)
