"""Files and folders that are there whole or not at all: made in a private folder beside their names, then renamed.

Folders above a name are made, so that every command makes the place for what it writes.
The private folder has a name that nobody can guess and is closed to other users, so nothing can be planted where we
write; a lock on it tells a writer at work from what a killed one left.
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import glob
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from probing_bridge.errors import InputError

MARKER = ".made-by-probing-bridge"  # in every folder that folder_beside makes, and only there may it be replaced


@contextlib.contextmanager
def written_beside(path: str | Path, *, shared: bool = False) -> Iterator[Path]:
    """Gives a temporary name beside a file, which becomes `path` at the end unless there was an exception.

    Args:
        path: The final name; a regular file that has it is replaced. Folders above it are made.
        shared: Several processes may write this file at once, and the last one's stays.

    Yields:
        The temporary name; nothing is there yet.

    Raises:
        InputError: Something that is no regular file has the name, or another process is writing it.
    """
    path = Path(path)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise InputError("is there and is no regular file, so it is not replaced; give another name", path)
    with _private_folder(path, shared) as folder:
        yield folder / path.name
        _flush(folder / path.name)
        os.replace(folder / path.name, path)
        _flush(path.parent)


@contextlib.contextmanager
def folder_beside(path: str | Path, *, shared: bool = False) -> Iterator[Path]:
    """The same for a folder: it is made, and at the end it takes the place of one that was made so before.

    Args:
        path: The final name; folders above it are made too. An empty folder may have it, or one that has the marker.
        shared: As for written_beside.

    Yields:
        The folder to fill, empty but for the marker.

    Raises:
        InputError: Something else has the name, or another process is writing it.
    """
    path = Path(path)
    _require_ours(path)
    with _private_folder(path, shared) as folder:
        made = folder / path.name
        made.mkdir()
        (made / MARKER).touch()
        yield made
        _require_ours(path)
        before = folder / "before"
        if path.exists():
            os.replace(path, before)
        try:
            os.replace(made, path)
        except OSError:
            if before.exists():
                os.replace(before, path)
            raise
        _flush(path.parent)


def _require_ours(path: Path) -> None:
    if not path.is_symlink() and (not path.exists() or (path.is_dir() and not any(path.iterdir()))):
        return
    if path.is_symlink() or not (path / MARKER).is_file():
        raise InputError(f"is there and was not made by this command (no {MARKER} in it): give another folder", path)


@contextlib.contextmanager
def _private_folder(path: Path, shared: bool) -> Iterator[Path]:
    """A locked folder beside a name, removed at the end; what killed writers of the name left is removed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if not _removed(other) and not shared:
            raise InputError("is being written by another process; wait for it, or give another name", path)
    while True:
        folder = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        folder.mkdir(mode=0o700)
        try:
            with _locked(folder) as ours:
                if ours is not False and folder.is_dir():  # else it was taken for a leftover before it was locked
                    yield folder
                    return
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: str | Path) -> None:
    """Removes what killed writers left anywhere below a folder, of names too that will not be written again.

    Args:
        folder: The folder; it may be missing.
    """
    for place, folders, _ in os.walk(folder):  # which passes over folders that go while it looks, as other writers' do
        for left in fnmatch.filter(folders, f".*.{'[0-9a-f]' * 32}.tmp"):
            _removed(Path(place, left))


def _removed(folder: Path) -> bool:
    """Removes what a killed process left; False if its writer is at work."""
    try:
        with _locked(folder) as ours:
            pass
    except OSError:
        return True  # gone, or nothing of ours
    if ours:
        shutil.rmtree(folder, ignore_errors=True)
    return ours is not False or not folder.exists()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool | None]:
    """Locks a folder by a file in it, which file servers know of too, unlike locks on the folder itself.

    Yields:
        Whether this process has the lock; None on a file system without locks, where leftovers then stay.
    """
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            lock = os.open(".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=place)
        finally:
            os.close(place)
    except FileNotFoundError:  # another process has removed it
        yield False
        return
    try:
        yield _flock(lock)
    finally:
        os.close(lock)


def _flock(descriptor: int) -> bool | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _flush(path: Path) -> None:
    """Has what was written reach the disk, so that a name never stands for less after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_hash(path: str | Path) -> str:
    """Sha256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
