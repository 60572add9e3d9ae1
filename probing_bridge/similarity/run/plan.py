"""What has to be compared, cut into tiles that fit in memory and can be computed in any order, anywhere.

A tile is a component and one or two spans of levels. Tiles of one span come first: they hold each layer's own
moments, which the tiles of two spans need. The plan is written beside the results, so that a stopped run, or jobs on
other machines, go on with the same tiles and the same library for matrix products.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probing_bridge import __version__
from probing_bridge.errors import BridgeError
from probing_bridge.similarity.run.dumps import Component, DumpSet
from probing_bridge.similarity.sums.blocks import N_BLOCKS

PAIRS = ("within", "dense", "all")
STORE_BYTES = 1.0e9  # products of blocks kept in memory; more go to files
ROWS_BYTES = 0.4e9  # one chunk of tokens of all layers of a tile
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


@dataclass(frozen=True)
class Tile:
    """One piece of work: a component of the levels of one span, or of one span with another.

    Attributes:
        component: Name of the component.
        first: Places of levels.
        second: Places of levels; the same as `first` in a tile of one span.
        on_disk: Whether the products of blocks go to files.
    """

    component: str
    first: tuple[int, ...]
    second: tuple[int, ...]
    on_disk: bool

    @property
    def own(self) -> bool:
        """Whether this tile makes the layers' own moments."""
        return self.first == self.second

    @property
    def name(self) -> str:
        """Name of its folder."""
        spans = [f"{span[0]}-{span[-1]}" for span in (self.first, self.second)]
        return f"{self.component}.{spans[0]}" if self.own else f"{self.component}.{spans[0]}.{spans[1]}"

    @property
    def places(self) -> tuple[int, ...]:
        """Places of all levels that are read."""
        return self.first if self.own else self.first + self.second

    def pairs(self, component: Component, wanted: set[tuple[int, int]]) -> list[tuple[int, int]]:
        """Pairs (i <= j) of the tile's layers, numbered level by level, whose products are needed."""
        n = len(component.layers)
        place = [place for place in self.places for _ in range(n)]
        second = len(self.first) * n if not self.own else 0
        return [
            (i, j)
            for i in range(len(self.first) * n)
            for j in range(max(i, second), len(place))
            if i == j or (place[i], place[j]) in wanted
        ]

    def work(self, dumps: DumpSet, wanted: set[tuple[int, int]]) -> float:
        """Floating-point operations of the tile's products."""
        component = dumps.components[self.component]
        return 2.0 * component.n_rows * component.width**2 * len(self.pairs(component, wanted))

    def reading(self, dumps: DumpSet) -> float:
        """Values that are read."""
        return _values(dumps.components[self.component]) * len(self.places)


@dataclass(frozen=True)
class GroupTile:
    """Groups of tokens: level 0 with the level at one place, each layer with the same layer."""

    component: str
    place: int

    @property
    def own(self) -> bool:
        """Whether this tile makes the layers' own moments: no."""
        return False

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"groups.{self.component}.{self.place}"

    def work(self, dumps: DumpSet, wanted: set[tuple[int, int]]) -> float:
        """Floating-point operations of its products, about: frequency and one kind of tags."""
        component = dumps.components[self.component]
        return 8.0 * component.n_rows * component.width**2 * len(component.layers)

    def reading(self, dumps: DumpSet) -> float:
        """Values that are read."""
        return _values(dumps.components[self.component]) * 2


@dataclass(frozen=True)
class OutputTile:
    """Output distributions of the level at one place, and with those of level 0 if that is asked for."""

    place: int
    with_dense: bool

    @property
    def own(self) -> bool:
        """Whether it needs no other tile: so it may be made with those that make the layers' own moments."""
        return True

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"output.{self.place}"

    def work(self, dumps: DumpSet, wanted: set[tuple[int, int]]) -> float:
        """Floating-point operations of its products: it has none."""
        return 0.0

    def reading(self, dumps: DumpSet) -> float:
        """Values that are read: tokens and their probabilities."""
        return 2.0 * dumps.n_best * float(dumps.offsets("target")[-1]) * (1 + self.with_dense)


AnyTile = Tile | GroupTile | OutputTile


def _values(component: Component) -> float:
    """Values of a component in one dump."""
    return float(component.n_rows) * component.width * len(component.layers)


def plan_tiles(dumps: DumpSet, pairs: Sequence[str]) -> list[AnyTile]:
    """Cuts the work into tiles; tiles of one span of levels come first.

    Args:
        dumps: The open dumps.
        pairs: Some of PAIRS.

    Returns:
        Tiles that together hold each wanted pair of layers once.
    """
    wanted = level_pairs(dumps.levels, pairs)
    tiles: list[AnyTile] = []
    for component in dumps.components.values():
        tiles += _cut(component, len(dumps.levels), wanted)
        if component.units is None and dumps.levels[0] == 0:
            tiles += [GroupTile(component.name, b) for a, b in sorted(wanted) if a == 0 and b != 0]
    if dumps.n_best:
        is_dense = dumps.levels[0] == 0
        tiles += [OutputTile(place, is_dense and (0, place) in wanted) for place in range(len(dumps.levels))]
    return sorted(tiles, key=lambda tile: not tile.own)


def _cut(component: Component, n_levels: int, wanted: set[tuple[int, int]]) -> Iterator[Tile]:
    columns = len(component.layers) * component.width  # of one level
    size = n_levels
    while size > 1 and (_store_bytes(size, columns) > STORE_BYTES or _rows_bytes(size, columns) > ROWS_BYTES):
        size -= 1
    spans = [tuple(range(k, min(k + size, n_levels))) for k in range(0, n_levels, size)]
    on_disk = _store_bytes(size, columns) > STORE_BYTES
    for k, first in enumerate(spans):
        yield Tile(component.name, first, first, on_disk)
        for second in spans[k + 1 :]:
            if any((a, b) in wanted for a in first for b in second):
                yield Tile(component.name, first, second, on_disk)


def _store_bytes(levels: int, columns: int) -> float:
    return 4.0 * N_BLOCKS * (levels * columns) ** 2


def _rows_bytes(levels: int, columns: int) -> float:
    return 4.0 * CHUNK_ROWS * 2 * levels * columns
