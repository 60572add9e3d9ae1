"""The layers that the pass reads, and what a few spread rows say of them before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError

PILOT_ROWS = 2000
PILOT_RUN = 16  # neighbouring rows read at once


@dataclass(frozen=True)
class Layer:
    """The activations of one layer as the pass sees them.

    Attributes:
        name: For messages, e.g. "LTH0.h5 encoder layer 3".
        width: Number of neurons (or heads).
        read: Rows start to stop as an array (stop - start, width), float32 or float64.
    """

    name: str
    width: int
    read: Callable[[int, int], np.ndarray]


def array_layer(name: str, array: np.ndarray) -> Layer:
    """A layer held in memory, array (n_tokens, width)."""
    array = np.asarray(array)
    if array.ndim != 2:
        raise MomentsError(f"{name}: activations must be (n_tokens, n_neurons), not of shape {array.shape}")
    return Layer(name, array.shape[1], lambda start, stop: array[start:stop])


@dataclass(frozen=True)
class Pilot:
    """What about 2000 rows spread over the corpus say of a layer before the pass.

    Attributes:
        mean: (width,) float64; exactly the value of a feature that is constant over the pilot rows.
        effective: (sum of variances)^2 / sum of their squares: how many neurons share the variance; fewer if their
            values have heavy tails, so that few tokens hold it.
    """

    mean: np.ndarray
    effective: float


def take_pilot(layer: Layer, n_rows: int) -> Pilot:
    """Reads the pilot rows of a layer.

    Args:
        layer: The layer.
        n_rows: Rows of the corpus.

    Returns:
        Their mean and effective number of neurons.
    """
    n_runs = max(1, min(PILOT_ROWS, n_rows) // PILOT_RUN)
    starts = np.unique(np.linspace(0, max(0, n_rows - PILOT_RUN), n_runs).astype(np.int64))
    rows = np.concatenate([layer.read(int(start), min(n_rows, int(start) + PILOT_RUN)) for start in starts])
    first = rows[0].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found in the pass, and named
        values = rows - first
        about_first = values.mean(axis=0)
        mean: np.ndarray = (first + about_first).astype(rows.dtype).astype(np.float64)
        values -= about_first
        values *= values  # squares about the mean, in place: this is a tenth of what is not products
        variances = values.mean(axis=0)
        # the second is the same for a normal distribution, but counts heavy tails, half as strictly
        tails = np.vdot(values, values) / values.size * len(variances) / 6
        spread = max((variances**2).sum(), tails, np.finfo(float).tiny)
    effective = float(variances.sum() ** 2 / spread)
    return Pilot(mean, effective)
