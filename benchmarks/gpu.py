"""What the plugin and the bridge reach on a GPU, each beside the limit that it could, all of it in one run.

`python -m benchmarks.gpu FOLDER --data DATA` measures section by section and keeps what is done in FOLDER, so that a
run that was stopped goes on; then it prints the table. DATA is the folder of the corpora of recipes/open_en_de.

    limits      rate of float32 products with TF32 off, of copies on the device, of files in FOLDER
    training    words a second of fairseq-train with and without the plugin, base and big
    budget      seconds an update and GB at 3,500, 5,000 and 10,000 tokens in three precisions
    masks       176 M weights, chosen on the device and on the CPU
    dump        validation with and without a dump
    encode      word vectors beside the hub interface, and the share of the time that the forward pass has
    probes      18 tasks, 7 layers of 1024, one level
    similarity  two levels of 6 + 6 layers of 1024, 120,000 tokens, all pairs

`--try` runs all of it but the probes at a small size on the CPU, which says nothing about speed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import dump, encode, prune, similarity_scale
from benchmarks.random_level import SIZES, be_quiet, clock, make_data, make_level

PRECISIONS = {"fp32": [], "fp16": ["--fp16"], "bf16": ["--bf16"]}


@dataclass(frozen=True)
class Row:
    """One line of the table: a value beside its limit, and what their ratio, or the value in seconds, should be."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    target: str = ""


@dataclass(frozen=True)
class Bench:
    """Where, how large, and what is known so far."""

    folder: Path
    data: Path | None
    small: bool  # to try it out, on the CPU
    rows: dict[str, list[dict[str, Any]]]

    @property
    def device(self) -> str:
        """For torch."""
        return "cpu" if self.small else "cuda"

    def limit(self, what: str) -> float:
        """A rate of the section limits, which is the first."""
        return float(next(row["value"] for row in self.rows["limits"] if row["what"] == what))

    def seconds(self, work: Callable[[], Any]) -> float:
        """The best of three times, on the device's clock."""
        best = float("inf")
        for _ in range(3):
            start = clock(self.device)
            work()
            best = min(best, clock(self.device) - start)
        return best


def limits(bench: Bench) -> list[Row]:
    """What nothing can exceed."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    n = 512 if bench.small else 8192
    x = torch.randn(n, n, device=bench.device)
    block = torch.empty(2**22 if bench.small else 2**28, device=bench.device)
    target, path = torch.empty_like(block), bench.folder / "block.bin"
    raw = os.urandom(2**24 if bench.small else 2**30)

    def write() -> None:
        with open(path, "wb") as file:
            file.write(raw)
            os.fsync(file.fileno())

    seconds = timeit.timeit(write, number=1)
    path.unlink()
    return [
        Row("products", 2 * n**3 / bench.seconds(lambda: x @ x) / 1e12, "TFLOP/s"),
        Row("copies", 2 * block.nbytes / bench.seconds(lambda: target.copy_(block)) / 1e9, "GB/s"),
        Row("files", len(raw) / seconds / 1e9, "GB/s"),
    ]


def train(bench: Bench, size: str, tokens: int, precision: str, with_plugin: bool) -> dict[str, float]:
    """What fairseq-train says of its second epoch: pruned by a fifth with the plugin, a second dense one without."""
    kept = bench.folder / f"{size}-{tokens}-{precision}-{'plugin' if with_plugin else 'alone'}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    corpus = bench.folder / "corpus"
    if not (corpus / "bin").exists():
        corpus.mkdir()
        make_data(corpus, 200 if bench.small else 40_000, 200 if bench.small else 32_000, (5, 50))
    arch = {"base": "transformer", "big": "transformer_vaswani_wmt_en_de_big"}[size]
    shape = SIZES["quickstart"].split() if bench.small else []
    task = ["--task", "translation", "--max-epoch", "2"]
    if with_plugin:
        task = ["--user-dir", "fairseq_lth", "--task", "lth_imp", "--max-epoch", "1"]
        task += ["--imp-iterations", "1", "--imp-rewind-epoch", "0"]
    with tempfile.TemporaryDirectory(dir=bench.folder) as levels:
        command = [
            str(Path(sys.executable).with_name("fairseq-train")), str(corpus / "bin"), "-s", "en", "-t", "de", *task,
            "--train-subset", "valid", "--valid-subset", "train", "--disable-validation", "--arch", arch, *shape,
            "--share-all-embeddings", "--optimizer", "adam", "--lr", "1e-4", "--max-tokens", str(tokens),
            "--criterion", "label_smoothed_cross_entropy", "--label-smoothing", "0.1", "--no-epoch-checkpoints",
            "--save-dir", levels, "--log-format", "json", "--log-interval", "100000",
            *PRECISIONS[precision], *(["--cpu"] if bench.small else []),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [json.loads(found) for found in re.findall(r'\{"epoch".*\}', done.stdout + done.stderr)]
    epochs = [one for one in said if "train_wps" in one]
    if done.returncode or len(epochs) != 2:
        raise SystemExit(f"gpu: {' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    found = {name: float(epochs[1].get(f"train_{name}", "nan")) for name in ("wps", "ups", "gb_free")}
    kept.write_text(json.dumps(found))
    return found


def training(bench: Bench) -> list[Row]:
    """With the plugin, beside without."""
    rows = []
    for size in ("base", "big"):
        wps = [train(bench, size, 500 if bench.small else 5000, "fp32", plugin)["wps"] for plugin in (True, False)]
        rows.append(Row(f"training, {size}", wps[0], "words/s", wps[1], wps[0] / wps[1], ">= 0.99"))
    return rows


def budget(bench: Bench) -> list[Row]:
    """Seconds an update of the plugin's second level, and the GB that PyTorch had left."""
    rows, sizes = [], ("base",) if bench.small else ("base", "big")
    for size, tokens, precision in product(sizes, (500,) if bench.small else (3500, 5000, 10_000), PRECISIONS):
        if not (bench.small and precision == "fp16"):  # not on a CPU
            found, what = train(bench, size, tokens, precision, True), f"{size}, {tokens} tokens, {precision}"
            rows.append(Row(f"an update, {what}", 1 / found["ups"], "s"))
            rows += [] if bench.small else [Row(f"memory left, {what}", found["gb_free"], "GB")]
    return rows


