"""Reading corpora: words per CPU second, beside the conllu package and the rate of the original.

`python -m benchmarks.readers [--data ../shared/data]` reads a made-up CoNLL-U file of 100,000 words as the tasks do and
with the conllu package, in turns; with --data also every task of recipes/open_en_de/suite.yaml by itself, and all of
them as `probe` does, where tasks on one file share what is parsed. The original reads
100,000 words of POS tagging in 14.5 CPU seconds, features included (measured on its commit 1550abe); features
are not part of this.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.blas import interleaved, seconds
from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.suite import SPLITS, SuiteTask, load_suite
from probing_bridge.corpora.tasks import read_instances

N_WORDS, SENTENCE_LENGTH, REPETITIONS = 100_000, 20, 5
ORIGINAL_SECONDS = 14.5
SUITE = Path(__file__).resolve().parents[1] / "recipes" / "open_en_de" / "suite.yaml"


def made_up_treebank() -> str:
    """Sentences of 20 words whose heads are the words before them."""
    rng = random.Random(0)
    rows = []
    for word in range(N_WORDS):
        place = word % SENTENCE_LENGTH
        form = f"w{rng.randrange(20_000)}"
        rows.append(f"{place + 1}\t{form}\t{form}\tNOUN\tNN\tNumber=Sing\t{place}\tdep\t_\tSpaceAfter=No\n")
        if place == SENTENCE_LENGTH - 1:
            rows.append("\n")
    return "".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder of the open data: also read all eighteen tasks")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made-up.conllu"
        path.write_text(made_up_treebank(), encoding="utf-8")
        times = interleaved([lambda: read_instances("pos", path), lambda: read_with_conllu(path)], REPETITIONS)
    (_, ours), (_, package) = times
    result = {
        "benchmark": "readers",
        "words": N_WORDS,
        "pos_cpu_seconds": round(ours, 3),
        "conllu_package_cpu_seconds": round(package, 3),
        "times_conllu_package": round(package / ours, 1),
        "times_original": round(ORIGINAL_SECONDS / ours, 1),
    }
    if arguments.data is not None:
        result["open_data_cpu_seconds"] = read_suite(arguments.data)
    print(json.dumps(result))


def read_with_conllu(path: Path) -> list[tuple[list[str], list[str]]]:
    """Words and tags by the conllu package."""
    import conllu

    with open(path, encoding="utf-8") as file:
        return [([w["form"] for w in one], [w["upos"] for w in one]) for one in conllu.parse_incr(file)]


def _read(task: SuiteTask, found: list[list[Instance]]) -> None:
    found.extend(read_instances(task.task, task.path(split)) for split in SPLITS)


def _read_all(data: Path) -> None:
    for task in load_suite(SUITE, data).tasks.values():
        for split in SPLITS:
            task.read(split)


def read_suite(data: Path) -> dict[str, float]:
    """CPU seconds of every task, all splits, and of all of them together; prints words per second."""
    times = {}
    for name, task in load_suite(SUITE, data).tasks.items():
        found: list[list[Instance]] = []
        _, times[name] = seconds(partial(_read, task, found))
        n_words = sum(len(instance.tokens) for split in found for instance in split)
        rate = n_words / times[name]
        ratio = rate / (N_WORDS / ORIGINAL_SECONDS)
        print(
            f"{name:24} {n_words:8d} words {times[name]:6.2f} s {rate:10.0f} words/s {ratio:6.0f}x the original's POS"
        )
    times["together"] = seconds(partial(_read_all, data))[1]
    print(f"one by one {sum(times.values()) - times['together']:.2f} s, together {times['together']:.2f} s")
    return {name: round(value, 3) for name, value in times.items()}


if __name__ == "__main__":
    main()
