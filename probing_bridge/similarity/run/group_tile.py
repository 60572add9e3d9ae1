"""CKA of level 0 with another level over each group of tokens, layer by layer: one tile for each level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from probing_bridge.errors import Faults
from probing_bridge.formats.activations.reader import SIDES
from probing_bridge.similarity.measures.cka import HsicBlocks, weighted_cka
from probing_bridge.similarity.measures.registry import MEASURES
from probing_bridge.similarity.run.dumps import Component, DumpSet
from probing_bridge.similarity.run.frequencies import frequency_counts
from probing_bridge.similarity.run.groups import (
    blocks_of_group,
    frequency_groups,
    gram_blocks,
    group_layer,
    tag_groups,
    takes_grams,
)
from probing_bridge.similarity.run.plan import CHUNK_ROWS, Plan
from probing_bridge.similarity.run.scoring import Score, Scorer, describe_layer, with_interval
from probing_bridge.similarity.sums.blocks import N_BLOCKS, Blocks, MomentsError, cut_blocks
from probing_bridge.similarity.sums.gemm import Gemm, one_thread
from probing_bridge.similarity.sums.jackknife import leave_one_out
from probing_bridge.similarity.sums.layers import Layer, take_pilot
from probing_bridge.similarity.sums.records import Estimate
from probing_bridge.similarity.sums.streaming import accumulate

HELD_BYTES = 1.0e9  # two layers are held in memory while their groups are compared if they are not larger
FEWEST = 10  # tokens of a group worth a score
MEASURE = "linear_cka"


def fewest_tokens(width: int) -> int:
    """The smallest group whose CKA is scored: a quarter of the width, and at least 10.

    The debiased score errs by what tokens are drawn and by what pairs of tokens are. A jackknife counts the second part
    twice (Efron & Stein 1981, The Jackknife Estimate of Variance), so its intervals are right where that
    part is small: with more tokens than directions that hold the variance, which are fewer than a quarter of the
    neurons in trained layers. With fewer tokens the quotient of the estimates is also off by more than 0.03.

    Args:
        width: Neurons of a layer.
    """
    return max(FEWEST, -(-width // 4))


def token_groups(plan: Plan, dumps: DumpSet, component: Component) -> dict[str, np.ndarray]:
    """All groups of a component's tokens: by frequency, and by the tags of source words.

    Args:
        plan: The request, with its tag files.
        dumps: The open dumps.
        component: "encoder" (source tokens) or "decoder" (target tokens).

    Returns:
        Group name -> rising rows.

    Raises:
        BridgeError: A tag file that does not fit the sentences, or no counts.
    """
    side = SIDES[component.name]
    tokens, symbols = dumps.tokens(side), dumps.symbols(side)
    groups = frequency_groups(tokens, symbols, frequency_counts(plan, dumps, side))
    if side == "source":
        for kind, path in plan.tags:
            groups |= tag_groups(Path(path), kind, tokens, symbols, component.offsets)
    return groups


def check_tags(tags: Sequence[tuple[str, str]], dumps: DumpSet, faults: Faults) -> None:
    """Adds what is wrong with (kind, path) of tag files to the faults."""
    component = dumps.components.get("encoder")
    if component is None:
        if tags:
            faults.add("--tags: tags are of source words, but the dumps have no encoder")
        return
    for kind, path in tags:
        faults.of(tag_groups, Path(path), kind, dumps.tokens("source"), dumps.symbols("source"), component.offsets)


def group_scores(
    x: Layer, y: Layer, groups: Mapping[str, np.ndarray], component: Component, gemm: Gemm
) -> Iterator[tuple[str, int, list[Score] | str]]:
    """CKA of two layers over each group.

    Args:
        x: First layer.
        y: Second layer.
        groups: Group name -> rising rows.
        component: Its sentences and size.
        gemm: How to multiply.

    Yields:
        Group, number of tokens, and the scores, or why there are none.
    """
    blocks = cut_blocks(component.offsets, N_BLOCKS, None, CHUNK_ROWS)
    if 8.0 * component.n_rows * component.width <= HELD_BYTES:
        x, y = (_held(layer, component.n_rows) for layer in (x, y))
    fewest = fewest_tokens(component.width)
    for name, rows in groups.items():
        if len(rows) < fewest:
            yield name, len(rows), f"{name}: {len(rows)} tokens are too few for CKA, which needs {fewest}"
            continue
        one, two = group_layer(x, rows), group_layer(y, rows)
        try:
            if takes_grams(len(rows), 2, component.width):
                scores = _by_grams(one, two, rows, blocks)
            else:
                scores = _by_products(one, two, blocks_of_group(blocks, rows, CHUNK_ROWS), gemm)
        except MomentsError as error:
            yield name, len(rows), f"{name}: {error}"
            continue
        yield name, len(rows), scores


def _held(layer: Layer, n_rows: int) -> Layer:
    rows = layer.read(0, n_rows)
    return Layer(layer.name, layer.width, lambda start, stop: rows[start:stop])


def _by_grams(x: Layer, y: Layer, rows: np.ndarray, blocks: Blocks) -> list[Score]:
    present, block = np.unique(np.searchsorted(blocks.borders, rows, side="right") - 1, return_inverse=True)
    n_blocks = len(present)
    sums = gram_blocks(x.read(0, len(rows)), y.read(0, len(rows)), block, n_blocks)
    whole, left_out = _cka(sums, np.ones((1, n_blocks))), _cka(sums, leave_one_out(n_blocks))
    scores = []
    for variant, value, without in zip(MEASURES[MEASURE].variants, whole, left_out, strict=True):
        if not np.isfinite(value[0]):
            raise MomentsError(f"{x.name} or {y.name} has no variance in these tokens")
        estimate = Estimate(min(1.0, float(value[0])), without)
        scores.append(with_interval(MEASURE, variant, estimate, MEASURES[MEASURE].bounds))
    return scores


def _cka(sums: list[HsicBlocks], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    between, own_x, own_y = (part.weighted(weights) for part in sums)
    return weighted_cka(between, own_x, own_y)


def _by_products(x: Layer, y: Layer, blocks: Blocks, gemm: Gemm) -> list[Score]:
    measures = {MEASURE: MEASURES[MEASURE]}
    layers = [x, y]
    pilots = [take_pilot(layer, blocks.n_rows) for layer in layers]
    moments = accumulate(layers, pilots, blocks, [(0, 0), (0, 1), (1, 1)], gemm)
    weights = leave_one_out(blocks.n_blocks)
    own_x, own_y = moments.pair(0, 0), moments.pair(1, 1)
    with one_thread():
        one = describe_layer(own_x, weights, lambda: own_x, measures.values())
        two = describe_layer(own_y, weights, lambda: own_y, measures.values())
        directions, notes = Scorer(weights, measures).pair(one, two, moments.pair(0, 1))
    if notes:
        raise MomentsError("; ".join(notes))
    return directions[0].scores
