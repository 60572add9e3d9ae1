"""Killed trainings end with the levels of an uninterrupted one, bit for bit, in every rewind mode."""

import math
import random
import subprocess

import pandas as pd
import pytest

MODES = ("lr", "weights", "none")


@pytest.fixture(scope="module")
def uninterrupted(train, flags, dense, tmp_path_factory):
    """Finished runs, by rewind mode and further flags."""
    finished = {(): dense, ("--imp-rewind", "lr"): dense}

    def run(*extra):
        if extra not in finished:
            folder = tmp_path_factory.mktemp("whole")
            train([*flags, *extra, "--save-dir", folder]).succeed()
            finished[extra] = folder
        return finished[extra]

    return run


@pytest.fixture
def check_killed(train, flags, uninterrupted, same_level, tmp_path):
    def check(die, *extra, signal="SIGKILL"):
        whole = uninterrupted(*extra)
        killed = train([*flags, *extra, "--save-dir", tmp_path / "run"], die=die, signal=signal)
        assert killed.status == (-9 if signal == "SIGKILL" else 143), "the event never came"
        train([*flags, *extra, "--save-dir", tmp_path / "run"]).succeed()
        for level in range(3):
            same_level(whole / f"checkpoint_lth{level}.pt", tmp_path / "run" / f"checkpoint_lth{level}.pt")

        def rows(folder):
            lines = (folder / "lth.csv").read_text().splitlines()
            return [line.split(",")[:21] for line in lines]

        assert rows(whole) == rows(tmp_path / "run")
        assert (whole / "lth_modules.csv").read_text() == (tmp_path / "run" / "lth_modules.csv").read_text()
        assert not list((tmp_path / "run").glob(".*.tmp"))
        return killed.output

    return check


@pytest.mark.parametrize(
    ("mode", "die"),
    [
        ("weights", ("update", 15)),
        ("lr", ("copy", 6)),
        pytest.param("none", ("update", 14), marks=pytest.mark.slow),
        pytest.param("weights", ("save", 3), marks=pytest.mark.slow),
        pytest.param("lr", ("replace", 4), marks=pytest.mark.slow),
    ],
)
def test_killed_training_goes_on_as_if_nothing_had_happened(check_killed, mode, die):
    check_killed(die, "--imp-rewind", mode)


@pytest.mark.slow
def test_a_kill_within_the_epoch_that_weights_are_rewound_to(check_killed):
    """The training goes on from the middle of epoch R, which has no point to rewind to yet."""
    check_killed(("update", 8), "--imp-rewind", "weights", "--save-interval-updates", "3")


RANDOM_POINTS = [("update", random.Random(11 * n).randint(1, 24)) for n in range(6)]


def test_sigterm_saves_in_the_middle_of_an_epoch(check_killed, tmp_path):
    """Of level 1, so mask and rewound schedule come back as well; nothing is the best checkpoint for it."""
    log = check_killed(("update", 19), signal="SIGTERM")
    assert "stopped by SIGTERM, saved in epoch 3 after 19 updates: the same command goes on from there" in log


@pytest.mark.slow
def test_sigterm_to_the_process_that_loads_batches_as_well(check_killed):
    """Schedulers send it to all of a job; the batch that the training waits for comes all the same."""
    log = check_killed(("load", 6), "--num-workers", "1", signal="SIGTERM")
    assert "stopped by SIGTERM, saved in epoch 1 after" in log


@pytest.mark.slow
@pytest.mark.parametrize("die", [("valid", 2), ("update", 16)])
def test_sigterm_at_the_end_of_an_epoch(check_killed, die):
    """At the last update of an epoch fairseq validates and saves; within the validation one more update is made."""
    assert "stopped by SIGTERM, saved" in check_killed(die, signal="SIGTERM")


@pytest.mark.slow
def test_reduce_lr_on_plateau_goes_on(check_killed):
    """Its step at the end of an epoch comes after saving, and fairseq does not save how long it has been waiting."""
    check_killed(("update", 5), "--lr-scheduler", "reduce_lr_on_plateau", "--lr-shrink", "0.5")


@pytest.mark.slow
@pytest.mark.parametrize("frequency", [1, 2])
def test_a_schedule_that_ends_with_the_dense_training_goes_on(check_killed, dense, frequency):
    """In the middle of the last dense epoch: its last update is the last with a rate above 0."""
    batches = int(pd.read_csv(dense / "lth.csv").set_index("level")["updates"][0]) // 2
    updates = math.ceil(batches / frequency)
    schedule = ["--lr-scheduler", "polynomial_decay", "--total-num-update", str(2 * updates)]
    steps = ["--update-freq", str(frequency), "--save-interval-updates", str(updates // 2)]
    check_killed(("update", 2 * updates - 1), *schedule, *steps)


@pytest.mark.parametrize("nth", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_full_disk_leaves_what_can_be_resumed(train, flags, uninterrupted, same_level, tmp_path, nth):
    run = tmp_path / "run"
    argv = [*flags, "--imp-rewind", "lr", "--save-dir", run]
    error = train(argv, die=("full", nth)).error()
    assert error.startswith(f"fairseq_lth: error: {run}: a checkpoint could not be written (No space left on device; ")
    assert not list(run.glob("*.tmp"))
    train(argv).succeed()
    for level in range(3):
        same_level(uninterrupted("--imp-rewind", "lr") / f"checkpoint_lth{level}.pt", run / f"checkpoint_lth{level}.pt")


@pytest.fixture
def small_disk(tmp_path):
    """Makes a file system that is too small, and gives it another size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def resize(kilobytes: int, *extra: str) -> None:
        options = ",".join([*extra, f"size={kilobytes}k"])
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"a file system can only be mounted by root: {made.stderr.strip()}")

    resize(10)
    yield folder, lambda kilobytes: resize(kilobytes, "remount")
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [20, 80, 160, 240, 330])
def test_a_disk_that_is_really_full(train, flags, uninterrupted, same_level, small_disk, kilobytes):
    """Full while the initialisation, a checkpoint, a copy of one or a level is written."""
    folder, resize = small_disk
    resize(kilobytes)
    argv = [*flags, "--imp-rewind", "lr", "--save-dir", folder / "run"]
    assert "a checkpoint could not be written (" in train(argv).error()
    resize(100_000)
    train(argv).succeed()
    whole = uninterrupted("--imp-rewind", "lr")
    for level in range(3):
        same_level(whole / f"checkpoint_lth{level}.pt", folder / "run" / f"checkpoint_lth{level}.pt")


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "die",
    [
        *RANDOM_POINTS,
        ("epoch", 3), ("lr_step", 4), ("valid", 3), ("save", 1), ("save", 2), ("save", 4), ("copy", 1), ("copy", 4),
        ("copy", 7), ("replace", 2), ("replace", 3), ("replace", 5), ("link", 1), ("link", 2), ("link", 3),
    ],
)  # fmt: skip
def test_killed_anywhere(check_killed, mode, die):
    check_killed(die, "--imp-rewind", mode)
