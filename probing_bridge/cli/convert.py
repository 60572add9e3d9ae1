"""`convert`: corpora as they are published, to the files of a suite; docs/corpora.md has the steps for each task."""

from __future__ import annotations

import argparse
from pathlib import Path

from probing_bridge.corpora.converters import CONVERTERS
from probing_bridge.errors import InputError
from probing_bridge.formats.files import written_beside


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `convert`."""
    titles = "; ".join(f"{name}: {converter.title}" for name, converter in CONVERTERS.items())
    parser.add_argument("format", choices=CONVERTERS, metavar="FORMAT", help=titles)
    parser.add_argument("inputs", nargs="+", type=Path, metavar="FILE", help="in the order that the output is to have")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the file to write")


def run(arguments: argparse.Namespace) -> None:
    """Converts, and prints how much.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    converter = CONVERTERS[arguments.format]
    before, between, behind = converter.frame
    count = 0
    with written_beside(arguments.output) as beside:
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            for count, piece in enumerate(converter.pieces(arguments.inputs), 1):
                file.write((between if count > 1 else before) + piece)
            file.write(behind)
        if not count:
            raise InputError("nothing in it could be converted", arguments.inputs[0])
    print(f"{arguments.output}: {count} {'files' if arguments.format == 'conll2012' else 'sentences'}")
