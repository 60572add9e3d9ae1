"""What the system refuses, wherever it is met: one line, status 2, nothing half written."""

import errno
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from probing_bridge.errors import BridgeError, failures_told, require_values
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import RepresentationWriter

LIMIT = 20_000  # bytes that a file may have in the child


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "r/probes.csv"),
            "r/probes.csv: could not be written (No space",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "could not be written (Disk quota exceeded)"),
        (
            OSError("Can't write (errno = 28, error message = 'No space left on device')"),
            "could not be written (No space",
        ),
        (RuntimeError("unable to close (errno = 28, 'No space left on device')"), "could not be written (No space"),
    ],
)
def test_each_way_of_saying_that_a_disk_is_full_is_one_line(error: Exception, line: str) -> None:
    with pytest.raises(BridgeError) as told, failures_told():
        raise error
    assert str(told.value).startswith(line) and "make room" in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EIO, "Input/output error", "a.h5"), "a.h5: Input/output error"),
        (OSError("Can't read data (errno = 5, error message = 'Input/output error')"), "Input/output error"),
        (MemoryError(), "there is not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "there is not enough memory"),
    ],
)
def test_what_else_the_system_refuses_is_one_line(error: Exception, line: str) -> None:
    with pytest.raises(BridgeError, match="the same command again") as told, failures_told():
        raise error
    assert str(told.value).startswith(line) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--output", ""], "--output"),
        (["--output="], "--output"),
        (["--reps", "a.h5", ""], "--reps"),
        (["", "--output", "a"], "the command line"),
    ],
)
def test_a_variable_that_is_not_set_is_one_line(words: list[str], named: str) -> None:
    """A Path of it would be the folder that the command runs in."""
    require_values(["--output", "a=", "-1", "--cluster", "slurm_setup="])
    with pytest.raises(BridgeError, match=f"^{named}: an empty value"):
        require_values(words)


def test_a_fault_of_ours_is_not_called_one_of_the_system() -> None:
    error = RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError) as raised, failures_told():
        raise error
    assert raised.value is error


def test_what_cannot_be_printed_is_one_line() -> None:
    command = [sys.executable, "-m", "probing_bridge.run", "tasks"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "No space left" in done.stderr


@pytest.mark.parametrize(
    "last",
    [
        ["import", "v.txt", "--from", "vectors", "--experiment", "e", "--sentences", "words.txt"],
        ["export", "--reps", "reps.hdf5", "--to", "npz"],
    ],
)
def test_a_command_that_cannot_write_on(tmp_path: Path, last: list[str]) -> None:
    """HDF5 would end the process by signal 11."""
    words = [f"w{n}" for n in range(500)]
    (tmp_path / "words.txt").write_text("".join(f"{word}\n" for word in words))
    (tmp_path / "v.txt").write_text(
        "".join(f"{word} {' '.join(str(n + k / 7) for k in range(50))}\n" for n, word in enumerate(words))
    )
    with RepresentationWriter(tmp_path / "reps.hdf5", [[word] for word in words], ["0"], 50, Origin("e")) as writer:
        for n, word in enumerate(words):
            writer.add([word], np.full((1, 1, 50), n))
    before = sorted(tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "probing_bridge.run", *last, "--output", "o.npz"], cwd=tmp_path, capture_output=True,
        text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1 and "File too large" in done.stderr
    assert sorted(tmp_path.iterdir()) == before
