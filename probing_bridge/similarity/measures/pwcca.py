"""Projection-weighted CCA (Morcos et al. 2018, Section 2.2): canonical correlations by what they explain of X."""

from __future__ import annotations

import numpy as np

from probing_bridge.similarity.measures.svcca import canonical_correlations
from probing_bridge.similarity.sums.moments import PairMoments


def pwcca(pair: PairMoments) -> float:
    """Canonical correlations, weighted by sum over the neurons x of |<canonical variable, x>|.

    Directions with less than 1e-5 of the largest variance are left out: float32 products do not resolve them.

    Args:
        pair: Moments of two layers.

    Returns:
        In [0, 1], 1 = X is a linear function of Y on the tokens; not symmetric.

    Raises:
        MomentsError: A layer has no variance, or there are fewer tokens than directions.
    """
    correlation, weights = canonical_correlations(pair, 1.0)
    importance = np.abs(weights.T @ pair.x.scatter).sum(axis=1)
    return float(importance @ correlation / importance.sum())
