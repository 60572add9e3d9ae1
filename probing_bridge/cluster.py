"""Work on a cluster: the options that say where, and jobs of submitit that do it.

A piece of work is one call of a function that workers can import; it leaves what it makes in files that every machine
sees. The stages only say which calls there are and what it means that one failed.
"""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from probing_bridge.errors import BridgeError

EXECUTORS = {"slurm": "slurm", "submitit-local": "local"}  # as it is asked for -> as submitit calls it
TIMEOUT_MINUTES = 24 * 60


@dataclass(frozen=True)
class Ended:
    """How one call ended.

    Attributes:
        place: Which of the calls it is.
        result: What the function returned; None if it failed.
        failure: Why there is no result, in one line; empty if there is one.
    """

    place: int
    result: Any
    failure: str = ""


@dataclass(frozen=True)
class Cluster:
    """Where calls run as jobs of submitit.

    Attributes:
        name: `slurm`, or `local`: processes of this machine, to try it out.
        parameters: Of submitit's `update_parameters`, e.g. timeout_min, slurm_partition.
    """

    name: str
    parameters: Mapping[str, Any]

    def run(self, function: Callable[..., Any], calls: Sequence[Sequence[Any]], folder: Path) -> Iterator[Ended]:
        """Submits calls that do not need each other as one array, and waits for them.

        Args:
            function: Importable where the jobs run.
            calls: The arguments of each call; as many in each.
            folder: Where submitit keeps its files, the logs among them.

        Yields:
            How each call ended, as soon as it did.

        Raises:
            BridgeError: submitit is not installed, or does not know a parameter, or there is no such cluster here.
        """
        if not calls:
            return
        try:
            import submitit
        except ImportError as error:
            raise BridgeError("--executor needs submitit: pip install 'fairseq-lth[slurm]'") from error
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=self.name)
            executor.update_parameters(**{"timeout_min": TIMEOUT_MINUTES, **self.parameters})
            jobs = executor.map_array(partial(_attempt, function), *zip(*calls, strict=True))
        except (RuntimeError, NameError, ValueError, AttributeError, FileNotFoundError) as error:
            raise BridgeError(f"the jobs cannot be submitted: {str(error).splitlines()[0]}") from error
        places = {job.job_id: place for place, job in enumerate(jobs)}
        for job in submitit.helpers.as_completed(jobs, poll_frequency=1):
            try:
                result, failure = job.result()
            except submitit.core.utils.UncompletedJobError:  # killed: the state says whether for time or for memory
                result, failure = None, f"it left no result, its state is {job.state}"
            if failure:
                failure = f"job {job.job_id} failed ({failure}); logs are in {folder}"
            yield Ended(places[job.job_id], result, failure)


def _attempt(function: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """Calls a function in its job: its result, or its exception in one line; the log gets the traceback."""
    try:
        return function(*arguments), ""
    except Exception as error:
        traceback.print_exc()
        return None, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def add_cluster_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """Declares where the work is done and with which settings of submitit.

    Args:
        parser: Gets the options.
        what: The pieces of work, as jobs or tiles, for the help.
    """
    add = parser.add_argument
    add("--executor", default="here", choices=("here", *EXECUTORS), help=f"where {what} run (default: here)")
    add("--cluster", type=_setting, nargs="+", default=[], metavar="NAME=VALUE", help="settings of submitit's jobs")


def asked_cluster(arguments: argparse.Namespace) -> Cluster | None:
    """The cluster that the options ask for; None for this machine."""
    name = EXECUTORS.get(arguments.executor)
    return None if name is None else Cluster(name, dict(arguments.cluster))


def _setting(text: str) -> tuple[str, Any]:
    """One of submitit's settings, `name=value`; the value is a number where it can be."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE, as slurm_partition=cpu")
    return name, int(value) if value.isdigit() else value
