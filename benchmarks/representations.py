"""Loading word representations for probes: one block a layer (ours) beside one dataset a sentence (Liu et al. 2019).

`python -m benchmarks.representations FOLDER` writes 20,000 sentences of 25 words, 7 layers of 128, in both layouts (2 x
1.8 GB) and opens each, takes its hash and loads all layers of all sentences, and of every tenth. Prints one JSON line
of CPU seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.blas import describe_blas, start_with_own_kernel

N_SENTENCES, N_WORDS, DIM = 20_000, 25, 128
LAYERS = tuple("0123456")


class Drawn:
    """Random vectors, a sentence at a time."""

    layers, dim = LAYERS, DIM

    def __init__(self) -> None:
        """Starts at a fixed seed."""
        from probing_bridge.formats.origin import Origin

        self.origin = Origin("benchmark", 0)
        self._draw = np.random.default_rng(0)

    def sentences(self) -> Iterator[Sequence[str]]:
        """The words of every sentence."""
        return ([f"w{n}", *["w"] * (N_WORDS - 1)] for n in range(N_SENTENCES))

    def read(self, tokens: Sequence[str]) -> np.ndarray:
        """(n_layers, n_words, d) float32."""
        return self._draw.standard_normal((len(LAYERS), len(tokens), DIM), np.float32)


def load(path: Path, every: int) -> tuple[float, float, np.ndarray]:
    """CPU seconds of opening with the hash, and of loading every so many sentences; and what was loaded."""
    from probing_bridge.formats.representations import Representations
    from probing_bridge.probes.features import load_features

    sentences = list(Drawn().sentences())[::every]
    started = time.process_time()
    with Representations(path) as representations:
        assert representations.hash
        opened = time.process_time()
        features = load_features(representations, sentences, None, path.parent, 1 << 40)
        return opened - started, time.process_time() - opened, features.values.numpy()


def run(folder: Path) -> dict[str, Any]:
    """Measures both layouts, and checks that they give the same values."""
    from probing_bridge.exchange.liu import write_words
    from probing_bridge.formats.representations import write_vectors

    paths = {"ours": folder / "ours.hdf5", "liu": folder / "liu.hdf5"}
    written = {}
    try:
        for name, write in (("ours", lambda path: write_vectors(Drawn(), path, Drawn().origin)),
                            ("liu", lambda path: write_words(Drawn(), path))):  # fmt: skip
            started = time.process_time()
            write(paths[name])
            written[name] = time.process_time() - started
        result: dict[str, Any] = {}
        for what, every in (("all", 1), ("every tenth", 10)):
            times = {name: load(path, every) for name, path in paths.items()}
            np.testing.assert_array_equal(times["ours"][2], times["liu"][2])
            seconds = {name: round(sum(found[:2]), 2) for name, found in times.items()}
            opening = {name: round(found[0], 2) for name, found in times.items()}
            result[what] = {**seconds, "of that opening": opening, "ratio": round(seconds["liu"] / seconds["ours"], 2)}
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)
    return {**result, "written": {name: round(one, 2) for name, one in written.items()}, "blas": describe_blas()}


def main() -> None:
    start_with_own_kernel("benchmarks.representations")
    print(json.dumps(run(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
