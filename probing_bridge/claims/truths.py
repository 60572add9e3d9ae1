"""What is true in a world: which effects there are, and how large.

Place in the flow: truths -> worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from probing_bridge.claims.probing import DEGRADING, IMPROVING, INVARIANT
from probing_bridge.corpora.tasks import SEMANTIC
from probing_bridge.results.naming import task_category
from probing_bridge.results.paper import PROBES

ATTENTION = ("encoder_self", "encoder_decoder", "decoder_self")
LEVELS, LAYERS = range(9), range(1, 7)
Truth = Mapping[tuple[Any, ...], float]

# Items of the test splits of Liu et al. (2019), about; of PS-Fxn and PS-Role as the authors' interim scores imply
# (321 / 434, 330 / 434).
PAPER_ITEMS = {
    "pos": 56_000, "ccg": 55_000, "parent": 56_000, "gparent": 56_000, "ggparent": 56_000, "chunk": 47_000,
    "ner": 46_000, "ged": 41_000, "conj": 2_400, "syn_arc_prediction": 98_000, "syn_arc_classification": 49_000,
    "st": 5_000, "ps_fxn": 434, "ps_role": 434, "ef": 4_000, "sem_arc_prediction": 36_000,
    "sem_arc_classification": 18_000, "coref": 9_000,
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """What is true, and how much chance there is.

    Attributes:
        size: Of every effect: 1 the paper's, 0 none, 0.5 half of it, -1 the opposite.
        items: Task -> items of its test split.
        offset: Standard deviation of a run's own offset, in margins.
        walk: Standard deviation of a level's step, in margins.
        gain: What the final layer adds to the embeddings by the same probe, in points.
        bleu_error: Standard error of a difference of BLEU over test sentences, in %.
    """

    size: float
    items: Mapping[str, int] = field(default_factory=lambda: PAPER_ITEMS)
    offset: float = 0.3
    walk: float = 0.12
    gain: float = 10.0
    bleu_error: float = 0.5

    def opposite(self, amount: float) -> float:
        """A change where the paper says that there is none: nothing, and `amount` in the opposite world."""
        return amount if self.size < 0 else 0.0


WORLDS = {
    "nothing happens": World(0),
    "the paper's": World(1),
    "half of them": World(0.5),
    "the opposite": World(-1),
    "probes learn nothing": World(0, gain=0.0),
}


def modules(world: World) -> Truth:
    """(component, kind, layer, projection, level) -> share of pruned weights."""
    truth: dict[tuple[Any, ...], float] = {}
    stacks = [
        ("encoder", "self_attn"),
        ("encoder", "fc"),
        ("decoder", "self_attn"),
        ("decoder", "fc"),
        ("decoder", "encoder_decoder"),
    ]
    for (component, kind), layer, level in product(stacks, LAYERS, LEVELS):
        for projection in ("fc1", "fc2") if kind == "fc" else ("q", "k", "v", "out"):
            share, part, early = 1 - 0.8**level, level / 8, (9 - level) / 8 if level else 0.0
            tilt = 0.25 * part * ((layer - 1) / 5 - 0.5) if kind == "fc" else 0.0
            if kind == "self_attn":
                tilt += {1: 0.08, 6: 0.04}.get(layer, 0.0) * early
            if kind == "encoder_decoder":
                tilt -= (0.24 + 0.04 * layer / 6) * part
            tilt += 0.125 * part * (1 if projection in ("v", "out") else -1 if projection in ("q", "k") else 0)
            truth[component, kind, layer, projection, level] = 0.7 * share + world.size * tilt
    return truth


def probed(world: World, task: str) -> Truth:
    """(probe, layer, level) -> score in points."""
    size, base = world.size, (PROBES[task][0] or 0.0) * 100
    if task.endswith("_prediction"):  # as high as its classification where nothing is true
        whole = (PROBES[task.replace("prediction", "classification")][0] or 0.0) * 100
        base = whole - size * (whole - base)
    probes = ("linear", "mlp") if task in (*DEGRADING, *IMPROVING) else ("linear",)
    truth = {}
    for probe, layer, level in product(probes, (0, *LAYERS), LEVELS):
        score = base + (size * 3.0 if probe == "mlp" and layer else 0.0)
        if layer:
            score += -size * 2.0 * (6 - layer) + _change(world, task, probe, layer, level)
        else:
            score -= world.gain
        truth[probe, str(layer), level] = score
    return truth


def _change(world: World, task: str, probe: str, layer: int, level: int) -> float:
    """What a level does to a task's score at a layer, in points."""
    size, part = world.size, level / 8
    everywhere = layer == 6 or size < 0
    change = 0.0
    if task in DEGRADING and everywhere:
        change -= (
            size * {"ps_fxn": 3.2, "ps_role": 3.0, "coref": 2.8}[task] * (0.0 if level < 5 else 0.7 + 0.1 * (level - 5))
        )
    if task in DEGRADING and 0 < level < 5:
        change += world.opposite(-2.0)
    if task in IMPROVING and everywhere and probe == "linear":
        change += size * {"syn_arc_prediction": 1.6, "sem_arc_prediction": 2.5}[task] * part
    if task in IMPROVING and probe == "mlp":
        change += world.opposite(3.0) * part
    if task in DEGRADING and probe == "mlp":
        change += world.opposite(4.0) * part
    if task in INVARIANT:
        change += world.opposite(-3.0) * part
    if task == "ef" and 0 < layer < 4:  # of which no claim speaks by itself
        change += world.opposite(30.0) * part
    if task_category(task) != SEMANTIC and layer < 6:
        change += size * 2.5 * (0.4 + 0.6 * (5 - layer) / 4) * part
    return change


