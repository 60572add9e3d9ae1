"""`tags`: tags of the source words of a dump, as `similarity --tags` takes them."""

from __future__ import annotations

import argparse
from pathlib import Path

from probing_bridge.corpora.suite import add_suite_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `tags`."""
    add = parser.add_argument
    add("--dump", type=Path, required=True, metavar="H5", help="any level's dump: all have the same sentences")
    add_suite_arguments(parser)
    add("--task", required=True, metavar="TASK", help="a task of the suite that tags every word: pos, st, ccg, ...")
    add("--output", type=Path, required=True, metavar="FILE", help="the tag file to write")


def run(arguments: argparse.Namespace) -> None:
    """Writes the tags and prints how many words could be tagged.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    from probing_bridge.corpora import lexicon

    counts = lexicon.run(arguments.dump, arguments.suite, arguments.corpora, arguments.task, arguments.output)
    print(f"{arguments.output}: {counts.total()} words, {counts[lexicon.UNKNOWN]} of them unknown")
