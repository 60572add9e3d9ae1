"""What a run of `probe` prints: each task and model at its chosen layer, what was measured there, and the baselines."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from probing_bridge.probes.baselines import BASELINES
from probing_bridge.probes.measures import CEILING
from probing_bridge.results.chosen import DEVELOPMENT
from probing_bridge.results.naming import rows_of
from probing_bridge.results.probing import FIRST_EPOCHS, SIDES, scores_of_models


def summary(probes: pd.DataFrame) -> str:
    """Each task, model and kind of probe, as in the report's tables: score, gain over layer 0, sides and baselines.

    Args:
        probes: The probes table, of one experiment or of several.

    Returns:
        Lines of text; scores are means over seeds. After the table, what is to be held against them.
    """
    rows = scores_of_models(probes)
    beside = [name for name in (*SIDES, CEILING) if rows[name].notna().any()]
    names = "".join(f" {name:>15}" for name in (*beside, *BASELINES))
    lines = [
        f"{'task':24} {'model':16} {'probe':7} {'layer':>5} {'score':>7} {'gain [95 %]':>23}{names} "
        f"{'best':>5} {'on test':>7}"
    ]
    for row in rows_of(rows):
        cells = "".join(f" {_number(getattr(row, name)):>15}" for name in (*beside, *BASELINES))
        gain = with_interval(row.gain, row.gain_low, row.gain_high)
        lines.append(
            f"{row.task:24} {row.model:16} {row.probe:7} {row.layer:>5} {row.score:7.3f} {gain:>23}"
            f"{cells} {row.best_layer:>5} {row.best_score:7.3f}"
        )
    return "\n".join([*lines, *_remarks(rows)])


def with_interval(gain: float, low: float, high: float) -> str:
    """A gain and its interval as text; `-` for what is not there."""
    return ("-" if pd.isna(gain) else f"{gain:+.3f}") + ("" if pd.isna(low) else f" [{low:.3f}, {high:.3f}]")


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"


def _remarks(rows: pd.DataFrame) -> list[str]:
    """How the layers were chosen; which rows say little, and why."""
    on_development = (rows["chosen_on"] == DEVELOPMENT).all()
    split = "development split" if on_development else "test split, for want of development scores"
    lines = [
        f"layer: one for all levels, by the scores on the {split}; best: of each level on the test split (the paper's)"
    ]
    least = rows["gain_low"].fillna(rows["gain"])
    found = {
        "uninformative, gain over layer 0 not above zero": least <= 0,
        "below the per-word majority": rows["score"] < rows["word_majority"],
        f"hardly trained, best epoch {' or '.join(map(str, range(FIRST_EPOCHS + 1)))}": rows["best_epoch"]
        <= FIRST_EPOCHS,
    }
    for what, which in found.items():
        named = _counted(rows[which.fillna(False).astype(bool)], rows)
        lines += [f"{what}: {', '.join(named)}"] * bool(named)
    return lines


def _counted(some: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Tasks, with in how many of their models they are."""
    of, found = (Counter(zip(frame["task"], frame["probe"], strict=True)) for frame in (rows, some))
    return [
        task + f" {probe}" * (probe != "linear") + f" ({n} of {of[task, probe]} models)" * (of[task, probe] > 1)
        for (task, probe), n in found.items()
    ]
