"""Calls as jobs of submitit.

A piece of work is one call of a function that workers can import; it leaves what it makes in files that every machine
sees, piece by piece, so that a job which is stopped goes on where it was. The stages only say which calls there are
and what it means that one failed.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probing_bridge.cluster.waiting import ENDED, Ended, NoAnswer, Waiting, sacct
from probing_bridge.errors import BridgeError
from probing_bridge.progress import tell

TIMEOUT_MINUTES = 24 * 60
AT_ONCE = 64


@dataclass(frozen=True)
class Cluster:
    """Where calls run as jobs of submitit.

    Attributes:
        name: `slurm`, or `local`: processes of this machine, to try it out.
        parameters: Of submitit's `update_parameters`, e.g. timeout_min, slurm_partition.
        at_once: How many jobs of an array Slurm runs at the same time.
    """

    name: str
    parameters: Mapping[str, Any]
    at_once: int = AT_ONCE

    def check(self) -> None:
        """Finds at once what would be refused, or waited for in vain, once all input has been read.

        Raises:
            BridgeError: submitit is not installed or does not know a setting, there is no such cluster here, or it
                keeps no accounts, without which nobody learns that a job has died.
        """
        self._executor(Path(tempfile.gettempdir()))
        if self.name == "slurm":
            try:
                sacct("--starttime=now")
            except NoAnswer as error:
                reason = f"sacct, which says how a job ended, fails ({error})"
                raise BridgeError(f"{reason}: --executor slurm needs a cluster with accounting (slurmdbd)") from error

    def run(self, function: Callable[..., Any], calls: Sequence[Sequence[Any]], folder: Path) -> Iterator[Ended]:
        """Submits calls that do not need each other as one array, tells how it goes, and waits for them.

        A job that its time limit stops is queued again by submitit, three times; then its call has failed.

        Args:
            function: Importable where the jobs run.
            calls: The arguments of each call; as many in each.
            folder: Where submitit keeps its files, the logs among them, in a folder for each submission.

        Yields:
            How each call ended, as soon as it did.

        Raises:
            BridgeError: The jobs cannot be submitted; nothing is queued then. Or Slurm does not say any more how they
                are.
        """
        if not calls:
            return
        folder = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"  # numbers of jobs come again
        jobs = self._submit(function, calls, folder)
        number = jobs[0].job_id.split("_")[0]  # of the array; local jobs have one each
        title, cancel = ("jobs", "") if self.name == "local" else (f"job {number}", f"; to cancel: scancel {number}")
        tell(f"{title}: {len(jobs)} submitted, logs in {folder}{cancel}")
        waiting = Waiting(jobs, title, on_slurm=self.name == "slurm")
        try:
            yield from waiting.endings()
        finally:
            if waiting.left:
                tell(f"{title}: {len(waiting.left)} are not waited for any more{cancel}")

    def _submit(self, function: Callable[..., Any], calls: Sequence[Sequence[Any]], folder: Path) -> list[Any]:
        """The jobs, one array."""
        executor = self._executor(folder)
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # submitit prints what its error says again
                return executor.map_array(_Call(function), *zip(*calls, strict=True))
        except (RuntimeError, OSError) as error:
            reason = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
            queued = {path.name.split("_")[0] for path in folder.glob("*_submission.sh")}  # then a disk is full
            if queued:
                reason += f"; job {' '.join(queued)} is queued all the same, to cancel: scancel {' '.join(queued)}"
            else:
                shutil.rmtree(folder, ignore_errors=True)
            raise BridgeError(f"the jobs cannot be submitted: {reason}") from error

    def _executor(self, folder: Path) -> Any:
        """An executor with all settings.

        Raises:
            BridgeError: submitit is not installed or does not know a setting, or there is no such cluster here.
        """
        try:
            import submitit
        except ImportError as error:
            raise BridgeError("--executor needs submitit: pip install 'fairseq-lth[slurm]'") from error
        given = {"timeout_min": TIMEOUT_MINUTES, **self.parameters}
        if self.name == "slurm":
            early = min(90, 20 * given["timeout_min"])  # seconds, and Slurm's signal may come a minute before that
            given = {"slurm_array_parallelism": self.at_once, "slurm_signal_delay_s": early, **given}
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=self.name)
            executor.update_parameters(**given)
        except (RuntimeError, NameError, ValueError, TypeError, AssertionError) as error:
            raise BridgeError(f"--cluster: {str(error).splitlines()[0]}") from error
        return executor


class _Stopped(BaseException):
    """A job may not go on; not an Exception, which a stage would take for the failure of one piece of its work."""


class _Call:
    """A function as a job calls it. submitit asks for its checkpoint at the time limit and queues the job again."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> tuple[Any, str]:
        """The function's result, or why there is none in one line; the log gets the traceback."""
        submitits = signal.getsignal(signal.SIGUSR2)
        if callable(submitits):  # in a job
            signal.signal(signal.SIGUSR2, lambda number, frame: _queue_again(submitits, number, frame))
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        try:
            return self._function(*arguments), ""
        except _Stopped as stopped:
            return None, str(stopped)
        except Exception as error:
            traceback.print_exc()
            return None, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"

    def checkpoint(self, *arguments: Any) -> Any:
        """The same call again: what is finished lies in files."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


def _queue_again(submitits: Callable[..., Any], number: int, frame: Any) -> None:
    """Answers the signal that comes before the time limit: submitit's handler queues the job again and exits.

    Raises:
        _Stopped: The job is not queued again.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # comes when the job is queued again
    try:
        submitits(number, frame)
    except Exception as error:
        raise _Stopped(f"{ENDED['TIMEOUT']} ({(str(error).splitlines() or [''])[0]})") from error
