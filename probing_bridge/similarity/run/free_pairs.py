"""Which pairs of words attention can choose among: all, but in causal attention only keys up to the query.

The mask of decoder self-attention makes half of the pairs 0 and the only choice of a sentence's first query 1, in every
head of every model. Compared over all pairs, layers that have nothing in common are alike in their mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class FreePairs:
    """The free pairs of causal attention, numbered in the order of all pairs.

    Attributes:
        starts: int64 (n_distributions), the first of all rows of each distribution.
        units: int64 (n_distributions + 1), the first free row of each distribution, and the end; the first
            distribution of a sentence has none.
    """

    starts: np.ndarray
    units: np.ndarray

    @classmethod
    def of(cls, units: np.ndarray, query: np.ndarray) -> FreePairs:
        """The free pairs.

        Args:
            units: int64 (n_distributions + 1), rows at which a distribution starts, and the end.
            query: int64 (n_distributions), the place of its query in the sentence, from 0.
        """
        free = np.where(query > 0, query + 1, 0)
        return cls(units[:-1], np.concatenate([[0], np.cumsum(free)]))

    def restrict(self, read: Read) -> Read:
        """Of a function that reads rows start to stop of all pairs, one that reads those of the free pairs."""

        def read_free(start: int, stop: int) -> np.ndarray:
            first = int(np.searchsorted(self.units, start, side="right")) - 1
            last = int(np.searchsorted(self.units, stop))
            counts = np.diff(self.units[first : last + 1])
            rows = (
                np.arange(start, stop)
                + np.repeat(self.starts[first:last] - self.units[first:last], counts)[
                    start - self.units[first] : stop - self.units[first]
                ]
            )
            return read(int(rows[0]), int(rows[-1]) + 1)[rows - rows[0]]

        return read_free


def is_causal(rows: np.ndarray, units: np.ndarray, query: np.ndarray) -> bool:
    """Whether no query attends to a later key.

    Args:
        rows: (n_rows, n_heads) the first rows of all pairs, whole distributions.
        units: int64 (n_distributions + 1), rows at which a distribution starts, and the end.
        query: int64 (n_distributions), the place of its query in the sentence, from 0.
    """
    counts = np.diff(units)
    key = np.arange(len(rows)) - np.repeat(units[:-1], counts)
    return not rows[key > np.repeat(query, counts)].any()


def spread_variance(free: np.ndarray, n_rows: int) -> float:
    """Variance over pairs of the mass that a pair gets if each query spreads its mass evenly.

    Args:
        free: (n_distributions) number of keys that each query can attend to; those without a key have no pair.
        n_rows: Number of pairs; those that are not free have no mass.

    Returns:
        The variance, 0 where all queries have the same number of keys, or there is no pair.
    """
    free = free[free > 0]
    return float((1 / free).sum() / n_rows - (len(free) / n_rows) ** 2) if n_rows else 0.0
