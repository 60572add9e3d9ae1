"""What has to be compared: the request, which `cuts` cuts into tiles.

The plan is written beside the results, so that a stopped run, or jobs on other machines, go on with the same tiles and
the same library for matrix products.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probing_bridge import __version__
from probing_bridge.errors import BridgeError

PAIRS = ("within", "dense", "all")
CHUNK_ROWS = 8192
ATTENTION_ROWS = 16384

FREQUENCIES = ("dump", "dictionary", "text")


@dataclass(frozen=True)
class Plan:
    """The whole request.

    Attributes:
        dumps: Paths, as given.
        pairs: Some of PAIRS: which levels are compared with which.
        measures: Keys of MEASURES.
        absolute: NeuronSim of |r|.
        threshold: Mass from which an attention distribution counts as concentrated.
        tags: (kind, path) of tag files for groups of source tokens.
        frequencies: One of FREQUENCIES: whose counts rank the pieces for groups by frequency.
        texts: (side, path) of the texts that are counted, if it is "text".
        gemm: Key of GEMMS.
        command: The command line.
    """

    dumps: tuple[str, ...]
    pairs: tuple[str, ...]
    measures: tuple[str, ...]
    absolute: bool
    threshold: float
    tags: tuple[tuple[str, str], ...]
    frequencies: str
    texts: tuple[tuple[str, str], ...]
    gemm: str
    command: str

    @property
    def variants(self) -> dict[str, tuple[str, ...]]:
        """The variants of measures that do not go by their defaults."""
        return {"neuron_similarity": ("absolute",)} if self.absolute else {}

    def to_json(self) -> str:
        """The plan as text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        for name in ("dumps", "pairs", "measures"):
            values[name] = tuple(values[name])
        for name in ("tags", "texts"):
            values[name] = tuple((kind, path) for kind, path in values[name])
        return cls(**values)

    def fingerprint(self) -> str:
        """Hash of everything that the numbers depend on: options, files (size and time), version of the package."""
        content = asdict(self) | {"command": "", "gemm": "", "version": __version__}
        content["files"] = [
            file_states(Path(path)) for path in [*self.dumps, *(path for _, path in (*self.tags, *self.texts))]
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def file_states(path: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a file or of the shards beside its name."""
    files = [path] if path.exists() else sorted(path.parent.glob(f"{path.stem}.shard*{path.suffix}"))
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def level_pairs(levels: Sequence[int], pairs: Sequence[str]) -> set[tuple[int, int]]:
    """Which levels are compared.

    Args:
        levels: The levels, rising.
        pairs: Some of PAIRS: within (each level with itself), dense (each level with level 0), all.

    Returns:
        Places (not levels) (a, b) with a <= b.

    Raises:
        BridgeError: `dense` without level 0.
    """
    n = len(levels)
    wanted: set[tuple[int, int]] = set()
    if "within" in pairs:
        wanted |= {(k, k) for k in range(n)}
    if "dense" in pairs:
        if levels[0] != 0:
            raise BridgeError(f"--pairs dense needs a dump of level 0; the lowest level given is {levels[0]}")
        wanted |= {(0, k) for k in range(1, n)}
    if "all" in pairs:
        wanted |= {(a, b) for a in range(n) for b in range(a, n)}
    return wanted
