"""Resident memory and time at full scale: two levels of 6 + 6 layers, 1024 wide, 120,000 tokens a side.

With `--wide`, the tiles of a model of 2.1 billion weights: four encoder layers of one level, 2560 wide, which make two
tiles of one span of layers and one of two; more levels and layers make more tiles of the same size.

Writes the two dumps (about 12 GB) into a folder, runs the command on them, samples its resident memory, and
extrapolates the time to the nine levels of the paper. Run again it goes on where it stopped: finished dumps and tiles
are kept, and so are the samples (memory.csv in the folder). A tile that was stopped in the middle is made again, so the
times of a run in several pieces are an upper bound. The progress bar, with the time left, goes to standard error.

    python -m benchmarks.similarity_scale FOLDER [--plot docs/similarity_memory.png]
    python -m benchmarks.similarity_scale FOLDER --wide
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

N_SENTENCES, MEAN_TOKENS, N_SYMBOLS = 3000, 40, 32_000
PAPER_LEVELS = 9


@dataclass(frozen=True)
class Size:
    """What is compared: `layers` of each of the `components` at so many `levels`."""

    width: int
    layers: int
    components: tuple[str, ...]
    levels: int


PAPER = Size(1024, 6, ("encoder", "decoder"), 2)
WIDE = Size(2560, 4, ("encoder",), 1)


@dataclass(frozen=True)
class Sample:
    """What the command has taken at one moment: seconds of wall time and of CPU time, bytes in memory and in files."""

    wall: float
    resident: float
    cpu: float
    scratch: float


def write_dump(path: Path, size: Size, level: int) -> None:
    """Layers that grow out of each other, the same for all levels but for noise that grows with the level."""
    import numpy as np

    from probing_bridge.formats.activations.reader import ActivationWriter
    from probing_bridge.formats.origin import Origin

    fixed, own = np.random.default_rng(0), np.random.default_rng(100 + level)
    lengths = {side: fixed.integers(MEAN_TOKENS - 20, MEAN_TOKENS + 21, N_SENTENCES) for side in ("source", "target")}
    symbols = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{k}" for k in range(N_SYMBOLS))]
    states = {name: {str(k): size.width for k in range(1, size.layers + 1)} for name in size.components}
    origin = Origin("scale", level, checkpoint_hash=str(level))
    dictionary = dict.fromkeys(lengths, symbols), dict.fromkeys(lengths, range(len(symbols), 0, -1))
    with ActivationWriter(path, lengths, states, {}, *dictionary, origin) as writer:
        for component, side in (("encoder", "source"), ("decoder", "target")):
            ids = np.minimum(fixed.zipf(1.3, int(lengths[side].sum())), N_SYMBOLS - 1) + 3
            writer.write_tokens(side, range(N_SENTENCES), ids)
            for start in range(0, N_SENTENCES if component in states else 0, 100):
                sentences = range(start, start + 100)
                shape = int(lengths[side][start : start + 100].sum()), size.width
                rows = 5 + fixed.standard_normal(shape, dtype=np.float32)
                for layer in states[component]:
                    rows = rows + 0.5 * fixed.standard_normal(shape, dtype=np.float32)
                    noise = (0.1 + 0.3 * level) * own.standard_normal(shape, dtype=np.float32)
                    writer.write_states(component, layer, sentences, rows + noise)


def write_dumps(folder: Path, size: Size) -> list[Path]:
    """One dump a level; those that are there are kept."""
    dumps = [folder / f"lth{level}.h5" for level in range(size.levels)]
    for level, path in enumerate(dumps):
        if not path.exists():
            write_dump(path, size, level)
    return dumps


def run_and_watch(dumps: list[Path], output: Path, log: Path) -> list[Sample]:
    """Runs the command; adds samples to those of earlier pieces, five times a second."""
    import psutil

    samples = _read(log)
    wall, cpu = (samples[-1].wall, samples[-1].cpu) if samples else (0.0, 0.0)
    command = [sys.executable, "-m", "probing_bridge.run", "similarity", "--output", str(output), "--dumps"]
    process = psutil.Popen([*command, *map(str, dumps)], stdout=subprocess.DEVNULL)
    start = time.time()
    with log.open("a", buffering=1) as file:  # line by line, for a run that is stopped
        while process.poll() is None:
            try:
                own, resident = sum(process.cpu_times()[:2]), process.memory_info().rss
            except psutil.Error:
                break
            samples.append(Sample(wall + time.time() - start, resident, cpu + own, _scratch(output)))
            file.write("{:.1f},{:.0f},{:.1f},{:.0f}\n".format(*astuple(samples[-1])))
            time.sleep(0.2)
    if process.wait():
        raise SystemExit(process.returncode)
    return samples


def _scratch(output: Path) -> float:
    """Bytes of the products of blocks that are in files."""
    total = 0.0
    for path in output.rglob("products.*/*"):
        with suppress(FileNotFoundError):  # its tile has ended
            total += path.stat().st_size
    return total


def _read(log: Path) -> list[Sample]:
    """The samples of earlier pieces; a line that was cut short is left out."""
    lines = log.read_text().splitlines() if log.exists() else []
    rows = (line.split(",") for line in lines)
    return [Sample(*map(float, row)) for row in rows if len(row) == 4 and row[3]]


def plot(samples: list[Sample], path: Path) -> None:
    """Resident memory over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([sample.wall for sample in samples], [sample.resident / 1e9 for sample in samples], linewidth=1)
    axes.axhline(4, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="seconds", ylabel="resident memory (GB)", ylim=(0, 4.4))
    axes.set_title("2 levels x (6 + 6) layers x 1024, 120,000 tokens: 12 GB of dumps", fontsize=9)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--wide", action="store_true", help="tiles of a model of 2.1 billion weights")
    arguments = parser.parse_args()
    size = WIDE if arguments.wide else PAPER
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ.pop("OPENBLAS_CORETYPE", None)
    dumps = write_dumps(arguments.folder, size)
    samples = run_and_watch(dumps, arguments.folder / "results", arguments.folder / "memory.csv")
    if arguments.plot is not None:
        plot(samples, arguments.plot)
    wall, cpu = samples[-1].wall, samples[-1].cpu
    figures: dict[str, Any] = {
        "benchmark": "similarity_scale", "wall_seconds": round(wall), "cpu_seconds": round(cpu),
        "largest_resident_gb": round(max(sample.resident for sample in samples) / 1e9, 2),
        "largest_scratch_gb": round(max(sample.scratch for sample in samples) / 1e9, 2),
    }  # fmt: skip
    if size is PAPER:
        # two levels: 2 tiles of one level (21 pairs of layers each) and 1 of two (36); nine: 9 and 36
        pairs = {n: n * 21 + n * (n - 1) // 2 * 36 for n in (2, PAPER_LEVELS)}
        factor = pairs[PAPER_LEVELS] / pairs[2]
        figures |= {
            "pairs_of_layers": {"two levels": 2 * pairs[2], "nine levels": 2 * pairs[PAPER_LEVELS]},
            "nine_levels_cpu_hours": round(cpu * factor / 3600, 2),
            "nine_levels_wall_hours": round(wall * factor / 3600, 2),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
