"""Captions that say more than a fixed sentence: what a frame's layers, pairs of words and thresholds are."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from probing_bridge.figures import tables
from probing_bridge.results import chosen, naming


def final(caption: str) -> Callable[[pd.DataFrame], str]:
    """A caption that ends with which layer is the final one."""
    return lambda frame: f"{caption} {naming.final_text(frame)}"


def chosen_on(frame: pd.DataFrame) -> str:
    """How the layers were chosen, and what the probes were given where that was not the default."""
    splits = " or ".join(frame["chosen_on"].unique()) if len(frame) else chosen.DEVELOPMENT
    raw = "raw" in set(frame["features"])
    return f"chosen on the {splits} split over all levels together" + ", of features as they come (raw)" * raw


UNINFORMATIVE = f"{tables.UNINFORMATIVE} uninformative: its gain at the first level is not above zero."
MARKS = (
    f"{UNINFORMATIVE} {tables.BELOW_WORDS} below the most frequent label of each word. {tables.UNTRAINED} hardly "
    "trained: stopped in the first two epochs, in any run."
)
BEST = (
    "Score of the layer (in brackets) that is best on the test split, picked anew at each level, as Movva & Zhao "
    "(2020) report: too high by the pick."
)


def above_threshold(frame: pd.DataFrame) -> str:
    """The caption of concentrated attention, with the threshold that `similarity --threshold` had."""
    thresholds = " or ".join(f"{threshold:g}" for threshold in sorted(frame["threshold"].unique()))
    return (
        f"Share of the attention distributions that put more than {thresholds} of their mass on one position; the last "
        f"column is the mean over layers. {naming.pairs_text(frame)}"
    )


def attention(caption: str) -> Callable[[pd.DataFrame], str]:
    """A caption that ends with which pairs of words attention is compared over, and what it scores at random."""
    return lambda frame: f"{caption} {naming.pairs_text(frame)}"
