"""The claims of Section 4: what probes find at each level and layer; and the paper's headline.

A task is judged at one layer for all levels, less LTH0 on the same sentences. A task whose probe finds no more at its
layer than at the embeddings tells nothing of what the layers add: it is left out, and named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from probing_bridge.claims.judging import BLEU, POINTS, Claim, Effect
from probing_bridge.claims.numbers import Numbers, final
from probing_bridge.claims.per_run import MissingRows, PerRun, mean, of_levels
from probing_bridge.claims.pruning import DEGRADING_FROM, FULL_BLEU, bleu_change, level_at
from probing_bridge.corpora.tasks import POS, SEMANTIC, SYNTACTIC
from probing_bridge.results.naming import TASK_NAMES, layer_order, layers_below, task_category, task_label
from probing_bridge.results.paper import PAPER_KINDS, PROBES
from probing_bridge.results.statistics import FALLS, KEPT, RISES, SAME, fitted_change, fitted_weights

INVARIANT, DEGRADING, IMPROVING = (
    tuple(task for task, kind in PAPER_KINDS.items() if kind == wanted)
    for wanted in ("invariant", "degrading", "improving")
)
EARLY = ("1", "2", "3")  # what the discussion calls early layers


def each(tasks: Sequence[str], number: Callable[[str], PerRun], paper: Callable[[str], float] = lambda _: math.nan,
         informative: Callable[[str], bool] = lambda _: True) -> list[Effect]:  # fmt: skip
    """An effect a task; what a task lacks is said of that task alone."""
    found = []
    for task in tasks:
        try:
            if informative(task):
                found.append(Effect(number(task), task_label(task), paper(task)))
            else:
                reason = "a probe that finds more than at the embeddings (uninformative)"
                found.append(Effect(None, task_label(task), missing=reason))
        except MissingRows as rows:
            found.append(Effect(None, task_label(task), missing=str(rows)))
    return found


def trend_of(numbers: Numbers, task: str, layer: str = "", probe: str = "linear") -> PerRun:
    """Change of a task's fitted line over the levels, in points, at its layer or another one."""
    at = numbers.probed_levels(task, probe)
    layer = layer or layer_of(numbers, task, probe)
    changes = [numbers.change(task, level, layer, probe) for level in at[1:]]
    return of_levels(changes, fitted_weights(at))


def contrast(numbers: Numbers, task: str, late: Callable[[int], bool]) -> PerRun:
    """Mean of the levels that are late less the mean of the others, in points."""
    at = numbers.probed_levels(task)
    late_ones = np.array([late(level) for level in at])
    if late_ones.all() or not late_ones.any():
        raise MissingRows("levels on both sides of the contrast")
    weights = late_ones / late_ones.sum() - ~late_ones / (~late_ones).sum()
    layer = layer_of(numbers, task)
    return of_levels([numbers.change(task, level, layer) for level in at[1:]], weights)


def layer_of(numbers: Numbers, task: str, probe: str = "linear") -> str:
    """The layer that both kinds of probe are judged at: the linear probe's, where the other was trained there too."""
    try:
        layer = numbers.chosen_layer(task)
    except MissingRows:
        layer = ""
    return layer if layer in numbers.probed_layers(task, probe) else numbers.chosen_layer(task, probe)


def paper_trend(task: str) -> float:
    """The authors' interim numbers of a task, as the change of a fitted line in points; NaN for another task."""
    known = [(level, score) for level, score in enumerate(PROBES.get(task, ())) if score is not None]
    if not known:
        return math.nan
    levels, scores = zip(*known, strict=True)
    return 100 * float(fitted_change(np.array([scores]), levels)[0])


def trends(numbers: Numbers, tasks: Sequence[str], probe: str = "linear") -> list[Effect]:
    """Fitted changes of tasks."""
    paper = paper_trend if probe == "linear" else lambda _: math.nan
    return each(tasks, partial(trend_of, numbers, probe=probe), paper, partial(numbers.informative, probe=probe))


