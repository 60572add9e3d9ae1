"""One training a save dir, and a launcher whose processes do not know of each other."""

import os
import re
import signal
import time

import pytest

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


def test_a_save_dir_in_which_nothing_was_begun_is_left_as_it_was(tmp_path):
    run = tmp_path / "run"
    for _ in range(2):  # of several tasks that one process sets up, the second has the lock too
        lock.hold(run)
    assert f"process {os.getpid()}," in (run / "training.lock").read_text()
    lock.release(run)
    assert not run.exists()


@pytest.mark.parametrize("name", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_processes_that_do_not_know_of_each_other(refusal, flags, tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, "4")
    error = refusal([*flags, "--save-dir", tmp_path / "run"])
    assert f"{name}=4" in error and error.endswith("give --distributed-world-size 4")
    assert not (tmp_path / "run").exists()
