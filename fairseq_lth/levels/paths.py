"""Every file name inside a run directory (fairseq's `--save-dir`), in one place."""

from __future__ import annotations

import re
from pathlib import Path

LAST = "checkpoint_last.pt"
RECORDS = "lth.csv"
LOCK = "training.lock"
MODULES = "lth_modules.csv"
_LEVEL = re.compile(r"checkpoint_lth(\d+)\.pt")


def level_checkpoint(directory: str | Path, level: int) -> Path:
    """The named checkpoint of a level: `checkpoint_lth{level}.pt`."""
    return Path(directory) / f"checkpoint_lth{level}.pt"


def rewind_checkpoint(directory: str | Path, epoch: int) -> Path:
    """The state at the end of epoch `epoch` of the dense model (0: the initialisation) that weights are rewound to."""
    return Path(directory) / f"checkpoint_rewind{epoch}.pt"


def epoch_checkpoint(directory: str | Path, epoch: int) -> Path:
    """Fairseq's own checkpoint at the end of an epoch."""
    return Path(directory) / f"checkpoint{epoch}.pt"


def level_checkpoints(directory: str | Path) -> dict[int, Path]:
    """The named levels of a run directory, by level, in order."""
    found = {}
    for path in Path(directory).glob("checkpoint_lth*.pt"):
        match = _LEVEL.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    return dict(sorted(found.items()))