def masks(bench: Bench) -> list[Row]:
    """Chosen on the device; the CPU must choose the same."""
    import torch

    from probing_bridge.pruning import criteria
    from probing_bridge.pruning.masks import Mask

    weights = prune.big_weights()
    moved = {name: weight.to(bench.device) for name, weight in weights.items()}
    chosen: list[Any] = []

    def choose(values: dict[str, Any]) -> Callable[[], None]:
        full = Mask.full(values)
        return lambda: chosen.append(criteria.prune(values, full, 0.2, "magnitude", "global", 1, 1))

    seconds, on_cpu = bench.seconds(choose(moved)), bench.seconds(choose(weights))
    if not all(torch.equal(kept.cpu(), chosen[-1].kept[name]) for name, kept in chosen[0].kept.items()):
        raise SystemExit("gpu: the device and the CPU chose other masks")
    return [Row("masks of 176 M weights, the CPU's to the bit", seconds, "s", on_cpu, seconds / on_cpu, "< 1 s")]


def dumps(bench: Bench) -> list[Row]:
    """Sentences a second with a whole dump, beside the slower of the validation loop alone and the file system."""
    rows, n = [], 50 if bench.small else 4000
    for size in ("quickstart",) if bench.small else SIZES:
        with tempfile.TemporaryDirectory(dir=bench.folder) as scratch:
            folder = Path(scratch)
            data = make_data(folder, n, 8000, (5, 50))
            level = make_level(folder / "checkpoint_lth0.pt", data, SIZES[size])
            alone, dumped = (
                min(dump.loop(level, way, folder, 4000, bench.device)() for _ in range(3))
                for way in ("without", "states_and_attention")
            )
        slowest = max(alone[0], dumped[1] / bench.limit("files") / 1e9)
        rows.append(Row(f"dump, {size}", n / dumped[0], "sentences/s", n / slowest, slowest / dumped[0], ">= 0.8"))
    return rows


