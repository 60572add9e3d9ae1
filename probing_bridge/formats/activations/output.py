"""What a model says at each target position, as a dump stores it: the K best tokens, the gold one, and the rest's sum.

Logarithms are natural, of probabilities after a softmax in float32. The K best and the gold token are known to the last
digit; of every other token, that it is not above the K-th best nor below the least, and of all of them, the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

GROUP = "output"
PER_BEST = ("tokens", "log_probabilities")  # have a column for each of the K best; the other datasets have no columns
_SUM_ROUNDING = 1e-4  # by which K probabilities, rounded to float32 as logarithms, may sum to more than 1


@dataclass(frozen=True)
class Output:
    """Output distributions at n target positions; each attribute is a dataset of the group `output`.

    Attributes:
        tokens: (n, K) int32, ids of the K best tokens, best first.
        log_probabilities: (n, K) float32, theirs.
        gold: (n,) int32, id of the token that should come.
        gold_log_probability: (n,) float32.
        gold_rank: (n,) int32, 1 + number of tokens that are more probable than the gold one.
        least_log_probability: (n,) float32, of the least probable token.
        logsumexp: (n,) float32, of the scores before the softmax: log probability + logsumexp = score.
    """

    tokens: np.ndarray
    log_probabilities: np.ndarray
    gold: np.ndarray
    gold_log_probability: np.ndarray
    gold_rank: np.ndarray
    least_log_probability: np.ndarray
    logsumexp: np.ndarray

    def __len__(self) -> int:
        """Positions."""
        return len(self.gold)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The positions of several, one after the other."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in DATASETS})

    def fault(self, n_symbols: int) -> str | None:
        """What cannot be, in words; None if nothing.

        Args:
            n_symbols: Symbols of the target dictionary.
        """
        best, gold = self.log_probabilities, self.gold_log_probability
        ids = np.concatenate([self.tokens, self.gold[:, None]], axis=1)
        ordered = np.sort(self.tokens, axis=1)
        above = 1 + (best > gold[:, None]).sum(axis=1)
        is_gold = self.tokens == self.gold[:, None]
        faults = {
            f"an id beyond the {n_symbols} symbols": (ids < 0) | (ids >= n_symbols),
            "a token twice at one position": ordered[:, 1:] == ordered[:, :-1],
            "a value that is not finite": ~np.isfinite(np.concatenate([best, *self._columns()], axis=1)),
            "a log probability above 0": np.concatenate([best[:, :1], gold[:, None]], axis=1) > 0,
            "log probabilities that do not descend": np.diff(best, axis=1) > 0,
            "probabilities that sum to more than 1": np.exp(best.astype(np.float64)).sum(axis=1) > 1 + _SUM_ROUNDING,
            "two log probabilities of the gold token": is_gold & (best != gold[:, None]),
            "a gold token above the best that is not among them": ~is_gold.any(axis=1) & (gold > best[:, -1]),
            "a rank of the gold token that cannot be": (self.gold_rank < above)
            | (self.gold_rank > n_symbols)
            | (is_gold.any(axis=1) & (self.gold_rank != above)),
            "a least log probability that others are below": self.least_log_probability > np.minimum(best[:, -1], gold),
        }
        return next((fault for fault, found in faults.items() if found.any()), None)

    def _columns(self) -> list[np.ndarray]:
        return [values[:, None] for values in (self.gold_log_probability, self.least_log_probability, self.logsumexp)]


DATASETS = tuple(field.name for field in fields(Output))


def output_dtype(name: str) -> np.dtype:
    """The dtype of one of DATASETS."""
    return np.dtype("<i4" if name in ("tokens", "gold", "gold_rank") else "<f4")
