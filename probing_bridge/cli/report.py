"""`python -m probing_bridge.run report`: figures, tables, claims and the page from result tables."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `report`."""
    parser.add_argument(
        "--results",
        nargs="+",
        default=[],
        metavar="DIR",
        help="results folders of one experiment, one a run: they differ in the seed alone (default: A of --compare)",
    )
    for name, what in (
        ("--baseline", "another experiment whose BLEU is shown beside it, such as random pruning"),
        ("--control", "another experiment that it is compared with in all tables, such as one with nothing pruned"),
    ):
        parser.add_argument(
            name,
            nargs="+",
            action="append",
            default=[],
            metavar="DIR",
            help=f"results folders of {what}, one a run, in the order of --results; may be given again for another one",
        )
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="two experiments side by side: results folders, JSON files of reference numbers, or the word `paper`",
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="folder for index.html and figures/")
    parser.add_argument(
        "--allow-mixed", action="store_true", help="take rows of several experiments, versions or data as one's"
    )


def run(arguments: argparse.Namespace) -> None:
    """Builds the page and prints where it is.

    Raises:
        BridgeError: Nothing to report on, or faulty results.
    """
    from probing_bridge.report.run import report

    page = report(
        arguments.results,
        arguments.output,
        arguments.baseline,
        arguments.control,
        arguments.compare or (),
        arguments.allow_mixed,
    )
    print(f"page: {page}")
