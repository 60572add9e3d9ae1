"""Linear predictivity: each neuron of X predicted from all neurons of Y, on sentences that were not fitted.

`MaxLinReg` in the code of Wu et al. (2020, arXiv 2005.01172), which scores the tokens that it fits: unrelated layers
of 128 neurons get 0.96 there from 140 tokens. Here each block of sentences is predicted by a fit on all others (Stone
1974, Cross-Validatory Choice and Assessment of Statistical Predictions), from the blocks' sums alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probing_bridge.similarity.measures.svcca import principal_directions
from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.records import Estimate, LayerPair

RIDGE = 0.01  # penalty of the ridge variant, in units of the mean variance of Y
ROUNDING = 1e-9  # of the largest variance: a direction that one block alone has is not divided by rounding


def linear_predictivity(pair: LayerPair, ridge: float = 0.0) -> float:
    """Mean over the neurons of X of the correlation between the neuron and its least-squares prediction from Y.

    Directions of Y with less than 1e-5 of the largest variance are left out: float32 products do not resolve them.

    Args:
        pair: Two layers with their block sums, and what `keep_squares` keeps of each.
        ridge: Penalty on the squared weights, in units of n times the mean variance of a neuron of Y.

    Returns:
        In [-1, 1], 1 = X is a linear function of Y; about 0 for unrelated layers; not symmetric. Constant neurons are
        left out.

    Raises:
        MomentsError: All neurons of a layer are constant, or there is a single block of sentences, or one without which
            there are fewer tokens than directions of Y.
    """
    return float(HeldOut.of(pair, ridge).scores(np.ones((1, len(pair.blocks.products))))[0])


def ridge_predictivity(pair: LayerPair) -> float:
    """`linear_predictivity` with a penalty of 0.01 of the mean variance: steadier when Y is ill-conditioned."""
    return linear_predictivity(pair, RIDGE)


VARIANTS = {"linear": linear_predictivity, "ridge": ridge_predictivity}
PENALTIES = {"linear": 0.0, "ridge": RIDGE}


def score_predictivity(pair: LayerPair, variants: Sequence[str], weights: np.ndarray) -> dict[str, Estimate]:
    """Linear predictivity, and the same without each block, for which the fits are held as they are.

    Args:
        pair: As for `linear_predictivity`.
        variants: Keys of VARIANTS.
        weights: (R, n_blocks) of the blocks, one left out in each row.

    Returns:
        The estimate of each variant.

    Raises:
        MomentsError: As `linear_predictivity`.
    """
    estimates = {}
    for variant in variants:
        held_out = HeldOut.of(pair, PENALTIES[variant])
        whole = held_out.scores(np.ones((1, len(pair.blocks.products))))
        estimates[variant] = Estimate(float(whole[0]), held_out.scores(weights))
    return estimates


@dataclass(frozen=True)
class HeldOut:
    """Sums over each block of sentences about the block's own means, of predictions that were fitted on the others.

    Attributes:
        products: (n_blocks, neurons of X) prediction times neuron.
        predicted: (n_blocks, neurons of X) squares of the predictions.
        squares: (n_blocks, neurons of X) squares of the neurons.
    """

    products: np.ndarray
    predicted: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, pair: LayerPair, ridge: float) -> HeldOut:
        """Predicts each block; see `linear_predictivity`."""
        x, y, blocks = pair.moments.x, pair.moments.y, pair.blocks
        if x.constant.all():
            raise MomentsError(f"{x.name}: every neuron is constant, there is nothing to predict")
        values, directions = principal_directions(y, 1.0)
        counts, n_blocks = blocks.x.counts, len(blocks.products)
        if n_blocks < 2:
            raise MomentsError(f"{x.name}: one block of sentences, there is no other to predict it from")
        if counts.sum() - counts.max() <= len(values):
            message = f"{counts.sum() - counts.max():.0f} tokens without the longest block of sentences"
            raise MomentsError(f"{y.name}: {message}, for {len(values)} directions; more sentences are needed")
        kept = ~x.constant
        means_x, means_y = (layer.sums / counts[:, None] for layer in (blocks.x, blocks.y))  # about the shifts
        from_all_x, from_all_y = (means - counts @ means / counts.sum() for means in (means_x, means_y))
        covariance = directions.T @ pair.moments.cross.T[:, kept]
        own_y, rows = pair.y.blocks().products, []
        for b, n in enumerate(counts):
            about_y = directions.T @ (own_y[b] - n * np.outer(means_y[b], means_y[b])) @ directions
            about = directions.T @ (blocks.products[b] - n * np.outer(means_x[b], means_y[b])).T[:, kept]
            away_y, away_x = from_all_y[b] @ directions, from_all_x[b][kept]
            share = n * counts.sum() / (counts.sum() - n)
            scatter = np.diag(values) - about_y - share * np.outer(away_y, away_y)  # of the others about their mean
            scatter[np.diag_indices_from(scatter)] += ridge * np.trace(scatter) / len(y.mean) + ROUNDING * values[0]
            weights = np.linalg.solve(scatter, covariance - about - share * np.outer(away_y, away_x))
            squares = pair.x.kept["squares"][b] - n * means_x[b] ** 2
            rows.append(((weights * about).sum(axis=0), (weights * (about_y @ weights)).sum(axis=0), squares[kept]))
        return cls(*(np.stack(parts) for parts in zip(*rows, strict=True)))

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Mean correlation over the neurons, (R,), when the blocks count as `weights` (R, n_blocks) say."""
        lengths = np.sqrt(np.maximum(weights @ self.predicted, 0.0) * np.maximum(weights @ self.squares, 0.0))
        products = weights @ self.products
        r = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        means: np.ndarray = np.clip(r, -1.0, 1.0).mean(axis=1)
        return means
