"""`probe`: train the probes of a suite on representations, and write one table of their scores."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

from probing_bridge.cli import command_line
from probing_bridge.cluster.options import add_cluster_arguments, asked_cluster
from probing_bridge.corpora.suite import add_suite_arguments
from probing_bridge.probes.measures import MEASURES
from probing_bridge.probes.problem import PROBES, Recipe

MOST_PROCESSES, MOST_RESAMPLES = 1024, 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `probe`."""
    add_suite_arguments(parser)
    add, measures = parser.add_argument, "; ".join(f"{name}: {measure.title}" for name, measure in MEASURES.items())
    add("--reps", required=True, type=Path, nargs="+", metavar="FILE", help="word representations, a file per model")
    add("--output", required=True, type=Path, metavar="DIR", help="results folder for probes.csv and its kin")
    add("--tasks", nargs="+", metavar="TASK", help="only these tasks of the suite")
    add("--layers", nargs="+", metavar="LAYER", help="only these layers, as 0 6 norm (default: all)")
    add("--probes", nargs="+", default=["linear"], choices=PROBES, help="kinds of probes (default: linear)")
    add("--mix", action="store_true", help="also probe a learned mix of all layers")
    add(
        "--measures",
        nargs="+",
        default=["score"],
        choices=MEASURES,
        help=f"what is measured (default: score). {measures}",
    )
    add("--seeds", type=_seed, nargs="+", default=[133], metavar="N", help="seeds (default: 133, the recipe's)")
    add(
        "--resamples",
        type=_up_to(MOST_RESAMPLES),
        default=1000,
        metavar="N",
        help="bootstrap samples behind intervals and p-values, of which the least is 2 / (N + 1) (default: 1000)",
    )
    add(
        "--jobs",
        type=_up_to(MOST_PROCESSES),
        default=1,
        metavar="N",
        help="processes at a time on this machine (default: 1)",
    )
    add_cluster_arguments(parser, "jobs")
    add("--memory", type=_gigabytes, metavar="GB", help="memory for features (default: half of what is free)")
    add("--allow-mixed", action="store_true", help="take representations of several experiments in one table")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 0 or more, in 64 bits")
    return int(text)


def _up_to(most: int) -> Callable[[str], int]:
    """Reads a whole number from 1 to `most`."""

    def number(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 1 to {most}")
        return int(text)

    return number


def _gigabytes(text: str) -> int:
    """Gigabytes as bytes."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected gigabytes, 0 or more")
    return int(number * 1e9)


def run(arguments: argparse.Namespace) -> None:
    """Trains what is not finished, writes the tables and prints a summary.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input, found before anything is trained.
        SystemExit: Status 1 if a job failed; the others are finished then.
    """
    from probing_bridge.probes.run import Request
    from probing_bridge.probes.run import run as probe
    from probing_bridge.results.probed import summary

    mixes = (False, True) if arguments.mix else (False,)
    recipes = dict.fromkeys(itertools.starmap(Recipe, itertools.product(arguments.probes, mixes, arguments.seeds)))
    finished = probe(
        Request(
            suite=arguments.suite,
            corpora=arguments.corpora,
            reps=arguments.reps,
            output=arguments.output,
            tasks=arguments.tasks,
            layers=None if arguments.layers is None else tuple(dict.fromkeys(arguments.layers)),
            recipes=list(recipes),
            measures=list(dict.fromkeys(arguments.measures)),
            allow_mixed=arguments.allow_mixed,
            workers=arguments.jobs,
            cluster=asked_cluster(arguments),
            memory=arguments.memory,
            resamples=arguments.resamples,
            command=command_line(),
        )
    )
    print(summary(finished.tables["probes"]))
    if finished.failed:
        lines = [f"failed: {ending.job}: {ending.message}" for ending in finished.failed]
        print("\n".join(lines), file=sys.stderr)
        print(f"{len(lines)} of {finished.n_jobs} jobs failed; run again to try them again", file=sys.stderr)
        raise SystemExit(1)
