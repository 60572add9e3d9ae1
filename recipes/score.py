"""Sacrebleu of fairseq-generate's logs as the result table `bleu`.

    python recipes/score.py --reference test.de --test-set NAME --output bleu.csv LEVEL.pt=GENERATE.log ...

Detokenised BLEU against the plain reference, with a bootstrap interval; the signature says how it was made.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from sacrebleu.metrics import BLEU

from fairseq_lth.checkpoints import level_record
from probing_bridge import __version__
from probing_bridge.results import write_table

BOOTSTRAP = 1000


def main() -> None:
    """Scores every level and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "levels", nargs="+", metavar="LEVEL.pt=LOG", help="a checkpoint and the log of fairseq-generate"
    )
    parser.add_argument("--reference", type=Path, required=True, help="plain references, one a line, in corpus order")
    parser.add_argument("--test-set", required=True, help="its name in the table")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    references = arguments.reference.read_text(encoding="utf-8").splitlines()
    rows = []
    for pair in arguments.levels:
        checkpoint, _, log = pair.partition("=")
        record = level_record(checkpoint)
        bleu = BLEU()
        score = bleu.corpus_score(hypotheses(Path(log), len(references)), [references], n_bootstrap=BOOTSTRAP)
        rows.append(
            {
                "experiment": record.experiment,
                "level": record.level,
                "test_set": arguments.test_set,
                "metric": "sacrebleu",
                "score": score.score,
                "low": score._mean - score._ci,
                "high": score._mean + score._ci,
                "n": len(references),
                "signature": str(bleu.get_signature()),
                "package_version": __version__,
                "command": f"recipes/score.py --reference {arguments.reference.name}",
            }
        )
    write_table(pd.DataFrame(rows), "bleu", arguments.output)


def hypotheses(log: Path, count: int) -> list[str]:
    """The detokenised hypotheses (`D-` lines) of a fairseq-generate log in corpus order; exits if any is missing."""
    found = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        if line.startswith("D-"):
            number, _, text = line.split("\t", 2)
            found[int(number[2:])] = text
    if sorted(found) != list(range(count)):
        sys.exit(
            f"score: {log} has hypotheses for {len(found)} of {count} references: generate again, skipping nothing"
        )
    return [found[number] for number in range(count)]


if __name__ == "__main__":
    main()
