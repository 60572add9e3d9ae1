"""The one error type that a user's input can cause; `run` prints it as one line and exits with status 2."""

from __future__ import annotations

from pathlib import Path


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
