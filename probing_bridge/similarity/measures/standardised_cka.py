"""Linear CKA of standardised neurons: what is left of CKA where single dimensions of large variance do not decide it.

A few dimensions of a Transformer hold most of a layer's variance and with it most of its cosines (Timkey & van
Schijndel 2021, arXiv 2109.04404), and moving few tokens far moves CKA at will (Davari et al. 2022, arXiv 2210.16156).
`largest_neuron_share` says how much one dimension holds. NeuronSim needs no such variant: a correlation does not change
with the scale of a neuron.
"""

from __future__ import annotations

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import LayerMoments, PairMoments, inverse


def standardised_cka(pair: PairMoments) -> float:
    """Linear CKA, biased, of neurons with variance 1 each.

    Args:
        pair: Moments of two layers.

    Returns:
        In [0, 1], 1 for layers whose standardised neurons are equal up to rotation; symmetric; unchanged by scale and
        shift of single neurons. Constant neurons are left out.

    Raises:
        MomentsError: All neurons of a layer are constant.
    """
    norms = _norm(pair.x) * _norm(pair.y)
    return min(1.0, float(np.vdot(pair.correlations, pair.correlations)) / norms)


def _norm(layer: LayerMoments) -> float:
    """Frobenius norm of the correlations of a layer's neurons."""
    if layer.constant.all():
        raise MomentsError(f"{layer.name}: every neuron is constant, CKA is not defined")
    scales = inverse(layer.deviations)
    return float(np.linalg.norm(layer.scatter * scales[:, None] * scales))
