"""Reading a layer of a dump against reading the same numbers from a bare memory map.

`python -m benchmarks.read_activations` writes one layer of 120,000 x 512 float32 both ways and reads it whole and in
blocks of 8192 rows, in turns, from the page cache. Prints one JSON line with the ratios of the medians.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.blas import interleaved
from probing_bridge.formats.activations.reader import ActivationWriter, open_dump
from probing_bridge.formats.origin import Origin

SENTENCES, LENGTH, DIM, BLOCK = 4000, 30, 512, 8192


def main() -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        dump, raw = Path(scratch) / "a.h5", Path(scratch) / "a.raw"
        lengths = {side: [LENGTH] * SENTENCES for side in ("source", "target")}
        symbols, counts = {side: ["a"] for side in lengths}, {side: [1] for side in lengths}
        with (
            ActivationWriter(dump, lengths, {"encoder": {"0": DIM}}, {}, symbols, counts, Origin()) as writer,
            open(raw, "wb") as file,
        ):
            for start in range(0, SENTENCES, 100):
                numbers = range(start, start + 100)
                rows = rng.random((100 * LENGTH, DIM), dtype=np.float32)
                for side in lengths:
                    writer.write_tokens(side, numbers, np.zeros(100 * LENGTH, np.int32))
                writer.write_states("encoder", "0", numbers, rows)
                file.write(rows.tobytes())
        n = SENTENCES * LENGTH

        def mapped(block: int) -> float:
            rows = np.memmap(raw, np.float32, "r", shape=(n, DIM))
            return sum(float(np.array(rows[start : start + block])[0, 0]) for start in range(0, n, block))

        def read(block: int) -> float:
            with open_dump(dump) as opened:
                starts = range(0, n, block)
                return sum(
                    float(opened.read_states("encoder", "0", start, min(start + block, n))[0, 0]) for start in starts
                )

        assert mapped(BLOCK) == read(BLOCK)
        ways = [lambda: mapped(n), lambda: read(n), lambda: mapped(BLOCK), lambda: read(BLOCK)]
        whole_raw, whole, blocks_raw, blocks = (wall for wall, _ in interleaved(ways, 9))
    result = {
        "memmap_seconds": round(whole_raw, 4),
        "whole_ratio": round(whole / whole_raw, 2),
        "memmap_blocks_seconds": round(blocks_raw, 4),
        "blocks_ratio": round(blocks / blocks_raw, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
