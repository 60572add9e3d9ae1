"""Each task called invariant, degrading or improving, by the verdicts of the claims of Section 4.2.

Place in the flow: claims -> tasks -> the table of Section 4.2.
"""

from __future__ import annotations

from functools import partial

import pandas as pd

from probing_bridge.claims.judging import POINTS, Claim, judge_numbers
from probing_bridge.claims.numbers import Numbers
from probing_bridge.claims.per_run import MissingRows
from probing_bridge.claims.probing import DEGRADING, IMPROVING, INVARIANT, trends
from probing_bridge.results.folder import Results
from probing_bridge.results.naming import task_label, task_order
from probing_bridge.results.statistics import CONTRADICTED, EQUIVALENT, FALLS, HOLDS, NOT_RUN, RISES, SAME, Verdict

COLUMNS = ("task", "layer", "first", "last", "change", "low", "high", "confidence", "p", "kind", "runs")


def tasks_data(results: Results) -> pd.DataFrame:
    """The change of every probed task, corrected within the statement that the paper makes about it.

    Args:
        results: The runs of a study.

    Returns:
        task, layer (at which it is judged), first and last (mean scores at LTH0 and the sparsest level), change (of the
        line fitted over levels, in points) with low, high, confidence and p, kind (invariant, degrading, improving,
        undecided, uninformative), runs. A task that the paper says nothing of is judged by itself.
    """
    numbers = Numbers(results)
    probed = task_order([task for probe, task in numbers.probed if probe == "linear"])
    said = [(FALLS, DEGRADING), (RISES, IMPROVING), (SAME, INVARIANT)]
    unsaid = [(SAME, (task,)) for task in probed if not any(task in tasks for _, tasks in said)]
    rows = [
        row
        for claimed, tasks in (*said, *unsaid)
        for row in _rows(numbers, claimed, [task for task in tasks if task in probed])
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("task", key=lambda names: names.map(probed.index), ignore_index=True)


def _rows(numbers: Numbers, claimed: str, tasks: list[str]) -> list[tuple[object, ...]]:
    """The rows of the tasks of one statement; none of a task that was probed at one level only."""
    rows: list[tuple[object, ...]] = []
    effects = partial(trends, tasks=tasks)
    ((_, judged),) = judge_numbers(numbers, [Claim("4.2", "", "", "", "", "", effects, claimed, POINTS)])
    for task in tasks:
        try:
            levels, layer = numbers.probed_levels(task), numbers.chosen_layer(task)
        except MissingRows:
            continue
        ends = [numbers.score(task, level, layer).values.mean() / 100 for level in (levels[0], levels[-1])]
        found = next(part for part in judged.parts if part.name == task_label(task))
        change = (found.effect, found.low, found.high, found.confidence, found.p)
        rows.append((task, layer, *ends, *change, _kind(found), found.runs))
    return rows


def _kind(found: Verdict) -> str:
    """What a task is called by its verdict."""
    if found.verdict == NOT_RUN:
        return "uninformative"
    if found.verdict == EQUIVALENT:
        return "invariant"
    if found.verdict in (HOLDS, CONTRADICTED):
        return "improving" if found.effect > 0 else "degrading"
    return "undecided"
