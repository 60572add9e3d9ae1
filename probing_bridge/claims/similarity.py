"""The claims of Sections 5.2 and 5.3: neurons, layers, spectra and groups of tokens.

Any further training moves a model away from LTH0. What pruning does to similarity with LTH0 is therefore said against
the control that was trained on with the same rewinds and nothing pruned.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial

from probing_bridge.claims.judging import CKA, POINTS, Claim, Effect
from probing_bridge.claims.numbers import Numbers, final
from probing_bridge.claims.per_run import MissingRows, PerRun, mean, trend, weighted
from probing_bridge.results.statistics import FALLS, KEPT, RISES, fitted_weights

SHARE_OF_K = "% of k"
STACKS = ("encoder", "decoder")
SEMTAGS = {"semtag", "st"}  # what groups of semantic tags are called
_VERBS, _CONCEPTS = ("PRG", "PFT", "EPG", "ETG"), ("CON",)  # progressive and perfect; nouns (Bjerva et al. 2016)


def less_control(numbers: Numbers, measure: str, component: str, level: int, layer: str) -> PerRun:
    """Similarity of a layer with LTH0's, less that of the control's level of the same number."""
    control = numbers.control.to_dense(measure, component, level, layer)
    return numbers.to_dense(measure, component, level, layer) - control


def diverges(numbers: Numbers, measure: str) -> list[Effect]:
    """Change over levels of the mean over layers, less the control's."""
    found = []
    for component in STACKS:
        levels, layers = numbers.compared_levels(measure, component), numbers.numbered(measure, component)
        means = [mean([less_control(numbers, measure, component, n, layer) for layer in layers]) for n in levels]
        found.append(Effect(weighted(means, fitted_weights([0, *levels])[1:]), component))  # at LTH0 both are 1
    return found


def height(numbers: Numbers, measure: str, components: tuple[str, ...]) -> list[Effect]:
    """Change over layers at the sparsest level, less the control's."""
    found = []
    for component in components:
        level, layers = numbers.compared_levels(measure, component)[-1], numbers.numbered(measure, component)
        scores = [less_control(numbers, measure, component, level, layer) for layer in layers]
        found.append(Effect(trend(scores, [int(layer) for layer in layers]), component))
    return found


def own_index(numbers: Numbers) -> list[Effect]:
    """Share of neurons that keep their own index at the sparsest level, less all."""
    last = max((int(level) for component, level in numbers.own_index if component in STACKS), default=0)
    shares = [numbers.own_index[component, last] for component in STACKS if (component, last) in numbers.own_index]
    return [Effect(mean(shares, "neurons.csv").less(1.0) * 100.0, f"LTH{last}", -0.2)]


def all_neurons(numbers: Numbers) -> list[Effect]:
    """Share of neurons that are less like their own of LTH0 than in the control, less one half."""
    if not numbers.less_alike:
        raise MissingRows("neurons.csv of the sparsest level, here and of the control")
    return [Effect(share.less(0.5) * 100.0, f"LTH{level}", 50.0) for level, share in numbers.less_alike.items()]


def decoder_top(numbers: Numbers) -> list[Effect]:
    """Final decoder layer less the one below, similarity with LTH0 at every level."""
    layers, below = numbers.layers("linear_cka", "decoder"), numbers.below("linear_cka", "decoder")
    return [
        Effect(
            numbers.to_dense("linear_cka", "decoder", level, final(layers))
            - numbers.to_dense("linear_cka", "decoder", level, below[-1]),
            f"LTH{level}",
        )
        for level in numbers.compared_levels("linear_cka", "decoder")
    ]


def decoder_apart(numbers: Numbers) -> list[Effect]:
    """Different encoder layers less different decoder layers, within LTH0."""
    return [Effect(numbers.apart("linear_cka", "encoder", 0) - numbers.apart("linear_cka", "decoder", 0))]


def to_final(numbers: Numbers, component: str, level: int) -> PerRun:
    """Mean similarity of the layers below the last with the final one, within a level."""
    last = final(numbers.layers("linear_cka", component))
    below = numbers.below("linear_cka", component)
    return mean([numbers.pair("linear_cka", component, (level, layer), (level, last)) for layer in below])


def early_closer(numbers: Numbers) -> list[Effect]:
    """Sparsest level less LTH0."""
    found = []
    for component, paper in zip(STACKS, (0.07, 0.12), strict=True):
        last = numbers.compared_levels("linear_cka", component)[-1]
        found.append(Effect(to_final(numbers, component, last) - to_final(numbers, component, 0), component, paper))
    return found


