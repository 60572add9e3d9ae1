"""NeuronSim and linear CKA of all pairs of 2 models x 6 layers, 20,000 tokens x 512: one pass beside pair by pair.

Pair by pair follows the published algorithm of Wu et al. (2020): for two layers in memory, standardised once, one
product for the correlations and three for CKA, in float32 torch. Both take the same arrays and give NeuronSim in
both directions and CKA of all pairs of different layers; the one pass also streams, as it would from a file.

    python -m benchmarks.similarity
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.blas import describe_blas, interleaved, start_with_own_kernel

N_TOKENS, WIDTH, N_LAYERS = 20_000, 512, 12
REPETITIONS = 3


def pair_by_pair(layers: list) -> dict[tuple[int, int], tuple[float, float, float]]:
    """NeuronSim of x with y, of y with x, and CKA, of each pair by itself."""
    import torch

    rows = [torch.from_numpy(layer) for layer in layers]
    centred = [layer - layer.mean(dim=0) for layer in rows]
    standard = [layer / layer.norm(dim=0) for layer in centred]
    scores = {}
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            r = standard[i].T @ standard[j]
            x, y = centred[i], centred[j]
            cka = (x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
            scores[i, j] = r.max(dim=1)[0].mean().item(), r.max(dim=0)[0].mean().item(), cka.item()
    return scores


def one_pass(layers: list, gemm: Any) -> dict[tuple[int, int], tuple[float, float, float]]:
    """The same by probing_bridge.similarity."""
    from probing_bridge.similarity import compare_layers

    frame = compare_layers(
        {str(k): layer for k, layer in enumerate(layers)}, variants={"linear_cka": ["biased"]}, gemm=gemm
    )
    columns = (frame[name].tolist() for name in ("measure", "layer_a", "layer_b", "score"))
    values = {(measure, int(a), int(b)): float(score) for measure, a, b, score in zip(*columns, strict=True)}
    return {
        (i, j): (values["neuron_similarity", i, j], values["neuron_similarity", j, i], values["linear_cka", i, j])
        for i in range(len(layers))
        for j in range(i + 1, len(layers))
    }


def bare_products(layers: list, gemm: Any) -> None:
    """Only the products that one pass needs: each layer with itself and all later ones, in chunks of 8192 tokens."""
    import numpy as np

    block, buffer = layers
    for start in range(0, N_TOKENS, 8192):
        chunk = gemm.place(block[start : start + 8192])
        for k in range(N_LAYERS):
            own, later = slice(k * WIDTH, (k + 1) * WIDTH), slice((k + 1) * WIDTH, N_LAYERS * WIDTH)
            for columns in (own, later)[: 2 if k < N_LAYERS - 1 else 1]:
                width = columns.stop - columns.start
                gemm.multiply(chunk, own, columns, buffer[: WIDTH * width].reshape(WIDTH, width))
    assert np.isfinite(buffer[0])


def main() -> None:
    import numpy as np

    from probing_bridge.similarity.sums.gemm import choose_gemm

    gemm = choose_gemm()
    random = np.random.default_rng(0)
    base = random.standard_normal((N_TOKENS, WIDTH), dtype=np.float32)
    layers = []
    for _ in range(N_LAYERS):
        base = base + 0.5 * random.standard_normal((N_TOKENS, WIDTH), dtype=np.float32)
        layers.append(base + 3 * random.standard_normal(WIDTH, dtype=np.float32))
    block = np.concatenate(layers, axis=1)
    out = np.empty(WIDTH * block.shape[1], np.float32)
    results: dict[str, dict[tuple[int, int], tuple[float, float, float]]] = {}

    def keep(name: str, scores: dict[tuple[int, int], tuple[float, float, float]]) -> None:
        results[name] = scores

    functions = [
        lambda: keep("pair by pair", pair_by_pair(layers)),
        lambda: keep("one pass", one_pass(layers, gemm)),
        lambda: bare_products([block, out], gemm),
    ]
    per_pair, own, bare = interleaved(functions, REPETITIONS)
    both = results["pair by pair"], results["one pass"]
    worst = max(abs(a - b) for key in both[0] for a, b in zip(both[0][key], both[1][key], strict=True))
    print(describe_blas())
    print(f"{'':14} {'wall s':>8} {'CPU s':>8} {'CPU ratio':>10}")
    for name, (wall, cpu) in (("pair by pair", per_pair), ("one pass", own), ("bare products", bare)):
        print(f"{name:14} {wall:8.2f} {cpu:8.2f} {per_pair[1] / cpu:10.2f}")
    print(json.dumps({
        "benchmark": "similarity", "gemm": gemm.name, "cpu_ratio": round(per_pair[1] / own[1], 2),
        "share_of_bare_rate_wall": round(bare[0] / own[0], 3), "share_of_bare_rate_cpu": round(bare[1] / own[1], 3),
        "largest_difference": worst,
    }))  # fmt: skip


if __name__ == "__main__":
    start_with_own_kernel("benchmarks.similarity")
    main()
