"""Computes one tile of a plan and leaves its rows in a folder; a folder that is there is a tile that is done.

Layout of the work folder: `plan.json`; `layers/<component>.<place>-<layer>.npz`, each layer's own moments;
`tiles/<name>/`, the tables of a finished tile in the columns of results.py, and notes on what could not be scored.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from probing_bridge.formats.files import written_beside
from probing_bridge.similarity.measures.attention_distributions import DistributionCounter
from probing_bridge.similarity.measures.neuron_sim import own_index_share
from probing_bridge.similarity.measures.random_attention import random_best_match
from probing_bridge.similarity.measures.registry import DISTRIBUTION_MEASURES, HEAD_MEASURES, MEASURES, Measure
from probing_bridge.similarity.run.cuts import AnyTile, GroupTile, OutputTile, Tile
from probing_bridge.similarity.run.dumps import Component, DumpSet
from probing_bridge.similarity.run.group_tile import group_scores, token_groups
from probing_bridge.similarity.run.output_tile import run_output
from probing_bridge.similarity.run.plan import ATTENTION_ROWS, CHUNK_ROWS, Plan, level_pairs
from probing_bridge.similarity.run.rows import RowMaker, TileRows
from probing_bridge.similarity.run.scoring import Scored, Scorer, describe_layer, score_spectrum, with_interval
from probing_bridge.similarity.sums.blocks import N_BLOCKS, MomentsError, cut_blocks
from probing_bridge.similarity.sums.gemm import GEMMS, keep_to_cores, one_thread
from probing_bridge.similarity.sums.jackknife import leave_one_out
from probing_bridge.similarity.sums.layers import take_pilot
from probing_bridge.similarity.sums.moments import LayerMoments, LayerSums, PairBlocks
from probing_bridge.similarity.sums.records import LayerRecord
from probing_bridge.similarity.sums.sampling import Sampler
from probing_bridge.similarity.sums.streaming import Moments, accumulate

KEPT = "kept."  # before the names of what measures keep of a layer


class TileRunner:
    """Computes tiles of one plan."""

    def __init__(self, plan: Plan, dumps: DumpSet, work: Path) -> None:
        """Prepares.

        Args:
            plan: The request.
            dumps: Its dumps, open.
            work: The work folder.
        """
        self._plan, self._dumps, self._work = plan, dumps, work
        self._wanted = level_pairs(dumps.levels, plan.pairs)
        self._gemm = GEMMS[plan.gemm]()
        keep_to_cores()

    def run(self, tile: AnyTile, advance: Callable[[float], object] = lambda share: None) -> None:
        """Computes a tile, unless it is there.

        Args:
            tile: The tile; if of two spans, the tiles of each span must be there.
            advance: Called with the share of the tile that has been done since the last call.

        Raises:
            MomentsError: Activations that are not finite, or too few.
        """
        folder = self._work / "tiles" / tile.name
        if folder.exists():
            return
        if isinstance(tile, OutputTile):
            rows = run_output(tile, self._plan, self._dumps, advance)
        else:
            rows = self._run_groups(tile, advance) if isinstance(tile, GroupTile) else self._run_pairs(tile, advance)
        rows.write(folder)

    def _run_groups(self, tile: GroupTile, advance: Callable[[float], object]) -> TileRows:
        component, result = self._dumps.components[tile.component], TileRows()
        groups = token_groups(self._plan, self._dumps, component)
        maker = RowMaker(self._plan, self._dumps, tile.component)
        for layer in component.layers:
            x, y = (self._dumps.layer(tile.component, place, layer) for place in (0, tile.place))
            for name, n, scores in group_scores(x, y, groups, component, self._gemm):
                if isinstance(scores, str):
                    result.notes.append(scores)
                else:
                    keys = (0, layer), (tile.place, layer)
                    result.tables["similarity"] += [row for s in scores for row in maker.scores(s, *keys, n, name)]
            advance(1 / len(component.layers))
        return result

    def _run_pairs(self, tile: Tile, advance: Callable[[float], object]) -> TileRows:
        component = self._dumps.components[tile.component]
        max_rows = ATTENTION_ROWS if component.is_attention else CHUNK_ROWS
        blocks = cut_blocks(component.offsets, N_BLOCKS, component.units, max_rows)
        layers = [self._dumps.layer(component.name, place, layer) for place, layer in tile.keys]
        counter = sampler = None
        if any(MEASURES[name].keep_sample for name in self._plan.measures) and not component.is_attention and tile.own:
            sampler = Sampler(layers, blocks.borders)
        if component.units is not None and tile.own:
            counter = DistributionCounter(
                DISTRIBUTION_MEASURES, len(layers), blocks.n_blocks, component.units, self._plan.threshold
            )
        with tempfile.TemporaryDirectory(prefix=f"products.{tile.name}.", dir=self._work) as products:
            moments = accumulate(
                layers,
                [take_pilot(layer, component.n_rows) for layer in layers],
                blocks,
                tile.pairs(self._wanted),
                self._gemm,
                folder=Path(products) if tile.on_disk else None,
                on_chunk=counter or sampler,
                on_block=lambda rows: advance(rows / component.n_rows),
            )
            weights = leave_one_out(blocks.n_blocks)
            scoring = _TileScoring(self._plan, self._dumps, self._work, component, tile.keys, moments, weights, sampler)
            with one_thread():
                return scoring.rows(tile.own, counter)


@dataclass
class _TileScoring:
    """Turns the block sums of a tile into rows."""

    plan: Plan
    dumps: DumpSet
    work: Path
    component: Component
    keys: Sequence[tuple[int, str]]
    moments: Moments
    weights: np.ndarray
    sampler: Sampler | None

    @property
    def _rows(self) -> RowMaker:
        return RowMaker(self.plan, self.dumps, self.component.kind, self.component.variants)

    @property
    def _measures(self) -> dict[str, Measure]:
        return HEAD_MEASURES if self.component.is_attention else {name: MEASURES[name] for name in self.plan.measures}

    def rows(self, own: bool, counter: DistributionCounter | None) -> TileRows:
        """Scores all pairs; of a tile of one span also the single layers."""
        result = TileRows()
        records = [self._describe(k, result) if own else self._load(k) for k in range(len(self.keys))]
        if counter is not None:
            self._distributions(counter, result)
        scorer = Scorer(self.weights, self._measures, self.plan.variants)
        wanted = level_pairs(self.dumps.levels, self.plan.pairs)
        for i, j in sorted(self.moments.store.pairs):
            if (self.keys[i][0], self.keys[j][0]) in wanted:
                directions, notes = scorer.pair(records[i], records[j], self.moments.pair(i, j))
                result.notes += notes
                for (a, b), scored in zip(((i, j), (j, i)), directions, strict=False):
                    self._direction(a, b, scored, result)
        return result

    def _distributions(self, counter: DistributionCounter, result: TileRows) -> None:
        for k, n, estimates in counter.estimates(self.weights):
            for name, estimate in estimates.items():
                measure = DISTRIBUTION_MEASURES[name]
                threshold = self.plan.threshold if measure.takes_threshold else None
                score = with_interval(name, "", estimate, measure.bounds)
                result.tables["similarity"] += self._rows.scores(score, self.keys[k], None, n, threshold=threshold)

    def _direction(self, a: int, b: int, scored: Scored, result: TileRows) -> None:
        """The rows of layer a with layer b: scores, and the matches in the same layer of another level."""
        one, two = self.keys[a], self.keys[b]
        moments, shared = scored.pair.moments, self.component.shared
        for score in scored.scores:
            at_random = self._measures[score.measure].at_random
            if at_random is not None:
                score = replace(score, baseline=at_random(moments, shared))
            result.tables["similarity"] += self._rows.scores(score, one, two, moments.x.n)
        if one[0] == two[0] or one[1] != two[1]:
            return
        for matches in scored.matches:
            kept = own_index_share(scored.pair, matches, self.weights)
            share = with_interval("own_index_share", "", kept, (0, 1))
            result.tables["similarity"] += self._rows.scores(share, one, two, len(matches.best))
            if self.component.is_attention:
                baseline = random_best_match(moments, shared)
                result.tables["heads"].append(self._rows.heads(matches, one, two, baseline))
            else:
                result.tables["neurons"].append(self._rows.neurons(matches, one, two))

    def _layer_path(self, k: int) -> Path:
        place, layer = self.keys[k]
        return self.work / "layers" / f"{self.component.name}.{place}-{layer}.npz"

    def _describe(self, k: int, result: TileRows) -> LayerRecord:
        """A layer's own moments, kept for the tiles of two spans; its spectrum."""
        own = self.moments.pair(k, k)
        sample = None if self.sampler is None else self.sampler.sample(k)
        record = describe_layer(own, self.weights, lambda: self.moments.pair(k, k), self._measures.values(), sample)
        again = any(measure.closed_form is None or measure.needs_blocks for measure in self._measures.values())
        _save_record(self._layer_path(k), record, own if again else None)
        constant = np.flatnonzero(record.moments.constant)
        if len(constant):
            kind = "heads" if self.component.is_attention else "neurons"
            numbers = ", ".join(map(str, constant[:20])) + (", ..." if len(constant) > 20 else "")
            result.notes.append(f"{record.moments.name}: {len(constant)} constant {kind} left out: {numbers}")
        if self.component.is_attention:
            return record
        try:
            for whole, scores in score_spectrum(record, own, self.weights):
                for score in scores:
                    result.tables["similarity"] += self._rows.scores(score, self.keys[k], None, record.moments.n)
                result.tables["spectrum"].append(self._rows.spectrum(whole.cumulative, whole.variant, self.keys[k]))
        except MomentsError as error:
            result.notes.append(str(error))
        return record

    def _load(self, k: int) -> LayerRecord:
        path = self._layer_path(k)
        if not path.exists():
            raise MomentsError(f"{path}: the layer's own moments are missing; its tile has to be computed first")
        return _load_record(path)