def encodings(bench: Bench) -> list[Row]:
    """Sentences a second beside the hub interface, and the share of the forward pass."""
    from fairseq_lth.capture.encoder import FairseqEncoder

    rows, lines = [], encode.random_lines(50 if bench.small else 4000)
    inside, run = [0.0], FairseqEncoder.run

    def timed(own: Any, windows: Any) -> Any:
        start = clock(bench.device)
        found = run(own, windows)
        inside[0] += clock(bench.device) - start
        return found

    for size in ("quickstart",) if bench.small else SIZES:
        with tempfile.TemporaryDirectory(dir=bench.folder) as scratch:
            folder = Path(scratch)
            level = make_level(folder / "checkpoint_lth0.pt", make_data(folder, 10, 8000, (5, 40)), SIZES[size])
            few = lines[:500]
            hub = len(few) / bench.seconds(encode.hub(level, few, bench.device))
            write = encode.ours(level, lines, bench.device)
            ours = len(lines) / bench.seconds(write)
            with patch.object(FairseqEncoder, "run", timed):
                inside[0], start = 0.0, clock(bench.device)
                write()
                share = inside[0] / (clock(bench.device) - start)
        rows.append(Row(f"encode, {size}, beside the hub interface", ours, "sentences/s", hub, ours / hub, ">= 5"))
        rows.append(Row(f"encode, {size}, beside its forward pass", ours, "sentences/s", ours / share, share, ">= 0.5"))
    return rows


def probes(bench: Bench) -> list[Row]:
    """The whole stage in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.probe_stage", str(bench.data), str(bench.folder), "--dim", "1024"]
    seconds = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])["wall_seconds"]
    return [Row("18 tasks of the open data, 7 layers of 1024", seconds, "s", target="<= 180 s")]


def similarities(bench: Bench) -> list[Row]:
    """The rate of products over the whole command, and what it makes of nine levels."""
    size = similarity_scale.Size(64, 2, ("encoder",), 2) if bench.small else similarity_scale.PAPER
    log, output = bench.folder / "memory.csv", bench.folder / "similarity"
    seconds = similarity_scale.run_and_watch(similarity_scale.write_dumps(bench.folder, size), output, log)[-1].wall
    n_tokens = similarity_scale.N_SENTENCES * similarity_scale.MEAN_TOKENS
    # of n layers of a component n (n - 1) / 2 pairs, and half a product for each layer with itself
    made = len(size.components) * n_tokens * (size.width * size.layers * size.levels) ** 2
    rate, limit = made / seconds / 1e12, bench.limit("products")
    nine_levels = seconds * (similarity_scale.PAPER_LEVELS / size.levels) ** 2
    return [
        Row("similarity of two levels, products", rate, "TFLOP/s", limit, rate / limit, ">= 0.6"),
        Row("similarity of nine levels at that rate", nine_levels, "s", target="<= 180 s"),
    ]


SECTIONS: dict[str, Callable[[Bench], list[Row]]] = {
    "limits": limits, "training": training, "budget": budget, "masks": masks, "dump": dumps, "encode": encodings,
    "probes": probes, "similarity": similarities,
}  # fmt: skip


def machine(device: str) -> dict[str, str]:
    """Device, driver and torch."""
    import torch

    if device == "cpu":
        return {"device": "cpu", "torch": torch.__version__}
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.check_output(query, text=True).split()[0]
    return {"device": torch.cuda.get_device_name(), "driver": driver, "torch": torch.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--data", type=Path, help="folder of the corpora of recipes/open_en_de")
    parser.add_argument("--try", dest="small", action="store_true", help="small, on the CPU")
    arguments = parser.parse_args()
    if not (arguments.small or arguments.data):
        parser.error("the probes need --data")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    be_quiet()
    from fairseq_lth import register

    register()
    path = arguments.folder / "gpu.json"
    rows: dict[str, list[dict[str, Any]]] = json.loads(path.read_text())["rows"] if path.exists() else {}
    bench = Bench(arguments.folder, arguments.data, arguments.small, rows)
    made_on = machine(bench.device)
    for name, section in SECTIONS.items():
        if name in rows or (bench.small and name == "probes"):
            continue
        rows[name] = [asdict(row) for row in section(bench)]
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps({**made_on, "rows": rows}, indent=1))
        beside.rename(path)
    print(json.dumps(made_on))
    print("| what | value | limit | ratio | target |\n|---|---|---|---|---|")
    for row in (Row(**row) for name in SECTIONS for row in rows.get(name, [])):
        limit, ratio = ("" if number is None else f"{number:.3g}" for number in (row.limit, row.ratio))
        print(f"| {row.what} | {row.value:.3g} {row.unit} | {limit} | {ratio} | {row.target} |")


if __name__ == "__main__":
    main()
