"""Blocks of rows in an HDF5 file: laid out first, then written and read by position, in any order and by anyone."""

from __future__ import annotations

import os
from dataclasses import dataclass

import h5py
import numpy as np

DTYPES: dict[str, np.dtype] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


@dataclass(frozen=True)
class Block:
    """Where the rows of a dataset lie in the file, and what is added to each (None: nothing)."""

    position: int
    rows: int
    columns: int
    dtype: np.dtype
    mean: np.ndarray | None = None

    @property
    def width(self) -> int:
        """Bytes of a row."""
        return self.columns * self.dtype.itemsize


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Row offsets, (n + 1,) int64, of sentences with the given lengths."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)


def lay_out(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Makes a contiguous dataset without writing its values.

    Args:
        file: The file, open for writing.
        name: The dataset; the groups that it is in are made.
        shape: Its shape.
        dtype: Of its values.

    Returns:
        The byte of the file at which its first value goes.
    """
    at_once = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    at_once.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # so that the block has its place in the file now
    at_once.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    at_once.set_obj_track_times(False)  # so that the same values are the same bytes
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    space, kind = h5py.h5s.create_simple(shape), h5py.h5t.py_create(dtype, logical=True)
    block = h5py.h5d.create(file.id, name.encode(), kind, space, dcpl=at_once, lcpl=links)
    return int(block.get_offset() or 0)


def write_at(descriptor: int, data: memoryview, position: int) -> None:
    """Writes bytes at a place of a file.

    Raises:
        OSError: The system refused.
    """
    while data:
        done = os.pwrite(descriptor, data, position)
        data, position = data[done:], position + done


def read_stored(descriptor: int, block: Block, start: int, rows: np.ndarray) -> None:
    """Reads rows from `start` on as they are stored, without a mean.

    Args:
        descriptor: The open file.
        block: The block.
        start: The first row.
        rows: (n, columns) of the block's dtype, contiguous: where they go.

    Raises:
        EOFError: The file ends before.
        ValueError: Rows that the block does not have.
    """
    if not 0 <= start <= start + len(rows) <= block.rows:
        raise ValueError(f"rows {start}..{start + len(rows)} of {block.rows}")
    rest = rows.reshape(-1).view(np.uint8).data
    position = block.position + start * block.width
    while rest:  # the kernel gives at most 2 GB at once
        done = os.preadv(descriptor, [rest], position)
        if not done:
            raise EOFError
        rest, position = rest[done:], position + done


def read_rows(descriptor: int, block: Block, start: int, stop: int) -> np.ndarray:
    """Reads rows start..stop of a block.

    Returns:
        (stop - start, columns); float16 as float32, with its mean.

    Raises:
        EOFError: The file ends before.
        ValueError: Rows that the block does not have.
    """
    rows = np.empty((stop - start, block.columns), dtype=block.dtype)
    read_stored(descriptor, block, start, rows)
    return widened(rows, block.mean)


def widened(rows: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    """Rows as they are stored -> as they are used: float16 as float32, with its mean; others as they are."""
    if rows.dtype != DTYPES["float16"]:
        return rows
    wide = rows.astype(np.float32)
    return wide if mean is None else np.add(wide, mean, out=wide)


def narrowed(rows: np.ndarray, mean: np.ndarray | None, dtype: np.dtype) -> np.ndarray | None:
    """Rows as they are to be stored, contiguous, with a mean taken off first; None if a value does not fit."""
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite, or no number
        stored = np.ascontiguousarray(rows if mean is None else rows - mean, dtype=dtype)
    return None if dtype.kind == "f" and not np.isfinite(stored).all() else stored
