"""`summary`: levels with sparsity and BLEU, and the best layer of each probe beside its baseline."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `summary`."""
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="results folder of one experiment")


def run(arguments: argparse.Namespace) -> None:
    """Prints what the tables say.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: No results, or faulty ones.
    """
    from probing_bridge.results.summary import summary

    print(summary(arguments.results))
