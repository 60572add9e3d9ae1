"""The layer maps of every level as tables for the page: what Fig. 5, 6, A6 and A8 show of two levels, for each one.

A map is a small table of coloured numbers, so that a reader who picks a level sees it, and one without scripts has
them all. Place in the flow: results -> figures -> layer_maps -> report.
"""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.colors import Normalize, to_hex

from probing_bridge.figures.exhibit import Exhibit
from probing_bridge.figures.style import SEQUENTIAL, cell_text_color
from probing_bridge.results.folder import Results
from probing_bridge.results.levels import known_levels
from probing_bridge.results.naming import COMPONENTS, layer_order
from probing_bridge.results.runs import mean_of_runs


@dataclass(frozen=True)
class Cell:
    """One similarity as text, with the colours of its ground and of its letters; a dash and no colour where not run."""

    text: str
    ground: str = ""
    ink: str = ""


@dataclass(frozen=True)
class LayerMap:
    """Similarity of the layers of one level (rows, highest first) and another's (columns)."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def maps_by_level(exhibit: Exhibit, results: Results) -> dict[int, list[LayerMap]]:
    """The maps of every level: within it, and with LTH0.

    Args:
        exhibit: An entry of FIGURES whose `by_level` is true.
        results: The tables.

    Returns:
        Level -> its maps, for the levels that have any; by component, the one within the level first.
    """
    frames = {int(level): exhibit.data(results, int(level)) for level in known_levels(results)["level"].unique()}
    place = ["component", "level_a", "layer_a", "level_b", "layer_b"]
    frames = {level: mean_of_runs(frame.dropna(subset=["score"]), place) for level, frame in frames.items()}
    lowest = min((float(frame["score"].min()) for frame in frames.values() if len(frame)), default=0.0)
    norm = Normalize(min(0.0, lowest), 1.0)
    maps: dict[int, list[LayerMap]] = {}
    for level, frame in frames.items():
        for (component, a, b), part in frame.groupby(["component", "level_a", "level_b"], sort=False):
            if b == level:  # LTH0 by itself is a map of level 0
                pair = f"within LTH{a}" if a == b else f"LTH{a} (rows) v LTH{b}"
                maps.setdefault(level, []).append(_layer_map(f"{COMPONENTS[str(component)]}, {pair}", part, norm))
    return maps


def _layer_map(title: str, part: pd.DataFrame, norm: Normalize) -> LayerMap:
    """The map of the rows of one component and pair of levels."""
    layers = layer_order([*part["layer_a"], *part["layer_b"]])
    scores = part.set_index(["layer_a", "layer_b"])["score"]
    rows = [(a, tuple(_cell(scores.get((a, b), float("nan")), norm) for b in layers)) for a in reversed(layers)]
    return LayerMap(title, tuple(layers), tuple(rows))


def _cell(score: float, norm: Normalize) -> Cell:
    """A number in the colours of the figure."""
    if pd.isna(score):
        return Cell("–")
    color = mpl.colormaps[SEQUENTIAL](norm(score))
    return Cell(f"{score:.3f}", to_hex(color), cell_text_color(color))
