"""`instances`: what a probe will see of one file, one JSON object a line with tokens, labels and indices."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from probing_bridge.corpora.readers.formats import FORMATS
from probing_bridge.corpora.suite import COMPAT
from probing_bridge.corpora.tasks import TASKS, read_instances


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `instances`."""
    parser.add_argument("task", choices=tuple(TASKS), metavar="TASK", help="a key of the `tasks` table")
    parser.add_argument("file", type=Path, metavar="FILE", help="the corpus file, plain or .gz")
    parser.add_argument("--format", choices=tuple(FORMATS), help="the file's format, if its name does not tell it")
    parser.add_argument("--compat", choices=(COMPAT,), help="read it as the original code does, faults included")


def run(arguments: argparse.Namespace) -> None:
    """Prints the instances; `indices` is null for taggers, else positions or [child, parent] pairs.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: A fault of the file; nothing is printed then.
    """
    found = read_instances(arguments.task, arguments.file, compat=arguments.compat is not None, format=arguments.format)
    for instance in found:
        line = {"tokens": instance.tokens, "labels": instance.labels, "indices": instance.indices}
        sys.stdout.write(json.dumps(line) + "\n")
