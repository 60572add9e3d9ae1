"""Block bootstrap over sentences, from the sums of each block: no second pass over the data.

Tokens of a sentence depend on each other, so blocks of whole sentences are drawn with replacement (Künsch 1989, The
Jackknife and the Bootstrap for General Stationary Observations). The interval is score +- t * standard error, with the
t distribution of n_blocks - 1 degrees of freedom: with about 20 blocks percentile intervals are too short, and
resamples of CKA and of best matches are biased upwards, because a block drawn twice resembles itself; their spread is
not.
"""

from __future__ import annotations

import numpy as np

RESAMPLES = 1000
COSTLY_RESAMPLES = 30  # for measures that decompose a matrix each time: the error's own error is 13 %
CONFIDENCE = 0.95


def draw_blocks(n_blocks: int, n_resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draws blocks with replacement.

    Args:
        n_blocks: Number of blocks.
        n_resamples: Number of resamples.
        seed: Of the random generator; all scores use the same draws, so that quotients can be resampled.

    Returns:
        (n_resamples, n_blocks) float64, how often each block is drawn; rows sum to n_blocks.
    """
    draws = np.random.default_rng(seed).multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), n_resamples)
    return draws.astype(np.float64)


def interval(
    score: float, resampled: np.ndarray, n_blocks: int, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float]:
    """95 % interval of a score.

    Args:
        score: From all blocks.
        resampled: (n_resamples,) the same score of the resamples.
        n_blocks: Number of blocks drawn from.
        bounds: Smallest and largest value the score can take.

    Returns:
        Low and high end; NaN where there are fewer than two blocks or no resample has a score.
    """
    from scipy.special import stdtrit  # here, so that the names of the measures come without it

    resampled = resampled[np.isfinite(resampled)]
    if n_blocks < 2 or len(resampled) < 2:
        return np.nan, np.nan
    error = resampled.std(ddof=1) * np.sqrt(n_blocks / (n_blocks - 1))
    reach = stdtrit(n_blocks - 1, (1 + CONFIDENCE) / 2) * error
    return max(bounds[0], score - reach), min(bounds[1], score + reach)
