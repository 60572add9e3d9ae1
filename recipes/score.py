"""BLEU of fairseq-generate's translations as the result table `bleu`.

    python recipes/score.py --reference test.de --test-set NAME --output bleu.csv LEVEL.pt=generate-test.txt ...

`sacrebleu` is detokenised BLEU against the plain reference. `compound_split_bleu` is what many papers on WMT14 call
BLEU: of Moses tokens, after hyphens between words have been split off on both sides (Vaswani et al. 2017; fairseq's
compound_split_bleu.sh). It is about one point higher, so the two must not be compared. The signature says how each
was made; intervals are 95 % by bootstrap.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import pandas as pd
from sacrebleu.metrics import BLEU

from fairseq_lth.checkpoints import level_record
from probing_bridge import __version__
from probing_bridge.tables import write_table

BOOTSTRAP = 1000
METRICS = ("sacrebleu", "compound_split_bleu")


def main() -> None:
    """Scores every level and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("levels", nargs="+", metavar="LEVEL.pt=FILE", help="a checkpoint and its translations")
    parser.add_argument("--reference", type=Path, required=True, help="plain references, one a line, in corpus order")
    parser.add_argument("--test-set", required=True, help="its name in the table")
    parser.add_argument(
        "--metrics", nargs="+", choices=METRICS, default=METRICS[:1], help="default: sacrebleu; both need Moses tokens"
    )
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    references = arguments.reference.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    rows = []
    for pair in arguments.levels:
        checkpoint, _, file = pair.partition("=")
        record = level_record(checkpoint)
        for metric in arguments.metrics:
            if metric == "sacrebleu":
                scores = detokenised_bleu(Path(file), references)
            else:
                scores = compound_split_bleu(Path(file), len(references))
            rows.append(
                {
                    "experiment": record.experiment,
                    "level": record.level,
                    "test_set": arguments.test_set,
                    "metric": metric,
                    "n": len(references),
                    "package_version": __version__,
                    "command": f"recipes/score.py --reference {arguments.reference.name}",
                    **scores,
                }
            )
    write_table(pd.DataFrame(rows), "bleu", arguments.output)


def detokenised_bleu(path: Path, references: list[str]) -> dict[str, float | str]:
    """Sacrebleu's default BLEU of the detokenised hypotheses: score, low, high, signature."""
    return score(BLEU(), lines(path, "D", len(references)), references)


def compound_split_bleu(path: Path, count: int) -> dict[str, float | str]:
    """BLEU of the tokens, hyphenated compounds split as fairseq does: score, low, high, signature."""
    sides = ([split_compounds(line) for line in lines(path, kind, count)] for kind in ("H", "T"))
    scores = score(BLEU(tokenize="none", smooth_method="none", force=True), *sides)
    return scores | {"signature": f"{scores['signature']}|compounds:split"}


def split_compounds(line: str) -> str:
    """`a-b` becomes three tokens."""
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", line)


def score(bleu: BLEU, found: list[str], references: list[str]) -> dict[str, float | str]:
    """Corpus BLEU with its 95 % bootstrap interval and signature."""
    result = bleu.corpus_score(found, [references], n_bootstrap=BOOTSTRAP)
    low, high = result._mean - result._ci, result._mean + result._ci
    return {"score": result.score, "low": low, "high": high, "signature": str(bleu.get_signature())}


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
    main()
