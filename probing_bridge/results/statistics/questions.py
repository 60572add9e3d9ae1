"""What can be claimed of an effect, and with it what is asked of an estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from probing_bridge.results.statistics.estimates import Estimate

RISES, FALLS, SAME, KEPT = "rises", "falls", "same", "kept"


@dataclass(frozen=True)
class Question:
    """What is asked of one effect.

    Attributes:
        estimate: The effect; with a name it is one of several in a statement.
        claimed: RISES, FALLS, SAME or KEPT.
        margin: What counts as no change, in the effect's unit.
        unit: Such as `points`, `CKA`, `% of BLEU`.
        name: What the effect is of, such as a task; empty if it is the only one.
        paper: The paper's effect; NaN if it gives none.
        least: How large a claimed rise or fall has to be, if the claim says that; else 0.
    """

    estimate: Estimate
    claimed: str
    margin: float
    unit: str
    name: str = ""
    paper: float = math.nan
    least: float = 0.0
