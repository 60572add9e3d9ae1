"""How much work the jobs of a grid are, for the time that is left and a rough time before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from probing_bridge.probes.grid import Job
from probing_bridge.probes.measures import MEASURES, TaskData
from probing_bridge.probes.problem import PROBES

# Of the times in benchmarks/README.md: by those of an update, what a probe does besides its products takes as long as
# this many outputs; a product of one item, input and output is so long that the whole suite takes its 309 seconds.
_BESIDE, _SECONDS = 94, 6.3e-11
EPOCHS = 15  # until a probe stops, as a rule; the most are 50
_BASELINE = 0.1  # seconds


def seconds(job: Job, data: TaskData) -> float:
    """About how long a job takes on one core of a CPU.

    Args:
        job: The job.
        data: Its task.

    Returns:
        Seconds.
    """
    if job.recipe is None:
        return _BASELINE
    train = data.splits["train"]
    n_items = sum(len(instance.labels) for instance in train)
    indices = train[0].indices
    n_words = 2 if indices is not None and len(indices) and not isinstance(indices[0], int) else 1
    widths = [n_words * job.model.dim, *PROBES[job.recipe.probe], len(data.labels or (0,))]
    products = sum(size * (_BESIDE + outputs) for size, outputs in pairwise(widths))
    n_probes = len(job.model.layers) if job.recipe.mix else len(job.layers)  # a mix reads all layers
    return _BASELINE + _SECONDS * EPOCHS * MEASURES[job.measure].trainings * n_probes * n_items * products


def announcement(left: Sequence[Job], n_jobs: int, tasks: Mapping[str, TaskData]) -> str:
    """What is about to be done, in one line.

    Args:
        left: Jobs that are not finished.
        n_jobs: All jobs of the run.
        tasks: Task -> its data, of what is left.

    Returns:
        How many jobs of each kind, how many are finished, and about how long it takes.
    """
    kinds = Counter(
        "baseline" if job.recipe is None else f"{job.measure} by {job.recipe.probe}{' of the mix' * job.recipe.mix}"
        for job in left
    )
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    time = _time(sum(seconds(job, tasks[job.task.name]) for job in left))
    finished = f" ({n_jobs - len(left)} are finished)" if n_jobs > len(left) else ""
    return (
        f"{len(left)} of {n_jobs} jobs to do{finished}: {shown}; about {time} of one core, at {EPOCHS} epochs a probe"
    )


def _time(seconds: float) -> str:
    """A duration in the unit that suits it."""
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
