"""Choosing the masks of Transformer-big: seconds and extra memory, against a full sort of all magnitudes.

`python -m benchmarks.prune` builds the 176 M prunable weights, prunes 20 % of them, and finds the same threshold with
`torch.sort` over one concatenated tensor. `python -m benchmarks.prune FOLDER` prunes 2.2 B weights, 12 + 12
layers of 2560, which lie in a file of 8.8 GB in FOLDER. Prints one JSON line. Extra memory is what the process takes
beyond its weights and the mask before, the new mask of a byte a weight included.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.blas import describe_blas, start_with_own_kernel


def measured(function: Callable[[], Any]) -> tuple[Any, float, float, float]:
    """The result of a call, its wall and CPU seconds, and by how many GB it raised the process's own memory."""
    before = peak = memory()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        result = function()
    finally:
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        done.set()
        watcher.join()
    return result, wall, cpu, peak - before


def memory() -> float:
    """What the process has of its own, without the pages of files that are mapped, in GB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024 / 1e9


def shapes_of(width: int, layers: int) -> dict[str, tuple[int, ...]]:
    """Everything prunable in an encoder and a decoder with feed-forward layers of four times the width."""
    attention = {f"{part}_proj": (width, width) for part in ("q", "k", "v", "out")}
    feed_forward = {"fc1": (4 * width, width), "fc2": (width, 4 * width)}
    shapes: dict[str, tuple[int, ...]] = {}
    for component, attentions in (("encoder", ("self_attn",)), ("decoder", ("self_attn", "encoder_attn"))):
        for layer in range(layers):
            modules = {f"{kind}.{name}": shape for kind in attentions for name, shape in attention.items()}
            for module, shape in {**modules, **feed_forward}.items():
                shapes[f"{component}.layers.{layer}.{module}.weight"] = shape
                shapes[f"{component}.layers.{layer}.{module}.bias"] = shape[:1]
    return shapes


def big_weights() -> dict[str, Any]:
    """Random weights with the shapes of everything prunable in transformer_vaswani_wmt_en_de_big."""
    import torch

    torch.manual_seed(0)
    return {name: torch.randn(shape) for name, shape in shapes_of(1024, 6).items()}


def mapped_weights(path: Path) -> dict[str, Any]:
    """Random weights of 12 + 12 layers of 2560 in a file."""
    import numpy as np
    import torch

    shapes, random = shapes_of(2560, 12), np.random.default_rng(0)
    values = np.memmap(path, np.float32, "w+", shape=(sum(math.prod(shape) for shape in shapes.values()),))
    for start in range(0, len(values), 1 << 24):
        part = values[start : start + (1 << 24)]
        random.standard_normal(dtype=np.float32, out=part)
    starts = np.cumsum([0, *(math.prod(shape) for shape in shapes.values())]).tolist()
    return {
        name: torch.from_numpy(values[start : start + math.prod(shape)]).view(shape)
        for start, (name, shape) in zip(starts, shapes.items(), strict=False)
    }


def by_sorting(weights: dict[str, Any], rate: float) -> float:
    """The threshold the plain way: concatenate, sort, look up."""
    import torch

    magnitudes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    return float(torch.sort(magnitudes).values[round(rate * len(magnitudes)) - 1])


def run() -> dict[str, Any]:
    """Measures both ways."""
    from probing_bridge.pruning.criteria import prune
    from probing_bridge.pruning.masks import Mask

    weights = big_weights()
    full = Mask.full(weights)
    chosen, seconds, cpu, extra = measured(lambda: prune(weights, full, 0.2, "magnitude", "global", 1, 1))
    _, hash_seconds, _, _ = measured(chosen.hash)
    threshold, sort_seconds, sort_cpu, sort_extra = measured(lambda: by_sorting(weights, 0.2))
    pruned = max(float(weight[~chosen.kept[name]].abs().max()) for name, weight in weights.items())
    if pruned != threshold:
        raise AssertionError(f"pruned up to {pruned}, the sort says {threshold}")
    packed = len(chosen.pack()["bits"])
    return {
        "prunable_weights": full.n_weights,
        "ours": {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "extra_gb": round(extra, 2)},
        "full_sort": {
            "seconds": round(sort_seconds, 2),
            "cpu_seconds": round(sort_cpu, 2),
            "extra_gb": round(sort_extra, 2),
        },
        "ratio_cpu": round(sort_cpu / cpu, 2),
        "hash_seconds": round(hash_seconds, 2),
        "checkpoint_growth": round(packed / sum(4 * weight.numel() for weight in weights.values()), 5),
        "target": {"seconds": 10, "extra_gb": 3, "checkpoint_growth": round(1 / 32, 5)},
        "blas": describe_blas(),
    }


def run_large(folder: Path) -> dict[str, Any]:
    """Measures ours on weights that lie in a file, at the second pruning, so that there is a mask before."""
    from probing_bridge.pruning.criteria import prune
    from probing_bridge.pruning.masks import Mask

    path = folder / "weights.bin"
    try:
        weights = mapped_weights(path)
        first = prune(weights, Mask.full(weights), 0.2, "magnitude", "global", 1, 1)
        second, seconds, cpu, extra = measured(lambda: prune(weights, first, 0.2, "magnitude", "global", 1, 2))
    finally:
        path.unlink(missing_ok=True)
    if second.n_pruned != first.n_pruned + round(0.2 * (first.n_weights - first.n_pruned)):
        raise AssertionError(f"{second.n_pruned} weights are pruned")
    return {
        "prunable_weights": second.n_weights,
        "ours": {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "extra_gb": round(extra, 2)},
        "target": {"extra_gb": 6},
        "blas": describe_blas(),
    }


def main() -> None:
    start_with_own_kernel("benchmarks.prune")
    print(json.dumps(run_large(Path(sys.argv[1])) if len(sys.argv) > 1 else run()))


if __name__ == "__main__":
    main()
