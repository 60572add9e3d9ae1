"""How the work of large models is cut."""

import itertools
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from probing_bridge.similarity.run import driver
from probing_bridge.similarity.run.cuts import SCRATCH_AT_ONCE, SCRATCH_BYTES, Tile, plan_tiles
from probing_bridge.similarity.run.dumps import Component
from probing_bridge.similarity.run.plan import level_pairs
from probing_bridge.similarity.sums.blocks import N_BLOCKS


def model(n_layers: int, width: int, n_levels: int) -> Any:
    """The dumps of a model of some size, without any number in them."""
    layers = tuple(map(str, range(n_layers)))
    encoder = Component("encoder", "encoder", layers, width, np.array([0, 100_000]), np.array([0]))
    return SimpleNamespace(components={"encoder": encoder}, levels=list(range(n_levels)), n_best=0)


@pytest.mark.parametrize("pairs", [["within"], ["dense"], ["all"]])
@pytest.mark.parametrize(
    ("n_layers", "width", "n_levels", "by_layers"),
    [(4, 128, 9, False), (6, 1024, 9, False), (12, 2560, 9, True), (1, 16384, 2, False)],
)
def test_each_pair_of_layers_is_in_one_tile_that_fits(
    n_layers: int, width: int, n_levels: int, by_layers: bool, pairs: list[str]
) -> None:
    dumps = model(n_layers, width, n_levels)
    wanted = level_pairs(dumps.levels, pairs)
    tiles = cast("list[Tile]", plan_tiles(dumps, pairs))
    assert any(not tile.first.whole for tile in tiles) is by_layers
    assert len({tile.name for tile in tiles}) == len(tiles)
    found = []
    for tile in tiles:
        keys = tile.keys
        found += [(keys[i], keys[j]) for i, j in tile.pairs(wanted) if (keys[i][0], keys[j][0]) in wanted]
        if n_layers > 1:
            assert 4 * N_BLOCKS * width**2 * len(tile.pairs(wanted)) <= SCRATCH_BYTES
    keys = [(place, str(layer)) for place in range(n_levels) for layer in range(n_layers)]
    expected = [(a, b) for a, b in itertools.combinations_with_replacement(keys, 2) if (a[0], b[0]) in wanted]
    assert sorted(found) == sorted(expected)
    at_once = driver._at_once(64, tiles, dumps, wanted)
    assert 1 <= at_once <= 64
    assert at_once * max(tile.scratch(dumps, wanted) for tile in tiles) <= max(SCRATCH_AT_ONCE, 4 * N_BLOCKS * width**2)
