"""`score`: BLEU and chrF++ of the levels' translations, and paired tests between them, as tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from probing_bridge.cli import command_line
from probing_bridge.translation.metrics import METRICS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `score`."""
    add = parser.add_argument
    pairs = "CHECKPOINT=FILE"
    add("levels", nargs="+", metavar=pairs, help="a level's checkpoint and what fairseq-generate wrote for it")
    add("--against", nargs="+", default=[], metavar=pairs, help="levels of other experiments to compare with")
    add("--reference", type=Path, required=True, metavar="FILE", help="plain references, one a line, in corpus order")
    add("--test-set", required=True, metavar="NAME", help="its name in the tables")
    add(
        "--metrics", nargs="+", default=["sacrebleu", "chrf++"], choices=METRICS, metavar="NAME",
        help=f"of {', '.join(METRICS)} (default: sacrebleu chrf++)",
    )  # fmt: skip
    add("--output", type=Path, required=True, metavar="DIR", help="results folder for bleu.csv and its kin")


def run(arguments: argparse.Namespace) -> None:
    """Scores, writes the tables and prints where they are.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input, found before anything is computed.
    """
    from probing_bridge.translation.run import run as score

    scores, differences = score(
        arguments.levels,
        arguments.against,
        arguments.reference,
        arguments.output,
        test_set=arguments.test_set,
        metrics=list(dict.fromkeys(arguments.metrics)),
        command=command_line(),
    )
    print(f"{arguments.output}: {len(scores)} scores in bleu.csv, {len(differences)} tests in bleu_differences.csv")
