"""The options that the commands have in common which can run on a cluster; not a command of its own."""

from __future__ import annotations

import argparse
from typing import Any

CLUSTERS = {"slurm": "slurm", "submitit-local": "local"}


def add_cluster_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """Declares where the work is done and with which settings of submitit.

    Args:
        parser: Gets the options.
        what: The pieces of work, as jobs or tiles, for the help.
    """
    add = parser.add_argument
    add("--executor", default="here", choices=("here", *CLUSTERS), help=f"where {what} run (default: here)")
    add("--cluster", type=_setting, nargs="+", default=[], metavar="NAME=VALUE", help="settings of submitit's jobs")


def asked_cluster(arguments: argparse.Namespace) -> tuple[str, dict[str, Any]] | None:
    """The cluster as submitit calls it and its settings; None for this machine."""
    name = CLUSTERS.get(arguments.executor)
    return None if name is None else (name, dict(arguments.cluster))


def _setting(text: str) -> tuple[str, Any]:
    """One of submitit's settings, `name=value`; the value is a number where it can be."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE, as slurm_partition=cpu")
    return name, int(value) if value.isdigit() else value
