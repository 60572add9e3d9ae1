"""Waiting for jobs: what Slurm says of them, lines that tell how it goes, and how each ended."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from probing_bridge.errors import BridgeError
from probing_bridge.progress import tell

ENDED = {
    "CANCELLED": "it was cancelled",
    "DEADLINE": "it was stopped at its deadline",
    "INTERRUPTED": "its process was killed",
    "NODE_FAIL": "its machine failed",
    "OUT_OF_MEMORY": "it was killed for want of memory: give more with --cluster mem_gb=N",
    "PREEMPTED": "another job took its place",
    "TIMEOUT": "it was stopped by its time limit: give more with --cluster timeout_min=N",
    **dict.fromkeys(("BOOT_FAIL", "COMPLETED", "FAILED", "FINISHED", "REVOKED"), ""),
}  # states of Slurm, and of submitit's local jobs, after which nothing more comes
_RUNS = ("RUNNING", "COMPLETING")
_WAITS = ("PENDING", "REQUEUED")
_UNKNOWN = ("", "None")
_SACCT_PATIENCE = 600.0  # seconds without an answer of sacct


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


class NoAnswer(Exception):
    """sacct failed; why, in one line."""


def sacct(*options: str) -> str:
    """What sacct prints, in columns.

    Raises:
        NoAnswer: It failed or is not there.
    """
    command = ["sacct", "--allocations", "--parsable2", "--format=JobID,State,Reason", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAnswer(str(error).splitlines()[0]) from error
    if done.returncode:
        raise NoAnswer("; ".join(done.stderr.split("\n")).strip("; ") or f"status {done.returncode}")
    return done.stdout


def _slurm_states(jobs: Sequence[Any]) -> dict[str, tuple[str, str]]:
    """Number -> state and why it is pending; a job that Slurm has not put on its books yet is missing."""
    numbers = ",".join({job.job_id.split("_")[0] for job in jobs})
    told = jobs[0].watcher.read_info(sacct(f"--jobs={numbers}"))
    return {number: (row["State"].split()[0], row["Reason"]) for number, row in told.items()}  # "CANCELLED by 1000"


def _local_states(jobs: Sequence[Any]) -> dict[str, tuple[str, str]]:
    return {job.job_id: (job.state, "None") for job in jobs}


class Waiting:
    """Waits for jobs and says from time to time how many are at what.

    Attributes:
        left: Places of the jobs that have not ended.
    """

    def __init__(self, jobs: Sequence[Any], title: str, *, on_slurm: bool) -> None:
        """Begins to wait.

        Args:
            jobs: submitit's jobs.
            title: Begins each line.
            on_slurm: Whether they are Slurm's; else processes of this machine.
        """
        self.left = list(range(len(jobs)))
        self._jobs, self._title = jobs, title
        self._states, self._lag = (_slurm_states, 20.0) if on_slurm else (_local_states, 0.0)
        self._state: dict[str, tuple[str, str]] = {}
        self._since = self._answered = time.monotonic()
        self._asked = self._told = float("-inf")
        self._ran: set[str] = set()  # numbers of jobs that have begun
        self._gone: dict[int, float] = {}  # place -> when its state was first seen to be one of an end
        self._ended: Counter[str] = Counter(done=0, failed=0)
        self._line = ""

    def endings(self) -> Iterator[Ended]:
        """How each job ended, as soon as it did."""
        while self.left:
            self._ask()
            for place in list(self.left):
                ended = self._ending(place)
                if ended is not None:
                    self.left.remove(place)
                    self._ended["failed" if ended.failure else "done"] += 1
                    yield ended
            self._show()
            if self.left:
                time.sleep(1)

    def _ask(self) -> None:
        """Asks for states, at first every other second, later every half minute.

        Raises:
            BridgeError: There has been no answer for a long time.
        """
        now = time.monotonic()
        if now - self._asked < min(30.0, max(2.0, (now - self._since) / 10)):
            return
        self._asked = now
        try:
            states = self._states([self._jobs[place] for place in self.left])
        except NoAnswer as error:
            if now - self._answered > _SACCT_PATIENCE:
                raise BridgeError(
                    f"{self._title}: sacct has not said for {_SACCT_PATIENCE / 60:.0f} minutes how they are ({error});"
                    " they go on: run the same command again when it answers"
                ) from error
            return
        for number, (state, _) in states.items():
            before = self._state.get(number, _UNKNOWN)[0]
            if state in _RUNS:
                self._ran.add(number)
            elif state in _WAITS and state != before and (state == "REQUEUED" or number in self._ran):
                self._ran.discard(number)
                tell(f"{self._title}: {number} was stopped (its time limit, or another job) and is queued again")
        self._state, self._answered = states, now

    def _ending(self, place: int) -> Ended | None:
        """How a job ended; None if it has not."""
        job = self._jobs[place]
        if job.paths.result_pickle.exists():
            outcome, result = pickle.loads(job.paths.result_pickle.read_bytes())
            result, failure = result if outcome == "success" else (None, result.splitlines()[-1])
        else:
            state = self._state.get(job.job_id, _UNKNOWN)[0]
            if state not in ENDED:
                self._gone.pop(place, None)
                return None
            gone = self._gone.setdefault(place, time.monotonic())
            if time.monotonic() - gone < self._lag:  # files of another machine are seen late
                return None
            result, failure = None, ENDED[state] or f"it left no result, its state is {state}"
        if failure:
            failure = f"job {job.job_id} failed: {failure} (log: {job.paths.stderr})"
        return Ended(place, result, failure)

    def _show(self) -> None:
        """Says how many are pending, running, done and failed, if that has changed and not just been said."""
        states = [self._state.get(self._jobs[place].job_id, _UNKNOWN) for place in self.left]
        running = sum(state in _RUNS for state, _ in states)
        reasons = sorted({reason for state, reason in states if state in _WAITS} - {"None"})
        pending = f"{len(states) - running} pending" + (f" ({', '.join(reasons)})" if reasons else "")
        ended = ", ".join(f"{count} {name}" for name, count in self._ended.items())
        line = f"{self._title}: {pending}, {running} running, {ended}"
        often = 2.0 if sys.stderr.isatty() else 60.0
        if line != self._line and (not self.left or not self._line or time.monotonic() - self._told > often):
            self._line, self._told = line, time.monotonic()
            tell(line)
