"""Where the units of a grid run: here one by one, in processes of this machine (joblib), or on a cluster (submitit)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from probing_bridge.errors import BridgeError
from probing_bridge.probes.grid import Report, Unit, iterate_unit, run_unit

Executor = Callable[[Sequence[Unit], bool], Iterator[list[Report]]]


def run_here(units: Sequence[Unit], wait: bool) -> Iterator[list[Report]]:
    """Runs units one by one in this process.

    Args:
        units: The units.
        wait: Whether to wait for jobs that another runner is at.

    Yields:
        Reports, job by job.
    """
    for unit in units:
        for report in iterate_unit(unit, wait=wait):
            yield [report]


def run_in_processes(workers: int) -> Executor:
    """Makes an executor that runs units in processes of this machine.

    Args:
        workers: How many at a time.

    Returns:
        The executor.
    """

    def run(units: Sequence[Unit], wait: bool) -> Iterator[list[Report]]:
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch=workers)
        left = {job for unit in units for job in unit.jobs}
        try:
            for reports in pool(delayed(run_unit)(unit, wait) for unit in units):
                left -= {report.job for report in reports}
                yield reports
        except Exception as error:  # a worker was killed, for want of memory as a rule
            reason = f"a worker process died: {(str(error).splitlines() or [type(error).__name__])[0]}"
            yield [Report(job, "failed", reason) for job in left]

    return run


def run_on_cluster(cluster: str, folder: Path, parameters: dict[str, Any]) -> Executor:
    """Makes an executor that submits each unit as one job with submitit.

    Args:
        cluster: `slurm`, or `local`: processes of this machine, to try it out.
        folder: Where submitit keeps its files.
        parameters: Of submitit's `update_parameters`, e.g. timeout_min, slurm_partition.

    Returns:
        The executor.

    Raises:
        BridgeError: submitit is not installed, or does not know a parameter, or there is no such cluster here.
    """

    def run(units: Sequence[Unit], wait: bool) -> Iterator[list[Report]]:
        try:
            import submitit
        except ImportError as error:
            raise BridgeError("--executor slurm needs submitit: pip install 'fairseq-lth[slurm]'") from error
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            executor.update_parameters(**{"timeout_min": 24 * 60, **parameters})
            submitted = [executor.submit(run_unit, unit, wait) for unit in units]
        except (RuntimeError, NameError, ValueError, AttributeError, FileNotFoundError) as error:
            raise BridgeError(f"the jobs cannot be submitted: {str(error).splitlines()[0]}") from error
        units_of = dict(zip((job.job_id for job in submitted), units, strict=True))
        for job in submitit.helpers.as_completed(submitted, poll_frequency=1):
            try:
                yield job.result()
            except Exception as error:  # the job died on its node
                reason = f"job {job.job_id} ended without a result ({type(error).__name__}); see {folder}"
                yield [Report(one, "failed", reason) for one in units_of[job.job_id].jobs]

    return run
