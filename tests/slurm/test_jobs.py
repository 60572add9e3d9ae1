"""`probe` and `similarity` on a real Slurm: the local tables, and everything that happens to jobs."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ON_SLURM = ("--executor", "slurm", "--cluster", "timeout_min=10")
SEEDS = [str(seed) for seed in range(10)]


class Bridge:
    """A command of the bridge that runs beside the test."""

    def __init__(self, environment: dict[str, str], *words: object) -> None:
        command = [sys.executable, "-m", "probing_bridge.run", *map(str, words)]
        self._process = subprocess.Popen(
            command, env=environment, stdout=-1, stderr=-1, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's `&` has it ignored
        )  # fmt: skip

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Whatever it does."""
        self._process.kill()

    def end(self, seconds: float = 400) -> tuple[int, str]:
        """Its status, and what it said on standard error."""
        try:
            _, said = self._process.communicate(timeout=seconds)
        finally:
            self.kill()
        return self._process.returncode, said


def cells(table: Path) -> list[dict[str, str]]:
    """A table's text but for the command that made it, which names the output."""
    with table.open(newline="") as file:
        return [{name: cell for name, cell in row.items() if name != "command"} for row in csv.DictReader(file)]


def tables(folder: Path) -> dict[str, list[dict[str, str]]]:
    return {table.name: cells(table) for table in sorted(folder.glob("*.csv"))}


@pytest.fixture(scope="module")
def probing(module, tmp_path_factory) -> list[object]:
    """A probing grid of two levels and four tasks with many seeds, without its output."""
    made_up, folder = module("probing_bridge/cli/test_probe.py"), tmp_path_factory.mktemp("probing")
    suite = made_up.write_corpus(folder)
    reps = [made_up.write_representations(folder / f"lth{level}.hdf5", suite, level) for level in range(2)]
    return ["probe", "--suite", suite, "--reps", *reps, "--seeds", *SEEDS]


@pytest.fixture(scope="module")
def local(probing, slurm, tmp_path_factory) -> dict[str, list[dict[str, str]]]:
    """The tables of the grid, made on this machine without Slurm."""
    folder = tmp_path_factory.mktemp("local") / "results"
    assert Bridge(slurm.environment, *probing, "--output", folder).end()[0] == 0
    return tables(folder)


@pytest.fixture
def begun(request, probing, slurm, tmp_path) -> Iterator[tuple[Bridge, str]]:
    """The grid on Slurm, begun: a job that runs and has finished some of its pieces, and who waits for it."""
    environment = {**slurm.environment, **getattr(request, "param", {})}
    bridge = Bridge(environment, *probing, "--output", tmp_path, *ON_SLURM, "--at-once", "1")
    try:
        slurm.until(lambda: len(probe_parts(tmp_path)) > 5, "finished layers")
        yield bridge, next(number for number, state in slurm.states().items() if state == "RUNNING")
    finally:
        bridge.kill()
        slurm.cancel_all()


def probe_parts(output: Path) -> dict[Path, int]:
    """Finished layers of probes, each with the time of its making."""
    return {part: part.stat().st_mtime_ns for part in (output / "probes.parts").glob("*/lth*/*.npz")}


def check_again(slurm, probing, output: Path, local: dict[str, list[dict[str, str]]]) -> None:
    """The same command once more makes the local tables, and nothing that is finished anew."""
    before = probe_parts(output)
    status, said = Bridge(slurm.environment, *probing, "--output", output, *ON_SLURM).end()
    assert status == 0, said
    assert tables(output) == local
    after = probe_parts(output)
    assert {part: after[part] for part in before} == before and len(before) < len(after)


def check_failed(said: str, number: str, reason: str) -> None:
    """What is told of a job that has failed: its pieces that were not finished, with the reason, and nothing else."""
    failed = re.findall(r"^failed: (.*)$", said, re.M)
    told, total = map(int, re.search(r"^(\d+) of (\d+) jobs failed; run again", said, re.M).groups())
    assert 0 < len(failed) == told < total
    assert all(f"job {number} failed: {reason}" in line for line in failed)
    log = Path(re.search(r"\(log: (.*)\)$", failed[0]).group(1))
    assert log.exists()


def test_probes_are_the_local_ones(slurm, probing, local, tmp_path):
    status, said = Bridge(slurm.environment, *probing, "--output", tmp_path, "--executor", "slurm", "--cluster",
                          "timeout_min=10", "slurm_partition=main", "--at-once", "2").end()  # fmt: skip
    assert status == 0, said
    assert tables(tmp_path) == local
    number, count = re.search(r"^job (\d+): (\d+) submitted, logs in .*; to cancel: scancel \1$", said, re.M).groups()
    assert int(count) > 2
    assert slurm.states() == {}
    lines = re.findall(rf"^job {number}: (\d+) pending.*, (\d+) running, (\d+) done, (\d+) failed$", said, re.M)
    assert all(sum(map(int, line)) == int(count) for line in lines) and lines[-1] == ("0", "0", count, "0")
    assert all(int(line[1]) <= 2 for line in lines)
    asked = slurm.command("sacct", "--noheader", "--allocations", "--parsable2", "--format=JobID,State", "-j", number)
    assert sorted(asked.splitlines()) == sorted(f"{number}_{place}|COMPLETED" for place in range(int(count)))


