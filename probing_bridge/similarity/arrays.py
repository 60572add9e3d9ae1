"""The plain Python API: compare layers that are arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probing_bridge.similarity.measures.registry import MEASURES, Measure, default_measures, interval_of
from probing_bridge.similarity.run.scoring import Scorer, describe_layer
from probing_bridge.similarity.sums.blocks import N_BLOCKS, Blocks, MomentsError, cut_blocks
from probing_bridge.similarity.sums.gemm import Gemm, choose_gemm, one_thread
from probing_bridge.similarity.sums.jackknife import leave_one_out
from probing_bridge.similarity.sums.layers import array_layer, take_pilot
from probing_bridge.similarity.sums.moments import LayerMoments, PairMoments, layer_moments, pair_moments
from probing_bridge.similarity.sums.records import LayerPair, LayerRecord
from probing_bridge.similarity.sums.sampling import Sampler
from probing_bridge.similarity.sums.streaming import Moments, accumulate

if TYPE_CHECKING:
    import pandas as pd


def accumulate_arrays(
    layers: Mapping[str, np.ndarray], blocks: Blocks | None = None, gemm: Gemm | None = None
) -> Moments:
    """Block sums of arrays, for all pairs.

    Args:
        layers: Name -> activations (n_tokens, width) of the same tokens; widths may differ.
        blocks: How to cut the tokens (`cut_blocks`); pieces of at most 8192 rows if None.
        gemm: How to multiply; the machine's fastest way if None.

    Returns:
        The sums; pair (i, j) by position in `layers`.

    Raises:
        MomentsError: Different numbers of tokens, no token, values that are not finite.
    """
    sources = [array_layer(name, array) for name, array in layers.items()]
    lengths = {name: len(array) for name, array in layers.items()}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise MomentsError(f"layers must have the same tokens, but the numbers of tokens differ: {text}")
    n_rows = next(iter(lengths.values()), 0)
    if blocks is None:
        blocks = cut_blocks(np.array([0, n_rows]), 1)
        blocks = Blocks(np.array([0, *(stop for _, stop in blocks.chunks[0])]), tuple((c,) for c in blocks.chunks[0]))
    total = sum(source.width for source in sources)
    gemm = gemm or choose_gemm(float(n_rows) * total**2)
    pilots = [take_pilot(source, n_rows) for source in sources]
    wanted = [(i, j) for i in range(len(sources)) for j in range(i, len(sources))]
    return accumulate(sources, pilots, blocks, wanted, gemm)


def moments_of(array: np.ndarray, name: str = "layer") -> LayerMoments:
    """Moments of one layer, activations (n_tokens, width)."""
    return layer_moments(accumulate_arrays({name: array}).pair(0, 0))


def pair_moments_of(x: np.ndarray, y: np.ndarray) -> PairMoments:
    """Moments of two layers over the same tokens, activations (n_tokens, width_x) and (n_tokens, width_y)."""
    moments = accumulate_arrays({"first layer": x, "second layer": y})
    return pair_moments(moments.pair(0, 1), layer_moments(moments.pair(0, 0)), layer_moments(moments.pair(1, 1)))


def compare(x: np.ndarray, y: np.ndarray, measure: str = "linear_cka", variant: str | None = None) -> float:
    """One measure of two layers.

    Args:
        x: Activations (n_tokens, width_x).
        y: Activations (n_tokens, width_y) of the same tokens.
        measure: A key of MEASURES.
        variant: One of the measure's variants; its first if None.

    Returns:
        The score; see the measure's function for range and direction.

    Raises:
        MomentsError: Activations that cannot be compared.
        ValueError: No such measure or variant.
    """
    variants = _measure(measure).variants
    variant = next(iter(variants)) if variant is None else variant
    if variant not in variants:
        raise ValueError(f"{measure} has no variant {variant!r}; it has {', '.join(variants)}")
    layers = {"first layer": x, "second layer": y}
    asked = {measure: _measure(measure)}
    moments = accumulate_arrays(layers, _blocks(layers, None, asked.values()))
    scorer = Scorer(np.empty((0, len(moments.borders) - 1)), asked, {measure: [variant]})
    one, other = _records(layers, moments, scorer)
    return scorer.estimates(measure, LayerPair.of(one, other, moments.pair(0, 1)))[variant].value


def _measure(name: str) -> Measure:
    if name not in MEASURES:
        raise ValueError(f"no measure {name!r}; there are {', '.join(MEASURES)}")
    return MEASURES[name]


def compare_layers(
    layers: Mapping[str, np.ndarray],
    offsets: np.ndarray | None = None,
    measures: Sequence[str] | None = None,
    variants: Mapping[str, Sequence[str]] | None = None,
    gemm: Gemm | None = None,
) -> pd.DataFrame:
    """All pairs of layers in one pass, with intervals if the borders of the sentences are known.

    Args:
        layers: Name -> activations (n_tokens, width) of the same tokens.
        offsets: int64 (n_sentences + 1), first token of each sentence and the end; no intervals if None.
        measures: Keys of MEASURES; the paper's if None.
        variants: For each measure the variants to score. Of a measure that is not named here: all, but of NeuronSim
            the signed one.
        gemm: How to multiply; the machine's fastest way if None.

    Returns:
        Columns layer_a, layer_b, measure, variant, score, low, high, interval_of, n: one row for each ordered pair and
        variant.

    Raises:
        MomentsError: Layers of different tokens, or values that are not finite.
        ValueError: No such measure.
    """
    import pandas as pd  # here, so that the names of the measures come without it

    asked = {name: _measure(name) for name in (default_measures() if measures is None else measures)}
    moments = accumulate_arrays(layers, _blocks(layers, offsets, asked.values()), gemm)
    n_blocks = len(moments.borders) - 1
    weights = leave_one_out(n_blocks) if offsets is not None else np.empty((0, n_blocks))
    with one_thread():
        rows = list(_score_pairs(layers, moments, Scorer(weights, asked, variants or {})))
    return pd.DataFrame(
        rows, columns=["layer_a", "layer_b", "measure", "variant", "score", "low", "high", "interval_of", "n"]
    )


def _blocks(layers: Mapping[str, np.ndarray], offsets: np.ndarray | None, measures: Iterable[Measure]) -> Blocks | None:
    """Blocks of sentences; without their borders every token is one, for measures that compare blocks."""
    n_rows = len(next(iter(layers.values()), ()))
    if offsets is None and n_rows and any(measure.needs_blocks for measure in measures):
        offsets = np.arange(n_rows + 1)
    return None if offsets is None else cut_blocks(offsets, N_BLOCKS)


def _records(layers: Mapping[str, np.ndarray], moments: Moments, scorer: Scorer) -> list[LayerRecord]:
    """What pairs need of each layer by itself."""
    sampler = Sampler([array_layer(name, array) for name, array in layers.items()], moments.borders)
    if any(measure.keep_sample for measure in scorer.measures.values()):
        for k, array in enumerate(layers.values()):
            sampler(0, k, 0, np.asarray(array))
    return [
        describe_layer(
            moments.pair(k, k),
            scorer.weights,
            lambda k=k: moments.pair(k, k),  # type: ignore[misc]
            scorer.measures.values(),
            sampler.sample(k),
        )
        for k in range(len(layers))
    ]


def _score_pairs(layers: Mapping[str, np.ndarray], moments: Moments, scorer: Scorer) -> Iterator[tuple[Any, ...]]:
    """The rows of all ordered pairs of layers."""
    names, records = list(layers), _records(layers, moments, scorer)
    for i, x in enumerate(records):
        for j in range(i, len(records)):
            directions, _ = scorer.pair(x, records[j], moments.pair(i, j))
            for (a, b), scored in zip(((i, j), (j, i)), directions, strict=False):
                for s in scored.scores:
                    of = interval_of(s.measure, s.variant)
                    yield names[a], names[b], s.measure, s.variant, s.value, s.low, s.high, of, x.moments.n
