"""HDF5 files from anyone, opened so that nothing outside of the file is read and nothing in it is larger than the file.

HDF5 can have a name stand for an object of another file (external links), for the bytes of any other file (external
storage), for a mosaic of other datasets (virtual layout), or for an object that another name stands for already. An
array may be declared without ever being written, and a filter may unpack a few bytes to gigabytes. None of that is
in the files that we write, so a file that has it is refused.
"""

from __future__ import annotations

import errno
import io
import math
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from probing_bridge.errors import InputError, error_number

_LONGEST_ATTRIBUTE = 64 * 1024  # bytes; a command line is the longest that we write
_MOST_OBJECTS = 1_000_000
_DEEPEST = 8


class WritableHdf5:
    """An HDF5 file that is written, and whose errors are Python's; also a context manager.

    HDF5 ends the process (signal 11) where the system refuses to write what it has in hand as it closes a file. So
    its bytes go through a file of Python, which tells HDF5 that all is well and keeps the error.

    Attributes:
        file: The file as h5py gives it.
    """

    def __init__(self, path: str | Path, mode: str) -> None:
        """Opens the file.

        Args:
            path: The file.
            mode: `x` to make it, `r+` to add to it.

        Raises:
            OSError: It cannot be opened.
        """
        self._disk = _Disk(path, mode)
        self.file = h5py.File(self._disk, "w" if mode == "x" else mode)

    def check(self) -> None:
        """Raises the error that writing has met, if it has."""
        if self._disk.error is not None:
            raise self._disk.error

    def close(self) -> None:
        """Writes what is left, closes the file, and raises the error that writing has met."""
        try:
            self.file.close()
        finally:
            self._disk.close()
        self.check()

    def __enter__(self) -> h5py.File:
        """The file as h5py gives it."""
        return self.file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file; of an error that comes of another, the first is raised."""
        self.close()


class _Disk(io.RawIOBase):
    """A file as h5py asks for it: once a write has failed, nothing more is written, and no write fails."""

    def __init__(self, path: str | Path, mode: str) -> None:
        self._file = open(path, "x+b" if mode == "x" else "r+b", buffering=0)  # noqa: SIM115
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def open_hdf5(path: str | Path, expected: str) -> h5py.File:
    """Opens an HDF5 file for reading.

    Args:
        path: The file.
        expected: What it should be and how it is made, for messages.

    Returns:
        The open file; what is in it has not been looked at.

    Raises:
        InputError: No such file, no regular file, locked by a program that writes it, or not HDF5.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"is no regular file; expected {expected}", path)
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise InputError(f"no such file; expected {expected}", path) from error
    except PermissionError as error:
        raise InputError(f"may not be read; expected {expected}", path) from error
    except (OSError, RuntimeError, ValueError) as error:
        number = error_number(error)
        if number == errno.EAGAIN or "unable to lock file" in str(error):
            raise InputError(
                "is locked: another program is writing it; wait until it has closed the file", path
            ) from error
        if number is not None:
            raise InputError(f"cannot be read ({os.strerror(number)})", path) from error
        raise InputError(f"not an HDF5 file, or not a whole one; expected {expected}", path) from error


def require_plain(file: h5py.File) -> None:
    """Checks every object of a file with few objects: hard links only, each object once, plain whole datasets.

    Raises:
        InputError: The object, and what it is.
    """
    path = Path(file.filename)
    seen: set[int] = set()
    pending = [(file.id, "", 0)]
    while pending:
        group, above, depth = pending.pop()
        for key in group:
            name = f"{above}{_shown(key)}"
            _require_hard_link(group, key, name, path)
            is_group = _is_group(group, key, name, path)
            address = group.links.get_info(key).u
            if address in seen:
                raise InputError(f"{name} is another name of an object that is there already", path)
            seen.add(address)
            if len(seen) > _MOST_OBJECTS or depth > _DEEPEST:
                raise InputError("holds more objects, or deeper ones, than any file that we write", path)
            if is_group:
                pending.append((h5py.h5g.open(group, key), f"{name}/", depth + 1))
            else:
                plain_dataset(group, key, path)


