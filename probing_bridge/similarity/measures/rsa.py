"""RSA, representational similarity analysis (Kriegeskorte et al. 2008, Frontiers in Systems Neuroscience 2:4).

Two layers are alike if the same tokens are far from each other in both: Spearman's correlation of the dissimilarities
of all pairs of tokens, 1 less Pearson's correlation of their activations over the neurons. The number of pairs grows
with the square of the tokens, so the tokens are a sample of the corpus (`sums.sampling`), the same of every layer.
Neurons are taken about their mean over the corpus first: otherwise the mean token, which is much of every activation of
a Transformer (Timkey & van Schijndel 2021, arXiv 2109.04404), is in every correlation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import LayerMoments, inverse
from probing_bridge.similarity.sums.records import Estimate, LayerPair
from probing_bridge.similarity.sums.sampling import Sample


def rsa(pair: LayerPair) -> float:
    """Spearman's correlation of the dissimilarities of the sampled tokens.

    Args:
        pair: Two layers, with what `keep_ranks` keeps of each.

    Returns:
        In [-1, 1], 1 = the same order of dissimilarities; about 0 for unrelated layers; symmetric.

    Raises:
        MomentsError: All dissimilarities of a layer are equal, as of constants or of fewer than three tokens.
    """
    return score_rsa(pair, [""], np.empty((0, len(pair.blocks.products))))[""].value


def keep_ranks(sample: Sample, layer: LayerMoments) -> dict[str, np.ndarray]:
    """What pairs need of a layer by itself.

    Args:
        sample: Tokens of the layer.
        layer: Its moments.

    Returns:
        `ranks`, float32 (n_tokens, n_tokens): rank of each pair's dissimilarity less the mean rank, 0 on the diagonal;
        `sample_blocks`, (n_tokens,) rising: the block of each token; and over the pairs of blocks that have tokens the
        number of pairs of tokens, the sums of their ranks and of the squares.
    """
    from scipy.spatial.distance import squareform
    from scipy.stats import rankdata

    rows = (sample.rows - layer.mean)[:, ~layer.constant]
    rows -= rows.sum(axis=1, keepdims=True) / max(1, rows.shape[1])
    rows *= inverse(np.linalg.norm(rows, axis=1))[:, None]
    dissimilarities = squareform(1 - rows @ rows.T, checks=False)
    ranks = squareform(rankdata(dissimilarities) - (len(dissimilarities) + 1) / 2).astype(np.float32)
    off_diagonal = 1 - np.eye(len(ranks), dtype=np.float32)
    return {
        "ranks": ranks,
        "sample_blocks": sample.blocks,
        "pair_counts": _block_sums(off_diagonal, off_diagonal, sample.blocks),
        "rank_sums": _block_sums(ranks, off_diagonal, sample.blocks),
        "rank_squares": _block_sums(ranks, ranks, sample.blocks),
    }


def _block_sums(one: np.ndarray, other: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Sums of the products of two matrices (n_tokens, n_tokens) over the pairs of blocks that have tokens, float64."""
    starts = np.unique(blocks, return_index=True)[1]
    sums: np.ndarray = np.add.reduceat(np.multiply(one, other, dtype=np.float64), starts, axis=0)
    return np.add.reduceat(sums, starts, axis=1)


def score_rsa(pair: LayerPair, variants: Sequence[str], weights: np.ndarray) -> dict[str, Estimate]:
    """RSA, and RSA without each block, for which the ranks are held as they are.

    Args:
        pair: Two layers, with what `keep_ranks` keeps of each.
        variants: The one variant.
        weights: (R, n_blocks) of the blocks, one left out in each row.

    Returns:
        The estimate.

    Raises:
        MomentsError: As `rsa`.
    """
    x, y = pair.x.kept, pair.y.kept
    for record in (pair.x, pair.y):
        if not record.kept["rank_squares"].any():
            raise MomentsError(f"{record.moments.name}: all pairs of tokens are equally dissimilar, RSA is not defined")
    present = np.unique(x["sample_blocks"])
    counted = np.concatenate([np.ones((1, len(pair.blocks.products))), weights])[:, present]

    def total(sums: np.ndarray) -> np.ndarray:
        """Sums over pairs of tokens, each as often as its two blocks count."""
        found: np.ndarray = ((counted @ sums) * counted).sum(axis=1)
        return found

    n = np.maximum(total(x["pair_counts"]), 1)
    sum_x, sum_y = total(x["rank_sums"]), total(y["rank_sums"])
    products = _block_sums(x["ranks"], y["ranks"], x["sample_blocks"])
    covariance = total(products) - sum_x * sum_y / n
    variance = (total(x["rank_squares"]) - sum_x**2 / n) * (total(y["rank_squares"]) - sum_y**2 / n)
    lengths = np.sqrt(np.maximum(variance, 0.0))
    r = np.divide(covariance, lengths, out=np.full_like(n, np.nan), where=lengths > 0)
    return {variant: Estimate(float(np.clip(r[0], -1.0, 1.0)), r[1:]) for variant in variants}
