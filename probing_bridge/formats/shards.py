"""Files that several processes wrote a part of each: their names, and which of them there are."""

from __future__ import annotations

import re
from pathlib import Path

from probing_bridge.errors import InputError


def shard_path(path: str | Path, shard: int, n_shards: int) -> Path:
    """The file of one shard: FILE.h5 becomes FILE.shard0-of-2.h5."""
    path = Path(path)
    return path.with_name(f"{path.stem}.shard{shard}-of-{n_shards}{path.suffix}")


def shard_paths(path: Path, again: str) -> list[Path]:
    """The shards that share a name.

    Args:
        path: That name.
        again: What to do where some are missing, for the message.

    Returns:
        The shards in order; empty if there are none.

    Raises:
        InputError: There is a whole file of that name too, shards of several numbers of processes, or one is missing.
    """
    pattern = re.compile(re.escape(path.stem) + r"\.shard(\d+)-of-(\d+)" + re.escape(path.suffix))
    folder = path.parent.iterdir() if path.parent.is_dir() else iter(())
    counts = {int(match[2]) for other in folder if (match := pattern.fullmatch(other.name))}
    if not counts:
        return []
    if path.exists():
        raise InputError("there are a whole file and shards of this name; delete those that are old", path)
    if len(counts) > 1:
        raise InputError(f"there are shards of {sorted(counts)} processes; delete the old ones", path)
    paths = [shard_path(path, shard, max(counts)) for shard in range(max(counts))]
    absent = [one.name for one in paths if not one.exists()]
    if absent:
        raise InputError(f"shards are missing: {', '.join(absent)}; {again}", path)
    return paths
