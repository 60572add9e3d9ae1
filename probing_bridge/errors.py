"""The one error type that a user's input can cause; `run` prints it as one line and exits with status 2."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
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
_NUMBER = re.compile(r"(?:errno = |os error )(\d+)")  # HDF5 and safetensors say why only in their text
_NO_MEMORY = ("can't allocate memory", "Unable to allocate", "Cannot allocate memory", "memory allocation failed")


@contextlib.contextmanager
def failures_told() -> Iterator[None]:
    """Around a whole command: what the system refused it, wherever that was, becomes one line.

    What was printed is written here too, so that it fails here and not when Python ends.

    Raises:
        BridgeError: A full disk, a file that cannot be read or written, a folder that is gone, too little memory.
        BrokenPipeError: Nobody reads what is printed any more.
    """
    try:
        yield
        _write_out()
    except BrokenPipeError:
        raise
    except (OSError, RuntimeError, MemoryError) as error:
        reason = refused(error)
        if reason is None:
            raise
        raise BridgeError(reason) from error


def _write_out() -> None:
    """Writes what is buffered of standard output; where that fails, Python shall not try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def error_number(error: BaseException) -> int | None:
    """The system's number of an error; of one of HDF5's, which have it in their text only, too. None if it has none."""
    number = getattr(error, "errno", None)
    found = _NUMBER.search(str(error)) if number is None else None
    return number if found is None else int(found[1])


def refused(error: BaseException) -> str | None:
    """What the system refused, and what to do, in one line; None of an error that has another reason."""
    if isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY):
        return "there is not enough memory: give it more, or do less at once, and run the same command again"
    is_os_error = isinstance(error, OSError)
    number = error_number(error) if is_os_error or isinstance(error, RuntimeError) else None
    if number is None:
        return f"{' '.join(str(error).split())}: see to that and run the same command again" if is_os_error else None
    where = f"{place}: " if (place := getattr(error, "filename", None)) else ""
    if number in _FULL:
        return f"{where}could not be written ({os.strerror(number)}): make room and run the same command again"
    return f"{where}{os.strerror(number)}: see to that and run the same command again"


def require_values(words: Sequence[str]) -> None:
    """Refuses an empty word on a command line, which is what a shell makes of a variable that is not set.

    Args:
        words: The arguments of a command.

    Raises:
        BridgeError: There is one, with the flag that it follows.
    """
    flag = "the command line"
    for word in words:
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "=", word)
        flag = name or flag
        if equals and not value:
            raise BridgeError(f"{flag}: an empty value: is a variable of the shell not set?")


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
