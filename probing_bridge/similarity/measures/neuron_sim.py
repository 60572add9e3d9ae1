"""NeuronSim: how well single neurons of one layer are matched by single neurons of another.

After Bau et al. (2019, arXiv 1811.01157). Mean over the neurons k of X of max over k' of Y of corr(k, k') (Movva &
Zhao 2020, Section 5.1; "maxcorr" of Wu et al. 2020, whose code takes the absolute value: `absolute=True`). The same
function matches attention heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import PairBlocks, PairMoments, inverse
from probing_bridge.similarity.sums.records import Estimate, LayerPair


@dataclass(frozen=True)
class Matches:
    """For each neuron of X that is not constant, its best match in Y.

    Attributes:
        neurons: (m,) indices in X.
        best: (m,) indices in Y of the highest correlation.
        correlation: (m,) that correlation, signed; of the largest absolute value if asked for.
        own: (m,) correlation with the neuron of the same index in Y; NaN where Y has none or it is constant.
        absolute: Whether the sign was left out of the comparison.
    """

    neurons: np.ndarray
    best: np.ndarray
    correlation: np.ndarray
    own: np.ndarray
    absolute: bool

    @property
    def score(self) -> float:
        """Mean correlation of the best matches, in [-1, 1]; of their absolute values if asked for."""
        return float((np.abs(self.correlation) if self.absolute else self.correlation).mean())

    @property
    def own_index_share(self) -> float:
        """Share of neurons whose best match has their own index, in [0, 1]."""
        return float((self.best == self.neurons).mean())


def match_neurons(pair: PairMoments, absolute: bool = False) -> Matches:
    """Finds the best match of each neuron; constant neurons are left out on both sides.

    Args:
        pair: Moments of two layers.
        absolute: Compare |r| as the code of Wu et al. (2020) does, instead of r.

    Returns:
        The matches of the neurons of X.

    Raises:
        MomentsError: All neurons of a layer are constant.
    """
    for layer in (pair.x, pair.y):
        if layer.constant.all():
            raise MomentsError(f"{layer.name}: every neuron is constant, NeuronSim is not defined")
    r = pair.correlations
    neurons = np.flatnonzero(~pair.x.constant)
    candidates = np.flatnonzero(~pair.y.constant)
    whole = r.shape == (len(neurons), len(candidates))
    kept = r if whole else r[np.ix_(neurons, candidates)]
    place = _argmax(np.abs(kept) if absolute else kept)
    correlation = np.clip(kept[np.arange(len(neurons)), place], -1.0, 1.0)
    own = np.full(len(neurons), np.nan)
    known = neurons < r.shape[1]
    known[known] = ~pair.y.constant[neurons[known]]
    own[known] = np.clip(r[neurons[known], neurons[known]], -1.0, 1.0)
    return Matches(neurons, candidates[place], correlation, own, absolute)


def _argmax(matrix: np.ndarray) -> np.ndarray:
    """Place of each row's maximum; a transposed matrix is gone through as it lies in memory."""
    if matrix.flags.c_contiguous or not matrix.T.flags.c_contiguous:
        return matrix.argmax(axis=1)
    return (matrix.T.max(axis=0) == matrix.T).argmax(axis=0)


def neuron_similarity(pair: PairMoments) -> float:
    """NeuronSim of X with Y.

    Args:
        pair: Moments of two layers.

    Returns:
        In [-1, 1], 1 if every neuron of X has a positively scaled and shifted copy in Y; not symmetric.

    Raises:
        MomentsError: All neurons of a layer are constant.
    """
    return match_neurons(pair).score


def absolute_neuron_similarity(pair: PairMoments) -> float:
    """`neuron_similarity` of |r|, as the code of Wu et al. (2020) has it; in [0, 1]."""
    return match_neurons(pair, absolute=True).score


VARIANTS = {"signed": neuron_similarity, "absolute": absolute_neuron_similarity}


@dataclass(frozen=True)
class Matched(Estimate):
    """An estimate that is a mean over best matches.

    Attributes:
        matches: Of the neurons of X in Y.
    """

    matches: Matches


def keep_squares(own: PairBlocks, weights: np.ndarray) -> dict[str, np.ndarray]:
    """What pairs need of a layer by itself: (n_blocks, width) sums of squares about the shift."""
    return {"squares": np.stack([np.diagonal(product) for product in own.products]).astype(np.float64)}


