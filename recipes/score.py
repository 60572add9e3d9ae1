r"""BLEU of fairseq-generate's translations as the result tables `bleu` and `bleu_differences`.

    python recipes/score.py --reference test.de --test-set NAME --output RESULTS LEVEL.pt=generate-test.txt ... \
        [--against LEVEL.pt=generate-test.txt ...]

`sacrebleu` is detokenised BLEU against the plain reference. `compound_split_bleu` is what many papers on WMT14 call
BLEU: of Moses tokens, after hyphens between words have been split off on both sides (Vaswani et al. 2017; fairseq's
compound_split_bleu.sh). It is about one point higher, so the two must not be compared. The signature says how each
was made; intervals are 95 % by bootstrap.

Differences are tested two-sided by paired approximate randomisation over sentences (Riezler & Maxwell 2005): every
level against the dense one, and against the level of the same number of each experiment that --against names. A branch
has no dense level of its own: --against has it. Sacrebleu's own paired tests (2.6.0) are not used: its bootstrap
centres absolute differences, as Moses did, so that its p is neither one- nor two-sided (0.41 for a difference of 0.001
BLEU), and its randomisation leaves out trials that differ just as much as the two do, so that equal translations have
p = 0.0001.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sacrebleu.metrics import BLEU

from fairseq_lth.levels.checkpoints import level_record
from probing_bridge import __version__
from probing_bridge.errors import BridgeError
from probing_bridge.formats.tables import write_table

BOOTSTRAP, TRIALS, CHUNK, SEED = 1000, 10000, 500, 12345
METRICS = ("sacrebleu", "compound_split_bleu")


@dataclass(frozen=True)
class System:
    """A level and the file of its translations."""

    experiment: str
    level: int
    path: Path


def main() -> None:
    """Scores and compares every level and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    pair = {"nargs": "+", "metavar": "LEVEL.pt=FILE", "type": system}
    parser.add_argument("levels", help="a checkpoint and its translations", **pair)
    parser.add_argument("--against", default=[], help="levels of other experiments to compare with", **pair)
    parser.add_argument("--reference", type=Path, required=True, help="plain references, one a line, in corpus order")
    parser.add_argument("--test-set", required=True, help="its name in the table")
    parser.add_argument(
        "--metrics", nargs="+", choices=METRICS, default=METRICS[:1], help="default: sacrebleu; both need Moses tokens"
    )
    parser.add_argument("--output", type=Path, required=True, help="results folder")
    arguments = parser.parse_args()
    references = arguments.reference.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    about = {
        "test_set": arguments.test_set,
        "n": len(references),
        "package_version": __version__,
        "command": f"recipes/score.py --reference {arguments.reference.name}",
    }
    scores, differences = [], []
    for metric in arguments.metrics:
        texts = {each: sides(metric, each.path, references) for each in (*arguments.levels, *arguments.against)}
        found = {each: score(metric, *text) for each, text in texts.items()}
        scores += [identity(each) | {"metric": metric} | found[each] for each in arguments.levels]
        for other, levels in comparisons(arguments.levels, arguments.against):
            for each in levels:
                p, signature = paired_p(metric, texts[each], texts[other])
                differences.append(
                    identity(each)
                    | {"other_experiment": other.experiment, "other_level": other.level, "metric": metric}
                    | {"difference": found[each]["score"] - found[other]["score"], "p": p, "signature": signature}
                )
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, rows in (("bleu", scores), ("bleu_differences", differences)):
        write_table(pd.DataFrame(rows).assign(**about), name, arguments.output / f"{name}.csv")


def system(text: str) -> System:
    """Reads LEVEL.pt=FILE."""
    checkpoint, _, file = text.partition("=")
    record = level_record(checkpoint)
    return System(record.experiment, record.level, Path(file))


def identity(each: System) -> dict[str, str | int]:
    """The columns that say which level a row is about."""
    return {"experiment": each.experiment, "level": each.level}


def comparisons(levels: list[System], against: list[System]) -> list[tuple[System, list[System]]]:
    """What is compared: a level, and those that are compared with it."""
    dense = next((each for each in (*levels, *against) if each.level == 0), None)
    found = [(dense, [each for each in levels if each != dense])] if dense else []
    found += [
        (other, [each for each in levels if each.level == other.level and each.experiment != other.experiment])
        for other in against
        if other != dense
    ]
    return [(other, compared) for other, compared in found if compared]


