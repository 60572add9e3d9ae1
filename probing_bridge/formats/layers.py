"""Names of layers: 0 = embeddings, 1 .. L, and `norm`, the final norm of a pre-norm model."""

from __future__ import annotations

import re
from collections.abc import Sequence

LAYER_NAME = re.compile(r"0|[1-9][0-9]*|[A-Za-z_][A-Za-z0-9_]*")
RESERVED = ("mix",)  # what stands in the tables for all layers together


def layer_names_fault(layers: Sequence[str], n_layers: int | None = None) -> str | None:
    """What is wrong with the names of layers.

    Args:
        layers: The names, in the order of the arrays.
        n_layers: How many layers the arrays have, where that is known.

    Returns:
        One clause, or None: each is a number or a word, none is there twice, and there is one a layer.
    """
    if not layers:
        return "names no layer"
    for name in layers:
        if not LAYER_NAME.fullmatch(name) or name in RESERVED:
            return f"has the name {name!r}; a layer is a number without leading zeros, or a word such as norm"
        if list(layers).count(name) > 1:
            return f"names layer {name!r} twice"
    if n_layers is not None and len(layers) != n_layers:
        return f"names {len(layers)} layers ({','.join(layers)}), but the arrays have {n_layers}"
    return None
