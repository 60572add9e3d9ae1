"""The claims of Section 3: what pruning keeps, and where the weights go."""

from __future__ import annotations

import math
from functools import partial

from probing_bridge.claims.judging import BLEU, SPARSITY, Claim, Effect
from probing_bridge.claims.numbers import Numbers
from probing_bridge.claims.per_run import MissingRows, PerRun, trend
from probing_bridge.results.statistics import FALLS, KEPT, RISES

FULL_BLEU, DEGRADING_FROM, NEAR = 0.664, 0.565, 0.05  # overall sparsities of the paper's LTH7 and LTH5, and "the same"
_STACKS = ("encoder", "decoder")


def level_at(numbers: Numbers, sparsity: float) -> int:
    """The pruned level whose overall sparsity is nearest.

    Raises:
        MissingRows: None is within 5 points.
    """
    distances = {level: abs(share - sparsity) for level, share in numbers.sparsities.items() if level > 0}
    level = min(distances, key=lambda level: distances[level], default=0)
    if not level or distances[level] > NEAR:
        raise MissingRows(f"a level within 5 points of {100 * sparsity:.1f} % overall sparsity")
    return level


def bleu_change(numbers: Numbers, level: int) -> PerRun:
    """BLEU of a level less LTH0's, in %."""
    if level not in numbers.bleu:
        raise MissingRows(f"BLEU of LTH{level}")
    return numbers.bleu[level]


def bleu_kept(numbers: Numbers) -> list[Effect]:
    """At the paper's sparsity."""
    level = level_at(numbers, FULL_BLEU)
    return [Effect(bleu_change(numbers, level), f"LTH{level}", -0.58)]


def bleu_negligible(numbers: Numbers) -> list[Effect]:
    """Every level up to there."""
    last = level_at(numbers, FULL_BLEU)
    return [Effect(bleu_change(numbers, level), f"LTH{level}") for level in range(1, last + 1)]


def bleu_beyond(numbers: Numbers) -> list[Effect]:
    """What the next pruning costs more than its share of sparsity would have cost before."""
    last, shares = level_at(numbers, FULL_BLEU), numbers.sparsities
    if last + 1 not in shares:
        raise MissingRows("a pruning beyond 66.4 % overall sparsity")
    before, after = bleu_change(numbers, last), bleu_change(numbers, last + 1)
    step = shares[last + 1] / shares[last]  # the change that goes on at the earlier rate
    return [Effect(after - before * step, f"LTH{last + 1}", -1.41)]


def beats_random(numbers: Numbers) -> list[Effect]:
    """BLEU less that of random pruning, at the sparsest level of both."""
    level = max(numbers.over_random)
    return [Effect(numbers.over_random[level], f"LTH{level}")]


# ---- where the weights go


def share(numbers: Numbers, component: str, kind: str, layer: int, level: int) -> PerRun:
    """Pruned weights of a module, in points."""
    found = numbers.modules.get((component, kind, layer, level))
    if found is None:
        raise MissingRows(f"{component} {kind}, layer {layer}, LTH{level} (lth_modules.csv)")
    return found * 100.0


def _layers(numbers: Numbers, component: str, kind: str) -> list[int]:
    found = sorted({int(layer) for at, of, layer, _ in numbers.modules if (at, of) == (component, kind)})
    if len(found) < 2:
        raise MissingRows(f"{component} {kind} of two layers (lth_modules.csv)")
    return found


def _levels(numbers: Numbers) -> list[int]:
    found = sorted({int(level) for *_, level in numbers.modules} - {0})
    if not found:
        raise MissingRows("pruned levels in lth_modules.csv")
    return found


def layers_trend(numbers: Numbers, kind: str, components: tuple[str, ...], paper: tuple[float, ...]) -> list[Effect]:
    """Change over the layers, sparsest level."""
    last = _levels(numbers)[-1]
    found = []
    for component, effect in zip(components, paper, strict=True):
        layers = _layers(numbers, component, kind)
        found.append(
            Effect(trend([share(numbers, component, kind, n, last) for n in layers], layers), component, effect)
        )
    return found


def fc_gap(numbers: Numbers) -> list[Effect]:
    """Last decoder layer less the first, at every pruned level."""
    layers = _layers(numbers, "decoder", "fc")
    ends = (layers[-1], layers[0])
    return [
        Effect(
            share(numbers, "decoder", "fc", ends[0], level) - share(numbers, "decoder", "fc", ends[1], level),
            f"LTH{level}",
        )
        for level in _levels(numbers)
    ]


def self_attention_rank(numbers: Numbers, first: bool) -> list[Effect]:
    """Layer 1 less each other one, or the last layer less each between, at LTH1."""
    level, found = _levels(numbers)[0], []
    for component in _STACKS:
        layers = _layers(numbers, component, "self_attn")
        if len(layers) < 3:
            raise MissingRows("at least three layers")
        top, others = (layers[0], layers[1:]) if first else (layers[-1], layers[1:-1])
        most = share(numbers, component, "self_attn", top, level)
        found += [
            Effect(most - share(numbers, component, "self_attn", other, level), f"{component} layer {top} v {other}")
            for other in others
        ]
    return found


