"""Does units of jobs: locks each job, reads the features once, trains, measures, and saves a part for each layer.

What another runner is at is waited for or left, and what fails is told and does not stop the rest.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from probing_bridge.errors import BridgeError, refused
from probing_bridge.formats.locks import locked
from probing_bridge.formats.representations import Representations
from probing_bridge.machine import cores
from probing_bridge.probes.devices import CPU, Place, held_place
from probing_bridge.probes.features import Features, load_features
from probing_bridge.probes.grid import Job, Unit, unfinished
from probing_bridge.probes.measures import MEASURES, measure_baseline
from probing_bridge.probes.parts import Part, save_part
from probing_bridge.probes.rows import detail_rows


@dataclass(frozen=True)
class Ending:
    """How a job ended.

    Attributes:
        job: The job.
        status: done, failed, or elsewhere (another runner is at it).
        message: Why it failed, in one line.
    """

    job: Job
    status: str
    message: str = ""


def iterate_unit(unit: Unit, *, wait: bool = False) -> Iterator[Ending]:
    """Does the jobs of a unit one after the other.

    Args:
        unit: The jobs.
        wait: Whether to wait for jobs that another runner is at.

    Yields:
        How each ended.
    """
    torch.set_num_threads(min(torch.get_num_threads(), max(1, cores() // unit.sharing)))
    trains = any(job.recipe is not None for job in unit.jobs)
    on_place = held_place(unit.folder, unit.sharing) if trains else nullcontext(CPU)
    with on_place as place, closing(_HeldFeatures(unit, place)) as held:
        for job in unit.jobs:
            yield _attempt(job, unit, wait, held)


def _attempt(job: Job, unit: Unit, wait: bool, held: _HeldFeatures) -> Ending:
    """Does one job, unless another runner is at it."""
    lock = job.key(job.layers[0] if job.layers in (("mix",), ("-",)) else "layers").path(unit.folder)
    trace = lock.with_suffix(".error.txt")
    try:
        with locked(lock.with_suffix(".lock"), wait=wait) as ours:
            if not ours:
                return Ending(job, "elsewhere")
            left = unfinished(job, unit.folder)
            if left is not None:
                _do(left, unit, held)
        trace.unlink(missing_ok=True)  # of an earlier run
        return Ending(job, "done")
    except BridgeError as error:
        return Ending(job, "failed", str(error))
    except Exception as error:  # whatever it is must not stop the other jobs
        return Ending(job, "failed", refused(error) or _kept(error, trace))


def _kept(error: Exception, path: Path) -> str:
    """Keeps the traceback of an error that nobody foresaw; says what it is in one line."""
    path.write_text(traceback.format_exc(), encoding="utf-8")
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]} (traceback in {path})"


def run_unit(unit: Unit, wait: bool) -> list[Ending]:
    """Does the jobs of a unit, for a worker process.

    Args:
        unit: The jobs.
        wait: Whether to wait for jobs that another runner is at.

    Returns:
        How each ended.
    """
    return list(iterate_unit(unit, wait=wait))


class _HeldFeatures:
    """The features of a unit, read when the first job needs them and kept while the next needs the same layers."""

    def __init__(self, unit: Unit, place: Place) -> None:
        self._unit, self._place = unit, place
        self._held: Features | None = None

    def get(self, job: Job) -> Features:
        """The features of a job's layers."""
        layers = job.model.layers if job.layers == ("mix",) else job.layers
        if self._held is None or self._held.layers != layers:
            self.close()  # the old ones go before the new ones come
            assert job.model.path is not None
            sentences = [tokens for data in self._unit.tasks.values() for tokens in data.sentences]
            with Representations(job.model.path) as representations:
                self._held = load_features(
                    representations, sentences, layers, self._unit.folder, self._unit.memory, self._place
                )
        return self._held

    def close(self) -> None:
        """Lets go of the features."""
        self._held = None


def _do(job: Job, unit: Unit, held: _HeldFeatures) -> None:
    """Does one job and saves a part for each layer."""
    data = unit.tasks[job.task.name]
    if job.recipe is None:
        metric, details, outcomes = job.task.metric, True, [measure_baseline(data, job.baseline)]
    else:
        measure = MEASURES[job.measure]
        metric, details = measure.metric(job.task.metric), measure.details
        outcomes = measure.run(data, held.get(job), job.recipe)
    fingerprint = {**job.fingerprint, "command": unit.command}
    for layer, outcome in zip(job.layers, outcomes, strict=True):
        of_labels = detail_rows(outcome.predictions, metric) if details and outcome.predictions is not None else []
        save_part(Part(job.key(layer), fingerprint, metric, outcome, of_labels), unit.folder)
