"""Runs a whole plan: tile by tile with the time left, going on where an earlier run stopped."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from probing_bridge.cluster import Cluster
from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.tables import read_table
from probing_bridge.similarity.run.dumps import DumpSet
from probing_bridge.similarity.run.plan import GroupTile, Plan, Tile, level_pairs, plan_tiles
from probing_bridge.similarity.run.rows import RESULT_TABLES, collect
from probing_bridge.similarity.run.tile import TileRunner
from probing_bridge.similarity.sums.gemm import choose_gemm

WORK = ".similarity"
MANIFEST = ".similarity.json"


def is_finished(output: Path, fingerprint: str) -> bool:
    """Whether the tables in a results folder were made from this very request."""
    try:
        made = json.loads((output / MANIFEST).read_text())["fingerprint"]
    except (OSError, ValueError, KeyError):
        return False
    return made == fingerprint and all((output / f"{name}.csv").exists() for name in RESULT_TABLES)


def finish(output: Path, fingerprint: str) -> None:
    """Notes what the tables were made from, and removes the work folder."""
    with written_beside(output / MANIFEST) as beside:
        beside.write_text(json.dumps({"fingerprint": fingerprint}))
    shutil.rmtree(output / WORK, ignore_errors=True)


def open_work(plan: Plan, dumps: DumpSet, output: Path) -> tuple[Plan, Path]:
    """The work folder of a plan; one of another plan is emptied first.

    Args:
        plan: The request.
        dumps: Its dumps, open.
        output: The results folder.

    Returns:
        The plan with its choice of matrix products (that of the earlier run, if it stopped), and the folder.
    """
    work = output / WORK
    fingerprint = plan.fingerprint()
    try:
        stored = json.loads((work / "plan.json").read_text())
        if stored["fingerprint"] == fingerprint:
            return Plan.from_json(json.dumps(stored["plan"])), work
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no plan, or half of one: start anew
    shutil.rmtree(work, ignore_errors=True)
    (work / "tiles").mkdir(parents=True)
    wanted = level_pairs(dumps.levels, plan.pairs)
    flop = sum(tile.work(dumps.components[tile.component], wanted) for tile in plan_tiles(dumps, plan.pairs))
    plan = replace(plan, gemm=choose_gemm(flop).name)
    with written_beside(work / "plan.json", shared=True) as beside:
        beside.write_text(json.dumps({"fingerprint": fingerprint, "plan": json.loads(plan.to_json())}))
    return plan, work


def run_all(plan: Plan, dumps: DumpSet, output: Path, cluster: Cluster | None = None) -> list[str]:
    """Computes all tiles that are missing and writes the tables.

    Args:
        plan: The request.
        dumps: Its dumps, open.
        output: The results folder.
        cluster: Where tiles are computed; here, one by one, if None.

    Returns:
        Notes: constant neurons, scores that are not defined.
    """
    tiles = plan_tiles(dumps, plan.pairs)
    plan, work = open_work(plan, dumps, output)
    wanted = level_pairs(dumps.levels, plan.pairs)
    missing = [tile for tile in tiles if not (work / "tiles" / tile.name).exists()]
    with _progress(sum(_cost(tile, dumps, wanted) for tile in missing)) as bar:
        if cluster is None:
            runner = TileRunner(plan, dumps, work)
            for tile in missing:
                bar.set_description(tile.name)
                runner.run(tile, partial(_advance, bar, _cost(tile, dumps, wanted)))
        else:  # tiles of two groups of levels need those of one: two rounds
            for own in (True, False):
                some = [tile for tile in missing if tile.own is own]
                for tile in _run_on(cluster, work, some):
                    bar.update(_cost(tile, dumps, wanted))
    return collect(work, [tile.name for tile in tiles], output)


def run_tile(work: Path, name: str) -> None:
    """Computes one tile of the plan in a work folder: a job of its own, on any machine that sees the files.

    Args:
        work: The work folder.
        name: Of the tile.
    """
    plan = Plan.from_json(json.dumps(json.loads((work / "plan.json").read_text())["plan"]))
    with DumpSet([Path(path) for path in plan.dumps]) as dumps:
        tile = next(tile for tile in plan_tiles(dumps, plan.pairs) if tile.name == name)
        TileRunner(plan, dumps, work).run(tile)


def _run_on(cluster: Cluster, work: Path, tiles: Sequence[Tile | GroupTile]) -> Iterator[Tile | GroupTile]:
    """Computes tiles that do not need each other on a cluster; gives each as it ends.

    Raises:
        BridgeError: The jobs cannot be submitted, or some failed; finished tiles are kept.
    """
    failed = []
    for ended in cluster.run(run_tile, [(work.resolve(), tile.name) for tile in tiles], work / "jobs"):
        if ended.failure:
            failed.append(f"{tiles[ended.place].name}: {ended.failure}")
        yield tiles[ended.place]
    if failed:
        raise BridgeError("; ".join([*failed, "run the same command again"]))


def _cost(tile: Tile | GroupTile, dumps: DumpSet, wanted: set[tuple[int, int]]) -> float:
    """Expected time in arbitrary units: products, and reading, which weighs as much as 200 products of a value."""
    component = dumps.components[tile.component]
    n_levels = 2 if isinstance(tile, GroupTile) else len(tile.places)
    reading = 400.0 * component.n_rows * component.width * len(component.layers) * n_levels
    return tile.work(component, wanted) + reading


def _advance(bar: tqdm, cost: float, share: float) -> None:
    bar.update(cost * share)


def _progress(total: float) -> tqdm:
    every = 0.5 if sys.stderr.isatty() else 30.0
    return tqdm(total=total, bar_format="{desc}{percentage:3.0f} %|{bar:20}| {elapsed}, {remaining} left",
                mininterval=every, maxinterval=2 * every)  # fmt: skip


def summary(output: Path) -> str:
    """Mean NeuronSim and CKA of each level with the lowest one, layer by layer, as text."""
    table = read_table(output / "similarity.csv", "similarity")
    base = table["level_a"].min()
    rows = table[(table["group"] == "") & (table["level_a"] == base) & (table["layer_a"] == table["layer_b"])]
    rows = rows[rows["variant"].isin(["biased", "signed", "absolute"])]
    means = rows.pivot_table(index=["measure", "component"], columns="level_b", values="score", aggfunc="mean")
    text = means.round(3).rename(columns=lambda level: f"LTH{level}").to_string()
    return f"mean over the layers, each with the same layer of LTH{base}:\n{text}\n{output / 'similarity.csv'}"
