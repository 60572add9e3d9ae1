"""Finished jobs on disk: one file per task, probe, seed, measure and layer, with its rows and its predictions.

A part appears whole or not at all, and the tables are assembled from parts, so a run that is killed loses only the
job it was at, and no row is ever there twice. A job that runs is locked, and two
runners on one folder share the work.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probing_bridge.formats.files import written_beside
from probing_bridge.formats.origin import Origin
from probing_bridge.probes.metrics import Predictions


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
    """A folder name without surprises."""
    return re.sub(r"[^\w.=+-]", "_", text).lstrip(".") or "-"


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes:
        key: Which one.
        fingerprint: Of everything its numbers depend on.
        rows: Rows of the probes table.
        details: Rows of the probes_details table.
        predictions: On the test split; None where there are none.
        metric: The key of METRICS of the main row.
    """

    key: PartKey
    fingerprint: dict[str, Any]
    rows: list[dict[str, Any]]
    details: list[dict[str, Any]]
    predictions: Predictions | None
    metric: str

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
    path = part.key.path(folder)
    header: dict[str, Any] = {
        "key": asdict(part.key),
        "fingerprint": part.fingerprint,
        "rows": part.rows,
        "details": part.details,
        "metric": part.metric,
    }
    arrays: dict[str, np.ndarray] = {}
    if part.predictions is not None:
        header["labels"] = part.predictions.labels
        for name in ("gold", "predicted", "offsets", "top3", "counted"):
            values = getattr(part.predictions, name)
            if values is not None:
                arrays[name] = values.astype(np.int32) if values.dtype == np.int64 else values
    with written_beside(path, shared=True) as beside, beside.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)  # type: ignore[arg-type]


def load_part(path: Path, *, with_predictions: bool = True) -> Part | None:
    """Reads a part.

    Args:
        path: Its file.
        with_predictions: Whether to read the predictions too.

    Returns:
        The part; None if there is no whole part of that name.

    Raises:
        OSError: It is there and the system does not read it.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            arrays = {name: archive[name] for name in archive.files if name != "header"} if with_predictions else {}
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    predictions = None
    if "gold" in arrays:
        labels = None if header["labels"] is None else tuple(header["labels"])
        predictions = Predictions(
            arrays["gold"], arrays["predicted"], arrays["offsets"], labels, arrays.get("top3"), arrays.get("counted")
        )
    key = PartKey(**header["key"])
    return Part(key, header["fingerprint"], header["rows"], header["details"], predictions, header["metric"])


def all_parts(folder: Path) -> list[Part]:
    """Reads every part of a folder without its predictions.

    Args:
        folder: The folder of parts.

    Returns:
        The parts in the order of their names.
    """
    found = (load_part(path, with_predictions=False) for path in sorted(folder.glob("*/*/*.npz")))
    return [part for part in found if part is not None]
