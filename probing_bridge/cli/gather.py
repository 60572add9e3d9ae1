"""`gather`: the result tables of one experiment in a folder of their own."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `gather`."""
    add = parser.add_argument
    add("--results", type=Path, required=True, metavar="DIR", help="folder of all its tables, lth.csv among them")
    add("--parent", type=Path, metavar="DIR", help="tables of the experiment whose level 0 this one shares")
    add("--output", type=Path, required=True, metavar="DIR", help="results folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Writes the tables and prints which.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    from probing_bridge.results.gather import gather

    names = gather(arguments.results, arguments.output, arguments.parent)
    print(f"{arguments.output}: {', '.join(names)}")
