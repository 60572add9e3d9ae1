"""The work folder of a run, `.similarity` in the results folder: its plan and the tiles that are finished."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from probing_bridge.formats.files import written_beside
from probing_bridge.similarity.run.dumps import DumpSet
from probing_bridge.similarity.run.plan import Plan, level_pairs, plan_tiles
from probing_bridge.similarity.run.rows import RESULT_TABLES
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
            return read_plan(work), work
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


def read_plan(work: Path) -> Plan:
    """The plan of a work folder."""
    return Plan.from_json(json.dumps(json.loads((work / "plan.json").read_text())["plan"]))
