"""Moments of layers: the sums of each block of tokens, and what they add up to.

Every measure of this package is a function of LayerMoments and PairMoments; `streaming` makes the block sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError

CACHED_ROWS = 64  # rows of a matrix that stay in the cache while blocks are added to them
CONSTANT = 1e-6  # a variance below this share of the mean square about the pilot mean is rounding


@dataclass(frozen=True)
class LayerSums:
    """First-order sums of one layer over each block; rows are shifted by `shift`.

    Attributes:
        name: Of the layer.
        shift: (width,) float64.
        counts: (n_blocks,) float64, rows.
        sums: (n_blocks, width) float64.
        norms: (n_blocks,) float64, sum of the squared lengths of the rows.
    """

    name: str
    shift: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    norms: np.ndarray


@dataclass(frozen=True)
class PairBlocks:
    """Second-order sums of two layers over each block; all that a score and its interval need.

    Attributes:
        x: First layer.
        y: Second layer.
        products: (n_blocks, width_x, width_y) float32 or float64, x^T y.
        norm_products: (n_blocks,) sum of |x|^2 |y|^2.
        x_norm_y: (n_blocks, width_y) sum of |x|^2 y.
        y_norm_x: (n_blocks, width_x) sum of |y|^2 x.
    """

    x: LayerSums
    y: LayerSums
    products: np.ndarray
    norm_products: np.ndarray
    x_norm_y: np.ndarray
    y_norm_x: np.ndarray

    @np.errstate(over="ignore", invalid="ignore")  # refused by layer_moments
    def cross(self, weights: np.ndarray | None = None) -> Cross:
        """Adds the blocks.

        Args:
            weights: (n_blocks,) how often each block counts; once if None.

        Returns:
            Centred sums over all rows.
        """
        w = np.ones(len(self.products)) if weights is None else np.asarray(weights, dtype=np.float64)
        n = float(w @ self.x.counts)
        sum_x, sum_y = w @ self.x.sums, w @ self.y.sums
        mean_x, mean_y = sum_x / n, sum_y / n
        products = np.empty(self.products.shape[1:])
        for start in range(0, len(products), CACHED_ROWS):
            own = slice(start, start + CACHED_ROWS)
            piece = products[own]
            piece[:] = 0
            for weight, block in zip(w, self.products, strict=True):
                piece += block[own] if weight == 1 else weight * block[own]  # in corpus order: the same bits everywhere
            piece -= np.multiply.outer(sum_x[own], mean_y)
        quartic = _centred_quartic(self, w, n, mean_x, mean_y, products)
        narrower = min(len(sum_x), len(sum_y))
        raw_diagonal = np.diagonal(products) + sum_x[:narrower] * mean_y[:narrower]
        return Cross(n, mean_x, mean_y, products, quartic, raw_diagonal)

    def flipped(self) -> PairBlocks:
        """The same sums with y first."""
        return PairBlocks(
            self.y, self.x, self.products.transpose(0, 2, 1), self.norm_products, self.y_norm_x, self.x_norm_y
        )


@dataclass(frozen=True)
class Cross:
    """Centred sums of two layers: n, means about the shifts, sum of (x - mean)(y - mean)^T, quartic, raw diagonal."""

    n: float
    mean_x: np.ndarray
    mean_y: np.ndarray
    products: np.ndarray
    quartic: float
    raw_diagonal: np.ndarray


def _centred_quartic(
    pair: PairBlocks, w: np.ndarray, n: float, mean_x: np.ndarray, mean_y: np.ndarray, products: np.ndarray
) -> float:
    """Sum over rows of |x - mean_x|^2 |y - mean_y|^2, expanded about the shifts; `products` are centred."""
    square_x, square_y = mean_x @ mean_x, mean_y @ mean_y
    return float(
        w @ pair.norm_products
        - 2 * (w @ pair.x_norm_y) @ mean_y
        - 2 * (w @ pair.y_norm_x) @ mean_x
        + 4 * mean_x @ products @ mean_y
        + square_y * (w @ pair.x.norms)
        + square_x * (w @ pair.y.norms)
        + n * square_x * square_y
    )


@dataclass(frozen=True)
class LayerMoments:
    """Moments of one layer over all tokens.

    Attributes:
        name: Of the layer.
        n: Number of tokens.
        mean: (width,) float64.
        scatter: (width, width) float64, sum of (x - mean)(x - mean)^T; rows and columns of constants are zero.
        quartic: Sum over tokens of |x - mean|^4.
        constant: (width,) bool, neurons that never change.
    """

    name: str
    n: int
    mean: np.ndarray
    scatter: np.ndarray
    quartic: float
    constant: np.ndarray

    @cached_property
    def deviations(self) -> np.ndarray:
        """(width,) square roots of the sums of squares."""
        return np.sqrt(np.diagonal(self.scatter))

    @cached_property
    def norm(self) -> float:
        """Frobenius norm of the scatter."""
        return float(np.linalg.norm(self.scatter))

    @cached_property
    def trace(self) -> float:
        """Sum of squares of all centred activations."""
        return float(np.trace(self.scatter))

    @cached_property
    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (width,), falling, none negative, and eigenvectors (width, width) of the scatter."""
        values, vectors = np.linalg.eigh(self.scatter)
        return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


