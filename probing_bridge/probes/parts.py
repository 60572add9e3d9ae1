"""Finished jobs on disk: one file per task, probe, seed, measure and layer, with what was measured and predicted.

A part appears whole or not at all, and the tables are assembled from parts, so a run that is killed loses only the
job it was at, and no row is ever there twice. A job that runs is locked, and two
runners on one folder share the work. Beside the parts stands which data and files the last run knew: parts of others
are out of date. They stay on disk, and in no table.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probing_bridge import __version__
from probing_bridge.errors import InputError
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.locks import locked
from probing_bridge.formats.origin import Origin
from probing_bridge.probes.measures import Outcome
from probing_bridge.probes.metrics import Predictions

PARTS = "probes.parts"  # their folder, beside the tables
_OF_PREDICTIONS = ("gold", "predicted", "offsets", "top3", "counted")
_CURRENT = "current.json"  # beside the parts: task -> hash of its data, experiment/model -> hash of its file


@dataclass(frozen=True)
class PartKey:
    """Which part this is; no two parts share it.

    Attributes:
        experiment: Identity of the experiment; empty if unknown.
        model: Name of the representation file without its ending; `-` for baselines.
        task: Task key.
        probe: linear, mlp, or a baseline.
        seed: Of the recipe; None for baselines.
        measure: score, control, mdl or baseline.
        layer: A number, `mix`, or `-`.
    """

    experiment: str
    model: str
    task: str
    probe: str
    seed: int | None
    measure: str
    layer: str

    def path(self, folder: Path) -> Path:
        """Its file in the folder of parts."""
        name = ".".join([self.task, self.probe, "-" if self.seed is None else str(self.seed), self.measure, self.layer])
        return folder / _plain_name(self.experiment) / _plain_name(self.model) / f"{name}.npz"


def _plain_name(text: str) -> str:
    """A folder name without surprises, another one for each text."""
    if not text:
        return "-"
    name = re.sub(r"[^\w.=+-]", "_", text).lstrip(".")
    if name == text != "-":
        return name
    return f"{name[:60]}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes:
        key: Which one.
        fingerprint: Of everything its numbers depend on.
        metric: The key of METRICS of its predictions.
        outcome: What was found out.
        details: Rows of the probes_details table.
    """

    key: PartKey
    fingerprint: dict[str, Any]
    metric: str
    outcome: Outcome
    details: list[dict[str, Any]]

    @property
    def origin(self) -> Origin:
        """Which level of which experiment it is about."""
        return Origin(self.key.experiment, self.fingerprint["level"], self.fingerprint.get("parent", ""))


def save_part(part: Part, folder: Path) -> None:
    """Writes a part beside its final name and renames it.

    Args:
        part: The part.
        folder: The folder of parts.
    """
    path, outcome = part.key.path(folder), part.outcome
    header: dict[str, Any] = {
        "key": asdict(part.key),
        "fingerprint": part.fingerprint,
        "metric": part.metric,
        "n_items": outcome.n_items,
        "best_epoch": outcome.best_epoch,
        "dev_score": outcome.dev_score,
        "values": dict(outcome.values),
        "details": part.details,
    }
    arrays: dict[str, np.ndarray | None] = {"code": outcome.code, "code_offsets": outcome.offsets}
    if outcome.predictions is not None:
        header["labels"] = outcome.predictions.labels
        arrays |= {name: getattr(outcome.predictions, name) for name in _OF_PREDICTIONS}
    kept = {
        name: values.astype(np.int32) if values.dtype == np.int64 else values
        for name, values in arrays.items()
        if values is not None
    }
    with written_beside(path, shared=True) as beside, beside.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **kept)  # type: ignore[arg-type]


def load_part(path: Path, *, with_arrays: bool = True) -> Part | None:
    """Reads a part.

    Args:
        path: Its file.
        with_arrays: Whether to read predictions and code lengths too.

    Returns:
        The part; None if there is no whole part of that name.

    Raises:
        OSError: It is there and the system does not read it.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            arrays = {name: archive[name] for name in archive.files if name != "header"} if with_arrays else {}
        outcome = Outcome(
            header["n_items"],
            header["best_epoch"],
            header["dev_score"],
            _predictions(header, arrays),
            header["values"],
            arrays.get("code"),
            arrays.get("code_offsets"),
        )
        return Part(PartKey(**header["key"]), header["fingerprint"], header["metric"], outcome, header["details"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _predictions(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Predictions | None:
    if "gold" not in arrays:
        return None
    labels = None if header["labels"] is None else tuple(header["labels"])
    return Predictions(
        arrays["gold"], arrays["predicted"], arrays["offsets"], labels, arrays.get("top3"), arrays.get("counted")
    )


def all_parts(folder: Path) -> list[Part]:
    """Reads every part of a folder without its arrays.

    Args:
        folder: The folder of parts.

    Returns:
        The parts in the order of their names.
    """
    found = (load_part(path, with_arrays=False) for path in sorted(folder.glob("*/*/*.npz")))
    return [part for part in found if part is not None]


def states(data: Mapping[str, str], representations: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """Which data and files there are, as `note_current` and `current_parts` take it.

    Args:
        data: Task -> hash of its data.
        representations: (experiment, model) -> hash of its file.

    Returns:
        Name of a task or model -> the hash.
    """
    of_tasks = {f"task {task}": found for task, found in data.items()}
    return of_tasks | {f"model {experiment}/{model}": found for (experiment, model), found in representations.items()}


def note_current(folder: Path, own: Mapping[str, str]) -> None:
    """Says of which data and files parts are from now on; of tasks and models not named, what was said before holds.

    Args:
        folder: The folder of parts.
        own: From `states`.

    Raises:
        InputError: What was said before cannot be read.
    """
    with locked(folder / "current.lock", wait=True):
        known = {**_noted(folder), **own}
        with written_beside(folder / _CURRENT, shared=True) as beside:
            beside.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def current_parts(folder: Path, own: Mapping[str, str] | None = None) -> list[Part]:
    """The parts of this package's version whose data and files are those of the last run that knew them.

    Args:
        folder: The folder of parts.
        own: From `states`, of a run that is the last but has not said so yet.

    Returns:
        The parts in the order of their names.

    Raises:
        InputError: Parts of several states of one task or file of which nothing says which is the last.
    """
    noted, current, unnoted = {**_noted(folder), **(own or {})}, [], dict[str, set[str]]()
    for part in all_parts(folder):
        key, of = part.key, part.fingerprint
        file = {(key.experiment, key.model): of["reps_hash"]} if of["reps_hash"] else {}
        found = states({key.task: of["data_hash"]}, file)
        if of["package_version"] == __version__ and all(noted.get(name, one) == one for name, one in found.items()):
            current.append(part)
            for name in found.keys() - noted.keys():
                unnoted.setdefault(name, set()).add(found[name])
    for name, hashes in unnoted.items():
        if len(hashes) > 1:
            raise InputError(f"has parts of {len(hashes)} states of {name}: probe it again here", folder)
    return current


def _noted(folder: Path) -> dict[str, str]:
    """What `note_current` wrote."""
    path = folder / _CURRENT
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error}); remove it, and probe all again", path) from error
    if not isinstance(known, dict) or not all(isinstance(found, str) for found in known.values()):
        raise InputError("is not what `probe` writes; remove it, and probe all again", path)
    return known
