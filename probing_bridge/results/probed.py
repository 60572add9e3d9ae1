"""What a run of `probe` prints: the best layer of each task and model, what was measured there, and the baselines."""

from __future__ import annotations

import pandas as pd

from probing_bridge.probes.baselines import BASELINES
from probing_bridge.results.naming import rows_of
from probing_bridge.results.probing import SIDES, best_scores


def summary(probes: pd.DataFrame) -> str:
    """The best layer of each task, model and kind of probe, as in the report's tables; gain, sides and baselines.

    Args:
        probes: The probes table, of one experiment or of several.

    Returns:
        Lines of text; scores are means over seeds.
    """
    best = best_scores(probes)
    beside = [name for name in ("gain", *SIDES) if best[name].notna().any()]
    names = "".join(f" {name:>15}" for name in (*beside, *BASELINES))
    lines = [f"{'task':24} {'model':16} {'probe':7} {'layer':>5} {'score':>7}{names}"]
    for row in rows_of(best):
        values = (getattr(row, name) for name in (*beside, *BASELINES))
        cells = "".join(f" {'-' if pd.isna(value) else format(value, '.3f'):>15}" for value in values)
        lines.append(f"{row.task:24} {row.model:16} {row.probe:7} {row.layer:>5} {row.score:7.3f}{cells}")
    return "\n".join(lines)
