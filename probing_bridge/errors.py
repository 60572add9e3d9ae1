"""The one error type that a user's input can cause; `run` prints it as one line and exits with status 2."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BridgeError(Exception):
    """Bad input: what is wrong, where, and what to do, in one line."""


class InputError(BridgeError):
    """A fault at a known place of an input file."""

    def __init__(self, message: str, path: str | Path, line: int | None = None) -> None:
        """Builds the message `path:line: what is wrong`.

        Args:
            message: What is wrong with the actual value, what was expected, what to do.
            path: The file.
            line: 1-based line number, where there is one.
        """
        place = str(path) if line is None else f"{path}:{line}"
        super().__init__(f"{place}: {message}")
        self.path = Path(path)
        self.line = line


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def full_disk_told() -> Iterator[None]:
    """Around a whole command: what a full disk raised, wherever it was, becomes one line.

    HDF5 says why only in its text, and raises a RuntimeError where the file is closed.

    Raises:
        BridgeError: The disk or a quota is full, or a file may not grow.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        reasons = [os.strerror(number) for number in _FULL]
        known = getattr(error, "errno", None) in _FULL
        reason = next((reason for reason in reasons if reason in str(error)), os.strerror(errno.ENOSPC))
        if not known and reason not in str(error):
            raise
        place = getattr(error, "filename", None)
        where = f"{place}: " if place else ""
        raise BridgeError(
            f"{where}could not be written ({reason}): make room and run the same command again"
        ) from error


class Faults:
    """What is wrong with a command's input, collected so that all of it is told at once."""

    def __init__(self) -> None:
        """Starts without any."""
        self._found: list[str] = []

    def add(self, *faults: str) -> None:
        """Adds faults, a line each."""
        self._found += faults

    def of(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
        """The result of a call; None if it raised a BridgeError, which is added."""
        try:
            return work(*arguments, **named)
        except BridgeError as error:
            self.add(str(error))
            return None

    def tell(self) -> None:
        """Raises a BridgeError with all faults, each once, a line each; does nothing if there are none."""
        if self._found:
            raise BridgeError("\n".join(dict.fromkeys(self._found)))