def to_dense(world: World, measure: str) -> Truth:
    """(component, layer, level) -> similarity with LTH0."""
    truth = {}
    for component, layer, level in product(("encoder", "decoder"), LAYERS, LEVELS[1:]):
        score = 0.98 - world.size * (0.06 + 0.03 * layer) * level / 8
        if measure == "linear_cka" and component == "decoder" and layer == 6:
            score += world.size * (0.03 * level / 8 + 0.06)  # nearer than the layer below
        truth[component, str(layer), level] = score
    return truth


def attention(world: World) -> Truth:
    """(kind, layer, level) -> AttentionSim with LTH0."""
    away = {"encoder_self": 0.0, "encoder_decoder": -0.06, "decoder_self": 0.01}
    truth = {}
    for (kind, shift), layer, level in product(away.items(), LAYERS, LEVELS[1:]):
        first = 0.35 if kind == "encoder_self" and layer == 1 else 0.0
        moved = world.size * (shift - first) * level / 8
        truth[kind, str(layer), level] = 0.98 + moved + world.opposite(-0.4) * level / 8
    return truth


def within(world: World, kinds: tuple[str, ...]) -> Truth:
    """(component, layer, higher layer, level) -> similarity of two layers of a level."""
    apart = {"encoder": 0.04, "decoder": -0.04, "encoder_self": 0.0, "encoder_decoder": -0.15, "decoder_self": 0.2}
    rules: dict[str, Callable[[int, int, float], float]] = {
        "encoder": lambda a, b, part: 0.1 * part if b == 6 else 0.0,
        "decoder": lambda a, b, part: 0.12 * part if b == 6 else 0.0,
        "encoder_self": lambda a, b, part: 0.23 * part if a == 1 else 0.0,
        "encoder_decoder": _of_halves,
        "decoder_self": lambda a, b, part: 0.0,
    }
    return {
        (kind, str(a), str(b), level): 0.6 + world.size * (apart[kind] + rules[kind](a, b, level / 8))
        for kind, a, b, level in product(kinds, LAYERS, LAYERS, LEVELS)
        if a < b
    }


def _of_halves(a: int, b: int, part: float) -> float:
    """Encoder-decoder attention: alike within halves, more alike with sparsity, layer 5 above all to the first half."""
    return (0.06 if (a <= 3) == (b <= 3) else -0.06) + 0.06 * part + (0.1 * part if b == 5 and a <= 3 else 0.0)
