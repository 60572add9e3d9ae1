"""`python -m fairseq_lth.levels DIR`: the levels of a run, checked, and exported.

    python -m fairseq_lth.levels DIR                                    table and checks
    python -m fairseq_lth.levels DIR --level 3 --export plain.pt        a checkpoint that plain fairseq loads
    python -m fairseq_lth.levels DIR --level 3 --compact l3.safetensors bit mask and kept values
    python -m fairseq_lth.levels l3.safetensors --export plain.pt       back to a checkpoint

Exit status 1 if a check fails, 2 for bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import fairseq_lth
from probing_bridge.errors import BridgeError, full_disk_told


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
    arguments = parser.parse_args(argv)
    fairseq_lth.register()
    from fairseq_lth.levels.checking import run

    try:
        with full_disk_told():
            return run(arguments)
    except BridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