def score_matches(pair: LayerPair, variants: Sequence[str], weights: np.ndarray) -> dict[str, Matched]:
    """NeuronSim of two layers, and without each block, with its matches.

    Args:
        pair: The layers, with what `keep_squares` keeps of each.
        variants: Keys of VARIANTS.
        weights: (R, n_blocks) how often each block counts.

    Returns:
        The estimate of each variant.

    Raises:
        MomentsError: All neurons of a layer are constant.
    """
    estimates = {}
    for variant in variants:
        matches = match_neurons(pair.moments, absolute=variant == "absolute")
        squares = pair.x.kept["squares"], pair.y.kept["squares"]
        left_out = weighted_neuron_similarity(pair.blocks, squares, matches, weights) if len(weights) else np.empty(0)
        estimates[variant] = Matched(matches.score, left_out, matches)
    return estimates


def own_index_share(pair: LayerPair, matches: Matches, weights: np.ndarray) -> Estimate:
    """Share of the neurons of X whose best match has their own index, and without each block.

    Args:
        pair: The layers, with what `keep_squares` keeps of each.
        matches: Of X in Y.
        weights: (R, n_blocks) how often each block counts.

    Returns:
        The estimate, in [0, 1].
    """
    left_out = weighted_own_index_share(pair.blocks, pair.y.kept["squares"], matches, weights)
    return Estimate(matches.own_index_share, left_out)


def weighted_neuron_similarity(blocks: PairBlocks, own_sums: tuple[np.ndarray, np.ndarray], matches: Matches,
                                weights: np.ndarray) -> np.ndarray:  # fmt: skip
    """NeuronSim of weighted blocks with the matches held as they are in the whole.

    Matching anew would cost as much as a pass for each block left out and changes the error in second order only.

    Args:
        blocks: Sums of x with y.
        own_sums: (B, width) sums of squares of x and of y about their shifts.
        matches: From all blocks.
        weights: (R, B) how often each block counts.

    Returns:
        (R,) scores.
    """
    k, best = matches.neurons, matches.best
    sums_x, sums_y, products = blocks.x.sums[:, k], blocks.y.sums[:, best], blocks.products[:, k, best]
    squares_x, squares_y = own_sums[0][:, k], own_sums[1][:, best]
    n = (weights @ blocks.x.counts)[:, None]
    mean_x, mean_y = weights @ sums_x / n, weights @ sums_y / n
    covariance = weights @ products - n * mean_x * mean_y
    variance = (weights @ squares_x - n * mean_x**2) * (weights @ squares_y - n * mean_y**2)
    r = np.divide(covariance, np.sqrt(np.maximum(variance, 0)), out=np.zeros_like(covariance), where=variance > 0)
    scores: np.ndarray = (np.abs(r) if matches.absolute else r).mean(axis=1)
    return scores


def weighted_own_index_share(
    blocks: PairBlocks, squares_y: np.ndarray, matches: Matches, weights: np.ndarray
) -> np.ndarray:
    """Share of neurons that keep their own index, matched anew under each row of weights.

    Args:
        blocks: Sums of x with y.
        squares_y: (B, width_y) sums of squares of y about its shift.
        matches: From all blocks.
        weights: (R, B) how often each block counts.

    Returns:
        (R,) shares.
    """
    n = weights @ blocks.x.counts
    sums_x, sums_y = weights @ blocks.x.sums, weights @ blocks.y.sums
    inverse_y = inverse(np.sqrt(np.maximum(weights @ squares_y - sums_y**2 / n[:, None], 0)))
    kept, width_y = np.zeros(len(weights)), blocks.products.shape[2]
    for start in range(0, len(matches.neurons), 64):  # rows of x, so that a strip fits in the cache
        k = matches.neurons[start : start + 64]
        strip = np.ascontiguousarray(blocks.products[:, k]).reshape(len(blocks.products), -1)
        products = (weights.astype(np.float32) @ strip).reshape(len(weights), len(k), width_y)
        for r in range(len(weights)):
            covariance = products[r] - np.outer(sums_x[r, k], sums_y[r] / n[r]).astype(np.float32)
            covariance *= inverse_y[r].astype(np.float32)
            if matches.absolute:
                np.abs(covariance, out=covariance)
            kept[r] += (covariance.argmax(axis=1) == k).sum()
    return kept / len(matches.neurons)
