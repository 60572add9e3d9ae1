"""Sentences a second of `fairseq_lth.encode` against fairseq's hub interface called sentence by sentence.

`python -m benchmarks.encode` encodes the same random sentences with a model of the quickstart's size and a base one:
every layer, one vector a word, Moses as the tokenizer as in the recipes. The hub way encodes each word by itself, runs
the encoder on one sentence and pools; ours includes reading the checkpoint's hash and the text, and writing the file.
Prints one JSON line with the ratio of the medians (CPU time, one thread).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.random_level import SIZES, be_quiet, make_data, make_level


def hub(level: Path, lines: list[list[str]], device: str = "cpu") -> Callable[[], None]:
    """Encodes with the hub interface, a sentence at a time."""
    import torch
    from fairseq.hub_utils import GeneratorHubInterface, from_pretrained

    made = from_pretrained(str(level.parent), level.name, str(level.parent / "bin"), tokenizer="moses")
    interface = GeneratorHubInterface(made["args"], made["task"], made["models"]).eval().to(device)
    eos = interface.src_dict.eos()

    def run() -> None:
        for words in lines:
            pieces = [interface.encode(word)[:-1] for word in words]
            ids = torch.cat([*pieces, torch.tensor([eos])])[None].to(device)
            with torch.no_grad():
                lengths = torch.tensor([ids.shape[1]], device=device)
                states = interface.models[0].encoder(ids, lengths, return_all_hiddens=True)
                parts = torch.stack(states["encoder_states"])[:, :-1, 0].split([len(own) for own in pieces], dim=1)
                torch.stack([part.mean(dim=1) for part in parts], dim=1).cpu().numpy()

    return run


def ours(level: Path, lines: list[list[str]], device: str = "cpu") -> Callable[[], None]:
    """Encodes with fairseq_lth.encode, without loading the model anew."""
    from fairseq_lth.capture import encoder
    from fairseq_lth.encode import parse
    from fairseq_lth.levels.checkpoints import require_loadable

    folder = level.parent
    (folder / "words.txt").write_text("".join(" ".join(words) + "\n" for words in lines))
    argv = ["--path", str(level), "--sentences", str(folder / "words.txt"), "--output", str(folder / "r.hdf5")]
    argv += ["--tokenizer", "moses", "--shard", "0/1"]
    arguments = parse([*argv, "--cpu"] if device == "cpu" else argv)
    loaded = encoder._load(arguments, require_loadable(level))

    def run() -> None:
        with patch.object(encoder, "_load", return_value=loaded):
            encoder.encode_file(arguments)

    return run


def random_lines(n_sentences: int) -> list[list[str]]:
    """Sentences of 3 to 40 words that come as often as in text."""
    rng, zipf = random.Random(2), [1 / rank for rank in range(1, 8001)]
    return [
        [f"w{number}" for number in rng.choices(range(8000), zipf, k=rng.randint(3, 40))] for _ in range(n_sentences)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=1000)
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
            data = make_data(folder, 10, 8000, (5, 40))
            level = make_level(folder / "checkpoint_lth0.pt", data, SIZES[size])
            lines = random_lines(arguments.sentences)
            ways = {"hub": hub(level, lines), "encode": ours(level, lines)}
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(arguments.repetitions):
                for way, run in ways.items():
                    start = time.process_time()
                    run()
                    seconds[way].append(time.process_time() - start)
        rates = {way: arguments.sentences / statistics.median(values) for way, values in seconds.items()}
        result[size] = {f"{way}_sentences_per_cpu_second": round(rate, 1) for way, rate in rates.items()}
        result[size]["ratio"] = round(rates["encode"] / rates["hub"], 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
