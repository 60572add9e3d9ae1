"""What the tables of a results folder were made from and hold already, and what a request adds to them.

One folder is of one experiment, one corpus and one way of scoring: rows that an earlier run left stay as they are, so
a request that would make other ones is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from probing_bridge import __version__
from probing_bridge.errors import InputError
from probing_bridge.formats.activations.reader import SIDES
from probing_bridge.formats.files import file_hash, written_beside
from probing_bridge.similarity.run.cuts import AnyTile, GroupTile, OutputTile, Tile, plan_tiles
from probing_bridge.similarity.run.dumps import DumpSet
from probing_bridge.similarity.run.plan import Plan, file_states, level_pairs
from probing_bridge.similarity.run.rows import RESULT_TABLES

MANIFEST = ".similarity.json"
ALONE, HEADS, OUTPUT = "alone", "heads", "output"


class Piece(NamedTuple):
    """A part of the tables: one level, or two levels, by one measure or kind of groups.

    Attributes:
        component: As in the tables.
        level_a: The lower level.
        level_b: The other; the same of a level with itself, or by itself.
        what: A measure, a kind of groups, or which of the rows that no option names.
    """

    component: str
    level_a: int
    level_b: int
    what: str


@dataclass(frozen=True)
class Made:
    """What the tables of a results folder are.

    Attributes:
        settings: What holds for all rows, and the files they came from, in words.
        pieces: What the tables hold.
        work: Fingerprint of the run that ended last.
    """

    settings: dict[str, str]
    pieces: frozenset[Piece]
    work: str = ""

    def write(self, output: Path) -> None:
        """Notes it in a results folder."""
        content = asdict(self) | {"pieces": sorted(self.pieces)}
        with written_beside(output / MANIFEST) as beside:
            beside.write_text(json.dumps(content))


def read_made(output: Path) -> Made:
    """What the tables of a results folder are; nothing where there are none.

    Raises:
        InputError: There are tables, but not what they were made from.
    """
    there = [table for name in RESULT_TABLES if (table := output / f"{name}.csv").exists()]
    if not there:
        return Made({}, frozenset())
    try:
        content = json.loads((output / MANIFEST).read_text())
        settings = {str(name): str(value) for name, value in content["settings"].items()}
        pieces = frozenset(Piece(str(one), int(a), int(b), str(what)) for one, a, b, what in content["pieces"])
        made = Made(settings, pieces, str(content["work"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"is there, but not what it was made from ({MANIFEST} beside it); move it away first"
        raise InputError(reason, there[0]) from error
    return made if len(there) == len(RESULT_TABLES) else replace(made, pieces=frozenset())


def settings_of(plan: Plan, dumps: DumpSet) -> dict[str, str]:
    """What all rows of a request have in common, in words."""
    files = {
        f"the dump of level {level}": f"of checkpoint {dumps.checkpoint_hash(place)[:12] or 'unknown'}, {_size(path)}"
        for place, (level, path) in enumerate(zip(dumps.levels, dumps.paths, strict=True))
    }
    return {
        "version": __version__,
        "experiment": dumps.experiment or "unknown",
        "sentences": dumps.sentence_hash[:12],
        "--threshold": str(plan.threshold),
        "--absolute": "given" if plan.absolute else "not given",
        "--frequencies": _frequencies(plan),
        **files,
        **{f"--tags {kind}": f"sha256 {file_hash(path)[:12]}" for kind, path in plan.tags},
    }


def _frequencies(plan: Plan) -> str:
    """Whose counts rank the pieces; a text by its content."""
    texts = (f"{side} of sha256 {file_hash(path)[:12]}" for side, path in plan.texts)
    return " ".join((plan.frequencies, *texts))


def _size(path: Path) -> str:
    """Of a dump, or of its shards in all; its time says nothing: the same command makes the same bytes again."""
    return f"{sum(size for _, size, _ in file_states(path)):,} bytes"


def require_same(plan: Plan, dumps: DumpSet, output: Path) -> Made:
    """Refuses a request whose rows cannot stand beside those of a results folder.

    Returns:
        What the tables are, with the settings of the request beside theirs.

    Raises:
        InputError: What differs, with both values.
    """
    made, now = read_made(output), settings_of(plan, dumps)
    before = made.settings
    differ = [name for name in now if before.get(name, now[name]) != now[name]]
    if differ:
        shown = "; ".join(f"{name}: {before[name]}, now {now[name]}" for name in differ)
        raise InputError(f"its tables were made with other settings ({shown}): give another --output", output)
    return replace(made, settings=before | now)


def missing(plan: Plan, dumps: DumpSet, there: frozenset[Piece]) -> tuple[Plan, list[AnyTile]]:
    """What is left of a request.

    Args:
        plan: The request.
        dumps: Its dumps, open.
        there: What the tables hold.

    Returns:
        The request with the measures that some levels lack, and the tiles to compute for it.
    """
    by_tile = {tile: _pieces(tile, plan, dumps) for tile in plan_tiles(dumps, plan.pairs)}
    left = frozenset().union(*by_tile.values()) - there
    lacking = {piece.what for piece in left}
    tiles = [tile for tile, pieces in by_tile.items() if pieces & left]
    spans = {(tile.component, span) for tile in tiles if isinstance(tile, Tile) for span in (tile.first, tile.second)}
    needed = [
        tile
        for tile in by_tile
        if tile in tiles or (isinstance(tile, Tile) and tile.own and (tile.component, tile.first) in spans)
    ]
    return replace(plan, measures=tuple(name for name in plan.measures if name in lacking)), needed


def pieces_of(plan: Plan, dumps: DumpSet) -> frozenset[Piece]:
    """All that a request asks for."""
    return frozenset().union(*(_pieces(tile, plan, dumps) for tile in plan_tiles(dumps, plan.pairs)))


def _pieces(tile: AnyTile, plan: Plan, dumps: DumpSet) -> frozenset[Piece]:
    """What a tile adds to the tables."""
    levels = dumps.levels
    if isinstance(tile, OutputTile):
        level = levels[tile.place]
        pairs = [Piece(OUTPUT, levels[0], level, OUTPUT)] if tile.with_dense else []
        return frozenset([Piece(OUTPUT, level, level, ALONE), *pairs])
    if isinstance(tile, GroupTile):
        tags: Sequence[str] = [kind for kind, _ in plan.tags] if SIDES[tile.component] == "source" else []
        return frozenset(Piece(tile.component, levels[0], levels[tile.place], kind) for kind in ("frequency", *tags))
    wanted = level_pairs(levels, plan.pairs)
    measures = (HEADS,) if dumps.components[tile.component].is_attention else plan.measures
    pairs = [
        Piece(tile.component, levels[a], levels[b], measure)
        for a in tile.first.places
        for b in tile.second.places
        if (a, b) in wanted
        for measure in measures
    ]
    alone = [Piece(tile.component, levels[a], levels[a], ALONE) for a in tile.first.places] if tile.own else []
    return frozenset([*pairs, *alone])
