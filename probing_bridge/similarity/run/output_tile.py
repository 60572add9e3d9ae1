"""Output distributions of one level, and beside those of level 0: scores over all positions and groups of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from probing_bridge.errors import BridgeError
from probing_bridge.formats.activations.output import Output
from probing_bridge.similarity.measures.outputs import OutputMeasure
from probing_bridge.similarity.measures.registry import OUTPUT_MEASURES
from probing_bridge.similarity.run.cuts import OutputTile
from probing_bridge.similarity.run.dumps import DumpSet
from probing_bridge.similarity.run.frequencies import frequency_counts
from probing_bridge.similarity.run.group_tile import FEWEST
from probing_bridge.similarity.run.groups import frequency_groups
from probing_bridge.similarity.run.plan import CHUNK_ROWS, Plan
from probing_bridge.similarity.run.rows import RowMaker, TileRows
from probing_bridge.similarity.run.scoring import with_interval
from probing_bridge.similarity.sums.blocks import N_BLOCKS, cut_blocks
from probing_bridge.similarity.sums.jackknife import leave_one_out
from probing_bridge.similarity.sums.records import Estimate

COMPONENT = "output"
POSITION_EDGES = (0, 1, 2, 4, 8, 16, 32, 64)  # in the target sentence, whose first token has position 0
WORST = 20  # sentences, and target tokens, that are named
_DIVERGENCE = "js_divergence"  # by which they are ordered
_VALUES = 1 << 21  # known tokens of one side that are compared at once


def run_output(tile: OutputTile, plan: Plan, dumps: DumpSet, advance: Callable[[float], object]) -> TileRows:
    """Computes the rows of one tile.

    Args:
        tile: The tile.
        plan: The request.
        dumps: Its dumps, open.
        advance: Called with the share that has been done since the last call.

    Returns:
        Rows of the similarity table and, of two different levels, of the table of disagreements.

    Raises:
        BridgeError: The two dumps have other gold tokens, or the dictionary has no counts.
    """
    result = TileRows()
    measures = {name: one for name, one in OUTPUT_MEASURES.items() if tile.with_dense or not one.of_pair}
    offsets = dumps.offsets("target")
    blocks = cut_blocks(offsets, N_BLOCKS, None, max(1, min(CHUNK_ROWS, _VALUES // (dumps.n_best + 1))))
    sums = _Sums(measures, blocks.n_blocks)
    divergence = np.empty((blocks.n_rows, 2))
    symbols, counts = dumps.symbols("target"), frequency_counts(plan, dumps, "target")
    for block, chunks in enumerate(blocks.chunks):
        for start, stop in chunks:
            dense, level = _outputs(tile, dumps, start, stop)
            groups = {"": np.arange(stop - start), **_positions(offsets, start, stop)}
            values = sums.add(block, dense, level, groups | frequency_groups(level.gold, symbols, counts))
            divergence[start:stop] = values.get(_DIVERGENCE, np.nan)
            advance((stop - start) / blocks.n_rows)
    maker = RowMaker(plan, dumps, COMPONENT)
    result.tables["similarity"] += sums.rows(maker, tile.place)
    result.notes += sums.notes
    if tile.with_dense and tile.place:
        result.tables["disagreements"] += list(_disagreements(tile.place, dumps, divergence))
    return result


def _outputs(tile: OutputTile, dumps: DumpSet, start: int, stop: int) -> tuple[Output, Output]:
    """The output of level 0 and of the level; one object where they are the same, or level 0 is not asked for."""
    level = dumps.output(tile.place, start, stop)
    dense = dumps.output(0, start, stop) if tile.with_dense and tile.place else level
    if (dense.gold != level.gold).any():
        names = f"LTH{dumps.levels[0]} and LTH{dumps.levels[tile.place]}"
        raise BridgeError(f"the dumps of {names} have other gold tokens; dump both from the same data")
    return dense, level


def _positions(offsets: np.ndarray, start: int, stop: int) -> dict[str, np.ndarray]:
    """Rows start..stop, counted from start, by their position in the sentence."""
    rows = np.arange(start, stop)
    position = rows - offsets[np.searchsorted(offsets, rows, side="right") - 1]
    groups = {}
    for low, high in pairwise([*POSITION_EDGES, np.inf]):
        name = f"position:{low}-" if high == np.inf else f"position:{low}-{high}"
        groups[name] = np.flatnonzero((position >= low) & (position < high))
    return {name: found for name, found in groups.items() if len(found)}


class _Sums:
    """Sums of what positions add to each measure, by group and block of sentences."""

    def __init__(self, measures: Mapping[str, OutputMeasure], n_blocks: int) -> None:
        self._measures, self._n_blocks = measures, n_blocks
        self._counts: dict[str, np.ndarray] = {}
        self._sums: dict[tuple[str, str], np.ndarray] = {}
        self.notes: list[str] = []

    def add(self, block: int, dense: Output, level: Output, groups: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Adds some positions of a block; returns what each adds to each measure."""
        values = {name: measure.columns(dense, level) for name, measure in self._measures.items()}
        for group, rows in groups.items():
            self._counts.setdefault(group, np.zeros(self._n_blocks))[block] += len(rows)
            for name, columns in values.items():
                sums = self._sums.setdefault((name, group), np.zeros((self._n_blocks, columns.shape[1])))
                sums[block] += columns[rows].sum(axis=0)
        return values

    def rows(self, maker: RowMaker, place: int) -> Iterator[dict[str, Any]]:
        """Rows of the similarity table, group by group."""
        for group in sorted(self._counts, key=_group_order):
            counts = self._counts[group]
            n = int(counts.sum())
            if n < FEWEST:
                self.notes.append(f"{group}: {n} tokens are too few for a score of the output")
                continue
            for name, measure in self._measures.items():
                a, b = ((0, ""), (place, "")) if measure.of_pair else ((place, ""), None)
                for variant, estimate in self._estimates(name, group):
                    score = with_interval(name, variant, estimate, measure.bounds)
                    yield from maker.scores(score, a, b, n, group)

    def _estimates(self, name: str, group: str) -> Iterator[tuple[str, Estimate]]:
        """Each variant, and without each of the blocks in which the group has tokens."""
        measure, present = self._measures[name], self._counts[group] > 0
        counts, sums = self._counts[group][present], self._sums[name, group][present]
        weights = leave_one_out(len(counts))
        whole = measure.score(sums.sum(axis=0), counts.sum())
        left_out = measure.score(weights @ sums, weights @ counts)
        for k, variant in enumerate(measure.variants):
            yield variant, Estimate(float(whole[k]), left_out[:, k])