def _save_record(path: Path, record: LayerRecord, own: PairBlocks | None) -> None:
    """Keeps a layer's record, and its block sums if they will be needed again."""
    moments = record.moments
    arrays: dict[str, Any] = {
        "name": moments.name, "n": moments.n, "mean": moments.mean, "scatter": moments.scatter,
        "quartic": moments.quartic, "constant": moments.constant,
        **{f"{KEPT}{name}": array for name, array in record.kept.items()},
    }  # fmt: skip
    if own is not None:
        arrays |= {
            "shift": own.x.shift, "counts": own.x.counts, "sums": own.x.sums, "norms": own.x.norms,
            "products": own.products, "norm_products": own.norm_products, "norm_sums": own.x_norm_y,
        }  # fmt: skip
    with written_beside(path, shared=True) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)


def _load_record(path: Path) -> LayerRecord:
    with np.load(path) as file:
        moments = LayerMoments(
            str(file["name"]), int(file["n"]), file["mean"], file["scatter"], float(file["quartic"]), file["constant"]
        )
        kept = {name.removeprefix(KEPT): file[name] for name in file.files if name.startswith(KEPT)}
        return LayerRecord(moments, kept, lambda: _load_blocks(path))


def _load_blocks(path: Path) -> PairBlocks:
    with np.load(path) as file:
        sums = LayerSums(str(file["name"]), file["shift"], file["counts"], file["sums"], file["norms"])
        norm_sums = file["norm_sums"]
        return PairBlocks(sums, sums, file["products"], file["norm_products"], norm_sums, norm_sums)