@dataclass(frozen=True)
class PairMoments:
    """Moments of two layers over the same tokens.

    Attributes:
        x: First layer.
        y: Second layer.
        cross: (width_x, width_y) float64, sum of (x - mean)(y - mean)^T.
        quartic: Sum over tokens of |x - mean|^2 |y - mean|^2.
        origin: The moments of which these are `flipped`; None for others.
    """

    x: LayerMoments
    y: LayerMoments
    cross: np.ndarray
    quartic: float
    origin: PairMoments | None = field(default=None, repr=False)

    @cached_property
    def correlations(self) -> np.ndarray:
        """(width_x, width_y) Pearson correlations in [-1, 1] up to rounding; 0 where one of the two is constant."""
        if self.origin is not None:
            return self.origin.correlations.T
        matrix = self.cross * inverse(self.x.deviations)[:, None]
        matrix *= inverse(self.y.deviations)
        return matrix

    def flipped(self) -> PairMoments:
        """The same moments with y first."""
        return PairMoments(self.y, self.x, self.cross.T, self.quartic, self)


def inverse(values: np.ndarray) -> np.ndarray:
    """1 / values, and 0 where a value is not above 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)


def layer_moments(own: PairBlocks, weights: np.ndarray | None = None) -> LayerMoments:
    """Adds the blocks of a layer with itself.

    Args:
        own: Sums of the layer with itself.
        weights: (n_blocks,) how often each block counts; once if None.

    Returns:
        The moments; the mean includes the shift.

    Raises:
        MomentsError: Fewer than two tokens, or activations that are not finite.
    """
    cross = own.cross(weights)
    if cross.n < 2:
        raise MomentsError(f"{own.x.name}: {cross.n:.0f} token, at least 2 are needed to compare")
    diagonal = np.diagonal(cross.products)
    if not (np.isfinite(cross.products).all() and np.isfinite(cross.quartic)):
        raise MomentsError(f"{own.x.name}: activations are too large for float32 products (squares overflow)")
    constant = diagonal <= CONSTANT * cross.raw_diagonal
    scatter = cross.products
    scatter[constant, :] = 0.0
    scatter[:, constant] = 0.0
    return LayerMoments(own.x.name, round(cross.n), own.x.shift + cross.mean_x, scatter, cross.quartic, constant)


def pair_moments(
    blocks: PairBlocks, x: LayerMoments, y: LayerMoments, weights: np.ndarray | None = None
) -> PairMoments:
    """Adds the blocks of two layers.

    Args:
        blocks: Sums of x with y.
        x: Moments of the first layer under the same weights.
        y: Moments of the second layer under the same weights.
        weights: (n_blocks,) how often each block counts; once if None.

    Returns:
        The moments.
    """
    cross = blocks.cross(weights)
    cross.products[x.constant, :] = 0.0
    cross.products[:, y.constant] = 0.0
    return PairMoments(x, y, cross.products, cross.quartic)
