"""Angular Procrustes distance (Williams et al. 2021, arXiv 2110.14739, Section 2): an angle after the best rotation."""

from __future__ import annotations

import math

from probing_bridge.similarity.measures.procrustes import procrustes
from probing_bridge.similarity.sums.moments import PairMoments


def angular_procrustes(pair: PairMoments) -> float:
    """Angle between two layers, scaled to length 1, after the best rotation: arccos of `procrustes`.

    Unlike 1 less a similarity it is a metric: equal layers are 0 apart, and no way round by a third layer is shorter.

    Args:
        pair: Moments of two layers.

    Returns:
        Radians in [0, pi / 2], 0 = equal up to rotation, scale and shift; symmetric.

    Raises:
        MomentsError: All neurons of a layer are constant.
    """
    return math.acos(procrustes(pair))
