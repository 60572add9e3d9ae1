"""Where a process trains its probes: processes that share GPUs agree by locks who is on which, and how much each takes.

A GPU has as many places as processes that share it. A process holds a place as long as it trains, and waits for one
where all are taken, as when jobs that do not know of each other run on one machine.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from probing_bridge.formats.locks import take

OWN_BYTES = 10**9  # about what CUDA and the training itself take of a GPU in each process
FEATURES = 0.6  # of the rest


@dataclass(frozen=True)
class Place:
    """A device, or a part of one.

    Attributes:
        device: Where probes are trained.
        memory: Bytes of it that features may take; what is larger stays in the machine's memory.
    """

    device: torch.device
    memory: int


CPU = Place(torch.device("cpu"), 0)


@contextmanager
def held_place(folder: Path, sharing: int) -> Iterator[Place]:
    """Holds a place on a GPU inside the `with` block; on the CPU if there is no GPU.

    Args:
        folder: Seen by all processes that are to agree; the locks are in it.
        sharing: How many processes of this machine train at a time.

    Yields:
        The place; of GPUs that are as full as each other, that on the first.
    """
    if not torch.cuda.is_available():
        yield CPU
        return
    n_gpus = torch.cuda.device_count()
    n_places = -(-sharing // n_gpus)
    names = [f"{socket.gethostname()}.{torch.cuda.get_device_properties(gpu).uuid}" for gpu in range(n_gpus)]
    paths = [folder / "gpus" / f"{name}.{place}.lock" for place in range(n_places) for name in names]
    with _first_free(paths) as taken:
        device = torch.device("cuda", taken % n_gpus)
        free, total = torch.cuda.mem_get_info(device)
        try:
            yield Place(device, int(FEATURES * max(0, min(free, total // n_places - OWN_BYTES))))
        finally:
            torch.cuda.empty_cache()  # PyTorch would keep what the features had from whoever has the place next


@contextmanager
def _first_free(paths: Sequence[Path]) -> Iterator[int]:
    """Waits for one of several locks, and holds it; which one."""
    while True:
        for number, path in enumerate(paths):
            let_go = take(path, wait=False)
            if let_go is not None:
                try:
                    yield number
                finally:
                    let_go()
                return
        time.sleep(0.2)
