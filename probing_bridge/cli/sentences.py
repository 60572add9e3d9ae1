"""`sentences`: what to encode for a suite, each text once, sorted, in DIR/sentences.txt (formats.sentences)."""

from __future__ import annotations

import argparse
from pathlib import Path

from probing_bridge.corpora.suite import add_suite_arguments, load_suite
from probing_bridge.corpora.texts import suite_texts
from probing_bridge.formats.sentences import FILE_NAME, write_sentences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `sentences`."""
    add_suite_arguments(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help=f"where {FILE_NAME} goes")


def run(arguments: argparse.Namespace) -> None:
    """Reads all files of the suite and writes what has to be encoded.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: All faults of the suite or of its files, a line each; nothing is written then.
    """
    suite = load_suite(arguments.suite, arguments.corpora)
    texts = suite_texts(suite)
    path = arguments.output / FILE_NAME
    write_sentences(path, texts)
    words = sum(len(text.words) for text in texts)
    print(f"{path}: {len(texts)} sentences and documents, {words} words, of {len(suite.tasks)} tasks")
