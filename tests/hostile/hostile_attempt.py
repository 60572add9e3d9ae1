"""One command on one hostile file, in a forked process: how it ended, how long it took, how much memory it took."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_SECONDS, MOST_MEGABYTES = 1.5, 1000.0  # of one core, and beyond what an empty run takes
MODULES = {
    "bridge": "probing_bridge.run",
    "encode": "fairseq_lth.encode",
    "levels": "fairseq_lth.levels.__main__",
    "generate": "fairseq_cli.generate",
    "validate": "fairseq_cli.validate",
    "train": "fairseq_cli.train",
}


@dataclass(frozen=True)
class Attempt:
    """A command that must refuse its input in one line.

    Attributes:
        kind: What is done to the victim.
        program: A key of MODULES.
        words: The command line.
        says: What the line has to say, as a pattern.
        environment: Variables that are set.
    """

    kind: str
    program: str
    words: tuple[Any, ...]
    says: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
        status: Exit status; minus the signal that ended it.
        seconds: Processor time.
        megabytes: Peak memory beyond what the process had at its start.
        output: What it printed.
    """

    status: int
    seconds: float
    megabytes: float
    output: str

    @property
    def line(self) -> str:
        """The last line that it printed."""
        return ["", *self.output.strip().splitlines()][-1]


def run(attempt: dict[str, Any], log: str) -> None:
    """Does the attempt in this process, which is a forked one, and writes what came of it to `log`.json.

    Args:
        attempt: The fields of an Attempt.
        log: Gets all output.
    """
    signal.alarm(120)
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.environ.update(dict(attempt["environment"]))
    words = [str(word) for word in attempt["words"]]
    sys.argv = [attempt["program"], *words]
    module = importlib.import_module(MODULES[attempt["program"]])
    if attempt["program"] == "encode":
        module.parse(words[:0] or ["--path", "x", "--sentences", "x", "--output", "x"])
    reset_peak()
    before, began = memory("VmRSS"), time.process_time()
    try:
        with contextlib.suppress(AttributeError):
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        status = module.cli_main() if hasattr(module, "cli_main") else module.main(words)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    sys.stderr.flush()
    result = {
        "status": status or 0,
        "seconds": time.process_time() - began,
        "megabytes": (memory("VmHWM") - before) / 1000,
    }
    Path(f"{log}.json").write_text(json.dumps(result))
    os._exit(0)


def tell(kind: str, seconds: float, megabytes: float, message: str) -> None:
    """Prints a line of the table of docs/security.md, and fails if the bounds were not kept."""
    print(f"\nhostile\t{kind}\t{seconds:.2f}\t{max(0, megabytes):.0f}\t{message}")
    assert seconds < MOST_SECONDS and megabytes < MOST_MEGABYTES, f"{kind}: {seconds:.2f} s, {megabytes:.0f} MB"


def reset_peak() -> None:
    """Has the kernel count this process's peak memory from here."""
    Path("/proc/self/clear_refs").write_text("5")


def memory(field: str) -> int:
    """A field of this process's status, in kilobytes."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1])