def gains(numbers: Numbers) -> list[Effect]:
    """What the layers add to the embeddings, at LTH0 and the sparsest level."""

    def at(end: int, task: str) -> PerRun:
        return numbers.gain(task, numbers.probed_levels(task)[end])

    ends = {"LTH0": each(INVARIANT, partial(at, 0)), "sparsest": each(INVARIANT, partial(at, -1))}
    return [replace(effect, name=f"{effect.name}, {end}") for end, effects in ends.items() for effect in effects]


def best_early(numbers: Numbers) -> list[Effect]:
    """LTH0 and LTH1 less the later levels."""
    return each(
        DEGRADING, lambda task: contrast(numbers, task, lambda level: level > 1) * -1.0, informative=numbers.informative
    )


def drop_from_onset(numbers: Numbers) -> list[Effect]:
    """The level of 56.5 % sparsity and those beyond, less those before."""
    start = level_at(numbers, DEGRADING_FROM)
    return each(
        DEGRADING, lambda task: contrast(numbers, task, lambda level: level >= start), informative=numbers.informative
    )


def kept_before_onset(numbers: Numbers) -> list[Effect]:
    """The pruned levels before that, less LTH0."""
    start = level_at(numbers, DEGRADING_FROM)

    def before(task: str) -> PerRun:
        levels = [level for level in numbers.probed_levels(task) if 0 < level < start]
        return mean(
            [numbers.change(task, level, numbers.chosen_layer(task)) for level in levels], "levels before the onset"
        )

    return each(DEGRADING, before, informative=numbers.informative)


def prediction_below(numbers: Numbers) -> list[Effect]:
    """Arc classification less arc prediction, mean over levels."""

    def gap(kind: str) -> PerRun:
        tasks = [f"{kind}_{name}" for name in ("classification", "prediction")]
        levels = sorted(set.intersection(*(set(numbers.probed_levels(task)) for task in tasks)))
        means = [mean([numbers.score(task, n, numbers.chosen_layer(task)) for n in levels]) for task in tasks]
        return means[0] - means[1]

    return [Effect(gap("syn_arc"), "syntactic", 5.0), Effect(gap("sem_arc"), "semantic", 3.6)]


def mlp_higher(numbers: Numbers) -> list[Effect]:
    """MLP less linear probe on the same layer, mean over levels."""

    def gain(task: str) -> PerRun:
        levels = sorted(set(numbers.probed_levels(task, "mlp")) & set(numbers.probed_levels(task)))
        layer = layer_of(numbers, task, "mlp")
        return mean([numbers.score(task, n, layer, "mlp") - numbers.score(task, n, layer) for n in levels])

    return each((*DEGRADING, *IMPROVING), gain)


def mlp_alike(numbers: Numbers) -> list[Effect]:
    """Fitted change with an MLP less that with a linear probe, on the same layer."""

    def difference(task: str) -> PerRun:
        layer = layer_of(numbers, task, "mlp")
        return trend_of(numbers, task, layer, "mlp") - trend_of(numbers, task, layer)

    return each(DEGRADING, difference, informative=numbers.informative)


# ---- layers


def of_category(numbers: Numbers, category: str, number: Callable[[str], PerRun]) -> PerRun:
    """The mean of something over the informative tasks of a category."""
    tasks = [task for task in TASK_NAMES if ("linear", task) in numbers.probed and task_category(task) == category]
    return mean([number(task) for task in tasks if numbers.informative(task)], f"informative {category} tasks")


def probed(numbers: Numbers) -> list[str]:
    """The model's own layers with linear probes, by height."""
    layers = layer_order(
        [layer for (probe, _), (_, found) in numbers.probed.items() if probe == "linear" for layer in found]
    )
    if not layers_below(layers):
        raise MissingRows("linear probes of two layers")
    return layers


def final_best(numbers: Numbers) -> list[Effect]:
    """The final layer less each one below, mean over the tasks of a category and over levels."""
    layers, found = probed(numbers), []
    last = final(layers)
    for category in (POS, SYNTACTIC, SEMANTIC):
        for layer in layers_below(layers):

            def gap(task: str, layer: str = layer) -> PerRun:
                levels = numbers.probed_levels(task)
                return mean([numbers.score(task, n, last) - numbers.score(task, n, layer) for n in levels])

            found.append(Effect(of_category(numbers, category, gap), f"{category} v layer {layer}"))
    return found