def test_similarity_is_the_local_one(slurm, module, tmp_path):
    maker = module("probing_bridge/similarity/conftest.py").DumpMaker(tmp_path, n_sentences=15)
    dumps = [maker.level(level).path for level in range(3)]
    made = {}
    for where, more in (("here", ()), ("slurm", ("--executor", "slurm", "--cluster", "timeout_min=10"))):
        command = ("similarity", "--dumps", *dumps, "--output", tmp_path / where, *more)
        status, said = Bridge(slurm.environment, *command).end()
        assert status == 0, said
        made[where] = tables(tmp_path / where)
    assert len(made["here"]) >= 2 and made["slurm"] == made["here"]


def test_a_killed_process(slurm, probing, local, begun, tmp_path):
    bridge, number = begun
    for process in slurm.processes(number, "python"):
        os.kill(process, signal.SIGKILL)
    status, said = bridge.end()
    assert status == 1
    check_failed(said, number, "it left no result, its state is FAILED")
    check_again(slurm, probing, tmp_path, local)


def test_a_cancelled_job(slurm, probing, local, begun, tmp_path):
    bridge, number = begun
    slurm.command("scancel", number)
    slurm.until(lambda: number not in slurm.states(), "end of the job", seconds=9)  # KillWait is longer
    status, said = bridge.end()
    assert status == 1
    check_failed(said, number, "it was cancelled")
    assert not list(tmp_path.rglob("*.tmp*"))
    check_again(slurm, probing, tmp_path, local)


def freeze(slurm, number: str) -> None:
    """Stops the clock of a job's work: Slurm looks at its own every half minute, and sends SIGCONT before a signal."""
    for process in slurm.processes(number, "python"):
        os.kill(process, signal.SIGSTOP)


def test_a_time_limit_with_notice(slurm, probing, local, begun, tmp_path):
    bridge, number = begun
    freeze(slurm, number)
    before = probe_parts(tmp_path)
    slurm.move_limit(number, "now+1minute")  # the signal comes 90 seconds before
    slurm.until(lambda: slurm.states().get(number) == "PENDING", "job that is queued again")
    time.sleep(35)  # sacct is asked that often
    slurm.command("scontrol", "update", f"JobId={number}", "StartTime=now")  # else in two minutes
    status, said = bridge.end()
    assert status == 0, said
    assert f"{number} was stopped (its time limit, or another job) and is queued again" in said
    assert tables(tmp_path) == local
    after = probe_parts(tmp_path)
    assert {part: after[part] for part in before} == before and len(before) < len(after)


@pytest.mark.parametrize("begun", [{"SBATCH_NO_REQUEUE": "1"}], indirect=True)
def test_a_time_limit_where_jobs_may_not_be_queued_again(slurm, probing, local, begun, tmp_path):
    bridge, number = begun
    freeze(slurm, number)
    slurm.move_limit(number, "now+1minute")
    status, said = bridge.end()
    assert status == 1
    check_failed(said, number, "it was stopped by its time limit: give more with --cluster timeout_min=N")
    check_again(slurm, probing, tmp_path, local)


def test_waiting_that_is_broken_off(slurm, probing, local, begun, tmp_path):
    bridge, number = begun
    bridge.interrupt()
    status, said = bridge.end()
    array = number.split("_")[0]
    assert status == 130 and "Traceback" not in said
    assert re.search(rf"^job {array}: \d+ are not waited for any more; to cancel: scancel {array}$", said, re.M)
    assert number in slurm.states()
    check_again(slurm, probing, tmp_path, local)  # shares what is left with the jobs of before


class TestRefused:
    """One line, status 2, and nothing is queued or left."""

    def check(self, slurm, probing, output: Path, *more: str, seconds: float = 60) -> str:
        status, said = Bridge(slurm.environment, *probing, "--output", output, "--executor", "slurm", *more).end(
            seconds
        )
        lines = [
            line for line in said.splitlines() if not any(part in line for part in ("job/s", "?job", "jobs to do"))
        ]
        assert status == 2 and len(lines) == 1, said
        assert slurm.states() == {}
        assert not list(output.rglob("*.pkl")) and not list(output.rglob("*.sh")) and not list(output.glob("*.csv"))
        return lines[0]

    def test_a_full_queue(self, slurm, probing, tmp_path):
        slurm.command("sacctmgr", "--immediate", "modify", "user", "root", "set", "MaxSubmitJobs=1")
        try:
            line = self.check(slurm, probing, tmp_path)
        finally:
            slurm.command("sacctmgr", "--immediate", "modify", "user", "root", "set", "MaxSubmitJobs=-1")
        assert "the jobs cannot be submitted: sbatch: error: AssocMaxSubmitJobLimit" in line
        assert "job submit limit" in line

    def test_an_unknown_partition(self, slurm, probing, tmp_path):
        line = self.check(slurm, probing, tmp_path, "--cluster", "slurm_partition=none")
        assert "the jobs cannot be submitted: sbatch: error:" in line and "invalid partition specified: none" in line

    @pytest.mark.parametrize("setting", ["timeout_min=1.5", "slurm_partitoin=main", "timeout_mins=5"])
    def test_a_setting_that_there_is_not(self, slurm, probing, tmp_path, setting):
        assert setting.split("=")[0].removeprefix("slurm_") in self.check(
            slurm, probing, tmp_path / "results", "--cluster", setting
        )
        assert not (tmp_path / "results").exists()

    def test_no_accounting(self, slurm_without_accounting, probing, tmp_path):
        line = self.check(slurm_without_accounting, probing, tmp_path / "results")
        assert "Slurm accounting storage is disabled" in line and "needs a cluster with accounting" in line
        assert not (tmp_path / "results").exists()