def sides(metric: str, path: Path, references: list[str]) -> tuple[list[str], list[str]]:
    """The hypotheses and references that a metric compares."""
    if metric == "sacrebleu":
        return lines(path, "D", len(references)), references
    hypotheses, targets = (
        [split_compounds(line) for line in lines(path, kind, len(references))] for kind in ("H", "T")
    )
    return hypotheses, targets


def split_compounds(line: str) -> str:
    """`a-b` becomes three tokens."""
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", line)


def scorer(metric: str) -> BLEU:
    """Sacrebleu's BLEU as the metric wants it."""
    return BLEU() if metric == "sacrebleu" else BLEU(tokenize="none", smooth_method="none", force=True)


def named(metric: str, signature: object) -> str:
    """A signature of sacrebleu with what was done to the tokens before."""
    return str(signature) if metric == "sacrebleu" else f"{signature}|compounds:split"


def score(metric: str, found: list[str], references: list[str]) -> dict[str, float | str]:
    """Corpus BLEU with its 95 % bootstrap interval and signature."""
    bleu = scorer(metric)
    result = bleu.corpus_score(found, [references], n_bootstrap=BOOTSTRAP)
    low, high = result._mean - result._ci, result._mean + result._ci
    return {"score": result.score, "low": low, "high": high, "signature": named(metric, bleu.get_signature())}


def paired_p(metric: str, one: tuple[list[str], list[str]], other: tuple[list[str], list[str]]) -> tuple[float, str]:
    """Two-sided p of two translations of the same references by approximate randomisation, and the test's signature.

    Each trial swaps the two translations of every sentence with probability 1/2. p is the share of the trials, the
    actual outcome among them, whose difference in BLEU is at least the actual one.
    """
    if one[1] != other[1]:
        sys.exit("score: the translations have different T lines: they are not of one test set")
    bleu = scorer(metric)
    a, b = (statistics(bleu, *text) for text in (one, other))
    actual = apart(bleu, a.sum(axis=0), b.sum(axis=0))
    random = np.random.default_rng(SEED)
    at_least = 1
    for _ in range(TRIALS // CHUNK):
        moved = random.integers(2, size=(CHUNK, len(a))) @ (b - a)
        at_least += sum(apart(bleu, a.sum(axis=0) + row, b.sum(axis=0) - row) >= actual for row in moved)
    return at_least / (TRIALS + 1), named(metric, f"{bleu.get_signature()}|ar:{TRIALS}|seed:{SEED}")


def statistics(bleu: BLEU, found: list[str], references: list[str]) -> np.ndarray:
    """What BLEU adds up, (n_sentences, 10): matching and all n-grams of each order, lengths of both sides."""
    scores = [bleu.corpus_score([line], [[reference]]) for line, reference in zip(found, references, strict=True)]
    return np.array([[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores])


def apart(bleu: BLEU, a: np.ndarray, b: np.ndarray) -> float:
    """Absolute difference in BLEU of two sums of statistics."""
    smoothing = {"smooth_method": bleu.smooth_method, "smooth_value": bleu.smooth_value}
    scores = [bleu.compute_bleu([*row[:4]], [*row[4:8]], row[8], row[9], **smoothing).score for row in (a, b)]
    return abs(scores[0] - scores[1])


def lines(path: Path, kind: str, count: int) -> list[str]:
    """One kind of lines in corpus order: D(etokenised), H(ypotheses), T(argets); exits if one is missing."""
    found = {}
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith(f"{kind}-"):
            fields = line.split("\t")
            found[int(fields[0].removeprefix(f"{kind}-"))] = fields[-1]
    if sorted(found) != list(range(count)):
        sys.exit(
            f"score: {path} has {kind} lines for {len(found)} of {count} references: generate again, skipping nothing"
        )
    return [found[number] for number in range(count)]


if __name__ == "__main__":
    try:
        main()
    except (BridgeError, OSError) as error:
        sys.exit(f"score: {error}")