def layer_trends(numbers: Numbers, category: str, layers: Sequence[str] | None = None) -> list[Effect]:
    """Fitted change of a category over levels, at each layer below the last or at those named."""
    below = layers_below(probed(numbers))
    chosen = below if layers is None else [layer for layer in layers if layer in below]
    return [
        Effect(of_category(numbers, category, partial(trend_of, numbers, layer=layer)), f"layer {layer}")
        for layer in chosen
    ]


def final_trend(numbers: Numbers, category: str) -> list[Effect]:
    """Fitted change of a category over levels at the final layer."""
    last = final(probed(numbers))
    return [
        Effect(
            of_category(numbers, category, partial(trend_of, numbers, layer=last)),
            f"layer {last}".replace("layer n", "n"),
        )
    ]


def headline(numbers: Numbers) -> list[Effect]:
    """At the sparsest level whose BLEU the paper calls full: BLEU, and the semantic tasks."""
    level = level_at(numbers, FULL_BLEU)
    tasks = [task for task in DEGRADING if ("linear", task) in numbers.probed and numbers.informative(task)]
    falls = [numbers.change(task, level, numbers.chosen_layer(task)) for task in tasks]
    paper = 100 * float(np.mean([(PROBES[task][7] or 0.0) - (PROBES[task][0] or 0.0) for task in DEGRADING]))
    return [
        Effect(bleu_change(numbers, level), f"BLEU, LTH{level}", -0.58, KEPT, BLEU),
        Effect(
            mean(falls, "informative probes of PS-Fxn, PS-Role, Coref"), f"PS-Fxn, PS-Role, Coref, LTH{level}", paper
        ),
    ]


_CHANGE = "fitted change over levels, at the task's layer, paired by sentence"
_AT_LAYERS = "fitted change over levels, mean over the tasks"
_THREE = "degrading tasks"