def first_gap_fades(numbers: Numbers) -> list[Effect]:
    """How much more layer 1 is pruned than the others: LTH1 less the sparsest level."""
    levels, found = _levels(numbers), []
    if len(levels) < 2:
        raise MissingRows("two pruned levels in lth_modules.csv")
    for component in _STACKS:
        layers = _layers(numbers, component, "self_attn")
        gaps = []
        for level in (levels[0], levels[-1]):
            shares = [share(numbers, component, "self_attn", layer, level) for layer in layers]
            gaps.append(shares[0] - sum(shares[2:], start=shares[1]) * (1 / (len(layers) - 1)))
        found.append(Effect(gaps[0] - gaps[1], component))
    return found


def cross_least(numbers: Numbers) -> list[Effect]:
    """Each other kind of module less encoder-decoder attention, sparsest level."""
    last, found = _levels(numbers)[-1], []
    cross = numbers.kinds.get(("decoder", "encoder_decoder", last))
    others = [key for key in numbers.kinds if key[2] == last and key[1] != "encoder_decoder"]
    if cross is None or not others:
        raise MissingRows("encoder-decoder attention in lth_modules.csv")
    for component, kind, level in sorted(others):
        found.append(Effect((numbers.kinds[component, kind, level] - cross) * 100.0, f"{component} {kind}", 24.0))
    return found


def values_outputs(numbers: Numbers) -> list[Effect]:
    """Each of Wv and Wo less each of Wq and Wk, in each kind of attention, sparsest level."""
    last, found = _levels(numbers)[-1], []
    for component, kind in sorted({key[:2] for key in numbers.projections}):
        for late in ("v", "out"):
            for early in ("q", "k"):
                pair = [numbers.projections.get((component, kind, name, last)) for name in (late, early)]
                if pair[0] is None or pair[1] is None:
                    raise MissingRows(f"Wq, Wk, Wv and Wo of {component} {kind} in lth_modules.csv")
                found.append(Effect((pair[0] - pair[1]) * 100.0, f"{component} {kind}: W{late[0]} v W{early}", 25.0))
    if not found:
        raise MissingRows("Wq, Wk, Wv and Wo in lth_modules.csv")
    return found


CLAIMS = (
    Claim("3.2", "An iterative random pruning baseline keeps less BLEU than magnitude pruning", "Table A1 (an image)",
          "BLEU", "magnitude less random pruning, run by run, sparsest level of both", "fig_bleu_sparsity",
          beats_random, RISES, BLEU),
    Claim("3.3", "At 66.4 % sparsity test BLEU was over 99 % of its unpruned value", "27.61 of 27.77", "BLEU",
          "level within 5 points of 66.4 % overall less LTH0", "fig_bleu_sparsity", bleu_kept, KEPT, BLEU),
    Claim("3.3", "Seven pruned models experience a negligible performance drop", "LTH1 to LTH7", "BLEU",
          "every level up to 66.4 % overall less LTH0", "fig_bleu_sparsity", bleu_negligible, KEPT, BLEU),
    Claim("3.3", "In the subsequent pruning iteration performance starts to drop more rapidly", "0.4 BLEU", "BLEU",
          "change of the next pruning less what the earlier rate per point of sparsity gives", "fig_bleu_sparsity",
          bleu_beyond, FALLS, BLEU),
    Claim("3.4", "Later layers exhibit higher fully connected sparsities", "up to 25 % in the decoder",
          "pruned share of FC weights", "fitted change from the first layer to the last, sparsest level; both stacks",
          "fig_a1_modules", partial(layers_trend, kind="fc", components=_STACKS, paper=(math.nan, 25.0)), RISES,
          SPARSITY),
    Claim("3.4", "Decoder layer 6 FC weights are sparser than layer 1's", "as much as 25 %",
          "pruned share of FC weights", "last decoder layer less the first, at every pruned level", "fig_a1_modules",
          fc_gap, RISES, SPARSITY),
    Claim("3.4", "Of self-attention, layer 1 is pruned significantly more than other layers", "–",
          "pruned share of self-attention", "layer 1 less each other layer, LTH1; both stacks", "fig_a1_modules",
          partial(self_attention_rank, first=True), RISES, SPARSITY),
    Claim("3.4", "... particularly for low-sparsity models", "–", "pruned share of self-attention",
          "layer 1 less the mean of the others: LTH1 less the sparsest level; both stacks", "fig_a1_modules",
          first_gap_fades, RISES, SPARSITY),
    Claim("3.4", "Layer 6 is pruned next most", "–", "pruned share of self-attention",
          "last layer less each between it and layer 1, LTH1; both stacks", "fig_a1_modules",
          partial(self_attention_rank, first=False), RISES, SPARSITY),
    Claim("3.4", "Encoder-decoder attention is pruned least compared to all other modules", "55 % where all are 79 %",
          "pruned share", "each other kind of module less encoder-decoder attention, sparsest level", "fig_a1_modules",
          cross_least, RISES, SPARSITY),
    Claim("3.4", "Late encoder-decoder layers are pruned slightly less than early ones", "–",
          "pruned share of encoder-decoder attention",
          "fitted change from the first layer to the last, sparsest level", "fig_a1_modules",
          partial(layers_trend, kind="encoder_decoder", components=("decoder",), paper=(math.nan,)), FALLS, SPARSITY),
    Claim("3.4", "Across all attention types, Wv and Wo are 25 % sparser than Wq and Wk", "25 %",
          "pruned share of projections", "each of Wv, Wo less each of Wq, Wk, sparsest level; three types",
          "fig_a2_projections", values_outputs, RISES, SPARSITY),
)  # fmt: skip
