"""Fixed blocks of whole sentences: the unit of summing, of merging shards, and of the bootstrap.

Sums of float32 matrix products depend on how the rows are grouped. Everything here is therefore computed block by
block, with borders that follow from the corpus alone, and blocks are added in corpus order. Whoever computes the
blocks (one process, several jobs, one file or its shards) gets the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from probing_bridge.errors import BridgeError

N_BLOCKS = 20  # bootstrap intervals use the t distribution with one degree of freedom less
MAX_ROWS = 8192  # rows of one float32 matrix product; longer sums are continued in float64


class MomentsError(BridgeError):
    """Activations that cannot be compared: too few tokens, other shapes, values that are not finite."""


@dataclass(frozen=True)
class Blocks:
    """How the rows (tokens, or pairs of words) of a corpus are cut.

    Attributes:
        borders: int64 (n_blocks + 1), rows; block b is rows borders[b] to borders[b + 1].
        chunks: For each block the row ranges (start, stop) read and multiplied at once, in order.
    """

    borders: np.ndarray
    chunks: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.chunks)

    @property
    def n_rows(self) -> int:
        """Number of rows in all blocks."""
        return int(self.borders[-1])

    def part(self, first: int, last: int) -> Blocks:
        """Blocks first to last (without last): what one job adds up, for `streaming.merge` to join."""
        return Blocks(self.borders[first : last + 1], self.chunks[first:last])

    @property
    def largest_chunk(self) -> int:
        """Rows of the largest chunk."""
        return max(stop - start for block in self.chunks for start, stop in block)


def cut_blocks(
    offsets: np.ndarray, n_blocks: int = N_BLOCKS, units: np.ndarray | None = None, max_rows: int = MAX_ROWS
) -> Blocks:
    """Cuts a corpus into blocks of whole sentences with about equally many rows.

    Args:
        offsets: int64 (n_sentences + 1), first row of each sentence, and the number of rows at the end.
        n_blocks: Wanted number of blocks; fewer when there are fewer sentences.
        units: int64, rising rows at which a chunk may end (all starts and the end); every row if None. Attention
            distributions are kept whole this way.
        max_rows: Rows of a chunk, unless a single unit is longer.

    Returns:
        Blocks without empty ones.

    Raises:
        MomentsError: No row at all.
    """
    offsets = np.asarray(offsets, dtype=np.int64)
    n_rows = int(offsets[-1])
    if n_rows == 0:
        raise MomentsError("there are no tokens to compare")
    targets = np.arange(1, n_blocks) * n_rows / n_blocks
    inner = offsets[np.searchsorted(offsets, targets)]
    borders = np.unique(np.concatenate([[0], inner, [n_rows]])).astype(np.int64)
    chunks = tuple(_cut_chunks(int(start), int(stop), units, max_rows) for start, stop in pairwise(borders))
    return Blocks(borders, chunks)


def _cut_chunks(start: int, stop: int, units: np.ndarray | None, max_rows: int) -> tuple[tuple[int, int], ...]:
    """Cuts rows start to stop into pieces of nearly equal size of at most max_rows, at borders of units."""
    n_chunks = -(-(stop - start) // max_rows)
    targets = start + np.arange(1, n_chunks) * (stop - start) // n_chunks
    if units is not None and len(targets):
        targets = units[np.searchsorted(units, targets)]
    return tuple(pairwise(np.unique(np.concatenate([[start], targets, [stop]])).tolist()))