def closer_with_sparsity(numbers: Numbers) -> list[Effect]:
    """Change over levels."""
    found = []
    for component in STACKS:
        levels = [0, *numbers.compared_levels("linear_cka", component)]
        found.append(Effect(trend([to_final(numbers, component, level) for level in levels], levels), component))
    return found


def sparse_to_dense_final(numbers: Numbers) -> list[Effect]:
    """Layers below the last with the dense final layer: those of the sparsest level less the dense ones."""
    last = numbers.compared_levels("linear_cka", "decoder")[-1]
    top = (0, final(numbers.layers("linear_cka", "decoder")))
    gains = [
        numbers.pair("linear_cka", "decoder", (last, layer), top)
        - numbers.pair("linear_cka", "decoder", (0, layer), top)
        for layer in numbers.below("linear_cka", "decoder")
    ]
    return [Effect(mean(gains), paper=0.06)]


def spectrum(numbers: Numbers) -> list[Effect]:
    """K of the final layer, sparsest level less LTH0, in % of LTH0's."""
    found = []
    for component, paper in zip(STACKS, (-39.3, -50.9), strict=True):
        keys = [key for key in numbers.k80 if key[0] == component]
        if not keys:
            raise MissingRows(f"spectrum_k80, {component}")
        layer, last = final([key[1] for key in keys]), max(key[2] for key in keys)
        if (component, layer, 0) not in numbers.k80 or not last:
            raise MissingRows(f"spectrum_k80 of LTH0 and a pruned level, {component}")
        dense, sparse = numbers.k80[component, layer, 0], numbers.k80[component, layer, last]
        if not (dense.values > 0).all():
            raise MissingRows(f"spectrum_k80 of LTH0 above 0, {component}")
        found.append(Effect((sparse - dense) * (100 / dense.values), component, paper))
    return found


def groups(
    numbers: Numbers,
    kinds: set[str],
    high: Callable[[str], bool],
    low: Mapping[str, Callable[[str], bool]],
    paper: float = math.nan,
) -> list[Effect]:
    """Tokens of some groups (their mean) less those of each other one, final encoder layer.

    Args:
        numbers: The study.
        kinds: What such groups are called.
        high: Which groups are said to be more alike.
        low: What the statement names -> which groups that is.
        paper: The paper's effect.

    Raises:
        MissingRows: Something that the statement names was not measured.
    """
    layer = final([key[2] for key in numbers.groups if key[0] in kinds])
    found = {key[1]: number for key, number in numbers.groups.items() if key[0] in kinds and key[2] == layer}
    more = mean([number for group, number in found.items() if high(group)], "groups that are named in the paper")
    named = {name: [group for group in found if such(group)] for name, such in low.items()}
    absent = [name for name, such in named.items() if not such]
    if absent:
        raise MissingRows(f"enough tokens of {' and of '.join(absent)} to be compared")
    return [Effect(more - found[group], f"v {group}", paper) for such in named.values() for group in such]


def by_frequency(numbers: Numbers) -> list[Effect]:
    """Middle ranks less common and rare ones."""
    low = {"rank 0 and on": lambda g: rank(g) == 0, "rank 2500 and on": lambda g: rank(g) >= 2500}
    return groups(numbers, {"frequency"}, lambda g: rank(g) == 100, low, 0.08)


def by_pos(numbers: Numbers) -> list[Effect]:
    """Conjunctions and superlatives less names, particles, possessives and periods."""
    low = {tag: partial(operator.eq, tag) for tag in ("NNP", "RP", "POS", ".")}
    return groups(numbers, {"pos"}, lambda g: g in ("CC", "JJS"), low, 0.12)


def by_semantic_tag(numbers: Numbers) -> list[Effect]:
    """Other tags less progressive and perfect verbs and concepts."""
    low = {"perfect and progressive verbs": _VERBS.__contains__, "concepts": _CONCEPTS.__contains__}
    return groups(numbers, SEMTAGS, lambda g: g not in (*_VERBS, *_CONCEPTS, "unknown"), low)


def rank(group: str) -> int:
    """Lowest frequency rank of a bin such as `100-500`, `2500-` or `>=2500`."""
    digits = "".join(letter if letter.isdecimal() else " " for letter in group).split()
    return int(digits[0]) if digits else -1


_CONTROL = "less the control's that is trained on with nothing pruned"

