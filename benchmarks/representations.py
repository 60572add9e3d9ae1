"""Loading word representations for probes: one block a layer (ours) beside one dataset a sentence (Liu et al. 2019).

`python -m benchmarks.representations FOLDER` writes 20,000 sentences of 25 words, 7 layers of 128, in both layouts (2 x
1.8 GB) and opens each, takes its hash and loads all layers of all sentences, and of every tenth. Prints one JSON line
of CPU seconds.

`python -m benchmarks.representations FOLDER --wide` writes what 12 layers of 2560 give for 100,000 words,
float16 (6.7 GB), loads one layer of it for probes, and prints CPU seconds and the most memory that each held.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.blas import describe_blas, start_with_own_kernel

N_SENTENCES, N_WORDS, DIM = 20_000, 25, 128
LAYERS = tuple("0123456")
WIDE_SENTENCES, WIDE_DIM, WIDE_LAYERS = 4_000, 2560, tuple(str(layer) for layer in range(13))


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


def peak() -> float:
    """The most memory that this process has held, GB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)


def run_wide(folder: Path) -> dict[str, Any]:
    """Writes the words of a wide model, loads one layer, and checks some of its values."""
    from probing_bridge.formats.origin import Origin
    from probing_bridge.formats.representations import Representations, RepresentationWriter
    from probing_bridge.probes.features import load_features

    path, draw = folder / "wide.hdf5", np.random.default_rng(0)
    texts = [[f"w{n}", *["w"] * (N_WORDS - 1)] for n in range(WIDE_SENTENCES)]
    vectors = draw.standard_normal((len(WIDE_LAYERS), N_WORDS, WIDE_DIM), np.float32)
    result: dict[str, Any] = {"words": WIDE_SENTENCES * N_WORDS, "before": {"GB held": peak()}}
    try:
        started = time.process_time()
        with RepresentationWriter(path, texts, WIDE_LAYERS, WIDE_DIM, Origin("benchmark", 0), "float16") as writer:
            for number, tokens in enumerate(texts):
                writer.add(tokens, np.roll(vectors, number, axis=2))
        result["written"] = {"CPU s": round(time.process_time() - started, 1), "GB held": peak()}
        result["GB on disk"] = round(path.stat().st_size / 1e9, 2)
        started = time.process_time()
        with Representations(path) as representations:
            features = load_features(representations, texts, [WIDE_LAYERS[-1]], folder, 2 << 30)
        result["one layer loaded"] = {"CPU s": round(time.process_time() - started, 1), "GB held": peak()}
        found = features.values[0, -N_WORDS:].numpy()
        np.testing.assert_allclose(found, np.roll(vectors[-1], WIDE_SENTENCES - 1, axis=1), atol=4e-3)
    finally:
        path.unlink(missing_ok=True)
    return result


def main() -> None:
    start_with_own_kernel("benchmarks.representations")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the files go, which are removed at the end")
    parser.add_argument("--wide", action="store_true", help="100,000 words of a wide model instead")
    arguments = parser.parse_args()
    print(json.dumps((run_wide if arguments.wide else run)(arguments.folder)))


if __name__ == "__main__":
    main()
