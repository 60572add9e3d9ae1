"""`python -m fairseq_lth.levels DIR`: the levels of a run, checked, and exported.

    python -m fairseq_lth.levels DIR                                    table and checks
    python -m fairseq_lth.levels DIR --level 3 --export plain.pt        a checkpoint that plain fairseq loads
    python -m fairseq_lth.levels DIR --level 3 --compact l3.safetensors bit mask and kept values
    python -m fairseq_lth.levels l3.safetensors --export plain.pt       back to a checkpoint
    python -m fairseq_lth.levels DIR --average 10 --export mean.pt      the mean of the last ten epochs: no level
    python -m fairseq_lth.levels DIR --interpolate 0 3 --data DATA      the loss on the line between two levels

Exit status 1 if a check fails, 2 for bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import fairseq_lth
from probing_bridge.errors import BridgeError, failures_told, require_values

POINTS = 11


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Args:
        argv: Arguments after the program's name; those of the process if None.

    Returns:
        The exit status: 0, 1 if a check failed, 2 for bad input.
    """
    parser = argparse.ArgumentParser(
        prog="python -m fairseq_lth.levels", description="Show, check and export the levels of a run."
    )
    parser.add_argument("source", type=Path, help="the --save-dir of a training, or a compact level to expand")
    parser.add_argument("--level", type=int, help="the level to export (default: the last)")
    parser.add_argument("--export", type=Path, metavar="FILE.pt", help="write a checkpoint that plain fairseq loads")
    parser.add_argument("--compact", type=Path, metavar="FILE.safetensors", help="write bit mask and kept values")
    parser.add_argument(
        "--average",
        type=int,
        metavar="N",
        help="export the mean of the last N checkpoints of epochs, which is no level",
    )
    parser.add_argument(
        "--interpolate", nargs=2, metavar=("A", "B"), help="the loss between two levels, or checkpoints of any run"
    )
    parser.add_argument("--points", type=int, help=f"models on that line, with both ends (default: {POINTS})")
    parser.add_argument("--data", help="the binarised data with the validation set, for --interpolate")
    parser.add_argument(
        "--bleu",
        choices=("subword_nmt", "sentencepiece", "wordpiece", "none"),
        help="also BLEU on that line, with subwords undone as by fairseq's --post-process",
    )
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(words)
    _check_together(parser, arguments)
    fairseq_lth.register()
    from fairseq_lth.levels.checking import run

    try:
        require_values(words)
        with failures_told():
            if not arguments.interpolate:
                return run(arguments)
            from fairseq_lth.levels.interpolation import run_interpolation

            points = POINTS if arguments.points is None else arguments.points
            run_interpolation(arguments.source, arguments.interpolate, points, arguments.data, arguments.bleu)
            return 0
    except BridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _check_together(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Ends the program where flags do not go together."""
    if arguments.interpolate and not arguments.data:
        parser.error("--interpolate needs --data, the binarised data that the run was trained on")
    if arguments.bleu and not arguments.interpolate:
        parser.error("--bleu is for --interpolate; `score` of the bridge is for translations")
    if not arguments.interpolate and (arguments.data is not None or arguments.points is not None):
        parser.error("--data and --points are for --interpolate")
    exports = [arguments.export, arguments.compact, arguments.level, arguments.average]
    if arguments.interpolate and any(given is not None for given in exports):
        parser.error("--interpolate stands alone, without --export, --compact, --level and --average")
    if arguments.average is not None and (arguments.export is None or arguments.compact or arguments.level is not None):
        parser.error("--average needs --export, and takes neither --level nor --compact")


if __name__ == "__main__":
    sys.exit(main())
