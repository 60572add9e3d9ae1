"""When to prune and where to rewind to: pure arithmetic over epochs, no fairseq.

Iterative pruning in one training (Frankle & Carbin 2019, Section 1; Renda et al. 2020, arXiv 2003.02389; Movva & Zhao
2020, Section 3.2): level 0 is trained for E epochs; pruning k makes level k, rewinds to the end of epoch R_k and
retrains for E - R_k epochs. Epochs of the process simply count on, so level k ends after E + (E - R_1) + ... + (E -
R_k) epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """The plan of one experiment.

    Attributes:
        epochs: E, the epochs of the dense training.
        rewind_epochs: R_k of pruning k = 1..K, each in [0, E).
        start_level: The level that a branch starts from; 0 for a training from scratch.
        start_epoch: The epoch after which that level was finished; E for a training from scratch.
    """

    epochs: int
    rewind_epochs: tuple[int, ...]
    start_level: int
    start_epoch: int

    @property
    def iterations(self) -> int:
        """K, the last level."""
        return len(self.rewind_epochs)

    @property
    def total_epochs(self) -> int:
        """The epoch after which the last level is finished."""
        return self.last_epoch(max(self.iterations, self.start_level))

    def rewind_epoch(self, level: int) -> int:
        """R of the pruning that makes `level` (1-based)."""
        return self.rewind_epochs[level - 1]

    def last_epoch(self, level: int) -> int:
        """The epoch after which `level` (>= start_level) is finished."""
        retrained = self.rewind_epochs[self.start_level : level]
        return self.start_epoch + sum(self.epochs - rewind for rewind in retrained)

    def level(self, epoch: int) -> int:
        """The level that is trained in an epoch (1-based)."""
        level = self.start_level
        while level < self.iterations and epoch > self.last_epoch(level):
            level += 1
        return level

    def finishes_level(self, epoch: int) -> bool:
        """Whether a level is finished with this epoch."""
        return epoch == self.last_epoch(self.level(epoch))

    def saved_epochs(self) -> list[int]:
        """The epochs that must end with a checkpoint: the end of every level, and the points to rewind to."""
        ends = [self.last_epoch(level) for level in range(self.start_level, self.iterations + 1)]
        rewinds = [epoch for epoch in self.rewind_epochs if epoch > 0 and self.start_level == 0]
        return sorted({*ends, *rewinds})


def updates_of(epochs: range, batches: int, per_update: Sequence[int], drop_rest: bool) -> int:
    """Updates of epochs that all have the same batches.

    Args:
        epochs: The epochs, 1-based.
        batches: Batches an epoch, of one process, that fairseq groups into updates.
        per_update: Batches an update in epoch 1, 2, ...; the last for all that follow (`--update-freq`).
        drop_rest: Whether batches that do not fill an update are left out (`--skip-remainder-batch`, which leaves out
            the last batch of all before it groups them).
    """
    whole = math.floor if drop_rest else math.ceil
    return sum(whole(batches / per_update[min(epoch, len(per_update)) - 1]) for epoch in epochs)
