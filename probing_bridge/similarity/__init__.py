"""Similarity of levels and layers (Movva & Zhao 2020, Section 5): exact, streamed, in bounded memory.

`compare` and `compare_layers` take arrays; `python -m probing_bridge.run similarity` takes dumps.
"""

from probing_bridge.similarity.arrays import compare, compare_layers, moments_of, pair_moments_of
from probing_bridge.similarity.blocks import MomentsError
from probing_bridge.similarity.measures import MEASURES

__all__ = ["MEASURES", "MomentsError", "compare", "compare_layers", "moments_of", "pair_moments_of"]
