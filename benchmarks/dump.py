"""What `--dump-activations` costs: the validation loop of fairseq-validate with and without it, in turns.

`python -m benchmarks.dump` prints one JSON line: for a Transformer of the quickstart's size and a base one, the median
CPU seconds of the loop (one thread, files written) without a dump, and ratios to it: with states, with states and
attention, and with every attention computed twice (`need_head_weights`) but nothing written, as fairseq alone would.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.random_level import SIZES, be_quiet, clock, make_data, make_level

WAYS: dict[str, dict[str, Any]] = {
    "without": {},
    "states": {"dump_states": True},
    "states_and_attention": {},
    "second_attention": {},
}


def loop(level: Path, way: str, folder: Path, max_tokens: int, device: str = "cpu") -> Callable[[], tuple[float, int]]:
    """A function that validates once and gives the seconds of the loop, files written, and how large they are."""
    import torch
    from fairseq import checkpoint_utils, utils

    output = folder / f"{way}.h5"
    overrides = {"path": str(level), "valid_subset": "valid", **WAYS[way]}
    if way in ("states", "states_and_attention"):
        overrides["dump_activations"] = str(output)

    def run() -> tuple[float, int]:
        models, cfg, task = checkpoint_utils.load_model_ensemble_and_task([str(level)], arg_overrides=dict(overrides))
        model, criterion = models[0].eval().to(device), task.build_criterion(cfg.criterion).eval()
        task.load_dataset("valid")
        settings = {"max_tokens": max_tokens, "max_positions": (1024, 1024), "num_shards": 1, "shard_id": 0}
        batches = list(task.get_batch_iterator(dataset=task.dataset("valid"), **settings).next_epoch_itr(shuffle=False))
        if way == "second_attention":
            hook_second_attention(model)
        start = clock(device)
        for sample in batches:
            moved = sample if device == "cpu" else utils.move_to_cuda(sample, torch.device(device))
            task.valid_step(moved, model, criterion)
        seconds = clock(device) - start
        size = output.stat().st_size if output.exists() else 0
        output.unlink(missing_ok=True)
        return seconds, size

    return run


def hook_second_attention(model: Any) -> None:
    """Computes every attention again with weights of each head; nothing is written."""

    def again(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        module.skip_embed_dim_check = True
        module.forward(*args, **{**kwargs, "need_head_weights": True})
        module.skip_embed_dim_check = False

    for module in model.modules():
        if type(module).__name__ == "MultiheadAttention":
            module.register_forward_hook(again, with_kwargs=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    arguments = parser.parse_args()
    be_quiet()
    import torch

    from fairseq_lth import register

    register()
    torch.set_num_threads(1)

    result: dict[str, Any] = {"threads": 1}
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            n_sentences = arguments.sentences if size == "base" else 5 * arguments.sentences
            data = make_data(folder, n_sentences, 8000, (5, 50))
            level = make_level(folder / "checkpoint_lth0.pt", data, SIZES[size])
            runs = {way: loop(level, way, folder, 4000) for way in WAYS}
            seconds: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(arguments.repetitions):
                for way, run in runs.items():
                    seconds[way].append(run()[0])
        middle = {way: statistics.median(values) for way, values in seconds.items()}
        ratios = {f"{way}_ratio": round(value / middle["without"], 3) for way, value in middle.items()}
        result[size] = {"sentences": n_sentences, "cpu_seconds_without": round(middle["without"], 3), **ratios}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
