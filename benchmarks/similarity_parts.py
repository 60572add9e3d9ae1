"""Attention CKA, CKA of token groups, and spectra, each beside the straightforward way on the same arrays.

python -m benchmarks.similarity_parts
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.blas import describe_blas, interleaved, start_with_own_kernel


def cka_pair_by_pair(layers: list) -> list[float]:
    """Linear CKA of all pairs as Wu et al. (2020) publish it: float32 torch, three products a pair."""
    import torch

    rows = [torch.from_numpy(layer) for layer in layers]
    rows = [layer - layer.mean(dim=0) for layer in rows]
    pairs = [(x, y) for i, x in enumerate(rows) for y in rows[i + 1 :]]
    return [((x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())).item() for x, y in pairs]


def attention() -> tuple[str, dict[str, Callable[[], Any]]]:
    """One kind of attention of 9 levels x 6 layers x 16 heads over 100,000 pairs of words."""
    import numpy as np

    from probing_bridge.similarity import compare_layers

    random = np.random.default_rng(0)
    layers = [random.random((100_000, 16), dtype=np.float32) ** 8 for _ in range(54)]
    named = {str(k): layer for k, layer in enumerate(layers)}
    return "attention CKA", {
        "pair by pair": lambda: cka_pair_by_pair(layers),
        "one pass": lambda: compare_layers(named, measures=["linear_cka"], variants={"linear_cka": ["biased"]}),
    }


def group(n_tokens: int) -> tuple[str, dict[str, Callable[[], Any]]]:
    """All pairs of 12 layers x 512 over a group of few tokens."""
    import numpy as np

    from probing_bridge.similarity.run.groups import gram_cka

    random = np.random.default_rng(0)
    layers = [random.standard_normal((n_tokens, 512), dtype=np.float32) for _ in range(12)]
    return f"CKA of {n_tokens} tokens", {
        "pair by pair": lambda: cka_pair_by_pair(layers),
        "Gram matrices": lambda: gram_cka(layers),
    }


def spectra() -> tuple[str, dict[str, Callable[[], Any]]]:
    """Spectrum of 20,000 tokens x 512."""
    import numpy as np

    from probing_bridge.similarity import moments_of
    from probing_bridge.similarity.measures.spectra import spectrum

    rows = np.random.default_rng(0).standard_normal((20_000, 512), dtype=np.float32)
    return "spectrum", {
        "full SVD": lambda: np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False),
        "singular values": lambda: np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False),
        "covariance": lambda: spectrum(moments_of(rows)).directions_for(0.8),
    }


def main() -> None:
    results = {}
    print(f"{'':24} {'way':16} {'wall s':>8} {'CPU s':>8} {'CPU ratio':>10}")
    for make in (attention, lambda: group(1000), lambda: group(2048), spectra):
        name, ways = make()
        for way in ways.values():
            way()  # warm
        times = interleaved(list(ways.values()), 3)
        for label, (wall, cpu) in zip(ways, times, strict=True):
            print(f"{name:24} {label:16} {wall:8.2f} {cpu:8.2f} {times[0][1] / cpu:10.2f}", flush=True)
        results[name] = round(times[0][1] / times[-1][1], 2)
    print(describe_blas())
    print(json.dumps({"benchmark": "similarity_parts", "cpu_ratio": results}))


if __name__ == "__main__":
    start_with_own_kernel("benchmarks.similarity_parts")
    main()
