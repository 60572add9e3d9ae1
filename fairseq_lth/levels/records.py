"""What is written down about each level: `lth.csv` (a row a level) and `lth_modules.csv` (a row a level and module).

Columns and dtypes are those of probing_bridge.formats.columns. A level's end adds that level's rows; `lth.csv` is
written last, so a level that is in it is in both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import ImpState
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.files import file_hash
from probing_bridge.formats.tables import read_table, write_table
from probing_bridge.pruning.masks import Mask

_LAYER = re.compile(r"(encoder|decoder)\.layers\.(\d+)\.(.+)")
_ATTENTION = re.compile(r"(self_attn|encoder_attn)\.(q|k|v|out)_proj")
_KINDS = {"self_attn": "self_attn", "encoder_attn": "encoder_decoder"}  # fairseq's name: ours


@dataclass(frozen=True)
class WeightCounts:
    """How many weights a model has.

    Attributes:
        weights: All of them; what is shared counts once.
        prunable: Those that pruning may touch.
        pruned: Those that are pruned.
    """

    weights: int
    prunable: int
    pruned: int

    @property
    def sparsity(self) -> float:
        """Share of all weights that are pruned, in [0, 1]."""
        return self.pruned / self.weights

    @property
    def sparsity_prunable(self) -> float:
        """Share of the prunable weights that are pruned, in [0, 1]."""
        return self.pruned / self.prunable

    def __str__(self) -> str:
        """For the log."""
        shares = f"sparsity {self.sparsity_prunable:.4f}, of all weights {self.sparsity:.4f}"
        return f"pruned {self.pruned} of {self.prunable} prunable weights ({shares})"


def is_recorded(directory: Path, level: int) -> bool:
    """Whether both tables of a run directory have a level."""
    return level in set(read_rows(directory, "lth")["level"])


def record_level(
    directory: Path, state: ImpState, mask: Mask, counts: WeightCounts, updates: int, pruning: dict[str, Any]
) -> None:
    """Adds the rows of a level that is finished, in place of rows it may have; those of other levels stay as they are.

    Args:
        directory: The run directory, which has the level's checkpoint.
        state: The plugin's part of that checkpoint.
        mask: The level's mask; a full one for level 0.
        counts: The model's weights.
        updates: Updates made since the dense training began.
        pruning: How the level was pruned and rewound, by column; empty for level 0.

    Raises:
        InputError: A table that is there is damaged.
    """
    level, checkpoint = state["level"], paths.level_checkpoint(directory, state["level"])
    rewound = state["transition"]
    row = {
        "experiment": state["experiment"],
        "level": level,
        "epoch": state["epoch"],
        "updates": updates,
        "lr": rewound.get("lr_after"),
        "sparsity_prunable": counts.sparsity_prunable,
        "sparsity": state["sparsity"],
        "weights": counts.weights,
        "prunable_weights": counts.prunable,
        "pruned_weights": counts.pruned,
        **pruning,
        "lr_before": rewound.get("lr_before"),
        "updates_before": rewound.get("updates_before"),
        "updates_after": rewound.get("updates_after"),
        "parent": state["parent"],
        "mask_hash": mask.hash(),
        "wall_seconds": round(state["seconds"], 1),
        "checkpoint": checkpoint.name,
        "checkpoint_hash": file_hash(checkpoint),
    }
    _replace(directory, "lth_modules", level, module_rows(mask, state["experiment"], level))
    _replace(directory, "lth", level, [row])


def read_rows(directory: Path, name: str) -> pd.DataFrame:
    """A table of a run directory; without rows where it is missing.

    Args:
        directory: The run directory.
        name: `lth` or `lth_modules`.

    Raises:
        InputError: The table is damaged.
    """
    path = _path(directory, name)
    return read_table(path, name) if path.is_file() else _typed([], name)


def _replace(directory: Path, name: str, level: int, rows: list[dict[str, Any]]) -> None:
    """Writes a table with other rows for one level."""
    known = read_rows(directory, name)
    whole = pd.concat([known[known["level"] != level], _typed(rows, name)]).sort_values("level", kind="stable")
    write_table(whole, name, _path(directory, name))


def _path(directory: Path, name: str) -> Path:
    return directory / {"lth": paths.RECORDS, "lth_modules": paths.MODULES}[name]


def _typed(rows: list[dict[str, Any]], name: str) -> pd.DataFrame:
    """Rows with the dtypes of their table; what a row does not say is empty."""
    columns = TABLES[name].columns
    frame = pd.DataFrame(rows, columns=None if rows else list(columns), dtype="object")
    return frame.astype({column: dtype for column, dtype in columns.items() if column in frame and dtype != "str"})


def module_rows(mask: Mask, experiment: str, level: int) -> list[dict[str, Any]]:
    """The sparsity of every prunable module, in the model's order (Movva & Zhao 2020, Figures A1 and A2).

    Args:
        mask: The mask of the level.
        experiment: Identity of the experiment.
        level: 0 = dense.

    Returns:
        Rows of the table `lth_modules`; weight and bias of a module are one row, layers count from 1.
    """
    totals: dict[str, list[int]] = {}
    for name, kept in mask.kept.items():
        of_module = totals.setdefault(name.rpartition(".")[0], [0, 0])
        of_module[0] += kept.numel()
        of_module[1] += kept.numel() - int(kept.count_nonzero())
    rows = []
    for path, (weights, pruned) in totals.items():
        counts = {"weights": weights, "pruned": pruned, "module_sparsity": pruned / weights}
        rows.append({"experiment": experiment, "level": level, **_place(path), **counts})
    return rows


def _place(path: str) -> dict[str, Any]:
    """Where a module is: component, layer, kind and projection."""
    in_layer = _LAYER.fullmatch(path)
    if in_layer is None:
        component = path.split(".")[0]
        component = component if component in ("encoder", "decoder") else ""
        return {"module": path, "component": component, "layer": None, "kind": "other", "projection": "other"}
    component, layer, rest = in_layer.groups()
    attention = _ATTENTION.fullmatch(rest)
    kind, projection = ("fc", rest) if rest in ("fc1", "fc2") else ("other", "other")
    if attention:
        kind, projection = _KINDS[attention[1]], attention[2]
    return {
        "module": f"{component}.{layer}.{rest}",
        "component": component,
        "layer": int(layer) + 1,
        "kind": kind,
        "projection": projection,
    }
