"""One training a save dir, and a launcher whose processes do not know of each other."""

import os
import re
import signal
import time
from types import SimpleNamespace

import pytest

from fairseq_lth.errors import RunRefused
from fairseq_lth.training import lock


def test_of_two_trainings_one_runs_and_one_is_refused(start, flags, dense, same_level, tmp_path):
    run = tmp_path / "run"
    first = start([*flags, "--save-dir", run])
    while not (run / "checkpoint_rewind0.pt").is_file():
        time.sleep(0.05)
    os.kill(first._process.pid, signal.SIGSTOP)  # it must not end before the second has begun
    line = start([*flags, "--save-dir", run]).wait().error()
    os.kill(first._process.pid, signal.SIGCONT)
    who = re.search(
        r"another training is writing here \(host (\S+), process (\d+), since \d{4}-\d\d-\d\d [\d:]+\)", line
    )
    assert who, line
    assert (who[1], int(who[2])) == (os.uname().nodename, first._process.pid)
    first.wait().succeed()
    assert not (run / "training.lock").exists()
    for level in range(3):
        same_level(dense / f"checkpoint_lth{level}.pt", run / f"checkpoint_lth{level}.pt")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.2 * n for n in range(10)])
def test_two_trainings_started_one_after_the_other(start, flags, dense, same_level, tmp_path, seconds):
    first = start([*flags, "--save-dir", tmp_path])
    time.sleep(seconds)
    both = [first.wait, start([*flags, "--save-dir", tmp_path]).wait]
    ended, refused = sorted((wait() for wait in both), key=lambda training: training.status)
    ended.succeed()
    if seconds and refused.status == 0:  # the first may have ended before the second looked
        assert "all 2 levels after level 0 are there: nothing is left to train" in ended.output + refused.output
    else:
        assert "another training is writing here" in refused.error()
    assert not (tmp_path / "training.lock").exists()
    for level in range(3):
        same_level(dense / f"checkpoint_lth{level}.pt", tmp_path / f"checkpoint_lth{level}.pt")


def test_a_save_dir_in_which_nothing_was_begun_is_left_as_it_was(tmp_path):
    run = tmp_path / "run"
    for _ in range(2):  # of several tasks that one process sets up, the second has the lock too
        lock.hold(run)
    assert f"process {os.getpid()}," in (run / "training.lock").read_text()
    lock.release(run)
    assert not run.exists()


LAUNCHERS = {
    "WORLD_SIZE": "torchrun .*: give --distributed-world-size 4",
    "SLURM_STEP_NUM_TASKS": "srun .*: give --distributed-world-size 4 and a --distributed-port",
    "OMPI_COMM_WORLD_SIZE": "mpirun .*: start them with torchrun or srun .*",
    "PMI_SIZE": "mpirun .*: start them with torchrun or srun .*",
}


@pytest.fixture
def no_launcher(monkeypatch):
    for _, size, rank, _ in lock._LAUNCHERS:
        monkeypatch.delenv(size, raising=False)
        monkeypatch.delenv(rank, raising=False)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_processes_that_do_not_know_of_each_other(no_launcher, monkeypatch, name):
    alone = SimpleNamespace(distributed_world_size=1, distributed_rank=0)
    monkeypatch.setenv(name, "1")
    lock.require_one_training(alone)
    monkeypatch.setenv(name, "4")
    with pytest.raises(RunRefused, match=f" {name}=4: {LAUNCHERS[name]}$"):
        lock.require_one_training(alone)


def test_a_launcher_is_asked_before_anything_is_made(no_launcher, refusal, flags, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert "torchrun started 4 processes" in refusal([*flags, "--save-dir", tmp_path / "run"])
    assert not (tmp_path / "run").exists()


def test_processes_that_each_start_as_many_again(no_launcher, monkeypatch):
    """As where fairseq does not know the launcher but sees a GPU for each process."""
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    lock.require_one_training(SimpleNamespace(distributed_world_size=2, distributed_rank=1))
    with pytest.raises(RunRefused, match="mpirun started 2 processes that do not know of each other"):
        lock.require_one_training(SimpleNamespace(distributed_world_size=2, distributed_rank=0))
    lock.require_one_training(SimpleNamespace(distributed_world_size=16, distributed_rank=0))  # eight GPUs a process


def test_torchrun_numbers_processes_as_it_likes_where_srun_started_it(no_launcher, monkeypatch):
    for name, value in ("WORLD_SIZE", "2"), ("RANK", "1"), ("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "0"):
        monkeypatch.setenv(name, value)
    lock.require_one_training(SimpleNamespace(distributed_world_size=2, distributed_rank=1))
