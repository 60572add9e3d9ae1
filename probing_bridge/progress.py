"""How far a stage is: a bar on a terminal, a line now and then in a log; and lines of their own, over the bar."""

from __future__ import annotations

import sys

from tqdm import tqdm

ON_TERMINAL, IN_LOG = 0.5, 30.0  # seconds between two of them, at least


class Progress(tqdm):
    """Work of known size, with the time that is left; what has been done is named by `set_description_str`."""

    def __init__(self, total: float) -> None:
        """Begins.

        Args:
            total: All work, in any unit.
        """
        self._is_log = not sys.stderr.isatty()
        bar = "" if self._is_log else "|{bar:20}| "
        every = IN_LOG if self._is_log else ON_TERMINAL
        super().__init__(
            total=total,
            bar_format=f"{{desc}}{{percentage:3.0f}} % {bar}{{elapsed}}, {{remaining}} left",
            mininterval=every,
            maxinterval=2 * every,
            miniters=0,
            delay=1e-9 if self._is_log else 0,  # a log needs no line that says that nothing is done
            leave=not self._is_log,
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Shows how far it is."""
        if not self._is_log:
            super().display(msg, pos)
        elif msg is None:
            self.fp.write(f"{self}\n")
            self.fp.flush()


def tell(line: str) -> None:
    """A line on standard error, over a progress bar if there is one."""
    if sys.stderr.isatty():
        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)
