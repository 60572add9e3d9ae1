"""Linear CKA (Kornblith et al. 2019, Table 1), the paper's LayerSim; of heads, its AttentionSim (Section 5.1).

Biased, as the paper has it: |X^T Y|^2 / (|X^T X| |Y^T Y|) of centred activations. Debiased: each Hilbert-Schmidt
criterion is replaced by its unbiased estimate (Song et al. 2012, eq. 5), 0 on average for independent data however
few the tokens are. With linear kernels both need only moments: the diagonals that the unbiased estimate leaves out
are squared lengths of the rows, so the sum of |x|^2 |y|^2 is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import LayerMoments, PairBlocks, PairMoments
from probing_bridge.similarity.sums.records import Estimate, LayerPair


def linear_cka(pair: PairMoments) -> float:
    """Linear CKA.

    Args:
        pair: Moments of two layers.

    Returns:
        In [0, 1], 1 for layers that are equal up to rotation, scale and shift.

    Raises:
        MomentsError: All neurons of a layer are constant.
    """
    norms = pair.x.norm * pair.y.norm
    if norms == 0:
        raise MomentsError(f"{_constant_layer(pair).name}: every neuron is constant, CKA is not defined")
    return min(1.0, float(np.vdot(pair.cross, pair.cross)) / norms)


def debiased_linear_cka(pair: PairMoments) -> float:
    """Linear CKA from unbiased estimates of the Hilbert-Schmidt criterion.

    Args:
        pair: Moments of two layers.

    Returns:
        At most 1; around 0, so also below it, for unrelated layers.

    Raises:
        MomentsError: Fewer than four tokens, or a layer without enough variance for an estimate above 0.
    """
    x, y = pair.x, pair.y
    if x.n < 4:
        raise MomentsError(f"{x.name}: {x.n} tokens, debiased CKA needs at least 4")
    own = [unbiased_hsic(layer.norm**2, layer.quartic, layer.trace, layer.trace, layer.n) for layer in (x, y)]
    for layer, value in zip((x, y), own, strict=True):
        if value <= 0:
            raise MomentsError(f"{layer.name}: no variance left after debiasing {layer.n} tokens")
    between = unbiased_hsic(float(np.vdot(pair.cross, pair.cross)), pair.quartic, x.trace, y.trace, x.n)
    return float(between / np.sqrt(own[0] * own[1]))


def unbiased_hsic(norm2: np.ndarray | float, quartic: np.ndarray | float, trace_x: np.ndarray | float,
                  trace_y: np.ndarray | float, n: np.ndarray | float) -> np.ndarray | float:  # fmt: skip
    """Song et al. (2012), eq. 5, times n (n - 3), for linear kernels of centred rows.

    Row sums of a centred Gram matrix are 0, so those of the matrix without diagonal are minus the diagonal.

    Args:
        norm2: |X^T Y|^2.
        quartic: Sum over rows of |x|^2 |y|^2.
        trace_x: Sum of |x|^2.
        trace_y: Sum of |y|^2.
        n: Number of rows, above 3.

    Returns:
        The criterion; all arguments may be arrays of equal shape.
    """
    return norm2 - quartic + trace_x * trace_y / ((n - 1) * (n - 2)) - 2 * quartic / (n - 2)


def _constant_layer(pair: PairMoments) -> LayerMoments:
    return pair.x if pair.x.norm == 0 else pair.y


@dataclass(frozen=True)
class HsicBlocks:
    """Inner products of the blocks' sums: CKA without some of the blocks follows from these few numbers exactly.

    Attributes:
        counts: (B,) rows.
        gram: (B, B) <S_b, S_c> of the products S_b = x^T y of each block.
        middle: (B, B, B) sum_x(c)^T S_b sum_y(e).
        means_x: (B, B) inner products of the blocks' sums of x.
        means_y: (B, B) those of y.
        norms_x: (B,) sums of |x|^2.
        norms_y: (B,) sums of |y|^2.
        norm_products: (B,) sums of |x|^2 |y|^2.
        x_norm_y: (B, B) (sum over b of |x|^2 y)^T sum_y(e).
        y_norm_x: (B, B) (sum over b of |y|^2 x)^T sum_x(c).
    """

    counts: np.ndarray
    gram: np.ndarray
    middle: np.ndarray
    means_x: np.ndarray
    means_y: np.ndarray
    norms_x: np.ndarray
    norms_y: np.ndarray
    norm_products: np.ndarray
    x_norm_y: np.ndarray
    y_norm_x: np.ndarray

    @classmethod
    def of(cls, blocks: PairBlocks) -> HsicBlocks:
        """Takes the inner products of a pair's blocks."""
        x, y, n_blocks = blocks.x, blocks.y, len(blocks.products)
        flat = np.ascontiguousarray(blocks.products).reshape(n_blocks, -1)
        sums_y = y.sums.astype(np.float32).T
        middle = np.stack([x.sums @ (product @ sums_y) for product in blocks.products])
        return cls(
            x.counts, (flat @ flat.T).astype(np.float64), middle, x.sums @ x.sums.T, y.sums @ y.sums.T, x.norms,
            y.norms, blocks.norm_products, blocks.x_norm_y @ y.sums.T, blocks.y_norm_x @ x.sums.T,
        )  # fmt: skip

    def weighted(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The criterion of weighted blocks.

        Args:
            weights: (R, B) how often each block counts.

        Returns:
            (R,) biased, |X^T Y|^2, and (R,) unbiased.
        """
        n = weights @ self.counts
        shift_x = _quadratic(weights, self.means_x) / n**2  # |mean of x|^2 about the pilot mean
        shift_y = _quadratic(weights, self.means_y) / n**2
        n_blocks = len(self.counts)
        inner = (weights @ self.middle.reshape(n_blocks, -1)).reshape(-1, n_blocks, n_blocks)  # (R, B, B)
        middle = np.einsum("rc,rce,re->r", weights, inner, weights, optimize=True) / n**2
        norm2 = _quadratic(weights, self.gram) - 2 * n * middle + n**2 * shift_x * shift_y
        trace_x, trace_y = weights @ self.norms_x - n * shift_x, weights @ self.norms_y - n * shift_y
        quartic = (
            weights @ self.norm_products
            - 2 * (_quadratic(weights, self.x_norm_y) + _quadratic(weights, self.y_norm_x)) / n
            + 4 * middle
            + shift_y * (weights @ self.norms_x)
            + shift_x * (weights @ self.norms_y)
            - 3 * n * shift_x * shift_y
        )
        return norm2, np.asarray(unbiased_hsic(norm2, quartic, trace_x, trace_y, n))


def _quadratic(weights: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """weights[r]^T matrix weights[r] for each r."""
    products: np.ndarray = ((weights @ matrix) * weights).sum(axis=1)
    return products


def weighted_cka(
    between: tuple[np.ndarray, np.ndarray], x: tuple[np.ndarray, np.ndarray], y: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """CKA of weighted blocks.

    Args:
        between: `HsicBlocks.weighted` of the two layers.
        x: The same of the first layer with itself.
        y: The same of the second layer with itself.

    Returns:
        (R,) biased and (R,) debiased; NaN where a criterion of a layer with itself is not above 0.
    """
    scores = []
    for both, own_x, own_y in zip(between, x, y, strict=True):
        norms = np.sqrt(np.maximum(own_x, 0) * np.maximum(own_y, 0))
        scores.append(np.divide(both, norms, out=np.full_like(both, np.nan), where=norms > 0))
    return scores[0], scores[1]


VARIANTS = {"biased": linear_cka, "debiased": debiased_linear_cka}


def keep_criteria(own: PairBlocks, weights: np.ndarray) -> dict[str, np.ndarray]:
    """What pairs need of a layer by itself: its biased and unbiased criterion with itself under all weights."""
    biased, unbiased = HsicBlocks.of(own).weighted(weights) if len(weights) else (np.empty(0), np.empty(0))
    return {"biased": biased, "unbiased": unbiased}


def score_cka(pair: LayerPair, variants: Sequence[str], weights: np.ndarray) -> dict[str, Estimate]:
    """Linear CKA of two layers, and without each block.

    Args:
        pair: The layers, with what `keep_criteria` keeps of each.
        variants: Keys of VARIANTS.
        weights: (R, n_blocks) how often each block counts.

    Returns:
        The estimate of each variant.

    Raises:
        MomentsError: As for `linear_cka` and `debiased_linear_cka`.
    """
    left_out = dict.fromkeys(VARIANTS, np.empty(0))
    if len(weights):
        own_x, own_y = ((layer.kept["biased"], layer.kept["unbiased"]) for layer in (pair.x, pair.y))
        between = own_x if pair.x is pair.y else HsicBlocks.of(pair.blocks).weighted(weights)
        left_out = dict(zip(VARIANTS, weighted_cka(between, own_x, own_y), strict=True))
    return {variant: Estimate(VARIANTS[variant](pair.moments), left_out[variant]) for variant in variants}
