"""What tasks, layers and components are called, and the order they stand in.

Place in the flow: result tables -> naming -> levels, probing, similarity, compared -> figures, claims, report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from probing_bridge.corpora.tasks import TASKS

# Task key -> its short name and group in Movva & Zhao (2020), in the order of its Fig. 1.
TASK_NAMES: dict[str, tuple[str, str]] = {name: (task.title, task.group) for name, task in TASKS.items()}

COMPONENTS = {
    "encoder": "encoder",
    "decoder": "decoder",
    "encoder_self": "encoder self-attention",
    "encoder_decoder": "encoder-decoder attention",
    "decoder_self": "decoder self-attention",
}


def task_label(task: str) -> str:
    """The paper's short name of a task; the key itself for a task the paper does not have."""
    return TASK_NAMES[task][0] if task in TASK_NAMES else task


def task_group(task: str) -> str:
    """The paper's group of a task: POS, syntactic or semantic; empty for a task the paper does not have."""
    return TASK_NAMES[task][1] if task in TASK_NAMES else ""


def task_order(tasks: Sequence[str]) -> list[str]:
    """Tasks in the order of the paper's Fig. 1, others behind them by name."""
    known = list(TASK_NAMES)
    return sorted(set(tasks), key=lambda task: (known.index(task) if task in known else len(known), task))


def layer_order(layers: Sequence[str]) -> list[str]:
    """Layer names by height: numbers first, then names such as `norm`."""
    return sorted(set(layers), key=lambda layer: (not layer.isdigit(), int(layer) if layer.isdigit() else 0, layer))


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame as named tuples, whose fields are the columns of its table."""
    yield from frame.itertuples(index=False)


def real_layers(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows whose layers are the model's own, 1 to L: not the embeddings, a mix, a final norm or a baseline."""
    keep = pd.Series(True, index=frame.index)
    for column in columns:
        keep &= frame[column].str.isdigit() & (frame[column] != "0")
    return frame[keep]


def final_layer(layers: Sequence[str]) -> str:
    """The layer whose output the model uses: the final norm of a pre-norm model, else the highest layer."""
    return layer_order(layers)[-1]
