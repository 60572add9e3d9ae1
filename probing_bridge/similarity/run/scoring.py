"""From block sums to scores with intervals: what is the same for arrays in memory and for dumps on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from probing_bridge.similarity.measures.neuron_sim import Matched, Matches
from probing_bridge.similarity.measures.registry import SPECTRUM_MEASURES, Measure
from probing_bridge.similarity.measures.spectra import VARIANTS, Spectrum, spectrum, weighted_spectra
from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.jackknife import interval
from probing_bridge.similarity.sums.moments import PairBlocks, PairMoments, layer_moments, pair_moments
from probing_bridge.similarity.sums.records import Estimate, LayerPair, LayerRecord
from probing_bridge.similarity.sums.sampling import Sample


@dataclass(frozen=True)
class Score:
    """One number with its 95 % interval; of attention also what it is at random."""

    measure: str
    variant: str
    value: float
    low: float
    high: float
    baseline: float = np.nan


def with_interval(measure: str, variant: str, estimate: Estimate, bounds: tuple[float, float]) -> Score:
    """The score of an estimate."""
    low, high = interval(estimate.value, estimate.left_out, bounds)
    return Score(measure, variant, estimate.value, low, high)


def describe_layer(
    own: PairBlocks,
    weights: np.ndarray,
    reload: Callable[[], PairBlocks],
    measures: Iterable[Measure],
    sample: Sample | None = None,
) -> LayerRecord:
    """Takes what pairs need from the block sums of a layer with itself.

    Args:
        own: The sums.
        weights: (R, n_blocks) of the blocks, one left out in each row.
        reload: Gives the sums again.
        measures: Those that the pairs will be scored by.
        sample: Tokens of the layer, for the measures that keep something of them.

    Returns:
        The record.
    """
    moments, kept = layer_moments(own), dict[str, np.ndarray]()
    for measure in measures:
        if measure.keep is not None:
            kept |= measure.keep(own, weights)
        if measure.keep_sample is not None and sample is not None:
            kept |= measure.keep_sample(sample, moments)
    return LayerRecord(moments, kept, reload)


@dataclass
class Scored:
    """What came out for two layers in one direction.

    Attributes:
        pair: The layers, in this order.
        scores: To be written.
        matches: Of the neurons or heads, by the measures that match them.
    """

    pair: LayerPair
    scores: list[Score] = field(default_factory=list)
    matches: list[Matches] = field(default_factory=list)


@dataclass(frozen=True)
class Scorer:
    """Scores pairs of layers.

    Attributes:
        weights: (R, n_blocks) of the blocks, one left out in each row; no rows: no intervals.
        measures: By name.
        variants: For each measure the variants to score; see `Measure.asked` for one that is no key.
    """

    weights: np.ndarray
    measures: Mapping[str, Measure]
    variants: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def pair(self, x: LayerRecord, y: LayerRecord, blocks: PairBlocks) -> tuple[list[Scored], list[str]]:
        """Scores two layers in both directions.

        Args:
            x: First layer.
            y: Second layer.
            blocks: Their sums.

        Returns:
            x with y and y with x, or only one of them for a layer with itself; what could not be scored, and why.
        """
        pair = LayerPair.of(x, y, blocks)
        directions = [Scored(pair)] if x is y else [Scored(pair), Scored(pair.flipped())]
        notes = []
        for name, measure in self.measures.items():
            try:
                estimates: Mapping[str, Estimate] = {}
                for place, direction in enumerate(directions):
                    if place == 0 or not measure.symmetric:
                        estimates = self.estimates(name, direction.pair)
                    self._add(name, measure, estimates, direction)
            except MomentsError as error:
                notes.append(f"{name}: {error}")
        return directions, notes

    def estimates(self, name: str, pair: LayerPair) -> Mapping[str, Estimate]:
        """The variants of one measure, of the first layer with the second.

        Raises:
            MomentsError: Too few tokens, or layers for which the measure is not defined.
        """
        measure = self.measures[name]
        layers = pair.x.moments, pair.y.moments
        if too_few := measure.too_few(name, layers[0].n, max(len(layer.mean) for layer in layers)):
            raise MomentsError(f"{layers[0].name}: {too_few}")
        variants = measure.asked(self.variants.get(name))
        if measure.closed_form is not None:
            return measure.closed_form(pair, variants, self.weights)
        functions = {variant: measure.variants[variant] for variant in variants}
        return _decomposed(functions, pair, self.weights)

    def _add(self, name: str, measure: Measure, estimates: Mapping[str, Estimate], direction: Scored) -> None:
        for variant, estimate in estimates.items():
            if measure.written:
                score = with_interval(name, variant, estimate, measure.bounds)
                direction.scores.append(score)
            if isinstance(estimate, Matched):
                direction.matches.append(estimate.matches)


def _decomposed(
    functions: Mapping[str, Callable[[PairMoments], float]], pair: LayerPair, weights: np.ndarray
) -> dict[str, Estimate]:
    """Estimates of functions that are called anew for the moments without each block."""
    values = {variant: function(pair.moments) for variant, function in functions.items()}
    left_out = {variant: np.full(len(weights), np.nan) for variant in functions}
    own_x, own_y = (pair.x.blocks(), pair.y.blocks()) if len(weights) else (None, None)
    for place, row in enumerate(weights):
        assert own_x is not None and own_y is not None
        with suppress(MomentsError):  # too few tokens are left: there is no interval
            layers = layer_moments(own_x, row), layer_moments(own_y, row)
            moments = pair_moments(pair.blocks, *layers, row)
            for variant, function in functions.items():
                left_out[variant][place] = function(moments)
    return {variant: Estimate(value, left_out[variant]) for variant, value in values.items()}


def score_spectrum(record: LayerRecord, own: PairBlocks, weights: np.ndarray) -> Iterator[tuple[Spectrum, list[Score]]]:
    """Spectra of one layer, centred and uncentred, with the measures that are read off them.

    Args:
        record: The layer.
        own: Its block sums.
        weights: (R, n_blocks) of the blocks, one left out in each row.

    Yields:
        Each spectrum with its scores.

    Raises:
        MomentsError: The layer has no variance.
    """
    width = own.products.shape[1]
    for variant in VARIANTS:
        whole = spectrum(record.moments, variant)
        parts = weighted_spectra(own, record.moments, variant, weights)
        scores = []
        for name, measure in SPECTRUM_MEASURES.items():
            smooth = measure.smooth or measure.function
            estimate = Estimate(measure.function(whole), np.array([smooth(part) for part in parts]))
            bounds = measure.bounds[0], min(measure.bounds[1], width)
            scores.append(with_interval(name, variant, estimate, bounds))
        yield whole, scores