CLAIMS = (
    Claim("7", "Pruning degrades semantic knowledge before affecting BLEU", "2–3 points at 99.4 % of BLEU",
          "BLEU, and the mean score of PS-Fxn, PS-Role and Coref",
          "level within 5 points of 66.4 % overall less LTH0: BLEU " "kept within 1 %, and the score below 0",
          "fig_1_linear_probes", headline, FALLS, POINTS),
    Claim("4.2", "Several tasks (POS, CCG, ancestors, Chunk, Conj, arc classification, ST) are sparsity-invariant",
          "10 tasks", "score of each of the ten tasks", _CHANGE, "table_4_2_trends", partial(trends, tasks=INVARIANT),
          SAME, POINTS),
    Claim("4.2",
          "Metrics are consistently higher than a context-free baseline, so probes learn the tasks at all sparsities",
          "–", "score less that at the embeddings by the same probe", "each invariant task, LTH0 and sparsest level",
          "table_a2_linear_scores", gains, RISES, POINTS),
    Claim("4.2", "PS-Fxn degrades with sparsity", "0.858 → 0.828 (interim)", "score", _CHANGE, "fig_1_linear_probes",
          partial(trends, tasks=("ps_fxn",)), FALLS, POINTS, family=_THREE),
    Claim("4.2", "PS-Role degrades with sparsity", "0.740 → 0.721 (interim)", "score", _CHANGE, "fig_1_linear_probes",
          partial(trends, tasks=("ps_role",)), FALLS, POINTS, family=_THREE),
    Claim("4.2", "Coref degrades with sparsity", "0.772 → 0.749 (interim)", "score", _CHANGE, "fig_1_linear_probes",
          partial(trends, tasks=("coref",)), FALLS, POINTS, family=_THREE),
    Claim("4.2", "PS-Fxn, PS-Role and Coref are best at LTH0 or LTH1", "LTH0 or LTH1", "score",
          "mean of LTH0 and LTH1 less the mean of the later levels; all three", "fig_1_linear_probes", best_early,
          RISES, POINTS),
    Claim("4.2", "Their performance starts to drop at LTH5 (56.5 % sparsity)", "LTH5", "score",
          "mean of the levels from 56.5 % overall on less the mean of those before; all three", "fig_1_linear_probes",
          drop_from_onset, FALLS, POINTS),
    Claim("4.2", "... and not before LTH5", "LTH5", "score",
          "mean of the pruned levels before 56.5 % overall less LTH0; all three", "fig_1_linear_probes",
          kept_before_onset, KEPT, POINTS),
    Claim("4.2", "Syntactic arc prediction improves with sparsity", "0.905 → 0.921 (interim)", "score", _CHANGE,
          "fig_1_linear_probes", partial(trends, tasks=("syn_arc_prediction",)), RISES, POINTS,
          family="improving tasks"),
    Claim("4.2", "Semantic arc prediction improves with sparsity", "0.892 → 0.917 (interim)", "score", _CHANGE,
          "fig_1_linear_probes", partial(trends, tasks=("sem_arc_prediction",)), RISES, POINTS,
          family="improving tasks"),
    Claim("4.2", "Arc prediction is lower than arc classification", "0.905 v 0.956; 0.892 v 0.928 (interim)", "score",
          "classification less prediction, mean over levels; syntactic and semantic", "table_a2_linear_scores",
          prediction_below, RISES, POINTS),
    Claim("4.3", "Across the board, raw accuracies were higher using the MLP", "–", "score",
          "MLP less linear probe on the same layer, mean over levels; each of five tasks", "table_a3_mlp_scores",
          mlp_higher, RISES, POINTS),
    Claim("4.3", "With the MLP, sparse models no longer improve on arc prediction", "no trend", "MLP score",
          f"{_CHANGE}; syntactic and semantic", "fig_2_mlp_probes", partial(trends, tasks=IMPROVING, probe="mlp"),
          SAME, POINTS),
    Claim("4.3", "The MLP could not rescue PS-Fxn, PS-Role and Coref", "–", "MLP score", f"{_CHANGE}; all three",
          "fig_2_mlp_probes", partial(trends, tasks=DEGRADING, probe="mlp"), FALLS, POINTS),
    Claim("4.3", "... results were nearly identical as with the linear probe", "nearly identical",
          "change of the score", "fitted change with an MLP less that with a linear probe, same layer; all three",
          "fig_2_mlp_probes", mlp_alike, SAME, POINTS),
    Claim("4.4", "The final layer always had highest accuracy", "always", "score",
          "final layer less each layer below, mean over levels and the tasks of a category", "fig_3_layers",
          final_best, RISES, POINTS),
    Claim("4.4", "For syntactic tasks, layers 1–5 increase with sparsity", "layers 1–5", "score of syntactic tasks",
          f"{_AT_LAYERS}; each layer below the last", "fig_3_layers", partial(layer_trends, category=SYNTACTIC), RISES,
          POINTS),
    Claim("4.4", "... and performance is equal across sparsities by layer 6", "equal", "score of syntactic tasks",
          f"{_AT_LAYERS}; final layer", "fig_3_layers", partial(final_trend, category=SYNTACTIC), SAME, POINTS),
    Claim("4.4", "POS tagging shows the same trend in layers 1–5", "layers 1–5", "score of POS",
          f"{_AT_LAYERS}; each layer below the last", "fig_a3_pos_layers", partial(layer_trends, category=POS), RISES,
          POINTS),
    Claim("4.4", "... and is equal by layer 6", "equal", "score of POS", f"{_AT_LAYERS}; final layer",
          "fig_a3_pos_layers", partial(final_trend, category=POS), SAME, POINTS),
    Claim("4.4", "For semantic tasks, all models perform similarly at early layers", "layers 1–3",
          "score of semantic tasks", f"{_AT_LAYERS}; each of layers 1 to 3", "fig_3_layers",
          partial(layer_trends, category=SEMANTIC, layers=EARLY), SAME, POINTS),
    Claim("4.4", "... while dense models slightly outperform by the final layers", "–", "score of semantic tasks",
          f"{_AT_LAYERS}; final layer", "fig_3_layers", partial(final_trend, category=SEMANTIC), FALLS, POINTS),
)  # fmt: skip