def _group_order(group: str) -> tuple[str, int]:
    """By kind, then by the lowest position or rank."""
    kind, _, span = group.partition(":")
    return kind, int(span.partition("-")[0] or 0)


def _disagreements(place: int, dumps: DumpSet, divergence: np.ndarray) -> Iterator[dict[str, Any]]:
    """The sentences, then the target tokens, with the largest lower bound of the divergence."""
    offsets = dumps.offsets("target")
    filled = np.flatnonzero(np.diff(offsets))
    means = np.add.reduceat(divergence, offsets[filled]) / np.diff(offsets)[filled][:, None]
    texts = _Texts(dumps)
    levels = {"experiment": dumps.experiment, "level_a": dumps.levels[0], "level_b": dumps.levels[place]}
    for k in _largest(means[:, 0]):
        low, high = means[k]
        yield levels | {"divergence_low": low, "divergence_high": high, **texts.sentence(int(filled[k]))}
    for row in _largest(divergence[:, 0]):
        number = int(np.searchsorted(offsets, row, side="right")) - 1
        low, high = divergence[row]
        one, two = (dumps.output(which, int(row), int(row) + 1) for which in (0, place))
        yield (
            levels
            | texts.sentence(number)
            | {
                "position": int(row - offsets[number]),
                "divergence_low": low,
                "divergence_high": high,
                "gold": texts.target[one.gold[0]],
                "best_a": texts.target[one.tokens[0, 0]],
                "best_b": texts.target[two.tokens[0, 0]],
                "probability_a": float(np.exp(one.gold_log_probability[0])),
                "probability_b": float(np.exp(two.gold_log_probability[0])),
            }
        )


def _largest(values: np.ndarray) -> np.ndarray:
    """The places of the largest values above 0, largest first."""
    order = np.argsort(-values, kind="stable")[:WORST]
    return order[values[order] > 0]


class _Texts:
    """The sentences in words.

    Attributes:
        target: The target dictionary.
    """

    def __init__(self, dumps: DumpSet) -> None:
        self._dumps = dumps
        self._source, self.target = dumps.symbols("source"), dumps.symbols("target")
        self._offsets = {side: dumps.offsets(side) for side in ("source", "target")}

    def sentence(self, number: int) -> dict[str, Any]:
        """Number, source and target of a sentence, without EOS."""
        ids = self._dumps.tokens("source", *self._rows("source", number))
        gold = self._dumps.output(0, *self._rows("target", number)).gold
        source = [self._source[index] for index in ids[:-1]]
        target = [self.target[index] for index in gold[:-1]]
        return {"sentence": number, "source": " ".join(source), "target": " ".join(target)}

    def _rows(self, side: str, number: int) -> tuple[int, int]:
        start, stop = self._offsets[side][number : number + 2].tolist()
        return start, stop
