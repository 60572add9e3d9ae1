"""What is written down about each level: `lth.csv` (a row a level) and `lth_modules.csv` (a row a level and module)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fairseq_lth.pruning.masks import Mask
from probing_bridge.formats.files import written_beside

LEVEL_COLUMNS = (
    "experiment", "level", "epoch", "updates", "lr", "sparsity_prunable", "sparsity", "weights", "prunable_weights",
    "pruned_weights", "rate", "score", "scope", "rewind", "rewind_epoch", "lr_before", "updates_before",
    "updates_after", "parent", "mask_hash", "wall_seconds", "checkpoint", "checkpoint_hash",
)  # fmt: skip
MODULE_COLUMNS = (
    "experiment", "level", "module", "component", "layer", "kind", "part", "weights", "pruned", "sparsity",
)  # fmt: skip
_LAYER = re.compile(r"(encoder|decoder)\.layers\.(\d+)\.(.+)")
_ATTENTION = re.compile(r"(self_attn|encoder_attn)\.(q|k|v|out)_proj")


def module_rows(mask: Mask, experiment: str, level: int) -> list[dict[str, Any]]:
    """The sparsity of every prunable module, in the model's order (Figures A1 and A2 of the paper).

    Args:
        mask: The mask of the level.
        experiment: Identity of the experiment.
        level: 0 = dense.

    Returns:
        Rows with MODULE_COLUMNS; weight and bias of a module are one row, layers count from 1.
    """
    totals: dict[str, list[int]] = {}
    for name, kept in mask.kept.items():
        of_module = totals.setdefault(name.rpartition(".")[0], [0, 0])
        of_module[0] += kept.numel()
        of_module[1] += kept.numel() - int(kept.count_nonzero())
    rows = []
    for path, (weights, pruned) in totals.items():
        counts = {"weights": weights, "pruned": pruned, "sparsity": pruned / weights}
        rows.append({"experiment": experiment, "level": level, **_place(path), **counts})
    return rows


def _place(path: str) -> dict[str, Any]:
    """Where a module is: component, layer, kind and part."""
    in_layer = _LAYER.fullmatch(path)
    if in_layer is None:
        component = path.split(".")[0]
        component = component if component in ("encoder", "decoder") else ""
        return {"module": path, "component": component, "layer": "", "kind": "other", "part": "other"}
    component, layer, rest = in_layer.groups()
    attention = _ATTENTION.fullmatch(rest)
    kind, part = attention.groups() if attention else ("fc", rest) if rest in ("fc1", "fc2") else ("other", "other")
    return {
        "module": f"{component}.{layer}.{rest}",
        "component": component,
        "layer": int(layer) + 1,
        "kind": kind,
        "part": part,
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none where it is missing."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Writes a CSV file beside and renames it; nothing is touched if it says the same already."""
    rows = [{column: "" if row.get(column) is None else str(row[column]) for column in columns} for row in rows]
    if path.is_file() and read_rows(path) == rows:
        return
    with written_beside(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
