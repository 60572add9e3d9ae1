"""Choosing the masks of Transformer-big: seconds and extra memory, against a full sort of all magnitudes.

`python -m benchmarks.prune` builds the 176 M prunable weights, prunes 20 % of them, and finds the same threshold with
`torch.sort` over one concatenated tensor. Prints one JSON line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.blas import describe_blas, start_with_own_kernel


def measured(function: Callable[[], Any]) -> tuple[Any, float, float, float]:
    """The result of a call, its wall and CPU seconds, and by how many GB it raised the process's peak."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts at what is in use now
    before = memory("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - wall, time.process_time() - cpu, memory("VmHWM") - before


def memory(field: str) -> float:
    """A line of /proc/self/status, in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e9
    raise KeyError(field)


def big_weights() -> dict[str, Any]:
    """Random weights with the shapes of everything prunable in transformer_vaswani_wmt_en_de_big."""
    import torch

    attention = {f"{part}_proj": (1024, 1024) for part in ("q", "k", "v", "out")}
    feed_forward = {"fc1": (4096, 1024), "fc2": (1024, 4096)}
    shapes: dict[str, tuple[int, ...]] = {}
    for component, attentions in (("encoder", ("self_attn",)), ("decoder", ("self_attn", "encoder_attn"))):
        for layer in range(6):
            modules = {f"{kind}.{name}": shape for kind in attentions for name, shape in attention.items()}
            for module, shape in {**modules, **feed_forward}.items():
                shapes[f"{component}.layers.{layer}.{module}.weight"] = shape
                shapes[f"{component}.layers.{layer}.{module}.bias"] = shape[:1]
    torch.manual_seed(0)
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def by_sorting(weights: dict[str, Any], rate: float) -> float:
    """The threshold the plain way: concatenate, sort, look up."""
    import torch

    magnitudes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    return float(torch.sort(magnitudes).values[round(rate * len(magnitudes)) - 1])


def run() -> dict[str, Any]:
    """Measures both ways."""
    from fairseq_lth.pruning.criteria import prune
    from fairseq_lth.pruning.masks import Mask

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


def main() -> None:
    start_with_own_kernel("benchmarks.prune")
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
