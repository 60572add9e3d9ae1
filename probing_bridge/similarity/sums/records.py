"""What is at hand when layers are scored: of one layer by itself, of two layers, and the numbers that come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from probing_bridge.similarity.sums.moments import LayerMoments, PairBlocks, PairMoments, pair_moments


@dataclass(frozen=True)
class LayerRecord:
    """All that pairs need of one layer by itself.

    Attributes:
        moments: Over all tokens.
        kept: What the measures keep of a layer, by name (see `Measure.keep`).
        blocks: Loads the layer's own block sums; only measures without closed form need them again.
    """

    moments: LayerMoments
    kept: Mapping[str, np.ndarray]
    blocks: Callable[[], PairBlocks]


@dataclass(frozen=True)
class LayerPair:
    """Two layers over the same tokens.

    Attributes:
        x: First layer.
        y: Second layer.
        blocks: Sums of x with y.
        moments: What they add up to.
    """

    x: LayerRecord
    y: LayerRecord
    blocks: PairBlocks
    moments: PairMoments

    @classmethod
    def of(cls, x: LayerRecord, y: LayerRecord, blocks: PairBlocks) -> LayerPair:
        """Adds the blocks, unless the two are one layer, whose moments are known."""
        if x is y:
            return cls(x, y, blocks, PairMoments(x.moments, x.moments, x.moments.scatter, x.moments.quartic))
        return cls(x, y, blocks, pair_moments(blocks, x.moments, y.moments))

    def flipped(self) -> LayerPair:
        """The same pair with y first."""
        return LayerPair(self.y, self.x, self.blocks.flipped(), self.moments.flipped())


@dataclass(frozen=True)
class Estimate:
    """A number, and the same number without each block.

    Attributes:
        value: From all blocks.
        left_out: (n_blocks,) without each; NaN where it is not defined; empty where no interval is wanted.
    """

    value: float
    left_out: np.ndarray
