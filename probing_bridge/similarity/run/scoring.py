"""From block sums to scores with intervals: what is the same for arrays in memory and for dumps on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from probing_bridge.similarity.measures.neuron_sim import Matched, Matches
from probing_bridge.similarity.measures.registry import SPECTRUM_MEASURES, Measure
from probing_bridge.similarity.measures.spectra import VARIANTS, Spectrum, resampled_spectra, spectrum
from probing_bridge.similarity.sums import resampling
from probing_bridge.similarity.sums.blocks import MomentsError
from probing_bridge.similarity.sums.moments import PairBlocks, PairMoments, layer_moments, pair_moments
from probing_bridge.similarity.sums.records import Estimate, LayerPair, LayerRecord


@dataclass(frozen=True)
class Score:
    """One number with its 95 % interval; of attention also what it is at random."""

    measure: str
    variant: str
    value: float
    low: float
    high: float
    baseline: float = np.nan


def with_interval(measure: str, variant: str, estimate: Estimate, n_blocks: int, bounds: tuple[float, float]) -> Score:
    """The score of an estimate that was resampled from `n_blocks` blocks."""
    low, high = resampling.interval(estimate.value, estimate.resampled, n_blocks, bounds)
    return Score(measure, variant, estimate.value, low, high)


def describe_layer(
    own: PairBlocks, draws: np.ndarray, reload: Callable[[], PairBlocks], measures: Iterable[Measure]
) -> LayerRecord:
    """Takes what pairs need from the block sums of a layer with itself.

    Args:
        own: The sums.
        draws: (R, n_blocks) resamples.
        reload: Gives the sums again.
        measures: Those that the pairs will be scored by.

    Returns:
        The record.
    """
    kept: dict[str, np.ndarray] = {}
    for measure in measures:
        if measure.keep is not None:
            kept |= measure.keep(own, draws)
    return LayerRecord(layer_moments(own), kept, reload)


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
        draws: (R, n_blocks) resamples; no rows: no intervals.
        measures: By name.
        variants: For each measure the variants to score; see `Measure.asked` for one that is no key.
    """

    draws: np.ndarray
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
                        estimates = self._estimates(name, measure, direction.pair)
                    self._add(name, measure, estimates, direction)
            except MomentsError as error:
                notes.append(f"{name}: {error}")
        return directions, notes

    def _estimates(self, name: str, measure: Measure, pair: LayerPair) -> Mapping[str, Estimate]:
        variants = measure.asked(self.variants.get(name))
        if measure.closed_form is not None:
            return measure.closed_form(pair, variants, self.draws)
        functions = {variant: measure.variants[variant] for variant in variants}
        return _decomposed(functions, pair, self.draws[: resampling.COSTLY_RESAMPLES])

    def _add(self, name: str, measure: Measure, estimates: Mapping[str, Estimate], direction: Scored) -> None:
        for variant, estimate in estimates.items():
            if measure.written:
                score = with_interval(name, variant, estimate, self.draws.shape[1], measure.bounds)
                direction.scores.append(score)
            if isinstance(estimate, Matched):
                direction.matches.append(estimate.matches)


def _decomposed(
    functions: Mapping[str, Callable[[PairMoments], float]], pair: LayerPair, draws: np.ndarray
) -> dict[str, Estimate]:
    """Estimates of functions that are called anew for the moments of each resample."""
    values = {variant: function(pair.moments) for variant, function in functions.items()}
    resampled: dict[str, list[float]] = {variant: [] for variant in functions}
    own_x, own_y = (pair.x.blocks(), pair.y.blocks()) if len(draws) else (None, None)
    for weights in draws:
        assert own_x is not None and own_y is not None
        with suppress(MomentsError):  # a resample of few different tokens, which says nothing
            layers = layer_moments(own_x, weights), layer_moments(own_y, weights)
            drawn = pair_moments(pair.blocks, *layers, weights)
            for variant, function in functions.items():
                resampled[variant].append(function(drawn))
    return {variant: Estimate(value, np.array(resampled[variant])) for variant, value in values.items()}


def score_spectrum(record: LayerRecord, own: PairBlocks, draws: np.ndarray) -> Iterator[tuple[Spectrum, list[Score]]]:
    """Spectra of one layer, centred and uncentred, with the measures that are read off them.

    Args:
        record: The layer.
        own: Its block sums.
        draws: (R, n_blocks) resamples.

    Yields:
        Each spectrum with its scores.

    Raises:
        MomentsError: The layer has no variance.
    """
    n_blocks, width = own.products.shape[:2]
    for variant in VARIANTS:
        whole = spectrum(record.moments, variant)
        parts = resampled_spectra(own, record.moments, variant, draws)
        scores = []
        for name, measure in SPECTRUM_MEASURES.items():
            estimate = Estimate(measure.function(whole), np.array([measure.function(part) for part in parts]))
            scores.append(with_interval(name, variant, estimate, n_blocks, (1, width)))
        yield whole, scores
