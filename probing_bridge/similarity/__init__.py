"""Similarity of levels and layers (Movva & Zhao 2020, Section 5): exact, streamed, in bounded memory.

`compare` and `compare_layers` take arrays; `python -m probing_bridge.run similarity` takes dumps.
"""

from probing_bridge.similarity.arrays import compare, compare_layers, moments_of, pair_moments_of
from probing_bridge.similarity.measures.registry import MEASURES
from probing_bridge.similarity.sums.blocks import MomentsError

__all__ = ["MEASURES", "MomentsError", "compare", "compare_layers", "moments_of", "pair_moments_of"]
