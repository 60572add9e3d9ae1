"""Jobs of submitit: options, results in whatever order they come, failures in one line, and what Slurm says.

A real Slurm is in tests/slurm; here stand scripts for its commands.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probing_bridge.cluster import waiting
from probing_bridge.cluster.jobs import AT_ONCE, Cluster, _Call
from probing_bridge.cluster.options import add_cluster_arguments, asked_cluster
from probing_bridge.errors import BridgeError

LOCAL = Cluster("local", {"timeout_min": 5})


def asked(*words: str) -> Cluster | None:
    parser = argparse.ArgumentParser()
    add_cluster_arguments(parser, "jobs")
    return asked_cluster(parser.parse_args(words))


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that commands are looked for in; empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def stand_in(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_options(commands: Path) -> None:
    for name in ("srun", "sacct"):
        stand_in(commands, name, "exit 0")
    assert asked() is None and asked("--executor", "here") is None
    words = ("--cluster", "timeout_min=5", "mem_gb=1.5", "slurm_partition=cpu", "slurm_setup=module load x")
    parameters = {"timeout_min": 5, "mem_gb": 1.5, "slurm_partition": "cpu", "slurm_setup": ["module load x"]}
    assert asked("--executor", "submitit-local", *words[:4]) == Cluster(
        "local", {name: parameters[name] for name in ("timeout_min", "mem_gb", "slurm_partition")}, AT_ONCE
    )
    assert asked("--executor", "slurm", *words, "--at-once", "3") == Cluster("slurm", parameters, 3)


@pytest.mark.parametrize("setting", ["timeout_min", "=5"])
def test_a_setting_without_name_or_value(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asked("--executor", "slurm", "--cluster", setting)
    assert f"{setting!r}: expected NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("timeout_min=1.5", "--cluster timeout_min=1.5: expected a whole number, at least 1"),
        ("timeout_min=0", "--cluster timeout_min=0: expected a whole number, at least 1"),
        ("mem_gb=all", "--cluster mem_gb=all: expected gigabytes"),
        ("timeout_mins=5", "--cluster timeout_mins: no such setting; there are mem_gb, timeout_min, "),
        ("slurm_time=1:00:00", "--cluster slurm_time: no such setting; timeout_min is it"),
        ("slurm_partitoin=cpu", "--cluster: Unknown argument 'partitoin' for executor 'slurm'"),
    ],
)
def test_a_setting_that_there_is_not_is_one_line(commands: Path, setting: str, message: str) -> None:
    for name in ("srun", "sacct"):
        stand_in(commands, name, "exit 0")
    with pytest.raises(BridgeError) as error:
        asked("--executor", "slurm", "--cluster", setting)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("sacct", "reason"),
    [
        ("echo Slurm accounting storage is disabled >&2; exit 1", "Slurm accounting storage is disabled"),
        ("exit 3", "status 3"),
        (None, "No such file or directory: 'sacct'"),
    ],
)
def test_a_cluster_without_accounting_is_refused_at_once(commands: Path, sacct: str | None, reason: str) -> None:
    stand_in(commands, "srun", "exit 0")
    if sacct is not None:
        stand_in(commands, "sacct", sacct)
    with pytest.raises(BridgeError, match="needs a cluster with accounting") as error:
        asked("--executor", "slurm")
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_where_there_is_no_slurm(commands: Path) -> None:
    with pytest.raises(BridgeError, match='--cluster: Could not detect "srun"'):
        asked("--executor", "slurm")


def divide(a: int, b: int) -> float:
    if b < 0:
        os._exit(3)  # as a job that the cluster kills
    return a / b


def test_each_call_ends_with_its_result_or_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = {one.place: one for one in LOCAL.run(divide, [(6, 3), (1, 0), (1, 4), (1, -1)], tmp_path / "jobs")}
    assert [ended[place].result for place in range(4)] == [2, None, 0.25, None]
    assert [bool(ended[place].failure) for place in range(4)] == [False, True, False, True]
    assert "ZeroDivisionError: division by zero" in ended[1].failure
    assert "it left no result, its state is FINISHED" in ended[3].failure
    for place in (1, 3):
        log = Path(ended[place].failure.split("(log: ")[1].rstrip(")"))
        assert log.parent.parent == tmp_path / "jobs" and log.exists() and "\n" not in ended[place].failure
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"jobs: 4 submitted, logs in {tmp_path / 'jobs'}")
    assert told[-1] == "jobs: 0 pending, 0 running, 2 done, 2 failed"


def test_no_calls_need_no_cluster(tmp_path: Path) -> None:
    assert list(Cluster("slurm", {}).run(divide, [], tmp_path)) == []


def test_jobs_that_cannot_be_submitted(commands: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands of Slurm without a controller that answers."""
    for name in ("sbatch", "srun"):
        stand_in(commands, name, "echo 'error: Unable to contact' >&2; echo 'Batch job submission failed' >&2; exit 1")
    with pytest.raises(BridgeError) as error:
        list(Cluster("slurm", {}).run(divide, [(1, 2), (3, 4)], tmp_path / "jobs"))
    reason = "error: Unable to contact; Batch job submission failed"
    assert str(error.value) == f"the jobs cannot be submitted: {reason}"
    assert list((tmp_path / "jobs").iterdir()) == [] and capsys.readouterr().err == ""


