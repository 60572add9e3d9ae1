"""Spectrum of a layer: how many directions its variance needs (Movva & Zhao 2020, Section 5.3 and Fig. A7).

Eigenvalues of the covariance are the squared singular values of the centred activations, at an eighth of the cost.
The authors' notebook left the mean in: variant `uncentred`, whose first direction is mostly the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import LayerMoments, LayerSums, PairBlocks

VARIANTS = ("centred", "uncentred")  # the first is the paper's text, the second its notebook
VARIANCE_SHARE = 0.8  # of k80


@dataclass(frozen=True)
class Spectrum:
    """Squared singular values of a layer's activations.

    Attributes:
        values: (width,) float64, falling, in squared units of the activations; their sum is the squared norm.
        variant: "centred" or "uncentred".
        neurons: (width,) float64, sum of squares of each neuron, about its mean in the centred variant.
    """

    values: np.ndarray
    variant: str
    neurons: np.ndarray

    @property
    def cumulative(self) -> np.ndarray:
        """(width,) share of the variance in the first k directions; rises to 1."""
        sums = np.cumsum(self.values)
        shares: np.ndarray = sums / sums[-1]
        return shares

    def directions_for(self, share: float) -> int:
        """Smallest k whose first k directions hold at least `share` of the variance."""
        return int(np.searchsorted(self.cumulative, share * (1 - 1e-12))) + 1

    def crossing(self, share: float) -> float:
        """Where the line through the shares of the first 0, 1, 2, ... directions crosses `share`; at most its k."""
        k, cumulative = self.directions_for(share), np.concatenate([[0.0], self.cumulative])
        return float(k - (cumulative[k] - share) / (cumulative[k] - cumulative[k - 1]))

    @property
    def participation_ratio(self) -> float:
        """(sum of eigenvalues)^2 / sum of their squares, in [1, width]: the effective number of directions."""
        return float(self.values.sum() ** 2 / (self.values**2).sum())


@dataclass(frozen=True)
class SpectrumMeasure:
    """A number read off the spectrum of one layer.

    Attributes:
        function: From the spectrum to the number.
        citation: Where it comes from.
        smooth: The number without its steps, whose error is that of the number; `function` if None.
        bounds: Smallest and largest value; the largest is the width, which a table does not have.
    """

    function: Callable[[Spectrum], float]
    citation: str
    smooth: Callable[[Spectrum], float] | None = None
    bounds: tuple[float, float] = (1.0, np.inf)


def k80(spectrum: Spectrum) -> float:
    """Number of directions that hold 80 % of the variance (Movva & Zhao 2020, Section 5.3)."""
    return float(spectrum.directions_for(VARIANCE_SHARE))


def smooth_k80(spectrum: Spectrum) -> float:
    """`k80` on the line between whole directions: left-out blocks move it where they leave the whole number alone."""
    return spectrum.crossing(VARIANCE_SHARE)


def participation_ratio(spectrum: Spectrum) -> float:
    """The effective number of directions (Gao et al. 2017, bioRxiv 214262)."""
    return spectrum.participation_ratio


def largest_neuron_share(spectrum: Spectrum) -> float:
    """Share of the variance that the largest neuron holds, in (0, 1]; where it is large, one dimension decides CKA."""
    return float(spectrum.neurons.max() / spectrum.neurons.sum())


def uncentred_scatter(layer: LayerMoments) -> np.ndarray:
    """Sum over tokens of x x^T, (width, width), of the activations as they are."""
    scatter: np.ndarray = layer.scatter + layer.n * np.outer(layer.mean, layer.mean)
    return scatter


def spectrum(layer: LayerMoments, variant: str = "centred") -> Spectrum:
    """Spectrum of one layer.

    Args:
        layer: Its moments.
        variant: "centred", or "uncentred" for the activations as they are.

    Returns:
        The spectrum.

    Raises:
        MomentsError: The layer has no variance.
        ValueError: Another variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}")
    scatter = layer.scatter if variant == "centred" else uncentred_scatter(layer)
    values = np.maximum(np.linalg.eigvalsh(scatter)[::-1], 0.0)
    if values[0] == 0:
        raise MomentsError(f"{layer.name}: every neuron is constant, there is no spectrum")
    return Spectrum(values, variant, np.diagonal(scatter))


def weighted_spectra(own: PairBlocks, layer: LayerMoments, variant: str, weights: np.ndarray) -> list[Spectrum]:
    """Spectrum of weighted blocks along the directions of the whole, which is exact to first order.

    Args:
        own: Block sums of the layer with itself.
        layer: Its moments.
        variant: "centred" or "uncentred".
        weights: (R, n_blocks) how often each block counts.

    Returns:
        One spectrum for each row of weights.
    """
    if not len(weights):
        return []
    centred = variant == "centred"
    vectors = layer.eigen[1] if centred else np.linalg.eigh(uncentred_scatter(layer))[1][:, ::-1]
    narrow = vectors.astype(own.products.dtype)
    squares = np.stack([((product @ narrow) * narrow).sum(axis=0, dtype=np.float64) for product in own.products])
    of_neurons = np.stack([np.diagonal(product) for product in own.products]).astype(np.float64)
    shift = None if centred else own.x.shift
    added = _added_squares(own.x, squares, weights, shift, vectors)
    neurons = _added_squares(own.x, of_neurons, weights, shift)
    return [
        Spectrum(np.maximum(values, 0.0), variant, np.maximum(own_squares, 0.0))
        for values, own_squares in zip(added, neurons, strict=True)
    ]


def _added_squares(
    layer: LayerSums,
    squares: np.ndarray,
    weights: np.ndarray,
    shift: np.ndarray | None,
    vectors: np.ndarray | None = None,
) -> np.ndarray:
    """Sums of squares of weighted blocks, (R, width), along vectors or of the neurons.

    Args:
        layer: First-order sums of the blocks.
        squares: (n_blocks, width) sums of squares about the layer's shift.
        weights: (R, n_blocks) of the blocks.
        shift: (width,) added to the neurons again; None: the squares are about the weighted mean.
        vectors: (width, width), in its columns.
    """
    n, sums = (weights @ layer.counts)[:, None], weights @ (layer.sums if vectors is None else layer.sums @ vectors)
    added: np.ndarray = weights @ squares
    if shift is None:
        return added - sums**2 / n
    along = shift if vectors is None else shift @ vectors
    return added + 2 * along * sums + n * along**2
