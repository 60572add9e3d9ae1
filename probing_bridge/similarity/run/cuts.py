"""The work of a plan cut into tiles that fit in memory and can be computed in any order, anywhere.

A tile is a component and one or two spans: of whole levels, as many as fit, or of layers of one level where not even
one fits. Tiles of one span come first: they hold each layer's own moments, which the tiles of two spans need.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from probing_bridge.similarity.run.dumps import Component, DumpSet
from probing_bridge.similarity.run.plan import CHUNK_ROWS, level_pairs
from probing_bridge.similarity.sums.blocks import N_BLOCKS

STORE_BYTES = 1.0e9  # products of blocks kept in memory; more go to files
SCRATCH_BYTES = 4.0e9  # products of blocks of a tile, in memory or in files
SCRATCH_AT_ONCE = 128.0e9  # in files, of all tiles that a cluster computes at the same time
ROWS_BYTES = 0.4e9  # one chunk of tokens of all layers of a tile


@dataclass(frozen=True)
class Span:
    """Neighbouring layers: all of some levels, or some of one.

    Attributes:
        places: Places of the levels, rising.
        layers: Names of the layers of each.
        whole: Whether these are all its layers.
    """

    places: tuple[int, ...]
    layers: tuple[str, ...]
    whole: bool

    @property
    def keys(self) -> list[tuple[int, str]]:
        """(place, layer) of each layer, level by level."""
        return [(place, layer) for place in self.places for layer in self.layers]

    @property
    def name(self) -> str:
        """As it stands in the name of a tile's folder."""
        layers = "" if self.whole else f"@{self.layers[0]}-{self.layers[-1]}"
        return f"{self.places[0]}-{self.places[-1]}{layers}"


@dataclass(frozen=True)
class Tile:
    """One piece of work: a component of the layers of one span, or of one span with another.

    Attributes:
        component: Name of the component.
        first: A span.
        second: A later span; the same one in a tile of one span.
        on_disk: Whether the products of blocks go to files.
    """

    component: str
    first: Span
    second: Span
    on_disk: bool

    @property
    def own(self) -> bool:
        """Whether this tile makes the layers' own moments."""
        return self.first == self.second

    @property
    def name(self) -> str:
        """Name of its folder."""
        return ".".join((self.component, self.first.name, *(() if self.own else (self.second.name,))))

    @property
    def keys(self) -> list[tuple[int, str]]:
        """(place, layer) of all layers that are read."""
        return self.first.keys if self.own else self.first.keys + self.second.keys

    def pairs(self, wanted: set[tuple[int, int]]) -> list[tuple[int, int]]:
        """Pairs (i <= j) of the tile's layers, numbered as its keys are, whose products are needed."""
        place = [place for place, _ in self.keys]
        n_first = len(self.first.keys)
        second = 0 if self.own else n_first
        return [
            (i, j)
            for i in range(n_first)
            for j in range(max(i, second), len(place))
            if i == j or (place[i], place[j]) in wanted
        ]

    def work(self, dumps: DumpSet, wanted: set[tuple[int, int]]) -> float:
        """Floating-point operations of the tile's products."""
        component = dumps.components[self.component]
        return 2.0 * component.n_rows * component.width**2 * len(self.pairs(wanted))

    def reading(self, dumps: DumpSet) -> float:
        """Values that are read."""
        component = dumps.components[self.component]
        return float(component.n_rows) * component.width * len(self.keys)

    def scratch(self, dumps: DumpSet, wanted: set[tuple[int, int]]) -> float:
        """Bytes of products that it keeps in files."""
        width = dumps.components[self.component].width
        return _store_bytes(width) * len(self.pairs(wanted)) if self.on_disk else 0.0


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
    spans = _spans(component, n_levels)
    on_disk = _store_bytes(len(spans[0].keys) * component.width) > STORE_BYTES
    for k, first in enumerate(spans):
        yield Tile(component.name, first, first, on_disk)
        for second in spans[k + 1 :]:
            if any((a, b) in wanted for a in first.places for b in second.places):
                yield Tile(component.name, first, second, on_disk)


def _spans(component: Component, n_levels: int) -> list[Span]:
    """As many whole levels as fit in each; layers of one level where its products are more than a tile may keep."""
    layers, width = component.layers, component.width
    columns, levels, some = len(layers) * width, n_levels, len(layers)  # columns of one level
    while levels > 1 and (_store_bytes(levels * columns) > STORE_BYTES or _rows_bytes(levels * columns) > ROWS_BYTES):
        levels -= 1
    while some > 1 and _store_bytes(some * width) > SCRATCH_BYTES:
        some -= 1
    if some == len(layers):
        cuts = range(0, n_levels, levels)
        return [Span(tuple(range(k, min(k + levels, n_levels))), layers, whole=True) for k in cuts]
    cuts = range(0, len(layers), some)
    return [Span((place,), layers[k : k + some], whole=False) for place in range(n_levels) for k in cuts]


def _store_bytes(columns: int) -> float:
    """Products of all columns with all, which those of two spans of so many are too."""
    return 4.0 * N_BLOCKS * columns**2


def _rows_bytes(columns: int) -> float:
    return 4.0 * CHUNK_ROWS * 2 * columns
