"""What a run of `probe` prints: the best layer of each task and model beside the baselines."""

from __future__ import annotations

import pandas as pd

from probing_bridge.probes.baselines import BASELINES
from probing_bridge.results.naming import rows_of
from probing_bridge.results.probing import best_scores


def summary(probes: pd.DataFrame) -> str:
    """The best layer of each task, model and kind of probe, as in the report's tables, and the baselines.

    Args:
        probes: The probes table, of one experiment or of several.

    Returns:
        Lines of text; scores are means over seeds.
    """
    names = "".join(f" {kind:>13}" for kind in BASELINES)
    lines = [f"{'task':24} {'model':16} {'probe':7} {'layer':>5} {'score':>7}{names}"]
    for row in rows_of(best_scores(probes)):
        values = (getattr(row, kind) for kind in BASELINES)
        baselines = "".join(f" {'-' if pd.isna(value) else format(value, '.3f'):>13}" for value in values)
        lines.append(f"{row.task:24} {row.model:16} {row.probe:7} {row.layer:>5} {row.score:7.3f}{baselines}")
    return "\n".join(lines)