CLAIMS = (
    Claim("5.2", "k's most correlated neuron is the same neuron k, 99.8 % of the time", "99.8 %",
          "share of neurons that match their own index", "sparsest level less 100 %", "table_own_index", own_index,
          KEPT, POINTS),
    Claim("5.2", "The magnitude of neuron similarity consistently drops with sparsity",
          "decoder 1: 0.82, 6: 0.71 at LTH8", "NeuronSim with LTH0, mean over layers",
          f"fitted change over levels, {_CONTROL}; both stacks", "fig_4_neuron_similarity",
          partial(diverges, measure="neuron_similarity"), FALLS, CKA),
    Claim("5.2", "... in both the encoder and decoder, sharpest for higher layers",
          "0.82 → 0.71 over the decoder's layers", "NeuronSim with LTH0",
          f"fitted change over layers, sparsest level, {_CONTROL}; both stacks", "fig_4_neuron_similarity",
          partial(height, measure="neuron_similarity", components=STACKS), FALLS, CKA),
    Claim("5.2", "All sparse-dense neuron pairs became less similar during pruning", "all",
          "share of neurons less like LTH0's than the control's are", "less one half; at least 95 % of all",
          "fig_a4_neuron_distribution", all_neurons, RISES, POINTS, least=45.0),
    Claim("5.2", "LayerSim decreases with sparsity", "–", "linear CKA with LTH0, mean over layers",
          f"fitted change over levels, {_CONTROL}; both stacks", "fig_a5_layers_to_dense",
          partial(diverges, measure="linear_cka"), FALLS, CKA),
    Claim("5.2", "... especially at higher (encoder) layers", "–", "linear CKA with LTH0",
          f"fitted change over encoder layers, sparsest level, {_CONTROL}", "fig_5_encoder_layers",
          partial(height, measure="linear_cka", components=("encoder",)), FALLS, CKA),
    Claim("5.2", "In the decoder, LayerSim with dense was consistently higher at layer 6 than layer 5", "consistently",
          "linear CKA with LTH0", "final decoder layer less layer L − 1, at every level", "fig_a5_layers_to_dense",
          decoder_top, RISES, CKA),
    Claim("5.2", "Different decoder layers are less similar than different encoder layers", "–",
          "mean linear CKA of different layers", "encoder less decoder, LTH0", "fig_a6_decoder_layers", decoder_apart,
          RISES, CKA),
    Claim("5.2", "Early sparse representations are closer to their final ones than early dense ones are",
          "encoder 2–6: 0.67 → 0.74; decoder 4–6: 0.80 → 0.92",
          "mean linear CKA of layers 1 to L − 1 with the final one", "sparsest level less LTH0; both stacks",
          "fig_5_encoder_layers", early_closer, RISES, CKA),
    Claim("5.2", "... and this trend strengthens as sparsity increases", "–",
          "mean linear CKA of layers 1 to L − 1 with the final one", "fitted change over levels; both stacks",
          "fig_5_encoder_layers", closer_with_sparsity, RISES, CKA),
    Claim("5.2", "Early sparse decoder layers were often closer to the final dense layer than early dense ones",
          "2–6: 0.55 v 0.49", "linear CKA with LTH0's final layer", "sparse less dense, mean over layers 1 to L − 1",
          "fig_a6_decoder_layers", sparse_to_dense_final, RISES, CKA),
    Claim("5.3", "Sparse models have more variance explained by the top k singular vectors",
          "encoder 290 → 176, decoder 283 → 139", "k for 80 % of the final layer's variance",
          "sparsest level less LTH0, in % of LTH0's; both stacks", "fig_a7_spectrum", spectrum, FALLS, SHARE_OF_K,
          margin=5.0),
    Claim("5.3", "Mid-frequency tokens (rank 100 to 500) had highest similarity; common and rare ones less",
          "0.95 v 0.87, 0.87", "linear CKA dense v sparsest, final encoder layer",
          "bin from 100 less those from 0 and from 2500 on", "fig_groups", by_frequency, RISES, CKA),
    Claim("5.3",
          "Conjunctions and superlatives had highest similarity; proper nouns, particles, possessives and periods low",
          "0.98, 0.97 v 0.85, 0.86, 0.79, 0.84", "linear CKA dense v sparsest, final encoder layer",
          "mean of CC and JJS less each of NNP, RP, POS and the period", "fig_groups", by_pos, RISES, CKA),
    Claim("5.3",
          "The least similar semantic tags were perfect and progressive verbs; 'concept' is relatively dissimilar",
          "0.84, 0.87", "linear CKA dense v sparsest, final encoder layer",
          "mean of the other semantic tags less each of PRG, PFT, EPG, ETG and CON", "fig_groups", by_semantic_tag,
          RISES, CKA),
)  # fmt: skip
