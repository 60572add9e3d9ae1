"""The streamed sums: precision, merging bit for bit, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from probing_bridge.similarity import MomentsError, compare_layers, moments_of
from probing_bridge.similarity.measures.spectra import spectrum
from probing_bridge.similarity.sums.blocks import Blocks, cut_blocks
from probing_bridge.similarity.sums.gemm import GEMMS, NumpyGemm, TorchGemm, one_thread
from probing_bridge.similarity.sums.layers import Pilot, array_layer, take_pilot
from probing_bridge.similarity.sums.moments import layer_moments
from probing_bridge.similarity.sums.streaming import accumulate, merge
from probing_bridge.similarity.sums.strips import plan_strips


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 25), st.integers(1, 7))
def test_blocks_cover_every_row_once_and_keep_sentences_whole(lengths: list[int], n_blocks: int, rows: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if not offsets[-1]:
        with pytest.raises(MomentsError):
            cut_blocks(offsets, n_blocks)
        return
    blocks = cut_blocks(offsets, n_blocks, max_rows=rows)
    flat = [chunk for block in blocks.chunks for chunk in block]
    assert [r for start, stop in flat for r in range(start, stop)] == list(range(offsets[-1]))
    assert max(stop - start for start, stop in flat) <= rows
    assert set(blocks.borders.tolist()) <= set(offsets.tolist())
    assert 1 <= blocks.n_blocks <= min(n_blocks, len(lengths))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_strips_cover_the_wanted_pairs(widths: list[int], random: object) -> None:
    every = [(i, j) for i in range(len(widths)) for j in range(i, len(widths))]
    wanted = [pair for pair in every if random.random() < 0.6]  # type: ignore[attr-defined]
    covered = {(i, j) for strip in plan_strips(widths, wanted) for i in strip.rows for j in strip.columns}
    assert set(wanted) <= covered


def sums_of(layers: list[np.ndarray], blocks: Blocks, pilots: list[Pilot], folder: object = None) -> object:
    sources = [array_layer(f"layer {k}", layer) for k, layer in enumerate(layers)]
    wanted = [(i, j) for i in range(len(layers)) for j in range(i, len(layers))]
    return accumulate(sources, pilots, blocks, wanted, NumpyGemm(), folder=folder)  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_parts_merge_to_the_same_bits(cut: int, tmp_path: object) -> None:
    random = np.random.default_rng(0)
    layers = [random.standard_normal((900, d)).astype(np.float32) for d in (500, 450)]
    blocks = cut_blocks(np.arange(0, 901, 6), 8, max_rows=50)
    pilots = [take_pilot(array_layer("", layer), 900) for layer in layers]
    whole = sums_of(layers, blocks, pilots, tmp_path)
    parts = [sums_of(layers, blocks.part(a, b), pilots) for a, b in ((0, cut), (cut, 8))]
    joined = merge(parts[::-1])  # type: ignore[arg-type]
    for i in range(2):
        for j in range(2):
            one, two = whole.pair(i, j), joined.pair(i, j)  # type: ignore[attr-defined]
            for name in ("products", "norm_products", "x_norm_y", "y_norm_x"):
                np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
            np.testing.assert_array_equal(one.cross().products, two.cross().products)
            assert one.cross().quartic == two.cross().quartic
    with pytest.raises(MomentsError, match="parts do not fit: one ends at row"):
        merge([parts[0], parts[0]])  # type: ignore[list-item]
    other = sums_of(
        layers,
        Blocks(blocks.borders[cut:], blocks.chunks[cut:]),
        [Pilot(pilot.mean + 1, pilot.effective) for pilot in pilots],
    )
    with pytest.raises(MomentsError, match="different pilot means"):
        merge([parts[0], other])  # type: ignore[list-item]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("distance", [0, 50, 1e5])
def test_covariance_far_from_zero(distance: float, dtype: type) -> None:
    random = np.random.default_rng(4)
    x = (random.standard_normal((20_000, 16)) + distance).astype(dtype)
    x[:, 3] = (random.standard_normal(20_000) * 1e-3 + 5).astype(dtype)
    moments = moments_of(x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(moments.mean, wide.mean(axis=0), rtol=1e-6, atol=1e-6)
    deviation = wide.std(axis=0) * np.sqrt(20_000)
    expected = np.cov(wide.T, bias=True) * 20_000 / np.outer(deviation, deviation)
    np.testing.assert_allclose(moments.scatter / np.outer(deviation, deviation), expected, atol=1e-6)


def test_one_product_library_is_as_good_as_the_other() -> None:
    random = np.random.default_rng(1)
    layers = {str(k): random.standard_normal((5000, 300)).astype(np.float32) + 9 for k in range(3)}
    scores = [compare_layers(layers, gemm=gemm)["score"] for gemm in (NumpyGemm(), TorchGemm())]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    assert set(GEMMS) == {"numpy", "torch", "torch-cuda"}


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_gpu_gives_the_same_numbers() -> None:
    random = np.random.default_rng(1)
    layers = {str(k): random.standard_normal((5000, 300)).astype(np.float32) + 9 for k in range(3)}
    scores = [compare_layers(layers, gemm=gemm)["score"] for gemm in (NumpyGemm(), TorchGemm("cuda"))]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(value: float) -> None:
    x = np.ones((30_000, 5), np.float32)
    x[20_011, 2] = value
    with pytest.raises(MomentsError, match=f"layer: row 20011, neuron 2 is {value}"):
        moments_of(x)


def test_overflow_is_named() -> None:
    with pytest.raises(MomentsError, match="too large for float32"):
        moments_of(1e25 * np.random.default_rng(0).standard_normal((50, 600)).astype(np.float32))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 80), st.integers(1, 12), st.booleans())
def test_spectrum_is_that_of_the_singular_values(n: int, width: int, uncentred: bool) -> None:
    random = np.random.default_rng(n * 100 + width)
    x = (random.standard_normal((n, width)) * np.logspace(0, -1, width) + 2).astype(np.float32)
    rows = x.astype(np.float64) if uncentred else x - x.astype(np.float64).mean(axis=0)
    found = spectrum(moments_of(x), "uncentred" if uncentred else "centred")
    squares = np.zeros(width)
    squares[: min(n, width)] = np.linalg.svd(rows, compute_uv=False) ** 2
    np.testing.assert_allclose(found.values, squares, rtol=1e-5, atol=1e-5 * squares[0])
    assert found.values.sum() == pytest.approx((rows**2).sum(), rel=1e-6)  # Parseval
    assert found.cumulative[-1] == 1
    k = found.directions_for(0.8)
    assert found.cumulative[k - 1] >= 0.8 - 1e-9 and (k == 1 or found.cumulative[k - 2] < 0.8)
    assert found.participation_ratio == pytest.approx(squares.sum() ** 2 / (squares**2).sum(), rel=1e-5)


def test_known_spectrum() -> None:
    flat = spectrum(moments_of(np.vstack([np.eye(8), -np.eye(8)]).astype(np.float32)))
    assert flat.participation_ratio == pytest.approx(8)
    assert [flat.directions_for(share) for share in (0.125, 0.13, 0.8, 1.0)] == [1, 2, 7, 8]
    with pytest.raises(ValueError, match="variant must be one of centred, uncentred"):
        spectrum(moments_of(np.eye(3, dtype=np.float32)), "raw")
    with pytest.raises(MomentsError, match="no spectrum"):
        spectrum(moments_of(np.ones((9, 3), np.float32)))


def test_weights_draw_blocks() -> None:
    random = np.random.default_rng(3)
    x = random.standard_normal((60, 4)).astype(np.float32) + 3
    blocks = cut_blocks(np.arange(0, 61, 10), 6)
    own = sums_of([x], blocks, [take_pilot(array_layer("", x), 60)]).pair(0, 0)  # type: ignore[attr-defined]
    drawn = layer_moments(own, np.array([2, 0, 0, 3, 1, 0]))
    rows = np.concatenate([x[:10], x[:10], *[x[30:40]] * 3, x[40:50]]).astype(np.float64)
    np.testing.assert_allclose(drawn.mean, rows.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(drawn.scatter, np.cov(rows.T, bias=True) * 60, atol=1e-4)
    assert drawn.quartic == pytest.approx((((rows - rows.mean(axis=0)) ** 2).sum(axis=1) ** 2).sum(), rel=1e-5)


def test_one_thread_while_scoring_and_all_threads_after() -> None:
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        with one_thread():
            assert threads() == {1}
        assert threads() == {2}
