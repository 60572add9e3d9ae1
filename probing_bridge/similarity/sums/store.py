"""Where the products of each block are kept between the pass and the scores: in memory, or in files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

Pair = tuple[int, int]


class ProductStore:
    """Matrices, one for each pair of layers and block; files hold float32."""

    def __init__(
        self,
        shapes: Mapping[Pair, tuple[int, int]],
        n_blocks: int,
        folder: Path | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        """Prepares room.

        Args:
            shapes: Shape of the product of each pair.
            n_blocks: Number of blocks.
            folder: An empty folder for files; memory if None.
            dtype: Of the products.
        """
        self._shapes = dict(shapes)
        self._n_blocks = n_blocks
        self._folder = folder
        self.dtype = np.dtype(dtype)
        self._arrays: dict[Pair, np.ndarray] = {}
        if folder is None:
            self._arrays = {pair: np.empty((n_blocks, *shape), dtype) for pair, shape in shapes.items()}

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The pairs that are kept."""
        return tuple(self._shapes)

    def __contains__(self, pair: object) -> bool:
        """Whether the products of a pair are kept, in this order."""
        return pair in self._shapes

    def put(self, pair: Pair, block: int, product: np.ndarray) -> None:
        """Keeps the product of one block; blocks come in order."""
        if self._folder is None:
            self._arrays[pair][block] = product
        else:
            with open(self._path(pair), "wb" if block == 0 else "ab") as file:
                product.astype(np.float32).tofile(file)

    def get(self, pair: Pair) -> np.ndarray:
        """All blocks of a pair, (n_blocks, width_x, width_y)."""
        if self._folder is None:
            return self._arrays[pair]
        products = np.fromfile(self._path(pair), np.float32)
        return products.reshape(self._n_blocks, *self._shapes[pair])

    def _path(self, pair: Pair) -> Path:
        assert self._folder is not None
        return self._folder / f"{pair[0]}-{pair[1]}.float32"

    @classmethod
    def joined(cls, stores: Sequence[ProductStore]) -> ProductStore:
        """The blocks of several stores, one after the other, in memory."""
        joined = cls({}, sum(store._n_blocks for store in stores), dtype=stores[0].dtype)
        joined._shapes = stores[0]._shapes
        joined._arrays = {pair: np.concatenate([store.get(pair) for store in stores]) for pair in stores[0].pairs}
        return joined
