"""The measures, by their names in the column `measure` of similarity.csv. A new one is a function file and one entry.

An entry is all that the command, its help, the tables and the report need to know of a measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from probing_bridge.similarity.measures import cka, neuron_sim, outputs, predictivity, spectra
from probing_bridge.similarity.measures.angular_procrustes import angular_procrustes
from probing_bridge.similarity.measures.attention_distributions import DistributionMeasure, concentrated, entropy
from probing_bridge.similarity.measures.divergences import jensen_shannon, kullback_leibler
from probing_bridge.similarity.measures.outputs import OutputMeasure, mean
from probing_bridge.similarity.measures.procrustes import procrustes
from probing_bridge.similarity.measures.pwcca import pwcca
from probing_bridge.similarity.measures.random_attention import random_attention_cka
from probing_bridge.similarity.measures.rsa import keep_ranks, rsa, score_rsa
from probing_bridge.similarity.measures.spectra import (
    SpectrumMeasure,
    k80,
    largest_neuron_share,
    participation_ratio,
    smooth_k80,
)
from probing_bridge.similarity.measures.standardised_cka import standardised_cka
from probing_bridge.similarity.measures.svcca import svcca
from probing_bridge.similarity.sums.moments import LayerMoments, PairBlocks, PairMoments
from probing_bridge.similarity.sums.records import Estimate, LayerPair
from probing_bridge.similarity.sums.sampling import Sample

ClosedForm = Callable[[LayerPair, Sequence[str], np.ndarray], Mapping[str, Estimate]]
Keep = Callable[[PairBlocks, np.ndarray], dict[str, np.ndarray]]
KeepSample = Callable[[Sample, LayerMoments], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Measure:
    """One measure of two layers.

    Attributes:
        variants: Variant, as in the table -> function of the PairMoments, or with a closed form of the LayerPair. The
            first is the paper's, or the usual one.
        symmetric: Whether the order of the layers does not matter.
        bounds: Smallest and largest value.
        citation: Where it comes from.
        closed_form: From a pair, variants and (R, n_blocks) weights to each variant's score, and without each block,
            without decomposing a matrix in each; an estimate may be `Matched`. None: the functions are called anew for
            the moments without each block.
        keep: What a closed form needs of each layer by itself, from the layer's own block sums and the weights; names
            and arrays, which pairs find in `LayerRecord.kept`.
        keep_sample: The same from a sample of the layer's tokens and the layer's moments.
        needs_blocks: Whether the closed form needs `LayerRecord.blocks`.
        tokens_per_neuron: How many tokens there must be for each neuron of the wider layer: with fewer, unrelated
            layers would look alike, or related ones unrelated.
        distance: Whether equal layers are 0 apart, and a higher score is less alike.
        alternatives: Whether only one variant is scored at a time, the first unless another is asked for.
        default: Whether it is scored when no measure is asked for.
        written: Whether its scores are rows of the table; otherwise only its matches are.
        population: Variants whose intervals are of the population; those of others are of this corpus size.
        at_random: Of attention: from the moments and `Component.shared` to the score of random attention.
    """

    variants: Mapping[str, Callable[[Any], float]]
    symmetric: bool
    bounds: tuple[float, float]
    citation: str
    closed_form: ClosedForm | None = None
    keep: Keep | None = None
    keep_sample: KeepSample | None = None
    needs_blocks: bool = False
    tokens_per_neuron: int = 0
    distance: bool = False
    alternatives: bool = False
    default: bool = False
    written: bool = True
    population: tuple[str, ...] = ()
    at_random: Callable[[PairMoments, float], float] | None = None

    def asked(self, variants: Sequence[str] | None) -> list[str]:
        """The variants to score: those given, or else all, or the first where they are alternatives."""
        return list(variants if variants is not None else list(self.variants)[: 1 if self.alternatives else None])

    def too_few(self, name: str, n_tokens: int, width: int) -> str:
        """Why so few tokens are refused where the wider layer has `width` neurons; empty if they are not."""
        fewest = self.tokens_per_neuron * width
        if n_tokens >= fewest:
            return ""
        wanted = f"{name} needs at least {fewest}, {self.tokens_per_neuron} a neuron"
        return f"{n_tokens} tokens for {width} neurons, {wanted}: more sentences are needed"


MEASURES: dict[str, Measure] = {  # of the activations of two layers
    "neuron_similarity": Measure(
        neuron_sim.VARIANTS, False, (-1, 1), "Bau et al. 2019 (arXiv 1811.01157); Movva & Zhao 2020, Section 5.1",
        neuron_sim.score_matches, neuron_sim.keep_squares, alternatives=True, default=True,
    ),
    "linear_cka": Measure(
        cka.VARIANTS, True, (-1, 1), "Kornblith et al. 2019, Table 1; debiased: Song et al. 2012, eq. 5",
        cka.score_cka, cka.keep_criteria, default=True, population=("debiased",),
    ),
    "standardised_cka": Measure(
        {"": standardised_cka}, True, (0, 1), "Timkey & van Schijndel 2021 (arXiv 2109.04404)", tokens_per_neuron=10
    ),
    "svcca": Measure({"": svcca}, True, (0, 1), "Raghu et al. 2017, Section 2", tokens_per_neuron=10),
    "pwcca": Measure({"": pwcca}, False, (0, 1), "Morcos et al. 2018, Section 2.2", tokens_per_neuron=10),
    "procrustes": Measure({"": procrustes}, True, (0, 1), "Ding et al. 2021 (arXiv 2108.01661)", tokens_per_neuron=10),
    "angular_procrustes": Measure(
        {"": angular_procrustes}, True, (0, np.pi / 2), "Williams et al. 2021 (arXiv 2110.14739)",
        tokens_per_neuron=10, distance=True,
    ),
    "linear_predictivity": Measure(
        predictivity.VARIANTS, False, (-1, 1), "Wu et al. 2020 (arXiv 2005.01172), MaxLinReg, cross-validated",
        predictivity.score_predictivity, neuron_sim.keep_squares, needs_blocks=True, tokens_per_neuron=5,
    ),
    "rsa": Measure(
        {"": rsa}, True, (-1, 1), "Kriegeskorte et al. 2008 (Frontiers in Systems Neuroscience 2:4)",
        score_rsa, keep_sample=keep_ranks,
    ),
}  # fmt: skip

GROUPS_VARIANT = "debiased"  # of linear_cka over groups of tokens: the biased one rises as a group gets smaller
VISIBLE, ALL = "visible", "all"  # pairs of words that scores of attention are of: those that are free, or the paper's
HEAD_MEASURES: dict[str, Measure] = {  # of the attention of two layers, with the heads in place of the neurons
    "neuron_similarity": replace(MEASURES["neuron_similarity"], written=False),  # heads are matched, not averaged
    "attention_cka": replace(
        MEASURES["linear_cka"],
        variants={"biased": cka.linear_cka},
        citation="Movva & Zhao 2020, Section 5.1",
        population=("biased",),
        at_random=random_attention_cka,
    ),
}

SPECTRUM_MEASURES: dict[str, SpectrumMeasure] = {  # of the spectrum of one layer
    "spectrum_k80": SpectrumMeasure(k80, "Movva & Zhao 2020, Section 5.3", smooth_k80),
    "participation_ratio": SpectrumMeasure(participation_ratio, "Gao et al. 2017 (bioRxiv 214262)"),
    "largest_neuron_share": SpectrumMeasure(
        largest_neuron_share, "Timkey & van Schijndel 2021 (arXiv 2109.04404)", bounds=(0.0, 1.0)
    ),
}

DISTRIBUTION_MEASURES: dict[str, DistributionMeasure] = {  # means over the attention distributions of one layer
    "attention_concentration": DistributionMeasure(
        concentrated, (0.0, 1.0), "Movva & Zhao 2020, Section 5.4.3", takes_threshold=True
    ),
    "attention_entropy": DistributionMeasure(entropy, (0.0, np.inf), "Shannon 1948, Section 6"),
}

LOWER, UPPER = "lower", "upper"  # variants of what is known between two bounds
OUTPUT_MEASURES: dict[str, OutputMeasure] = {  # of output distributions, over target positions
    "js_divergence": OutputMeasure(
        jensen_shannon, (0.0, 1.0), "Lin 1991, IEEE Trans. Inf. Theory 37, eq. 4.1", True, (LOWER, UPPER)
    ),
    "kl_divergence": OutputMeasure(
        kullback_leibler, (0.0, np.inf), "Kullback & Leibler 1951, Section 2", True, (LOWER, UPPER)
    ),
    "best_token_agreement": OutputMeasure(outputs.agreement, (0.0, 1.0), "share of equal best tokens", True),
    "gold_rank": OutputMeasure(outputs.gold_rank, (1.0, np.inf), "mean rank", False),
    "gold_reciprocal_rank": OutputMeasure(
        outputs.gold_reciprocal_rank, (0.0, 1.0), "Voorhees 1999, TREC-8 Question Answering Track Report", False
    ),
    "calibration_error": OutputMeasure(
        outputs.calibration_gaps, (0.0, 1.0), "Guo et al. 2017 (arXiv 1706.04599), eq. 3", False,
        score=outputs.calibration_error,
    ),
}  # fmt: skip


def pair_measure(name: str) -> Measure | None:
    """The measure of two layers, of activations or of heads, that a table calls `name`; None if it is none of these."""
    return MEASURES.get(name) or HEAD_MEASURES.get(name)


# What an interval is about: the value of a corpus without end, or the mean over other corpora of the same size, where
# the measure moves with the number of tokens. `python -m benchmarks.coverage` prints how often they are right.
POPULATION, CORPUS_SIZE = "population", "corpus size"


def interval_of(name: str, variant: str) -> str:
    """What the interval of a score is about, as in the column `interval_of`.

    Args:
        name: A measure of similarity.csv.
        variant: One of its variants.

    Returns:
        POPULATION or CORPUS_SIZE.
    """
    output = OUTPUT_MEASURES.get(name)
    holds = (
        variant in MEASURES[name].population
        if name in MEASURES
        else name in HEAD_MEASURES or name in DISTRIBUTION_MEASURES or (output is not None and output.score is mean)
    )
    return POPULATION if holds else CORPUS_SIZE


def shown_variant(name: str) -> str:
    """The variant of a measure in the table that figures and summaries show."""
    if name in MEASURES:
        return next(iter(MEASURES[name].variants))
    if name in SPECTRUM_MEASURES:
        return spectra.VARIANTS[0]
    return VISIBLE if name in HEAD_MEASURES or name in DISTRIBUTION_MEASURES else ""


def default_measures() -> list[str]:
    """The measures of activations that are scored when none is asked for: the paper's."""
    return [name for name, measure in MEASURES.items() if measure.default]
