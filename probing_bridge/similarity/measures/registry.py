"""The measures: name -> functions of PairMoments. A new one is a function file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probing_bridge.similarity.measures.cka import debiased_linear_cka, linear_cka
from probing_bridge.similarity.measures.neuron_sim import neuron_similarity
from probing_bridge.similarity.measures.predictivity import linear_predictivity, ridge_predictivity
from probing_bridge.similarity.measures.procrustes import procrustes
from probing_bridge.similarity.measures.pwcca import pwcca
from probing_bridge.similarity.measures.svcca import svcca
from probing_bridge.similarity.sums.moments import PairMoments


@dataclass(frozen=True)
class Measure:
    """One measure of two layers.

    Attributes:
        variants: Variant, as in the table -> function of the moments.
        symmetric: Whether the order of the layers does not matter.
        bounds: Smallest and largest value.
        citation: Where it comes from.
    """

    variants: dict[str, Callable[[PairMoments], float]]
    symmetric: bool
    bounds: tuple[float, float]
    citation: str


def _absolute_neuron_similarity(pair: PairMoments) -> float:
    return neuron_similarity(pair, absolute=True)


MEASURES: dict[str, Measure] = {
    "neuron_similarity": Measure(
        {"signed": neuron_similarity, "absolute": _absolute_neuron_similarity}, False, (-1, 1),
        "Bau et al. 2019; Movva & Zhao 2020, Section 5.1",
    ),
    "linear_cka": Measure(
        {"biased": linear_cka, "debiased": debiased_linear_cka}, True, (-1, 1),
        "Kornblith et al. 2019; Song et al. 2012",
    ),
    "svcca": Measure({"": svcca}, True, (0, 1), "Raghu et al. 2017"),
    "pwcca": Measure({"": pwcca}, False, (0, 1), "Morcos et al. 2018"),
    "procrustes": Measure({"": procrustes}, True, (0, 1), "Williams et al. 2021"),
    "linear_predictivity": Measure(
        {"linear": linear_predictivity, "ridge": ridge_predictivity}, False, (0, 1), "Wu et al. 2020 (maxlinreg)"
    ),
}  # fmt: skip
PAPER = ("neuron_similarity", "linear_cka")
CLOSED_FORM = frozenset(PAPER)  # resampled from a few inner products; the others decompose a matrix each time
