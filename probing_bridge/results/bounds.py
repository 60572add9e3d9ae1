"""What a score can be: the bounds of its metric or measure, by which a results folder is checked.

A score in percent, a correlation of 1.5 or a table of another tool is refused before it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from probing_bridge.formats.csv_rows import line_of
from probing_bridge.formats.tables import beyond, out_of_bounds
from probing_bridge.probes.measures import CEILING, CODE_SCORES, GAIN, SELECTIVITY
from probing_bridge.probes.metrics import METRICS
from probing_bridge.similarity.measures import registry

Bounds = Mapping[str, tuple[float, float]]


def _of_bleu() -> Bounds:
    return {"BLEU or chrF++ in percent": (0.0, 100.0)}


def _of_metrics() -> Bounds:
    return {
        **{metric.name: metric.bounds for metric in METRICS.values()},
        **dict.fromkeys(("precision", "recall"), (0.0, 1.0)),  # of one label
        **dict.fromkeys((GAIN, SELECTIVITY), (-2.0, 2.0)),  # of a regression they are differences of two correlations
        CEILING: (-1.0, 1.0),
        **dict.fromkeys(CODE_SCORES, (0.0, np.inf)),
    }


def _of_measures() -> Bounds:
    return {
        **{name: measure.bounds for name, measure in {**registry.HEAD_MEASURES, **registry.MEASURES}.items()},
        **{name: measure.bounds for name, measure in registry.SPECTRUM_MEASURES.items()},
        **{name: measure.bounds for name, measure in registry.DISTRIBUTION_MEASURES.items()},
        **{name: measure.bounds for name, measure in registry.OUTPUT_MEASURES.items()},
    }


def _differences(bounds: Callable[[], Bounds]) -> Callable[[], Bounds]:
    return lambda: {name: (low - high, high - low) for name, (low, high) in bounds().items()}


# Table -> the column that says what its scores are of (None: all are alike), the columns of scores, and the bounds.
_CHECKED: dict[str, tuple[str | None, tuple[str, ...], Callable[[], Bounds]]] = {
    "bleu": (None, ("score",), _of_bleu),
    "bleu_differences": (None, ("difference", "low", "high"), _differences(_of_bleu)),
    "probes": ("metric", ("score", "low", "high"), _of_metrics),
    "probes_details": ("metric", ("score",), _of_metrics),
    "probes_differences": ("metric", ("difference", "low", "high"), _differences(_of_metrics)),
    "similarity": ("measure", ("score", "low", "high"), _of_measures),
}


def check_scores(frame: pd.DataFrame, name: str, content: bytes, path: Path) -> None:
    """Refuses a score that its metric or measure cannot have; one that no registry knows may have any.

    Args:
        frame: The rows of a table.
        name: Its name, a key of TABLES.
        content: The bytes that it was read from.
        path: Their file, for messages.

    Raises:
        InputError: A score beyond its bounds, with its line.
    """
    if name not in _CHECKED:
        return
    by, columns, bounds = _CHECKED[name]
    known = pd.DataFrame(bounds(), index=["low", "high"]).T
    whats = pd.Series(known.index[0], frame.index) if by is None else frame[by]
    # What no registry knows has NaN for bounds, which nothing is beyond.
    low, high = (whats.map(known[side]).to_numpy(float)[:, None] for side in known)
    scores = frame[list(columns)].to_numpy(float)
    out = np.argwhere(beyond(scores, low, high))
    if len(out):
        row, column = out[0]
        allowed, line = (float(low[row, 0]), float(high[row, 0])), line_of(content, row, path)
        raise out_of_bounds(columns[column], scores[row, column], allowed, path, line, whats.iloc[row])
