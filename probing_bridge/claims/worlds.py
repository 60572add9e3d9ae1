"""Studies whose truth is known: nothing happens, the paper's effects, half of them, the opposite.

A world draws the numbers of a study, run by run, as `Numbers` would look them up in the tables: what a run is by itself
(an offset that differs between quantities), what its levels add (a random walk, since each level starts where the one
before ended), and what the test sentences do, in part to all runs alike. With the size of effects at 0 no level differs
from LTH0, no layer from another and no pruned run from its control, but for chance. Place in the flow: truths -> worlds
-> numbers -> claims; used by tests and by benchmarks/verdicts.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from probing_bridge.claims import truths
from probing_bridge.claims.numbers import Numbers
from probing_bridge.claims.per_run import PerRun, mean
from probing_bridge.claims.truths import LAYERS, LEVELS, Truth, World
from probing_bridge.formats.tables import empty_table
from probing_bridge.results.kept import KeptPredictions
from probing_bridge.results.paper import PROBES, SPARSITY

Drawn = dict[tuple[Any, ...], PerRun]


class Study(Numbers):
    """The numbers of a study of some runs, drawn from a world."""

    def __init__(self, world: World, runs: int, seed: int) -> None:
        """Draws everything."""
        self.world, self.runs = world, runs
        self.rng = np.random.default_rng(seed)
        self.sparsities = dict(enumerate(SPARSITY))
        self.bleu, self.over_random = self._bleu()
        modules = self._drawn(truths.modules(world), 0.01)
        self.modules, self.projections, self.kinds = (
            _means(modules, keep) for keep in ((0, 1, 2, 4), (0, 1, 3, 4), (0, 1, 4))
        )
        self.scores, self.paired = self._probes()
        self.gains, self.choosing = {}, self.scores
        tables, control = self._similarity()
        self._pairs = lambda measure: tables[measure]  # type: ignore[method-assign]
        self.kept = KeptPredictions(empty_table("probes"), [])
        self._index()
        self.control = Numbers.__new__(Numbers)
        self.control._pairs = lambda measure: control[measure]  # type: ignore[method-assign]
        self.control._index()
        self._rest()

    # ---- chance

    def _drawn(self, truth: Truth, margin: float, sentences: float = 0.0, level: int = -1) -> Drawn:
        """Numbers around a truth: key with the level at `level` -> number of each run.

        Args:
            truth: Key -> value.
            margin: Of this unit: offsets and steps are in it.
            sentences: Standard error over test sentences, half of whose variance all runs share.
            level: Where in the key the level stands.
        """
        places: dict[tuple[Any, ...], int] = {}
        rows = [
            places.setdefault(key[:level] + (key[level + 1 :] if level != -1 else ()), len(places)) for key in truth
        ]
        levels = [key[level] for key in truth]
        offsets = self.rng.normal(size=(len(places), self.runs)) * self.world.offset
        steps = self.rng.normal(size=(len(places), len(LEVELS), self.runs)) * self.world.walk
        steps[:, 0] = 0.0
        chance = (offsets[rows] + np.cumsum(steps, axis=1)[rows, levels]) * margin
        shared, own = self.rng.normal(size=(len(truth), 1)), self.rng.normal(size=(len(truth), self.runs))
        values = np.array(list(truth.values()))[:, None] + chance + (shared + own) * sentences / 2**0.5
        errors = np.full(self.runs, sentences)
        return {key: PerRun(values[index], errors) for index, key in enumerate(truth)}

    # ---- Section 3

    def _bleu(self) -> tuple[dict[int, PerRun], dict[int, PerRun]]:
        world = self.world
        change = {("", n): world.size * (-0.08 * n if n < 8 else -2.1) if world.size >= 0 else -0.7 * n for n in LEVELS}
        change["", 8] += world.opposite(10.0)  # the last pruning gives back what the others took
        over = {("", n): world.size * 2.4 * n for n in LEVELS}
        tables = [self._drawn(truth, 1.0, world.bleu_error) for truth in (change, over)]
        return ({n: tables[0]["", n] for n in LEVELS if n}, {n: tables[1]["", n] for n in LEVELS if n})

    # ---- Section 4

    def _probes(self) -> tuple[Drawn, Drawn]:
        """Scores, and their paired changes, as fractions."""
        scores: Drawn = {}
        paired: Drawn = {}
        for task, n in self.world.items.items():
            score = (PROBES[task][0] or 0.0) * 100
            spread = 100 * (score / 100 * (1 - score / 100) / n) ** 0.5
            drawn = self._drawn(truths.probed(self.world, task), 1.0, spread / 2**0.5)  # half the items answer alike
            for (probe, layer, level), number in drawn.items():
                scores[probe, task, layer, level] = PerRun(number.values, np.full(self.runs, spread)) * 0.01
                change = number.values - drawn[probe, layer, 0].values
                paired[probe, task, layer, level] = PerRun(change, np.full(self.runs, spread)) * 0.01
        return scores, {key: number for key, number in paired.items() if key[-1]}

    # ---- Section 5

    def _similarity(self) -> tuple[dict[str, Drawn], dict[str, Drawn]]:
        """Measure -> pairs of layers, of the study and of its control."""
        measures = ("neuron_similarity", "linear_cka")
        tables = {measure: self._pairs_of(truths.to_dense(self.world, measure)) for measure in measures}
        control = {measure: self._pairs_of(truths.to_dense(World(0), measure)) for measure in measures}
        tables["attention_cka"] = self._pairs_of(truths.attention(self.world))
        for measure, kinds in (("linear_cka", ("encoder", "decoder")), ("attention_cka", truths.ATTENTION)):
            within = self._drawn(truths.within(self.world, kinds), 0.02, 0.001)
            tables[measure].update({(kind, n, a, n, b): number for (kind, a, b, n), number in within.items()})
        layers = tables["linear_cka"]  # of the sparsest level with the final one of LTH0, beside those of LTH0 with it
        nearer = self._drawn({("", str(n), 8): self.world.size * 0.06 for n in LAYERS[:-1]}, 0.02, 0.001)
        layers.update(
            {("decoder", 8, n, 0, "6"): layers["decoder", 0, n, 0, "6"] + more for (_, n, _), more in nearer.items()}
        )
        return tables, control

    def _pairs_of(self, truth: Truth) -> Drawn:
        """Similarity of layers with the same of LTH0."""
        drawn = self._drawn(truth, 0.02, 0.001)
        return {(component, 0, layer, level, layer): number for (component, layer, level), number in drawn.items()}

    def _rest(self) -> None:
        """Spectra, concentration, groups of tokens, neurons."""
        world, size = self.world, self.world.size
        k80 = {
            (c, "6", n): 290 * (1 - size * most * n / 8)
            for c, most in (("encoder", 0.39), ("decoder", 0.51))
            for n in LEVELS
        }
        self.k80 = self._drawn(k80, 10.0, 1.0)
        shares = (("decoder_self", 0.1), ("encoder_self", 0.0), ("encoder_decoder", -0.14))
        self.concentration = self._drawn(
            {(kind, str(x), n): 0.3 + size * more + (-0.01 * max(size, 0.0) + world.opposite(-0.06)) * n / 8
             for (kind, more), x, n in product(shares, LAYERS, LEVELS)}, 0.02, 0.002,
        )  # fmt: skip
        groups = {
            "frequency": {"0-5": 0, "100-500": 1, "2500-": 0},
            "pos": {"CC": 1, "JJS": 1, "NNP": 0, "RP": 0, "POS": 0, ".": 0},
            "semtag": {"PST": 1, "REL": 1, "PRG": 0, "CON": 0},
        }
        drawn = self._drawn(
            {
                (kind, group, "6", 0): 0.87 + size * 0.1 * high
                for kind, of in groups.items()
                for group, high in of.items()
            },
            0.02,
            0.003,
        )
        self.groups = {key[:3]: number for key, number in drawn.items()}
        own = {(c, 8): 0.998 + world.opposite(-0.1) for c in ("encoder", "decoder")}
        self.own_index = self._drawn(own, 0.002)
        alike = self._drawn({("", 8): 0.5 + size * 0.495}, 0.01)
        self.less_alike = {8: alike["", 8]}


def _means(modules: Mapping[tuple[Any, ...], PerRun], keep: tuple[int, ...]) -> Drawn:
    """Means over the modules that agree in some parts of the key."""
    found: dict[tuple[Any, ...], list[PerRun]] = {}
    for key, number in modules.items():
        if not (keep == (0, 1, 3, 4) and key[1] == "fc"):
            found.setdefault(tuple(key[place] for place in keep), []).append(number)
    return {key: mean(numbers) for key, numbers in found.items()}
