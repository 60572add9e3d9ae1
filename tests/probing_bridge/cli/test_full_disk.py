"""A disk that is full, wherever it is met: one line, status 2, nothing half written."""

import errno
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from probing_bridge.errors import BridgeError, full_disk_told

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
    with pytest.raises(BridgeError) as told, full_disk_told():
        raise error
    assert str(told.value).startswith(line) and "make room" in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), RuntimeError("a fault of ours")])
def test_other_errors_are_not_called_a_full_disk(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, full_disk_told():
        raise error
    assert raised.value is error


def test_a_command_that_cannot_write_on(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(500)]
    (tmp_path / "words.txt").write_text("".join(f"{word}\n" for word in words))
    (tmp_path / "v.txt").write_text(
        "".join(f"{word} {' '.join(str(n + k / 7) for k in range(50))}\n" for n, word in enumerate(words))
    )
    command = [sys.executable, "-m", "probing_bridge.run", "import", "v.txt", "--from", "vectors", "--experiment", "e"]
    command += ["--sentences", "words.txt", "--output", "reps.hdf5"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert h5py.is_hdf5(tmp_path / "reps.hdf5")
    command = [*command[:3], "export", "--reps", "reps.hdf5", "--to", "npz", "--output", "o.npz"]
    before = sorted(tmp_path.iterdir())
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1 and "File too large" in done.stderr
    assert sorted(tmp_path.iterdir()) == before
