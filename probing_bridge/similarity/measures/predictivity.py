"""Linear predictivity: each neuron of X predicted from all neurons of Y.

`MaxLinReg` in the code of Wu et al. (2020, arXiv 2005.01172).
"""

from __future__ import annotations

import numpy as np

from probing_bridge.similarity.measures.svcca import principal_directions
from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import PairMoments

RIDGE = 0.01  # penalty of the ridge variant, in units of the mean variance of Y


def linear_predictivity(pair: PairMoments, ridge: float = 0.0) -> float:
    """Mean over the neurons of X of the correlation between the neuron and its least-squares prediction from Y.

    Directions of Y with less than 1e-5 of the largest variance are left out: float32 products do not resolve them.

    Args:
        pair: Moments of two layers.
        ridge: Penalty on the squared weights, in units of n times the mean variance of a neuron of Y.

    Returns:
        In [0, 1], 1 = X is a linear function of Y on the tokens; not symmetric. Constant neurons are left out.

    Raises:
        MomentsError: All neurons of a layer are constant, or there are fewer tokens than directions.
    """
    if pair.x.constant.all():
        raise MomentsError(f"{pair.x.name}: every neuron is constant, there is nothing to predict")
    values, vectors = principal_directions(pair.y, 1.0)
    if pair.y.n - 1 <= len(values):
        raise MomentsError(
            f"{pair.y.name}: {pair.y.n} tokens for {len(values)} directions, "
            "every prediction would be perfect; more tokens are needed"
        )
    penalised = values + ridge * pair.y.trace / len(pair.y.mean)
    projected = vectors.T @ pair.cross.T[:, ~pair.x.constant]  # (directions, neurons of X)
    covariance = (projected**2 / penalised[:, None]).sum(axis=0)  # of neuron and prediction
    variance = (projected**2 * (values / penalised**2)[:, None]).sum(axis=0)  # of the prediction
    deviations = pair.x.deviations[~pair.x.constant] * np.sqrt(variance)
    r = np.divide(covariance, deviations, out=np.zeros_like(covariance), where=deviations > 0)
    return float(np.minimum(r, 1.0).mean())


def ridge_predictivity(pair: PairMoments) -> float:
    """`linear_predictivity` with a penalty of 0.01 of the mean variance: steadier when Y is ill-conditioned."""
    return linear_predictivity(pair, RIDGE)
