"""The stage `report`: reads every side, tells all that is wrong with them at once, and makes the page.

Place in the flow: result tables -> results -> figures, claims -> report.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from probing_bridge.errors import Faults
from probing_bridge.report.page import build
from probing_bridge.results.compared import Comparison, read_side, side_by_side
from probing_bridge.results.runs import read_runs, with_baseline, with_control


def report(
    folders: Sequence[str | Path],
    output: str | Path,
    baselines: Sequence[Sequence[str | Path]] = (),
    controls: Sequence[Sequence[str | Path]] = (),
    compare: Sequence[str] = (),
    allow_mixed: bool = False,
) -> Path:
    """Makes the figures, tables, claims and the page of one experiment.

    Args:
        folders: The results folders of its runs; none for the first of `compare` that is one.
        output: Folder of the page.
        baselines: Other experiments whose BLEU is shown beside it: the results folders of the runs of each.
        controls: Other experiments that it is compared with in all tables, alike.
        compare: Two sides to lay side by side, each as compared.read_side takes it; or none.
        allow_mixed: See results.folder.read_results.

    Returns:
        The page.

    Raises:
        BridgeError: All faults, one a line; nothing is written then.
    """
    faults = Faults()
    if not folders:
        folders = [side for side in compare if Path(side).is_dir()][:1]
        if not folders and compare:
            faults.add("--compare: neither side is a results folder; give one, or --results DIR")
        elif not folders:
            faults.add("nothing to report on: give --results DIR, or --compare A B")
    results = faults.of(read_runs, folders, allow_mixed) if folders else None
    for beside, put in (*((one, with_baseline) for one in baselines), *((one, with_control) for one in controls)):
        if results is not None:
            results = faults.of(put, results, beside, allow_mixed) or results
    comparison = _comparison(compare, allow_mixed, faults) if compare else None
    faults.tell()
    assert results is not None, "without results there is a fault"
    return build(results, output, comparison)


def _comparison(compare: Sequence[str], allow_mixed: bool, faults: Faults) -> Comparison | None:
    """The two sides, if both can be read and have something in common."""
    sides = [side for where in compare if (side := faults.of(read_side, where, allow_mixed)) is not None]
    return faults.of(side_by_side, *sides) if len(sides) == 2 else None
