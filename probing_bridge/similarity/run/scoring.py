"""From block sums to scores with intervals: what is the same for arrays in memory and for dumps on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from probing_bridge.similarity.measures.cka import HsicBlocks, debiased_linear_cka, linear_cka, resampled_cka
from probing_bridge.similarity.measures.neuron_sim import (
    Matches,
    correlations,
    match_neurons,
    resampled_neuron_similarity,
)
from probing_bridge.similarity.measures.registry import CLOSED_FORM, MEASURES
from probing_bridge.similarity.measures.spectra import VARIANTS, Spectrum, resampled_spectra, spectrum
from probing_bridge.similarity.sums import resampling
from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import LayerMoments, PairBlocks, PairMoments, layer_moments, pair_moments

VARIANCE_SHARE = 0.8  # of k80


@dataclass(frozen=True)
class Score:
    """One number with its 95 % interval."""

    measure: str
    variant: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LayerRecord:
    """All that pairs need of one layer by itself.

    Attributes:
        moments: Over all tokens.
        criteria: (R,) biased and (R,) unbiased Hilbert-Schmidt criterion of the layer with itself, by resample.
        squares: (n_blocks, width) sums of squares about the shift.
        blocks: Loads the layer's own block sums; only measures without closed form need them again.
    """

    moments: LayerMoments
    criteria: tuple[np.ndarray, np.ndarray]
    squares: np.ndarray
    blocks: Callable[[], PairBlocks]


def describe_layer(own: PairBlocks, draws: np.ndarray, reload: Callable[[], PairBlocks]) -> LayerRecord:
    """Takes what pairs need from the block sums of a layer with itself.

    Args:
        own: The sums.
        draws: (R, n_blocks) resamples.
        reload: Gives the sums again.

    Returns:
        The record.
    """
    squares = np.stack([np.diagonal(product) for product in own.products]).astype(np.float64)
    criteria = HsicBlocks.of(own).resample(draws) if len(draws) else (np.empty(0), np.empty(0))
    return LayerRecord(layer_moments(own), criteria, squares, reload)


@dataclass(frozen=True)
class Scorer:
    """Scores pairs of layers.

    Attributes:
        draws: (R, n_blocks) resamples; no rows: no intervals.
        measures: Keys of MEASURES.
        absolute: NeuronSim of |r| instead of r.
        variants: For each measure the variants to score; all of a measure that is no key.
    """

    draws: np.ndarray
    measures: Sequence[str]
    absolute: bool = False
    variants: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def pair(
        self, x: LayerRecord, y: LayerRecord, blocks: PairBlocks
    ) -> tuple[list[Score], list[Score], list[Matches], list[str]]:
        """Scores two layers in both directions.

        Args:
            x: First layer.
            y: Second layer.
            blocks: Their sums.

        Returns:
            Scores of x with y; scores of y with x; the matches in the two directions (empty if NeuronSim is not
            asked for or not defined); what could not be scored, and why.
        """
        moments = self._moments(x, y, blocks)
        forward: list[Score] = []
        backward: list[Score] = []
        matches: list[Matches] = []
        notes: list[str] = []
        for name in self.measures:
            try:
                if name == "linear_cka":
                    scores = self._cka(x, y, blocks, moments)
                    forward += scores
                    backward += scores
                elif name == "neuron_similarity":
                    matches = self._match(moments)
                    forward.append(self._neuron_sim(x, y, blocks, matches[0]))
                    backward.append(self._neuron_sim(y, x, blocks.flipped(), matches[1]))
                else:
                    scores = list(self._decomposed(name, x, y, blocks, moments))
                    forward += scores
                    flipped = (y, x, blocks.flipped(), moments.flipped())
                    backward += scores if MEASURES[name].symmetric else self._decomposed(name, *flipped)
            except MomentsError as error:
                notes.append(f"{name}: {error}")
        return forward, backward, matches, notes

    def _moments(self, x: LayerRecord, y: LayerRecord, blocks: PairBlocks) -> PairMoments:
        if x is y:
            return PairMoments(x.moments, y.moments, x.moments.scatter, x.moments.quartic)
        return pair_moments(blocks, x.moments, y.moments)

    def _asked(self, measure: str) -> list[str]:
        return list(self.variants.get(measure, MEASURES[measure].variants))

    def _score(self, measure: str, variant: str, value: float, resampled: np.ndarray) -> Score:
        low, high = resampling.interval(value, resampled, self.draws.shape[1], MEASURES[measure].bounds)
        return Score(measure, variant, value, low, high)

    def _cka(self, x: LayerRecord, y: LayerRecord, blocks: PairBlocks, moments: PairMoments) -> list[Score]:
        resampled = (np.empty(0), np.empty(0))
        if len(self.draws):
            criteria = x.criteria if x is y else HsicBlocks.of(blocks).resample(self.draws)
            resampled = resampled_cka(criteria, x.criteria, y.criteria)
        scores = []
        for variant, function, replicates in zip(
            ("biased", "debiased"), (linear_cka, debiased_linear_cka), resampled, strict=True
        ):
            if variant in self._asked("linear_cka"):
                scores.append(self._score("linear_cka", variant, function(moments), replicates))
        return scores

    def _match(self, moments: PairMoments) -> list[Matches]:
        matrix = correlations(moments)
        return [
            match_neurons(moments, self.absolute, matrix),
            match_neurons(moments.flipped(), self.absolute, matrix.T),
        ]

    def _neuron_sim(self, x: LayerRecord, y: LayerRecord, blocks: PairBlocks, matches: Matches) -> Score:
        resampled = np.empty(0)
        if len(self.draws):
            resampled = resampled_neuron_similarity(blocks, (x.squares, y.squares), matches, self.draws)
        variant = "absolute" if self.absolute else "signed"
        return self._score("neuron_similarity", variant, matches.score, resampled)

    def _decomposed(
        self, name: str, x: LayerRecord, y: LayerRecord, blocks: PairBlocks, moments: PairMoments
    ) -> Iterator[Score]:
        """Measures that decompose matrices, with as many resamples as that allows."""
        assert name not in CLOSED_FORM
        functions = {variant: MEASURES[name].variants[variant] for variant in self._asked(name)}
        values: dict[str, list[float]] = {variant: [] for variant in functions}
        scores = {variant: function(moments) for variant, function in functions.items()}
        draws = self.draws[: resampling.COSTLY_RESAMPLES]
        own_x, own_y = (x.blocks(), y.blocks()) if len(draws) else (None, None)
        for weights in draws:
            assert own_x is not None and own_y is not None
            with suppress(MomentsError):  # a resample of few different tokens, which says nothing
                layers = layer_moments(own_x, weights), layer_moments(own_y, weights)
                drawn = pair_moments(blocks, *layers, weights)
                for variant, function in functions.items():
                    values[variant].append(function(drawn))
        for variant, value in scores.items():
            yield self._score(name, variant, value, np.array(values[variant]))


def score_spectrum(record: LayerRecord, own: PairBlocks, draws: np.ndarray) -> Iterator[tuple[Spectrum, list[Score]]]:
    """Spectra of one layer, centred and uncentred, with k for 80 % of the variance and the participation ratio.

    Args:
        record: The layer.
        own: Its block sums.
        draws: (R, n_blocks) resamples.

    Yields:
        Each spectrum with its scores.

    Raises:
        MomentsError: The layer has no variance.
    """
    width = own.products.shape[1]
    for variant in VARIANTS:
        whole = spectrum(record.moments, variant)
        parts = resampled_spectra(own, record.moments, variant, draws)
        scores = []
        for name, function in (
            ("spectrum_k80", lambda part: float(part.directions_for(VARIANCE_SHARE))),
            ("participation_ratio", lambda part: part.participation_ratio),
        ):
            value = function(whole)
            resampled = np.array([function(part) for part in parts])
            low, high = resampling.interval(value, resampled, draws.shape[1], (1, width))
            scores.append(Score(name, variant, value, low, high))
        yield whole, scores
