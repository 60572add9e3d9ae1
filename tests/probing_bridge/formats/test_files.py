"""A file that is written beside its name."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.files import MARKER, folder_beside, remove_leftovers, written_beside


@pytest.mark.parametrize("shared", [False, True])
def test_a_failure_leaves_the_old_file_alone(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="stop"), written_beside(path, shared=shared) as beside:
        beside.write_text("half of the n")
        assert path.read_text() == "old"
        raise ValueError("stop")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("table.csv", "old")]


def kill_a_writer(path: Path) -> None:
    killed = os.fork()
    if killed == 0:
        with written_beside(path) as beside:
            beside.write_text("half of a long table")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(killed, 0)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    kill_a_writer(path)
    assert len(list(tmp_path.iterdir())) == 1
    with written_beside(path) as beside:
        assert not beside.exists()
        beside.write_text("new")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("table.csv", "new")]


def test_leftovers_of_every_name_are_removed_but_not_those_of_a_writer_at_work(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for path in (tmp_path / "one", tmp_path / "below" / "other"):
        kill_a_writer(path)
    (tmp_path / ".others.tmp").mkdir()  # of another program
    with written_beside(tmp_path / "new") as beside:
        remove_leftovers(tmp_path)
        beside.write_text("new")
    assert sorted(one.name for one in tmp_path.rglob("*")) == [".others.tmp", "below", "new"]


def test_of_two_writers_of_one_file_the_second_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with written_beside(path) as beside:
        beside.write_text("first")
        with pytest.raises(InputError, match="being written by another process"), written_beside(path):
            pass
    assert path.read_text() == "first"


def test_a_file_server_knows_who_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS keeps locks of folders to the machine that asks, and gives exclusive ones of files open for writing only."""
    flock, asked = fcntl.flock, []

    def watched(descriptor: int, operation: int) -> None:
        writable = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
        asked.append((stat.S_ISREG(os.fstat(descriptor).st_mode), writable))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", watched)
    with written_beside(tmp_path / "a") as beside, written_beside(tmp_path / "a", shared=True) as other:
        beside.touch(), other.touch()
    assert asked == [(True, True)] * 3  # the second writer looked at the folder of the first


def test_without_locks_leftovers_stay_and_stop_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    (tmp_path / ".a.0.tmp").mkdir()
    with written_beside(tmp_path / "a") as beside:
        beside.write_text("new")
    assert (tmp_path / "a").read_text() == "new" and (tmp_path / ".a.0.tmp").is_dir()


@pytest.mark.parametrize("moment", ["unlocked", "locked"])
def test_a_folder_taken_for_a_leftover_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Another writer of the name finds it between being made and being locked."""
    flock, mkdir = fcntl.flock, Path.mkdir

    def removing(folder: Path, *arguments: Any, **options: Any) -> None:
        mkdir(folder, *arguments, **options)
        if folder != tmp_path:
            monkeypatch.setattr(Path, "mkdir", mkdir)
            shutil.rmtree(folder)

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        raise BlockingIOError

    monkeypatch.setattr(*((Path, "mkdir", removing) if moment == "unlocked" else (fcntl, "flock", late)))
    with written_beside(tmp_path / "a") as beside:
        beside.write_text("new")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a", "new")]


def test_folders_above_a_name_are_made(tmp_path: Path) -> None:
    with written_beside(tmp_path / "new" / "deep" / "a") as beside:
        beside.write_text("new")
    with folder_beside(tmp_path / "other" / "deep") as folder:
        (folder / "b").write_text("new")
    assert (tmp_path / "new" / "deep" / "a").read_text() == (tmp_path / "other" / "deep" / "b").read_text() == "new"


def test_nothing_can_be_planted_where_a_file_is_written(tmp_path: Path) -> None:
    """No name can be guessed, and no other user can put a link there."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in (".table.csv.tmp", ".table.csv.0.tmp"):
        (tmp_path / name).symlink_to(victim)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".table.csv.1.tmp").symlink_to(elsewhere)
    names = set()
    for _ in range(2):
        with written_beside(tmp_path / "table.csv") as beside:
            assert stat.S_IMODE(beside.parent.stat().st_mode) == 0o700
            names.add(beside.parent.name)
            beside.write_text("ours")
    assert len(names) == 2 and victim.read_text() == "precious" and not any(elsewhere.iterdir())


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "table.csv"
    {"link": lambda: path.symlink_to("victim"), "folder": path.mkdir, "fifo": lambda: os.mkfifo(path)}[kind]()
    before = path.lstat()
    with pytest.raises(InputError, match="no regular file"), written_beside(path):
        pass
    assert path.lstat().st_ino == before.st_ino and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_that_was_not_made_here_is_not_replaced(tmp_path: Path, shared: bool) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1").write_text("years of work")
    with pytest.raises(InputError, match="was not made by this command"), folder_beside(folder, shared=shared):
        pass
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(InputError, match="was not made"), folder_beside(tmp_path / "link", shared=shared):
        pass
    assert (folder / "chapter1").read_text() == "years of work"


def test_processes_that_share_a_file_do_not_share_the_name_beside(tmp_path: Path) -> None:
    path = tmp_path / "record.npz"
    with written_beside(path, shared=True) as one, written_beside(path, shared=True) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("record.npz", "one")]


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_takes_the_place_of_an_older_one_whole(tmp_path: Path, shared: bool) -> None:
    folder = tmp_path / "above" / "folder"
    for text in ("old", "new"):
        with folder_beside(folder, shared=shared) as beside:
            assert [one.name for one in beside.iterdir()] == [MARKER]
            (beside / text).write_text(text)
    with pytest.raises(ValueError, match="stop"), folder_beside(folder, shared=shared) as beside:
        (beside / "half").write_text("half")
        raise ValueError("stop")
    assert sorted(one.relative_to(tmp_path).as_posix() for one in tmp_path.rglob("*")) == [
        "above", "above/folder", f"above/folder/{MARKER}", "above/folder/new",
    ]  # fmt: skip


def test_a_folder_that_cannot_get_its_name_leaves_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    with folder_beside(folder) as beside:
        (beside / "old").write_text("old")
    rename, count = os.replace, iter(range(9))

    def fail_at_the_second(source: Path, target: Path) -> None:
        if next(count) == 1:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_second)
    with pytest.raises(OSError, match="Input/output"), folder_beside(folder) as beside:
        (beside / "new").write_text("new")
    assert (folder / "old").read_text() == "old" and list(tmp_path.iterdir()) == [folder]
