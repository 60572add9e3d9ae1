"""Resident memory while 20,000 sentence pairs are dumped, against the same validation without a dump.

`python -m benchmarks.dump_memory --plot docs/dump-memory.png` runs fairseq-validate on random pairs with a model of
the quickstart's size, samples the resident size of the process twice a second (from Linux's /proc), draws both curves
and the size of the file, and prints one JSON line: the resident size after a tenth of the sentences and at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.random_level import SIZES, be_quiet, make_data, make_level

MEGABYTE = 1e6


def watch(command: list[str], output: Path) -> list[tuple[float, float, float]]:
    """Runs a command; (seconds, resident MB, MB of the file that is being written), twice a second."""
    beside = output.with_name(f".{output.name}.tmp")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    start, curve = time.perf_counter(), []
    while process.poll() is None:
        try:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            written = beside.stat().st_blocks * 512 if beside.exists() else 0
        except (OSError, IndexError):
            continue
        seconds = time.perf_counter() - start
        curve.append((seconds, pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE, written / MEGABYTE))
        time.sleep(0.5)
    if process.returncode:
        assert process.stderr is not None
        raise SystemExit(process.stderr.read().decode()[-2000:])
    return curve


def draw(curves: dict[str, list[tuple[float, float, float]]], path: Path) -> None:
    """Draws resident size (and the file's size) over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.2), layout="constrained")
    for name, curve in curves.items():
        axes.plot([point[0] for point in curve], [point[1] for point in curve], label=f"resident, {name}")
    dumped = curves["with the dump"]
    axes.plot([point[0] for point in dumped], [point[2] for point in dumped], "--", color="gray", label="file so far")
    axes.set_xlabel("seconds")
    axes.set_ylabel("MB")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=20000)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    be_quiet()
    import fairseq_lth

    fairseq_lth.register()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = make_data(folder, arguments.sentences, 8000, (8, 16))
        level = make_level(folder / "checkpoint_lth0.pt", data, SIZES["quickstart"])
        command = [str(Path(sys.executable).with_name("fairseq-validate")), str(data), "--cpu", "--max-tokens", "4000"]
        command += ["--user-dir", str(Path(fairseq_lth.__file__).parent), "--task", "lth_imp", "--path", str(level)]
        command += ["--valid-subset", "valid", "--num-workers", "0", "--no-progress-bar"]
        output = folder / "dump.h5"
        curves = {"without": watch(command, output)}
        curves["with the dump"] = watch([*command, "--dump-activations", str(output)], output)
        size = output.stat().st_size / MEGABYTE
    if arguments.plot:
        draw(curves, arguments.plot)
    # the file's blocks fill up as sentences are written, shortest first
    dumped = curves["with the dump"]
    early = next(resident for _, resident, written in dumped if written > size / 10)
    result: dict[str, Any] = {"sentences": arguments.sentences, "file_mb": round(size)}
    result |= {"resident_mb_at_a_tenth": round(early), "resident_mb_peak": round(max(point[1] for point in dumped))}
    result |= {"resident_mb_peak_without": round(max(point[1] for point in curves["without"]))}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
