"""The page's maps of every level are the rows of the similarity table."""

from dataclasses import replace

import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex

from probing_bridge.figures import FIGURES
from probing_bridge.figures.style import SEQUENTIAL
from probing_bridge.report.layer_maps import maps_by_level
from probing_bridge.results.folder import Results

BY_LEVEL = {
    "fig_5_encoder_layers": ("linear_cka", {"encoder": "encoder"}),
    "fig_a6_decoder_layers": ("linear_cka", {"decoder": "decoder"}),
    "fig_6_encoder_attention": ("attention_cka", {"encoder_self": "encoder self-attention"}),
    "fig_a8_decoder_attention": (
        "attention_cka",
        {"encoder_decoder": "encoder-decoder attention", "decoder_self": "decoder self-attention"},
    ),
}


def test_the_figures_of_two_levels_have_maps_of_all() -> None:
    assert set(BY_LEVEL) == {name for name, exhibit in FIGURES.items() if exhibit.by_level}


@pytest.mark.parametrize("name", BY_LEVEL)
def test_every_level_within_itself_and_with_the_dense_one(name: str, full: Results) -> None:
    measure, components = BY_LEVEL[name]
    rows = full["similarity"]
    rows = rows[(rows["measure"] == measure) & rows["variant"].isin(["visible", "biased"]) & (rows["group"] == "")]
    scores = rows.set_index(["component", "level_a", "level_b", "layer_a", "layer_b"])["score"]
    maps = maps_by_level(FIGURES[name], full)
    assert list(maps) == list(range(9))
    for level, its in maps.items():
        pairs = [(0, level), (level, level)] if level else [(0, 0)]
        titles = {
            f"{words}, " + (f"within LTH{a}" if a == b else f"LTH{a} (rows) v LTH{b}"): (component, a, b)
            for component, words in components.items()
            for a, b in pairs
        }
        assert {layer_map.title for layer_map in its} == set(titles)
        for layer_map in its:
            assert layer_map.columns == ("1", "2", "3", "4", "5", "6")
            assert [layer for layer, _ in layer_map.rows] == ["6", "5", "4", "3", "2", "1"]
            for a, cells in layer_map.rows:
                for b, cell in zip(layer_map.columns, cells, strict=True):
                    score = scores[(*titles[layer_map.title], a, b)]
                    assert cell.text == f"{score:.3f}"
                    assert cell.ground == to_hex(colormaps[SEQUENTIAL](float(score)))


def test_a_pair_that_was_not_compared_is_a_gap(full: Results) -> None:
    rows = full["similarity"]
    one = (rows["level_a"] == 0) & (rows["level_b"] == 3) & (rows["layer_a"] == "2") & (rows["layer_b"] == "5")
    tables = {**full.tables, "similarity": rows[~one]}
    layer_map = maps_by_level(FIGURES["fig_5_encoder_layers"], replace(full, tables=tables))[3][1]
    texts = pd.DataFrame({a: [cell.text for cell in cells] for a, cells in layer_map.rows}, index=layer_map.columns)
    assert texts.loc["5", "2"] == "–" and (texts == "–").sum().sum() == 1
