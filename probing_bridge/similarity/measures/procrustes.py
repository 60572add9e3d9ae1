"""Procrustes similarity (Ding et al. 2021, arXiv 2108.01661): how well a rotation takes one layer to the other."""

from __future__ import annotations

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import PairMoments


def procrustes(pair: PairMoments) -> float:
    """Cosine after the best rotation: |X^T Y|_* / (|X| |Y|) of centred activations.

    The squared Procrustes distance of layers scaled to length 1 is 2 - 2 times this value.

    Args:
        pair: Moments of two layers.

    Returns:
        In [0, 1], 1 = equal up to rotation, scale and shift; symmetric.

    Raises:
        MomentsError: All neurons of a layer are constant.
    """
    for layer in (pair.x, pair.y):
        if layer.trace == 0:
            raise MomentsError(f"{layer.name}: every neuron is constant, the Procrustes distance is not defined")
    nuclear = np.linalg.svd(pair.cross, compute_uv=False).sum()
    return min(1.0, float(nuclear / np.sqrt(pair.x.trace * pair.y.trace)))
