"""What a run keeps in the results folder: `.similarity/`, a work folder for each request, and who is at work.

A work folder has the plan and the tiles that are finished. Its name says of which request it is, so that jobs which a
killed run of other options left on a cluster never mix their tiles with these.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from probing_bridge.errors import InputError
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.locks import holder, take
from probing_bridge.similarity.run.cuts import plan_tiles
from probing_bridge.similarity.run.dumps import DumpSet
from probing_bridge.similarity.run.made import Made
from probing_bridge.similarity.run.plan import Plan, level_pairs
from probing_bridge.similarity.sums.gemm import choose_gemm

WORK = ".similarity"
LOCK = ".similarity.lock"


@contextmanager
def sole_run(output: Path) -> Iterator[None]:
    """Holds the results folder for one run; made if it is missing.

    Raises:
        InputError: Another run is at work in it, or it cannot be written.
    """
    try:
        let_go = take(output / LOCK, wait=False)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", output) from error
    if let_go is None:
        who = holder(output / LOCK)
        raise InputError(f"another `similarity` is at work here ({who}): wait for it, or give another --output", output)
    try:
        yield
    finally:
        let_go()


def finish(output: Path, made: Made) -> None:
    """Notes what the tables are, and removes all work folders."""
    made.write(output)
    shutil.rmtree(output / WORK, ignore_errors=True)


def clear_work(output: Path, fingerprint: str) -> None:
    """Removes what a run left that ended between its tables and their work folder; that of other options stays."""
    shutil.rmtree(output / WORK / fingerprint[:16], ignore_errors=True)
    with suppress(OSError):
        (output / WORK).rmdir()


def open_work(plan: Plan, dumps: DumpSet, output: Path) -> tuple[Plan, Path]:
    """The work folder of a plan.

    Args:
        plan: The request.
        dumps: Its dumps, open.
        output: The results folder.

    Returns:
        The plan with its choice of matrix products (that of the earlier run, if it stopped), and the folder.
    """
    work = output / WORK / plan.fingerprint()[:16]
    if (work / "plan.json").exists():
        return read_plan(work), work
    (work / "tiles").mkdir(parents=True, exist_ok=True)
    wanted = level_pairs(dumps.levels, plan.pairs)
    flop = sum(tile.work(dumps, wanted) for tile in plan_tiles(dumps, plan.pairs))
    plan = replace(plan, gemm=choose_gemm(flop).name)
    with written_beside(work / "plan.json") as beside:
        beside.write_text(plan.to_json())
    return plan, work


def read_plan(work: Path) -> Plan:
    """The plan of a work folder."""
    return Plan.from_json((work / "plan.json").read_text())
