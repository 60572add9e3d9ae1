"""What claims look up: the frames of the results as numbers of each run, scaled to the units of effects.

Scores of probes and shares are in points (hundredths), BLEU in percent of LTH0's. Every method raises MissingRows,
which names what is missing. Place in the flow: results -> numbers -> pruning, probing, similarity of this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd

from probing_bridge.claims import bleu
from probing_bridge.claims.per_run import MissingRows, PerRun, collected, mean
from probing_bridge.probes.measures import GAIN, side_metrics
from probing_bridge.results import levels, similarity
from probing_bridge.results.folder import RUN, Results
from probing_bridge.results.kept import KeptPredictions
from probing_bridge.results.naming import NORM, final_layers, layer_order, layers_below, model_layers, numbered_layers
from probing_bridge.results.probing import seed_means

EMBEDDINGS = "0"
PROBED = ("probe", "task", "layer", "level")
Found = Mapping[tuple[Any, ...], PerRun]


def final(layers: Sequence[str]) -> str:
    """The final layer of those named: `norm`, or the highest number."""
    found = final_layers(layers)
    if not found:
        raise MissingRows("layers of the model")
    return found[0]


class Numbers:
    """The tables of a study."""

    def __init__(self, results: Results) -> None:
        """Reads nothing yet: each table when a claim asks for it."""
        self.results = results
        self.runs = len(results.runs)
        self._index()

    def _index(self) -> None:
        """Looks everything up once."""
        self.pairs, self.compared = cache(self._pairs), cache(self._compared)
        self.chosen_layer, self.informative = cache(self._chosen_layer), cache(self._informative)

    def _of(self, frame: pd.DataFrame, keys: Sequence[str], value: str = "score") -> Found:
        return collected(frame, keys, value, self.runs)

    @cached_property
    def control(self) -> Numbers:
        """The control that was trained on with nothing pruned."""
        for control in self.results.controls:
            if "none" in set(control["lth"]["score"]):
                return Numbers(control)
        raise MissingRows("the control that is trained on with nothing pruned (report --control DIR)")

    # ---- levels, BLEU, modules

    @cached_property
    def sparsities(self) -> dict[int, float]:
        """Level -> overall sparsity, mean over runs, by level."""
        return bleu.mean_sparsities(self.results)

    @cached_property
    def bleu(self) -> dict[int, PerRun]:
        """Pruned level -> BLEU less LTH0's, in % of LTH0's."""
        return bleu.changes(self.results)

    @cached_property
    def over_random(self) -> dict[int, PerRun]:
        """Pruned level -> BLEU less that of random pruning at the same sparsity, in % of LTH0's."""
        return bleu.over_random(self.results)

    @cached_property
    def modules(self) -> Found:
        """(component, kind, layer, level) -> share of pruned weights, in points."""
        return self._of(levels.modules_data(self.results), ["component", "kind", "layer", "level"], "module_sparsity")

    @cached_property
    def kinds(self) -> Found:
        """(component, kind, level) -> share of pruned weights over all layers."""
        return self._of(levels.kinds_data(self.results), ["component", "kind", "level"], "module_sparsity")

    @cached_property
    def projections(self) -> Found:
        """(component, kind, projection, level) -> share of pruned weights."""
        rows = levels.projections_data(self.results)
        return self._of(rows, ["component", "kind", "projection", "level"], "module_sparsity")

    # ---- probes

    def _own_metric(self, table: str) -> pd.DataFrame:
        """The rows of the tasks' own metrics; where there are several seeds, those of their mean."""
        rows = self.results[table]
        return seed_means(rows[rows["level"].notna() & ~rows["metric"].isin(side_metrics())])

    @cached_property
    def scores(self) -> Found:
        """(probe, task, layer, level) -> score of the task's own metric, mean over seeds, as a fraction."""
        return self._of(self._own_metric("probes"), PROBED)

    @cached_property
    def choosing(self) -> Found:
        """(probe, task, layer, level) -> the score that chooses a layer: that of the development set if it is known."""
        rows = self._own_metric("probes")
        known = rows["dev_score"].notna().groupby([rows["probe"], rows["task"]]).transform("all").astype(bool)
        return self._of(rows.assign(choice=rows["dev_score"].where(known, rows["score"])), PROBED, "choice")

    @cached_property
    def paired(self) -> Found:
        """(probe, task, layer, level) -> score less LTH0's on the same sentences, as a fraction."""
        rows = self._own_metric("probes_differences")
        return self._of(rows[rows["other_level"] == 0], PROBED, "difference")

    @cached_property
    def kept(self) -> KeptPredictions:
        """What the probes answered."""
        return KeptPredictions(self.results["probes"], [run.folder for run in self.results.runs])

    def score(self, task: str, level: int, layer: str, probe: str = "linear") -> PerRun:
        """A score in points."""
        found = self.scores.get((probe, task, layer, level))
        if found is None:
            raise MissingRows(f"{probe} probes of {task}, LTH{level}, layer {layer}")
        draws = self.kept.scores(probe, task, layer).get(level)
        return (found if draws is None else replace(found, draws={task: draws})) * 100.0

    def change(self, task: str, level: int, layer: str, probe: str = "linear") -> PerRun:
        """A score less LTH0's, in points: paired by sentence where predictions were kept, or the table has that."""
        paired = self.paired.get((probe, task, layer, level))
        if paired is not None and not {0, level} <= set(self.kept.scores(probe, task, layer)):
            return paired * 100.0
        return self.score(task, level, layer, probe) - self.score(task, 0, layer, probe)

    @cached_property
    def probed(self) -> dict[tuple[str, str], tuple[set[int], list[str]]]:
        """(probe, task) -> the levels at which it was probed, and the model's own layers that were."""
        found: dict[tuple[str, str], tuple[set[int], list[str]]] = {}
        for probe, task, layer, level in self.scores:
            levels, layers = found.setdefault((probe, task), (set(), []))
            levels.add(int(level))
            if layer not in layers and (layer == NORM or (layer.isdecimal() and layer != EMBEDDINGS)):
                layers.append(layer)
        return found

    def probed_levels(self, task: str, probe: str = "linear") -> list[int]:
        """The levels at which a task was probed."""
        levels, _ = self.probed.get((probe, task), (set(), []))
        if len(levels) < 2 or 0 not in levels:
            raise MissingRows(f"{probe} probes of {task} at LTH0 and a pruned level")
        return sorted(levels)

    def probed_layers(self, task: str, probe: str = "linear") -> list[str]:
        """The model's own layers that were probed."""
        return self.probed.get((probe, task), (set(), []))[1]

    def _chosen_layer(self, task: str, probe: str = "linear") -> str:
        """The one layer at which a task is judged, for all levels and runs: the best in the mean over them."""
        at = self.probed_levels(task, probe)
        known = {
            layer: [self.choosing.get((probe, task, layer, level)) for level in at]
            for layer in self.probed_layers(task, probe)
        }
        means = {
            layer: mean([number for number in numbers if number is not None]).values.mean()
            for layer, numbers in known.items()
            if None not in numbers
        }
        means = {layer: value for layer, value in means.items() if np.isfinite(value)}
        if not means:
            raise MissingRows(f"{probe} probes of {task} at one layer of every level")
        return max(means, key=lambda layer: means[layer])

    @cached_property
    def gains(self) -> Found:
        """(probe, task, layer, level) -> score less that of layer 0 on the same sentences, as a fraction."""
        rows = self.results["probes"]
        return self._of(seed_means(rows[(rows["metric"] == GAIN) & rows["level"].notna()]), PROBED)

    def gain(self, task: str, level: int, probe: str = "linear") -> PerRun:
        """What the chosen layer adds to the embeddings by the same probe, in points: paired where that is known."""
        layer = self.chosen_layer(task, probe)
        paired = self.gains.get((probe, task, layer, level))
        kept = [self.kept.scores(probe, task, one) for one in (layer, EMBEDDINGS)]
        if paired is not None and np.isfinite(paired.errors).all() and not all(level in draws for draws in kept):
            return paired * 100.0
        return self.score(task, level, layer, probe) - self.score(task, level, EMBEDDINGS, probe)

    def _informative(self, task: str, probe: str = "linear") -> bool:
        """Whether LTH0's probe finds more at its layer than at the embeddings; true where those were not probed.

        Of a gain without a paired interval its sign decides, as in Table A2.
        """
        if (probe, task, EMBEDDINGS, 0) not in self.scores:
            return True
        found = self.gain(task, 0, probe).estimate()
        paired = self.gains.get((probe, task, self.chosen_layer(task, probe), 0))
        told = paired is None or np.isfinite(paired.errors).all()
        return bool(np.nan_to_num(found.interval()[0] if told else np.nan, nan=found.effect) > 0)

    # ---- similarity

    def _pairs(self, measure: str) -> Found:
        """(component, level_a, layer_a, level_b, layer_b) -> similarity of two of the model's own layers."""
        rows = model_layers(similarity.similarity_rows(self.results, measure), "layer_a", "layer_b")
        return self._of(rows, ["component", "level_a", "layer_a", "level_b", "layer_b"])

    def pair(self, measure: str, component: str, a: tuple[int, str], b: tuple[int, str]) -> PerRun:
        """Similarity of two (level, layer)."""
        found = self.pairs(measure).get((component, *a, *b))
        if found is None:
            raise MissingRows(f"{measure}, {component}: LTH{a[0]} layer {a[1]} with LTH{b[0]} layer {b[1]}")
        return found

    def _compared(self, measure: str, component: str) -> tuple[list[int], list[str]]:
        """The pruned levels that were compared with LTH0, and all layers, by height."""
        keys = [key for key in self.pairs(measure) if key[0] == component]
        levels = sorted({int(key[3]) for key in keys if key[1] == 0} - {0})
        return levels, layer_order([key[2] for key in keys])

    def compared_levels(self, measure: str, component: str) -> list[int]:
        """The pruned levels that were compared with LTH0."""
        levels, _ = self.compared(measure, component)
        if not levels:
            raise MissingRows(f"{measure} of LTH0 and pruned levels, {component}")
        return levels

    def layers(self, measure: str, component: str) -> list[str]:
        """Layers 1 to L of a component, lowest first, and its final norm."""
        _, layers = self.compared(measure, component)
        if not layers:
            raise MissingRows(f"{measure}, {component}")
        return layers

    def numbered(self, measure: str, component: str) -> list[str]:
        """Layers 1 to L."""
        return [layer for layer in self.layers(measure, component) if layer.isdecimal()]

    def below(self, measure: str, component: str) -> list[str]:
        """Layers 1 to L - 1."""
        found = layers_below(self.layers(measure, component))
        if not found:
            raise MissingRows(f"{measure} of two layers, {component}")
        return found

    def to_dense(self, measure: str, component: str, level: int, layer: str) -> PerRun:
        """Similarity of a layer with the same one of LTH0."""
        return self.pair(measure, component, (0, layer), (level, layer))

    def apart(self, measure: str, component: str, level: int, among: Sequence[tuple[str, str]] | None = None) -> PerRun:
        """Mean similarity of different layers of one level: of all, or of some pairs."""
        layers = self.numbered(measure, component)
        pairs = [(a, b) for a in layers for b in layers if int(a) < int(b)] if among is None else among
        return mean(
            [self.pair(measure, component, (level, a), (level, b)) for a, b in pairs], f"{measure} of two layers"
        )

    @cached_property
    def k80(self) -> Found:
        """(component, layer, level) -> directions that hold 80 % of the variance."""
        return self._of(similarity.one_layer(self.results, "spectrum_k80"), ["component", "layer", "level"])

    @cached_property
    def concentration(self) -> Found:
        """(component, layer, level) -> share of concentrated distributions, in points."""
        rows = similarity.concentration_data(self.results)
        return self._of(rows[rows["layer"] != "all"], ["component", "layer", "level"])

    @cached_property
    def groups(self) -> Found:
        """(kind, group, layer) -> similarity of its tokens at LTH0 and the sparsest level, encoder."""
        return self._of(similarity.groups_data(self.results), ["kind", "group", "layer"])

    @cached_property
    def less_alike(self) -> dict[int, PerRun]:
        """Sparsest level -> share of neurons that are less like their own of LTH0 than the control's are."""
        place = [RUN, "component", "layer_a", "neuron", "level_b"]
        own, control = (
            numbered_layers(similarity.distribution_rows(one.results), "layer_a")[[*place, "own_correlation"]]
            for one in (self, self.control)
        )
        both = own[own["level_b"] == own["level_b"].max()].merge(control, on=place, suffixes=("", "_control"))
        less = both.assign(less=(both["own_correlation"] < both["own_correlation_control"]).astype(float))
        return {level: number for (level,), number in self._of(less, ["level_b"], "less").items()}

    @cached_property
    def own_index(self) -> Found:
        """(component, level) -> share of neurons whose best match in the level is the one of their own index."""
        rows = similarity.own_index_data(self.results)
        return self._of(rows[rows["layer"] == "all"], ["component", "level"], "share")
