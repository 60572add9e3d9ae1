"""The stage `similarity`: plan, check everything, tell every fault at once, do the tiles that are missing, collect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from probing_bridge.cluster.jobs import Cluster
from probing_bridge.errors import BridgeError, Faults, InputError
from probing_bridge.progress import Progress
from probing_bridge.similarity.measures.registry import MEASURES
from probing_bridge.similarity.run.cuts import SCRATCH_AT_ONCE, AnyTile, Tile, plan_tiles
from probing_bridge.similarity.run.dumps import DumpSet
from probing_bridge.similarity.run.frequencies import check_frequencies
from probing_bridge.similarity.run.group_tile import check_tags
from probing_bridge.similarity.run.made import missing, pieces_of, read_made, require_same
from probing_bridge.similarity.run.plan import Plan, level_pairs
from probing_bridge.similarity.run.rows import collect
from probing_bridge.similarity.run.tile import TileRunner
from probing_bridge.similarity.run.work import clear_work, finish, open_work, read_plan, sole_run

MOST_JOBS = 1000  # of an array, as Slurm is set unless a site says otherwise (MaxArraySize)


@dataclass(frozen=True)
class Finished:
    """What there is at the end.

    Attributes:
        added: Whether something was added to the tables; otherwise all of it was there.
        notes: Constant neurons, scores that are not defined.
    """

    added: bool
    notes: list[str]


def run(plan: Plan, output: Path, cluster: Cluster | None = None) -> Finished:
    """Compares the dumps of a plan and writes the tables of the results folder.

    Args:
        plan: The request; rows that are there are kept, and so is what an earlier run of it finished.
        output: The results folder.
        cluster: Where tiles are computed; here, one by one, if None.

    Returns:
        What came of it.

    Raises:
        BridgeError: Everything that is wrong with the input, a fault a line; nothing is computed then. Or activations
            that are not finite, or jobs that failed; finished tiles are kept.
    """
    with checked(plan, output) as dumps:
        made = read_made(output)
        if not missing(plan, dumps, made.pieces)[1]:
            clear_work(output, made.work)
            return Finished(False, [])
        with sole_run(output):
            made = require_same(plan, dumps, output)  # another run may have ended since
            pieces = made.pieces | pieces_of(plan, dumps)
            plan, tiles = missing(plan, dumps, made.pieces)
            plan, work = open_work(plan, dumps, output)
            left = [tile for tile in tiles if not (work / "tiles" / tile.name).exists()]
            do(left, plan, dumps, work, cluster)
            made.write(output)  # before the rows: a run killed among them goes on
            notes = collect(work, [tile.name for tile in tiles], output)
            finish(output, replace(made, pieces=pieces, work=plan.fingerprint()))
    return Finished(True, notes)


@contextmanager
def checked(plan: Plan, output: Path) -> Iterator[DumpSet]:
    """The open dumps of a plan in which nothing is wrong.

    Args:
        plan: The request.
        output: The results folder.

    Yields:
        The dumps, closed at the end.

    Raises:
        BridgeError: All faults, a line each.
    """
    faults = Faults()
    if not 0 < plan.threshold < 1:
        faults.add(f"--threshold {plan.threshold}: expected a share of attention between 0 and 1")
    if output.exists() and not output.is_dir():
        faults.add(str(InputError("is not a folder", output)))
    dumps = faults.of(DumpSet, [Path(path) for path in plan.dumps])
    if dumps is None:
        faults.tell()
    assert dumps is not None
    with dumps:
        faults.of(level_pairs, dumps.levels, plan.pairs)
        check_frequencies(plan, dumps, faults)
        check_tags(plan.tags, dumps, faults)
        check_tokens(plan, dumps, faults)
        faults.tell()
        require_same(plan, dumps, output)
        yield dumps


def check_tokens(plan: Plan, dumps: DumpSet, faults: Faults) -> None:
    """Adds the measures that need more tokens than there are to the faults."""
    for component in dumps.components.values():
        for name in plan.measures if component.units is None else ():
            if too_few := MEASURES[name].too_few(name, component.n_rows, component.width):
                faults.add(f"--measures: {plan.dumps[0]} {component.name}: {too_few}")


def do(tiles: Sequence[AnyTile], plan: Plan, dumps: DumpSet, work: Path, cluster: Cluster | None) -> None:
    """Computes tiles, here or on a cluster, under a progress bar."""
    wanted = level_pairs(dumps.levels, plan.pairs)
    with Progress(sum(_cost(tile, dumps, wanted) for tile in tiles)) as bar:
        if cluster is None:
            runner = TileRunner(plan, dumps, work)
            for tile in tiles:
                bar.set_description_str(f"{tile.name} ", refresh=False)
                runner.run(tile, partial(_advance, bar, _cost(tile, dumps, wanted)))
        else:  # tiles of two spans need those of one: two rounds
            cluster = replace(cluster, at_once=_at_once(cluster.at_once, tiles, dumps, wanted))
            for own in (True, False):
                for tile in _run_on(cluster, work, [tile for tile in tiles if tile.own is own]):
                    bar.update(_cost(tile, dumps, wanted))


def run_tile(work: Path, name: str) -> None:
    """Computes one tile of the plan in a work folder: a job of its own, on any machine that sees the files.

    Args:
        work: The work folder.
        name: Of the tile.
    """
    plan = read_plan(work)
    with DumpSet([Path(path) for path in plan.dumps]) as dumps:
        tile = next(tile for tile in plan_tiles(dumps, plan.pairs) if tile.name == name)
        TileRunner(plan, dumps, work).run(tile)


def _run_on(cluster: Cluster, work: Path, tiles: Sequence[AnyTile]) -> Iterator[AnyTile]:
    """Computes tiles that do not need each other on a cluster; gives each as it ends.

    Raises:
        BridgeError: The jobs cannot be submitted, or some failed; finished tiles are kept.
    """
    failed = []
    for first in range(0, len(tiles), MOST_JOBS):
        some = tiles[first : first + MOST_JOBS]
        for ended in cluster.run(run_tile, [(work.resolve(), tile.name) for tile in some], work / "jobs"):
            if ended.failure:
                failed.append(f"{some[ended.place].name}: {ended.failure}")
            yield some[ended.place]
    if failed:
        raise BridgeError("; ".join([*failed, "run the same command again"]))


def _at_once(most: int, tiles: Sequence[AnyTile], dumps: DumpSet, wanted: set[tuple[int, int]]) -> int:
    """How many tiles a cluster may compute at the same time so that their products in files fit in SCRATCH_AT_ONCE."""
    largest = max((tile.scratch(dumps, wanted) for tile in tiles if isinstance(tile, Tile)), default=0.0)
    return most if not largest else max(1, min(most, int(SCRATCH_AT_ONCE // largest)))


def _cost(tile: AnyTile, dumps: DumpSet, wanted: set[tuple[int, int]]) -> float:
    """Expected time in arbitrary units: products, and reading, which weighs as much as 200 products of a value."""
    return tile.work(dumps, wanted) + 400.0 * tile.reading(dumps)


def _advance(bar: Progress, cost: float, share: float) -> None:
    bar.update(cost * share)
