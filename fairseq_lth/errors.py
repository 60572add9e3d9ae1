"""How a run inside fairseq's commands is refused: one line, exit status 1, no traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from probing_bridge.errors import BridgeError


class RunRefused(SystemExit):
    """Bad input of a fairseq command. Python prints a SystemExit's message to stderr and exits with status 1.

    It is no `Exception`, so fairseq neither wraps it nor saves a crash checkpoint because of it.
    """

    def __init__(self, message: str) -> None:
        """Keeps the message on one line.

        Args:
            message: What is wrong, where, and what to do.
        """
        super().__init__(f"fairseq_lth: error: {' '.join(message.split())}")


@contextlib.contextmanager
def refusing(flag: str = "") -> Iterator[None]:
    """Turns bad input inside the `with` block into the end of the run.

    Args:
        flag: What the line begins with: the flag that it is about.

    Raises:
        RunRefused: In place of a BridgeError.
    """
    try:
        yield
    except BridgeError as error:
        raise RunRefused(f"{flag}{error}") from None
