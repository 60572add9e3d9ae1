"""What of this machine belongs to this process: its cores and its memory, which in a job are not all of them.

A job is kept to its part by an affinity mask, by limits of its control group (cgroups(7), version 1 or 2), which any
group above it may set too, or by nothing but Slurm's word.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_FILES = {  # limit, use and the parts of it that the system takes back when memory is short, in versions 2 and 1
    "memory.max": ("memory.current", ("active_file", "inactive_file")),
    "memory.limit_in_bytes": ("memory.usage_in_bytes", ("total_active_file", "total_inactive_file")),
}


def cores(root: Path = Path("/")) -> int:
    """Cores that this process may use: by its affinity, the quotas of its control groups and SLURM_CPUS_PER_TASK.

    Args:
        root: Where `proc` and `sys` are.

    Returns:
        At least 1; a quota of 1.5 cores is 2.
    """
    limits = [len(os.sched_getaffinity(0))]
    of_task = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if of_task.isdigit():
        limits.append(int(of_task))
    for group in _groups(root, "cpu"):
        words = _words(group / "cpu.max") or _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us")
        if len(words) == 2 and words[0] not in ("max", "-1"):
            limits.append(math.ceil(int(words[0]) / int(words[1])))
    return max(1, min(limits))


def free_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process can have: what is free on the machine, and within its control groups.

    Args:
        root: Where `proc` and `sys` are.
    """
    free = [1024 * _table(root / "proc" / "meminfo")["MemAvailable:"]]
    for group in _groups(root, "memory"):
        for limit, (use, cached) in _FILES.items():
            words = _words(group / limit)
            if words and words != ["max"]:
                stat = _table(group / "memory.stat")
                free.append(int(words[0]) - int(_words(group / use)[0]) + sum(stat.get(name, 0) for name in cached))
    return max(0, min(free))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The control groups of this process for a controller, the innermost first.

    A container may see its own group as the root of what is mounted, under the name that it has outside.
    """
    for line in _lines(root / "proc" / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        mounted = root / "sys" / "fs" / "cgroup"
        if controllers:  # version 1
            if controller not in controllers.split(","):
                continue
            mounted /= controller
        place = mounted / path.lstrip("/")
        yield from (group for group in (place, *place.parents) if group.is_relative_to(mounted) and group.is_dir())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]


def _table(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    return {name: int(number) for name, number, *_ in map(str.split, _lines(path))}
