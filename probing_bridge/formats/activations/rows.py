"""Rows of one contiguous block of a file, read by position."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from probing_bridge.formats.activations.layout import DTYPES


@dataclass(frozen=True)
class Block:
    """Where the rows of a dataset lie in the file, and what is added to each (None: nothing)."""

    position: int
    rows: int
    columns: int
    dtype: np.dtype
    mean: np.ndarray | None


def read_rows(descriptor: int, block: Block, start: int, stop: int) -> np.ndarray:
    """Reads rows start..stop of a block.

    Returns:
        (stop - start, columns); float16 as float32, with its mean.

    Raises:
        EOFError: The file ends before.
        ValueError: Rows that the block does not have.
    """
    if not 0 <= start <= stop <= block.rows:
        raise ValueError(f"rows {start}..{stop} of {block.rows}")
    rows = np.empty((stop - start, block.columns), dtype=block.dtype)
    rest = rows.reshape(-1).view(np.uint8).data
    position = block.position + start * block.columns * block.dtype.itemsize
    while rest:  # the kernel gives at most 2 GB at once
        done = os.preadv(descriptor, [rest], position)
        if not done:
            raise EOFError
        rest, position = rest[done:], position + done
    if block.dtype != DTYPES["float16"]:
        return rows
    wide = rows.astype(np.float32)
    return wide if block.mean is None else np.add(wide, block.mean, out=wide)
