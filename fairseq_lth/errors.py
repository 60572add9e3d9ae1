"""How a run inside fairseq's commands is refused: one line, exit status 1, no traceback."""

from __future__ import annotations


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
