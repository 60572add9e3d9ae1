"""Resident memory and time at full scale: two levels of 6 + 6 layers, 1024 wide, 120,000 tokens a side.

Writes the two dumps (about 12 GB) into a folder, runs the command on them, samples its resident memory, and
extrapolates the time to the nine levels of the paper. Run again it goes on where it stopped: finished dumps and tiles
are kept, and so are the samples (memory.csv in the folder). A tile that was stopped in the middle is made again, so the
times of a run in several pieces are an upper bound. The progress bar, with the time left, goes to standard error.

    python -m benchmarks.similarity_scale FOLDER [--plot docs/similarity_memory.png]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

N_SENTENCES, MEAN_TOKENS, WIDTH, N_LAYERS, N_SYMBOLS = 3000, 40, 1024, 6, 32_000
PAPER_LEVELS = 9


def write_dump(path: Path, level: int) -> None:
    """Layers that grow out of each other, the same for all levels but for noise that grows with the level."""
    import numpy as np

    from probing_bridge.formats.activations.reader import ActivationWriter
    from probing_bridge.formats.origin import Origin

    fixed, own = np.random.default_rng(0), np.random.default_rng(100 + level)
    lengths = {side: fixed.integers(MEAN_TOKENS - 20, MEAN_TOKENS + 21, N_SENTENCES) for side in ("source", "target")}
    symbols = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{k}" for k in range(N_SYMBOLS))]
    states = {name: {str(k): WIDTH for k in range(1, N_LAYERS + 1)} for name in ("encoder", "decoder")}
    origin = Origin("scale", level, checkpoint_hash=str(level))
    dictionary = dict.fromkeys(lengths, symbols), dict.fromkeys(lengths, range(len(symbols), 0, -1))
    with ActivationWriter(path, lengths, states, {}, *dictionary, origin) as writer:
        for component, side in (("encoder", "source"), ("decoder", "target")):
            ids = np.minimum(fixed.zipf(1.3, int(lengths[side].sum())), N_SYMBOLS - 1) + 3
            writer.write_tokens(side, range(N_SENTENCES), ids)
            for start in range(0, N_SENTENCES, 100):
                sentences = range(start, start + 100)
                shape = int(lengths[side][start : start + 100].sum()), WIDTH
                rows = 5 + fixed.standard_normal(shape, dtype=np.float32)
                for layer in states[component]:
                    rows = rows + 0.5 * fixed.standard_normal(shape, dtype=np.float32)
                    noise = (0.1 + 0.3 * level) * own.standard_normal(shape, dtype=np.float32)
                    writer.write_states(component, layer, sentences, rows + noise)


def run_and_watch(dumps: list[Path], output: Path, log: Path) -> list[tuple[float, float, float]]:
    """Runs the command; adds (seconds, GB resident, CPU seconds) to those of earlier pieces, five times a second."""
    import psutil

    samples = _read(log)
    wall, cpu = (samples[-1][0], samples[-1][2]) if samples else (0.0, 0.0)
    command = [sys.executable, "-m", "probing_bridge.run", "similarity", "--output", str(output), "--dumps"]
    process = psutil.Popen([*command, *map(str, dumps)], stdout=subprocess.DEVNULL)
    start = time.time()
    with log.open("a", buffering=1) as file:  # line by line, for a run that is stopped
        while process.poll() is None:
            try:
                own = sum(process.cpu_times()[:2])
                samples.append((wall + time.time() - start, process.memory_info().rss / 1e9, cpu + own))
            except psutil.Error:
                break
            file.write("{:.1f},{:.4f},{:.1f}\n".format(*samples[-1]))
            time.sleep(0.2)
    if process.wait():
        raise SystemExit(process.returncode)
    return samples


def _read(log: Path) -> list[tuple[float, float, float]]:
    """The samples of earlier pieces; a line that was cut short is left out."""
    lines = log.read_text().splitlines() if log.exists() else []
    rows = (line.split(",") for line in lines)
    return [(float(row[0]), float(row[1]), float(row[2])) for row in rows if len(row) == 3 and row[2]]


def plot(samples: list[tuple[float, float, float]], path: Path) -> None:
    """Resident memory over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([sample[0] for sample in samples], [sample[1] for sample in samples], linewidth=1)
    axes.axhline(4, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="seconds", ylabel="resident memory (GB)", ylim=(0, 4.4))
    axes.set_title("2 levels x (6 + 6) layers x 1024, 120,000 tokens: 12 GB of dumps", fontsize=9)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ.pop("OPENBLAS_CORETYPE", None)
    dumps = [arguments.folder / f"lth{level}.h5" for level in range(2)]
    for level, path in enumerate(dumps):
        if not path.exists():
            write_dump(path, level)
    samples = run_and_watch(dumps, arguments.folder / "results", arguments.folder / "memory.csv")
    if arguments.plot is not None:
        plot(samples, arguments.plot)
    wall, _, cpu = samples[-1]
    # two levels: 2 tiles of one level (21 pairs of layers each) and 1 of two (36); nine: 9 and 36
    pairs = {n: n * 21 + n * (n - 1) // 2 * 36 for n in (2, PAPER_LEVELS)}
    factor = pairs[PAPER_LEVELS] / pairs[2]
    print(json.dumps({
        "benchmark": "similarity_scale", "wall_seconds": round(wall), "cpu_seconds": round(cpu),
        "largest_resident_gb": round(max(sample[1] for sample in samples), 2),
        "pairs_of_layers": {"two levels": 2 * pairs[2], "nine levels": 2 * pairs[PAPER_LEVELS]},
        "nine_levels_cpu_hours": round(cpu * factor / 3600, 2),
        "nine_levels_wall_hours": round(wall * factor / 3600, 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
