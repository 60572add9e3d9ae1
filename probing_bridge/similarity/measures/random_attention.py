"""What attention at random scores: the part of AttentionSim that the mask and the lengths of sentences make.

Random attention of the same entropy has each distribution's masses in a random order of the keys that its query can
attend to, in every head by itself. Its variance in each head is the head's own; the covariance of any two heads is the
variance over pairs of the mean mass, 1 / number of keys, because nothing else is shared. The scores of these moments
are given, the limit for many sentences, so nothing has to be drawn.
"""

from __future__ import annotations

import numpy as np

from probing_bridge.similarity.sums.moments import LayerMoments, PairMoments


def random_attention_cka(pair: PairMoments, shared: float) -> float:
    """Linear CKA of two layers whose heads are independent random attention of the same entropy.

    Args:
        pair: Moments of two layers, with heads in place of neurons.
        shared: Variance over pairs of words of the mean mass (`free_pairs.spread_variance`).

    Returns:
        In [0, 1].
    """
    norms = [_norm2(layer, shared) for layer in (pair.x, pair.y)]
    between = int((~pair.x.constant).sum()) * int((~pair.y.constant).sum()) * shared**2
    return min(1.0, float(between / np.sqrt(norms[0] * norms[1])))


def _norm2(layer: LayerMoments, shared: float) -> float:
    """Sum of the squared covariances of the heads of a layer, were they random."""
    variances = _variances(layer)
    return float((variances**2).sum() + len(variances) * (len(variances) - 1) * shared**2)


def random_best_match(pair: PairMoments, shared: float) -> np.ndarray:
    """Highest correlation of each head of X with a head of Y, were all of them random attention of the same entropy.

    Args:
        pair: Moments of two layers, with heads in place of neurons.
        shared: Variance over pairs of words of the mean mass (`free_pairs.spread_variance`).

    Returns:
        (m,) in [0, 1], of the heads of X that are not constant.
    """
    return np.minimum(1.0, shared / np.sqrt(_variances(pair.x) * _variances(pair.y).min()))


def _variances(layer: LayerMoments) -> np.ndarray:
    """Variance of each head that is not constant."""
    variances: np.ndarray = np.diagonal(layer.scatter)[~layer.constant] / layer.n
    return variances
