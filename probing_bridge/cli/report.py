"""`python -m probing_bridge.run report`: figures, tables, claims and the page from result tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from probing_bridge.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `report`."""
    parser.add_argument("--results", metavar="DIR", help="results folder of one experiment (default: A of --compare)")
    parser.add_argument(
        "--baseline",
        nargs="+",
        default=[],
        metavar="DIR",
        help="results folders of other experiments whose BLEU is shown beside it, such as random pruning",
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
    if arguments.results is None and arguments.compare is None:
        raise BridgeError("nothing to report on: give --results DIR, or --compare A B")
    from probing_bridge.report.page import build
    from probing_bridge.results.compared import compare
    from probing_bridge.results.folder import read_results, with_baselines

    folder = arguments.results
    if folder is None:
        folder = next((side for side in arguments.compare if Path(side).is_dir()), None)
        if folder is None:
            raise BridgeError("--compare: neither side is a results folder; give one, or --results DIR")
    results = with_baselines(read_results(folder, arguments.allow_mixed), arguments.baseline, arguments.allow_mixed)
    comparison = None
    if arguments.compare:
        a, b = arguments.compare
        comparison = compare(a, b, arguments.allow_mixed)
    print(f"page: {build(results, arguments.output, comparison)}")
