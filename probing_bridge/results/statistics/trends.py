"""What an effect does along the levels of a run: the change of a fitted line, its onset and its peak.

Levels of one run are a chain: each starts where the one before ended, so a test that takes them for independent
observations rejects far too often (Hamed & Rao 1998, A Modified Mann-Kendall Trend Test for Autocorrelated Data). A
trend is therefore one number a run, tested over runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def fitted_weights(at: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weights whose sum with the scores is the change of the least-squares line from the first to the last place.

    Args:
        at: (L,) where the scores are, such as levels or layers; at least two different places.

    Returns:
        (L,) weights that add up to 0.

    Raises:
        ValueError: Fewer than two different places.
    """
    places = np.asarray(at, dtype=np.float64)
    centred = places - places.mean() if len(places) else places
    if not centred.any():
        raise ValueError("a trend needs at least two places")
    return centred / (centred**2).sum() * (places.max() - places.min())


def fitted_change(scores: np.ndarray, at: Sequence[float] | np.ndarray) -> np.ndarray:
    """The change of each run's least-squares line from the first place to the last, in the unit of the scores.

    Args:
        scores: (R, L), a run a row; L places.
        at: (L,) the places, such as levels.

    Returns:
        (R,) changes, for `over_runs`.

    Raises:
        ValueError: Fewer than two different places.
    """
    return np.asarray(np.asarray(scores, dtype=np.float64) @ fitted_weights(at))


def onset(effects: Sequence[float] | np.ndarray, margin: float) -> int | None:
    """The first place whose effect is outside the margin and stays so, on the same side.

    Args:
        effects: (L,) level less LTH0, in the order of the levels.
        margin: What counts as no change.

    Returns:
        The index of that place; None where the last effect is inside the margin.
    """
    values = np.asarray(effects, dtype=np.float64)
    if not len(values) or not abs(values[-1]) > margin:
        return None
    outside = values * np.sign(values[-1]) > margin
    return int(len(values) - np.argmin(outside[::-1])) if not outside.all() else 0


def peak(scores: Sequence[float] | np.ndarray) -> int:
    """The index of the highest score, of equal ones the first."""
    return int(np.argmax(np.asarray(scores, dtype=np.float64)))
