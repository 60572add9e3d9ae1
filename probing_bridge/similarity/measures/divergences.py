"""Divergences of two output distributions of which only the K best tokens are known: a lower and an upper bound.

A symbol is known on both sides, on one side, or on none. Known terms are exact. What is unknown of a symbol lies
between 0 and the K-th best probability, and all unknown ones sum to what the known ones leave.

Both divergences are sums of terms f(p, q) that are jointly convex and of degree 1, so the terms of a set of symbols are
at least f of the set's sums (Csiszar & Shields 2004, Information Theory and Statistics, Section 4). The lower bound
lumps the symbols known of p alone, those known of q alone, and the rest, and takes the smallest value over how much
unknown mass may lie in the first two. The upper bound lets the unknown parts share nothing: of Jensen-Shannon they then
add half their mass in bits; of Kullback-Leibler they add what tokens cost whose q is that of the least probable token,
which a dump holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probing_bridge.formats.activations.output import Output

Term = Callable[[np.ndarray, np.ndarray], np.ndarray]

_ROUNDING = 1e-5  # by which float32 softmaxes leave their sum; the lower bound lets so much more be unknown


def jensen_shannon(p: Output, q: Output) -> np.ndarray:
    """Jensen-Shannon divergence (Lin 1991, IEEE Trans. Inf. Theory 37, eq. 4.1, weights of 1/2) at each position.

    Args:
        p: n positions.
        q: The same positions; the same object means the same distributions, and 0.

    Returns:
        (n, 2) bits in [0, 1]: lower and upper bound; the same up to 1e-5 where all tokens are known.
    """
    if p is q:
        return np.zeros((len(p), 2))
    shared = _share(p, q)
    upper = shared.sum_of(_jensen_shannon) + (shared.only_p + shared.rest_p + shared.only_q + shared.rest_q) / 2
    return _ordered(shared.least(_jensen_shannon), upper)


def kullback_leibler(p: Output, q: Output) -> np.ndarray:
    """Kullback-Leibler divergence of q from p, the sum of p log(p / q) (Kullback & Leibler 1951, Section 2).

    Args:
        p: n positions.
        q: The same positions; the same object means the same distributions, and 0.

    Returns:
        (n, 2) bits: lower and upper bound; the same up to 1e-5 where all tokens are known.
    """
    if p is q:
        return np.zeros((len(p), 2))
    shared = _share(p, q)
    floor = q.least_log_probability.astype(np.float64) / np.log(2)
    ceiling = p.log_probabilities[:, -1].astype(np.float64) / np.log(2)
    upper = shared.sum_of(_kullback_leibler) + shared.entropy_terms - shared.only_p * floor
    upper += shared.rest_p * (ceiling - floor)
    return _ordered(shared.least(_kullback_leibler), upper)


def _ordered(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    lower = np.maximum(lower, 0.0)
    return np.stack([lower, np.maximum(lower, upper)], axis=1)


def _xlog2(x: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """X log2(ratio), 0 where x is 0."""
    logarithms = np.log2(ratio, out=np.zeros_like(x), where=x > 0)
    return x * logarithms


def _jensen_shannon(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return (_xlog2(x, 2 * x / (x + y)) + _xlog2(y, 2 * y / (x + y))) / 2


def _kullback_leibler(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _xlog2(x, x / y)


@dataclass(frozen=True)
class _Shared:
    """What is known of two distributions at each of n positions.

    Attributes:
        rows: (m,) the position of each symbol that is known on both sides.
        p: (m,) its probability in p.
        q: (m,) and in q.
        only_p: (n,) mass in p of the symbols known of p alone; `only_q` the other way round.
        rest_p: (n,) mass of p that is not known; `rest_q` of q.
        most_p: (n,) the most of `rest_p` that the symbols known of q alone can have; `most_q` the other way round.
        entropy_terms: (n,) sum of p log2 p over the symbols known of p alone.
    """

    rows: np.ndarray
    p: np.ndarray
    q: np.ndarray
    only_p: np.ndarray
    only_q: np.ndarray
    rest_p: np.ndarray
    rest_q: np.ndarray
    most_p: np.ndarray
    most_q: np.ndarray
    entropy_terms: np.ndarray

    def sum_of(self, term: Term) -> np.ndarray:
        """(n,) sum of the terms that are known."""
        return np.bincount(self.rows, term(self.p, self.q), minlength=len(self.rest_p))

    def least(self, term: Term) -> np.ndarray:
        """(n,) the smallest value of the divergence.

        The minimum over the masses (b, a) that the symbols known on one side have on the other is where both are free,
        where one is at its most, or where both are: the function is convex, and its slope at 0 is minus infinity.
        """
        one, two = self.only_p, self.only_q
        rest_p, rest_q = self.rest_p + _ROUNDING, self.rest_q + _ROUNDING
        b, a = np.minimum(self.most_p, rest_p), np.minimum(self.most_q, rest_q)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (one + rest_p) / (two + rest_q)
            free = (one / ratio <= a) & (two * ratio <= b)
            a_full = two * rest_p / (two + rest_q - a) <= b
            b_full = one * rest_q / (one + rest_p - b) <= a
        values = [
            np.where(free, term(one + rest_p, two + rest_q), np.inf),
            np.where(a_full, term(one, a) + term(rest_p, two + rest_q - a), np.inf),
            np.where(b_full, term(b, two) + term(one + rest_p - b, rest_q), np.inf),
            term(one, a) + term(b, two) + term(rest_p - b, rest_q - a),
        ]
        return self.sum_of(term) + np.min(values, axis=0)


def _share(p: Output, q: Output) -> _Shared:
    """Sorts out which symbols are known of two outputs."""
    n = len(p)
    (rows_p, keys_p, x), (rows_q, keys_q, y) = _known(p), _known(q)
    _, in_p, in_q = np.intersect1d(keys_p, keys_q, assume_unique=True, return_indices=True)
    alone_p, alone_q = np.ones(len(x), bool), np.ones(len(y), bool)
    alone_p[in_p] = alone_q[in_q] = False

    def total(rows: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(rows, values, minlength=n).astype(np.float64)

    last_p, last_q = (np.exp(one.log_probabilities[:, -1].astype(np.float64)) for one in (p, q))
    only = x[alone_p]
    return _Shared(
        rows=rows_p[in_p],
        p=x[in_p],
        q=y[in_q],
        only_p=total(rows_p[alone_p], only),
        only_q=total(rows_q[alone_q], y[alone_q]),
        rest_p=np.maximum(0.0, 1.0 - total(rows_p, x)),
        rest_q=np.maximum(0.0, 1.0 - total(rows_q, y)),
        most_p=total(rows_q[alone_q]) * last_p,
        most_q=total(rows_p[alone_p]) * last_q,
        entropy_terms=total(rows_p[alone_p], _xlog2(only, only)),
    )


def _known(output: Output) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every known symbol, the K best and the gold one: its position, a key of position and symbol, its probability."""
    tokens = np.concatenate([output.tokens, output.gold[:, None]], axis=1).astype(np.int64)
    logs = np.concatenate([output.log_probabilities, output.gold_log_probability[:, None]], axis=1)
    keep = np.ones(tokens.shape, bool)
    keep[:, -1] = (output.tokens != output.gold[:, None]).all(axis=1)
    rows = np.broadcast_to(np.arange(len(tokens))[:, None], tokens.shape)[keep]
    return rows, (rows << 32) + tokens[keep], np.exp(logs[keep].astype(np.float64))
