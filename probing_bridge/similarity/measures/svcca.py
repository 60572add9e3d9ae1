"""SVCCA (Raghu et al. 2017, Section 2): mean canonical correlation of the directions with 99 % of the variance."""

from __future__ import annotations

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import LayerMoments, PairMoments

VARIANCE = 0.99
RELIABLE = 1e-5  # eigenvalues below this share of the largest are rounding of float32 products


def principal_directions(layer: LayerMoments, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """The first principal directions of a layer.

    Args:
        layer: Its moments.
        variance: Share of the variance to keep, in (0, 1].

    Returns:
        Eigenvalues (k,) and eigenvectors (width, k) of the scatter, without directions that are rounding.

    Raises:
        MomentsError: The layer has no variance.
    """
    values, vectors = layer.eigen
    if values[0] <= 0:
        raise MomentsError(f"{layer.name}: every neuron is constant, there are no directions to compare")
    share = np.cumsum(values) / values.sum()
    k = int(np.searchsorted(share, variance * (1 - 1e-12))) + 1
    k = min(k, int((values > RELIABLE * values[0]).sum()))
    return values[:k], vectors[:, :k]


def canonical_correlations(pair: PairMoments, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Canonical correlations between the principal directions of two layers.

    Args:
        pair: Moments of two layers.
        variance: Share of the variance kept of each layer.

    Returns:
        (k,) correlations in [0, 1], falling, and (width_x, k) weights of X's canonical variables, of unit length.

    Raises:
        MomentsError: A layer has no variance, or there are fewer tokens than directions of both.
    """
    values_x, vectors_x = principal_directions(pair.x, variance)
    values_y, vectors_y = principal_directions(pair.y, variance)
    if pair.x.n - 1 < len(values_x) + len(values_y):
        raise MomentsError(
            f"{pair.x.name}: {pair.x.n} tokens for {len(values_x)} and {len(values_y)} directions, some would "
            "correlate with 1 whatever they are; more tokens are needed"
        )
    whiten_x, whiten_y = vectors_x / np.sqrt(values_x), vectors_y / np.sqrt(values_y)
    left, correlation, _ = np.linalg.svd(whiten_x.T @ pair.cross @ whiten_y, full_matrices=False)
    return np.clip(correlation, 0.0, 1.0), whiten_x @ left


def svcca(pair: PairMoments) -> float:
    """Mean canonical correlation.

    Args:
        pair: Moments of two layers.

    Returns:
        In [0, 1], 1 = the same subspace; symmetric; unchanged by rotation, scale and shift.

    Raises:
        MomentsError: A layer has no variance, or there are fewer tokens than directions of both.
    """
    return float(canonical_correlations(pair, VARIANCE)[0].mean())
