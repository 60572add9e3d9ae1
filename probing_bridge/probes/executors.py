"""Where the units of a grid run: here one by one, in processes of this machine (joblib), or on a cluster (submitit)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from probing_bridge.cluster.jobs import Cluster
from probing_bridge.probes.grid import Job, Unit, unfinished
from probing_bridge.probes.units import Ending, iterate_unit, run_unit

Executor = Callable[[Sequence[Unit], bool], Iterator[list[Ending]]]


def run_here(units: Sequence[Unit], wait: bool) -> Iterator[list[Ending]]:
    """Runs units one by one in this process.

    Args:
        units: The units.
        wait: Whether to wait for jobs that another runner is at.

    Yields:
        How jobs ended, one by one.
    """
    for unit in units:
        for ending in iterate_unit(unit, wait=wait):
            yield [ending]


def run_in_processes(workers: int) -> Executor:
    """Makes an executor that runs units in processes of this machine.

    Args:
        workers: How many at a time.

    Returns:
        The executor.
    """

    def run(units: Sequence[Unit], wait: bool) -> Iterator[list[Ending]]:
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch=workers)
        left = {job: unit.folder for unit in units for job in unit.jobs}
        try:
            for endings in pool(delayed(run_unit)(unit, wait) for unit in units):
                for ending in endings:
                    left.pop(ending.job)
                yield endings
        except Exception as error:  # a worker was killed, for want of memory as a rule
            reason = f"a worker process died: {(str(error).splitlines() or [type(error).__name__])[0]}"
            yield [_lost(job, folder, reason) for job, folder in left.items()]

    return run


def run_on_cluster(cluster: Cluster, folder: Path) -> Executor:
    """Makes an executor that submits each unit as one job.

    Args:
        cluster: Where.
        folder: Where submitit keeps its files.

    Returns:
        The executor; it raises BridgeError where the jobs cannot be submitted.
    """

    def run(units: Sequence[Unit], wait: bool) -> Iterator[list[Ending]]:
        for ended in cluster.run(run_unit, [(unit, wait) for unit in units], folder):
            unit = units[ended.place]
            lost = [_lost(job, unit.folder, ended.failure) for job in unit.jobs] if ended.failure else []
            yield lost or ended.result

    return run


def _lost(job: Job, folder: Path, reason: str) -> Ending:
    """How a job ended whose worker has died: it is done if its parts are there."""
    return Ending(job, "failed", reason) if unfinished(job, folder) else Ending(job, "done")
