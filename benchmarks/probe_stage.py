"""Where the CPU time of `probe` goes: all eighteen tasks of the open recipe, seven layers of one level.

`python -m benchmarks.probe_stage DATA FOLDER` makes random vectors for the words of recipes/open_en_de/suite.yaml
(DATA is the folder of its corpora) as a file in FOLDER, 128 numbers (or `--dim`) a word and layer as its model has,
runs the stage on it and prints the CPU seconds of its parts as one JSON line. Random vectors are the worst case for
the share that is not training: probes on them stop early. With `--epochs 1` training is cut short, and what is not
training takes as long as ever.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.blas import describe_blas, start_with_own_kernel
from benchmarks.readers import SUITE

LAYERS = tuple("0123456")


def write_random(data: Path, path: Path, dim: int) -> int:
    """Writes random vectors of the suite's words; returns how many words."""
    from probing_bridge.corpora.suite import load_suite
    from probing_bridge.corpora.texts import suite_texts
    from probing_bridge.formats.origin import Origin
    from probing_bridge.formats.representations import RepresentationWriter

    draw, n_words = np.random.default_rng(0), 0
    texts = [text.words for text in suite_texts(load_suite(SUITE, data))]
    with RepresentationWriter(path, texts, LAYERS, dim, Origin("benchmark", 0)) as writer:
        for tokens in texts:
            writer.add(tokens, draw.standard_normal((len(LAYERS), len(tokens), dim), np.float32))
            n_words += len(tokens)
    return n_words


class Clock:
    """CPU seconds of functions, each without those that are timed inside of it."""

    def __init__(self) -> None:
        """Nothing was called."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = [0.0]

    def time(self, module: Any, name: str, part: str) -> None:
        """Has a function of a module timed as a part."""
        timed = getattr(module, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            self._inside.append(0.0)
            started = time.process_time()
            try:
                return timed(*arguments, **keywords)
            finally:
                taken = time.process_time() - started
                self.seconds[part] += taken - self._inside.pop()
                self._inside[-1] += taken

        setattr(module, name, call)


def run(data: Path, folder: Path, epochs: int, dim: int) -> dict[str, Any]:
    """Runs the stage, timed."""
    from probing_bridge.probes import inputs, rows, training, units
    from probing_bridge.probes import run as stage
    from probing_bridge.probes.problem import Recipe

    path = folder / f"random{dim}.hdf5"
    n_words = 0 if path.exists() else write_random(data, path, dim)
    clock = Clock()
    parts: tuple[tuple[Any, str, str], ...] = (
        (training, "train", "training"),
        (inputs, "task_specs", "corpora: hashes"),
        (inputs, "read_tasks", "corpora: read"),
        (inputs, "open_models", "vectors: opened"),
        (inputs, "check_representations", "vectors: checked for sentences"),
        (units, "load_features", "vectors: loaded"),
        (stage, "make_units", "units made"),
        (units, "detail_rows", "details of labels"),
        (units, "save_part", "parts saved"),
        (units, "measure_baseline", "baselines"),
        (rows, "_numbers", "tables: resampled"),
        (stage, "write_tables", "tables: the rest"),
        (stage, "run", "everything else"),
    )
    for part in parts:
        clock.time(*part)
    recipe = Recipe(max_epochs=epochs)
    request = stage.Request(
        SUITE, data, [path], folder / "results", None, None, [recipe], ["score"], False, 1, None, None, 1000, ""
    )
    started = time.perf_counter()
    finished: Callable[..., Any] = stage.run
    assert not finished(request).failed
    total = sum(clock.seconds.values())
    return {
        "words": n_words,
        "wall_seconds": round(time.perf_counter() - started, 1),
        "total_cpu_seconds": round(total, 1),
        "share_outside_of_training": round(1 - clock.seconds["training"] / total, 3),
        "cpu_seconds": {part: round(taken, 2) for part, taken in sorted(clock.seconds.items())},
        "blas": describe_blas(),
    }


def main() -> None:
    start_with_own_kernel("benchmarks.probe_stage")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of the corpora")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where vectors and results go")
    parser.add_argument("--epochs", type=int, default=50, help="most epochs of a probe")
    parser.add_argument("--dim", type=int, default=128, help="numbers a word and layer")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.data, arguments.folder, arguments.epochs, arguments.dim)))


if __name__ == "__main__":
    main()