def plain_dataset(group: h5py.h5g.GroupID, key: bytes, path: Path, name: str = "") -> h5py.h5d.DatasetID:
    """Opens one dataset of a group, and checks that its values lie in this file, whole and unfiltered.

    Args:
        group: The group, or the file's id.
        key: Its name there.
        path: The file, for messages.
        name: How messages call it; its key if empty.

    Returns:
        The dataset.

    Raises:
        InputError: It is missing, a link, a group, kept elsewhere, filtered, of a strange type, or never written.
    """
    name = name or _shown(key)
    _require_hard_link(group, key, name, path)
    try:
        dataset = h5py.h5d.open(group, key)
        properties, dtype = dataset.get_create_plist(), dataset.get_type()
    except (KeyError, ValueError, RuntimeError, TypeError, OSError) as error:
        if _is_group(group, key, name, path):
            raise InputError(f"{name} is a group, not an array", path) from error
        raise unreadable(name, path, error) from error
    if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
        raise InputError(f"{name} keeps its values outside of its own block (virtual or external): refused", path)
    if properties.get_nfilters():
        raise InputError(f"{name} is packed by a filter; unpack the file first (h5repack -f NONE)", path)
    if dtype.get_class() not in (h5py.h5t.FLOAT, h5py.h5t.INTEGER, h5py.h5t.STRING, h5py.h5t.ENUM):
        raise InputError(f"{name} holds values that are neither numbers nor text", path)
    needed = math.prod(dataset.shape) * dtype.get_size()
    if dataset.get_storage_size() < needed:
        raise InputError(f"{name} was declared with {needed:,} bytes and never written whole", path)
    return dataset


def unreadable(name: str, path: Path, error: Exception) -> InputError:
    """What to raise where HDF5 cannot read something: what the system said, or that the file is damaged."""
    number = error_number(error)
    why = f"the file is damaged ({' '.join(str(error).split())})" if number is None else os.strerror(number)
    return InputError(f"{name} cannot be read: {why}", path)


def _require_hard_link(group: h5py.h5g.GroupID, key: bytes, name: str, path: Path) -> None:
    """Refuses a name of a group that is a link to a name, or to another file."""
    try:
        kind = group.links.get_info(key).type
    except (KeyError, RuntimeError, ValueError) as error:
        if key not in group:
            raise InputError(f"{name} has no array", path) from error
        raise unreadable(name, path, error) from error
    if kind != h5py.h5l.TYPE_HARD:
        raise InputError(f"{name} is a link to another place or file: refused", path)


def _is_group(group: h5py.h5g.GroupID, key: bytes, name: str, path: Path) -> bool:
    """Whether a name of a group is a group; refused if it is neither a group nor an array."""
    try:
        kind = h5py.h5o.get_info(group, key).type
    except (KeyError, RuntimeError, ValueError) as error:
        raise unreadable(name, path, error) from error
    if kind not in (h5py.h5o.TYPE_GROUP, h5py.h5o.TYPE_DATASET):
        raise InputError(f"{name} is neither a group nor an array", path)
    return kind == h5py.h5o.TYPE_GROUP


def _shown(key: bytes) -> str:
    return repr(key.decode("utf-8", "replace")[:80])


def plain_attributes(file: h5py.File) -> dict[str, Any]:
    """The attributes of a file's root as Python values; lists and other things stay as they are.

    Raises:
        InputError: An attribute that is too long, or cannot be read.
    """
    path, attributes = Path(file.filename), file.attrs
    try:
        for name in attributes:
            if attributes.get_id(name).get_storage_size() > _LONGEST_ATTRIBUTE:
                raise InputError(f"attribute {name[:80]!r} is longer than any that we write", path)
        return {name: _plain(value, name, path) for name, value in attributes.items()}
    except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise unreadable("an attribute", path, error) from error


def _plain(value: Any, name: str, path: Path) -> Any:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    if isinstance(value, str) and len(value) > _LONGEST_ATTRIBUTE:  # its length does not count as the attribute's own
        raise InputError(f"attribute {name[:80]!r} is longer than any that we write", path)
    return value
