"""One training a save dir: a lock that says who holds it, and that the system opens when its holder dies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from multiprocessing.util import Finalize
from pathlib import Path

from fairseq_lth.errors import RunRefused
from fairseq_lth.guards import writing
from fairseq_lth.levels import paths
from fairseq_lth.training.settings import Distributed
from probing_bridge.formats import locks
from probing_bridge.formats.files import remove_leftovers

_held: dict[Path, Callable[[], None]] = {}  # lock file -> what lets go of it; until the process ends


def hold(directory: Path) -> None:
    """Locks a save dir for this process, which is the first of its training, until it ends.

    The lock is the system's (flock): that of a killed process is open, and a file server opens that of a machine that
    is gone. Where a file system has no locks, a warning says so.

    Args:
        directory: The run directory; made if it is missing.

    Raises:
        RunRefused: Another training holds it, or it cannot be written.
    """
    path = (directory / paths.LOCK).resolve()
    if path in _held:
        return
    with writing(directory):
        let_go = locks.take(path, wait=False)
    if let_go is None:
        raise RunRefused(
            f"{directory}: another training is writing here ({locks.holder(path)}): end it, wait for it, or give "
            "another --save-dir"
        )
    remove_leftovers(directory)
    _held[path] = let_go
    Finalize(None, _open, (path,), exitpriority=0)  # atexit does not come in processes that multiprocessing forked


def release(directory: Path) -> None:
    """Unlocks a save dir in which nothing was begun, and leaves nothing behind; one that others hold stays as it is."""
    _open((directory / paths.LOCK).resolve())
    with contextlib.suppress(OSError):  # fairseq has made the folder already
        directory.rmdir()


def _open(path: Path) -> None:
    let_go = _held.pop(path, None)
    if let_go is not None:
        let_go()


_LAUNCHERS = (  # number of processes, and which of them this is, in the environment; what to do
    ("torchrun", "WORLD_SIZE", "RANK", "give --distributed-world-size {n}"),
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "give --distributed-world-size {n} and a --distributed-port"),
    ("mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "start them with torchrun or srun (docs/cluster.md)"),
    ("mpirun", "PMI_SIZE", "PMI_RANK", "start them with torchrun or srun (docs/cluster.md)"),
)


def require_one_training(distributed: Distributed) -> None:
    """Refuses a process that a launcher started beside others which fairseq does not know of.

    fairseq takes the number of processes from --distributed-world-size, which is the number of GPUs that it sees: where
    that is one, each would train alone, and where it does not know the launcher, each would start as many again.

    Args:
        distributed: fairseq's distributed configuration.

    Raises:
        RunRefused: The launcher started several processes, and this one is alone or has another number than it gave.
    """
    for launcher, size, rank, remedy in _LAUNCHERS:
        n, number = (os.environ.get(name, "") for name in (size, rank))
        if not n.isdigit():
            continue
        world = distributed.distributed_world_size
        other = world == int(n) and number not in ("", str(distributed.distributed_rank))
        if int(n) > 1 and (world == 1 or other):
            raise RunRefused(
                f"{size}={n}: {launcher} started {n} processes that do not know of each other, and each would train in "
                f"the same --save-dir: {remedy.format(n=n)}"
            )
        return