STATES = """if [ -e {0}/3 ]; then echo 'slurmdbd: down' >&2; exit 1; fi
echo 'JobID|State|Reason'
if [ -e {0}/2 ]; then echo '7_0|FAILED|None'; echo '7_1|CANCELLED by 1000|None'
elif [ -e {0}/1 ]; then echo '7_[0-1%1]|PENDING|PartitionTimeLimit'
else echo '7_0|RUNNING|None'; echo '7_1|PENDING|JobArrayTaskLimit'; fi"""


class TestSlurm:
    """An array of two jobs, of which Slurm says one thing after the other."""

    @pytest.fixture
    def array(self, commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list:
        import submitit

        stand_in(commands, "sacct", STATES.format(tmp_path))
        now = iter(range(0, 100_000, 31))  # each look at the clock is half a minute later: no waiting
        monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        return [submitit.SlurmJob(tmp_path / "jobs", f"7_{place}") for place in range(2)]

    def test_what_is_told(self, array: list, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        wait = waiting.Waiting(array, "job 7", on_slurm=True)
        for step in ("1", "2"):
            for _ in range(3):
                wait._ask()
                wait._show()
            (tmp_path / step).touch()
        failures = [ended.failure for ended in wait.endings()]
        assert failures[0].startswith("job 7_0 failed: it left no result, its state is FAILED (log: ")
        assert failures[1].startswith("job 7_1 failed: it was cancelled (log: ")
        assert capsys.readouterr().err.splitlines() == [
            "job 7: 1 pending (JobArrayTaskLimit), 1 running, 0 done, 0 failed",
            "job 7: 7_0 was stopped (its time limit, or another job) and is queued again",
            "job 7: 2 pending (PartitionTimeLimit), 0 running, 0 done, 0 failed",
            "job 7: 0 pending, 0 running, 0 done, 2 failed",
        ]

    def test_sacct_may_be_silent_for_a_while_but_not_for_ever(self, array: list, tmp_path: Path) -> None:
        (tmp_path / "3").touch()
        with pytest.raises(
            BridgeError, match=r"job 7: sacct has not said for 10 minutes how they are \(slurmdbd: down"
        ):
            list(waiting.Waiting(array, "job 7", on_slurm=True).endings())


class TestSignals:
    """In a job, where submitit's handler stands: what a stage takes for the failure of one piece must not hide it."""

    @staticmethod
    def work(number: int) -> str:
        try:
            os.kill(os.getpid(), number)
        except Exception:
            return "goes on"
        return "was not stopped"

    @pytest.fixture
    def submitits(self) -> Iterator[list[int]]:
        """What submitit's handler got; it refuses to queue the job again."""
        before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM)}
        got: list[int] = []

        def handler(number: int, frame: object) -> None:
            got.append(number)
            raise RuntimeError("Job not requeued because: timed-out too many times.")

        signal.signal(signal.SIGUSR2, handler)
        yield got
        for number, was in before.items():
            signal.signal(number, was)

    def test_a_job_that_is_not_queued_again_ends_with_its_reason(self, submitits: list[int]) -> None:
        result, failure = _Call(self.work)(signal.SIGUSR2)
        assert (result, submitits) == (None, [signal.SIGUSR2])
        assert failure.startswith("it was stopped by its time limit: give more with --cluster timeout_min=N (Job not")

    def test_a_cancelled_job_ends_without_a_result(self, submitits: list[int]) -> None:
        with pytest.raises(SystemExit, match="143"):
            _Call(self.work)(signal.SIGTERM)

    def test_elsewhere_signals_stay_as_they_are(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        assert _Call(self.work)(0) == ("was not stopped", "") and signal.getsignal(signal.SIGTERM) is before

    def test_the_same_call_is_queued_again(self) -> None:
        again = _Call(self.work).checkpoint(0)
        assert again.result() == ("was not stopped", "")
