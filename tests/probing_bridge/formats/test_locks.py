"""Locks exclude each other, and open when their process ends."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from probing_bridge.formats.locks import holder, locked, take


def test_locks_exclude_each_other(tmp_path: Path) -> None:
    with locked(tmp_path / "x.lock", wait=False) as mine, locked(tmp_path / "x.lock", wait=False) as other:
        assert mine and not other
    with locked(tmp_path / "x.lock", wait=False) as again:
        assert again
    assert list(tmp_path.iterdir()) == []


COUNT_UP = """
import sys
from pathlib import Path
from probing_bridge.formats.locks import locked
path = Path(sys.argv[1])
for _ in range(20):
    with locked(path.with_suffix(".lock"), wait=True) as mine:
        assert mine
        path.write_text(str(int(path.read_text()) + 1))
"""


def test_who_waits_for_a_lock_gets_it_alone(tmp_path: Path) -> None:
    """Processes that add one to a number in a file, in turns; the lock file goes and comes between."""
    number = tmp_path / "number"
    number.write_text("0")
    counting = [subprocess.Popen([sys.executable, "-c", COUNT_UP, str(number)]) for _ in range(4)]
    assert [process.wait(120) for process in counting] == [0] * 4
    assert number.read_text() == "80"
    assert list(tmp_path.iterdir()) == [number]


def test_who_holds_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "above" / "x.lock"
    let_go = take(path, wait=False)
    assert let_go is not None and take(path, wait=False) is None
    expected = rf"host {re.escape(socket.gethostname())}, process {os.getpid()}, since \d{{4}}-\d\d-\d\d [\d:]+"
    assert re.fullmatch(expected, holder(path))
    let_go()
    assert holder(path) == "unknown" and not path.exists()


def test_the_lock_of_a_killed_process_is_open(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    code = "from pathlib import Path; from probing_bridge.formats.locks import take; import os, sys\n"
    code += "take(Path(sys.argv[1]), wait=False); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    path.write_text(path.read_text().replace(socket.gethostname(), "another"))  # nor does the host's name matter
    assert holder(path).startswith("host another, process ")
    with locked(path, wait=False) as ours:
        assert ours and f"process {os.getpid()}," in holder(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EACCES])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def fail(lock: FileLock) -> None:
        raise NotImplementedError if number == errno.ENOSYS else OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "_acquire", fail)
    if number == errno.EACCES:
        with pytest.raises(PermissionError), locked(tmp_path / "x.lock", wait=False):
            pass
        return
    with locked(tmp_path / "x.lock", wait=False) as ours:
        assert ours
    assert "this file system has no locks" in caplog.text
