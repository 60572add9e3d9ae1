"""`prune`: a one-shot series of a Hugging Face model; fairseq's models are pruned while they train."""

from __future__ import annotations

import argparse
from pathlib import Path

from probing_bridge.cli.encode import whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `prune`."""
    add = parser.add_argument
    add("--hf", required=True, type=Path, metavar="DIR", help="the folder of the dense model")
    add(
        "--rates",
        required=True,
        type=_rates,
        metavar="R,R,...",
        help="shares of the prunable weights, such as 0.2,0.36",
    )
    add("--score", choices=("magnitude", "random", "shuffle"), default="magnitude", help="which go first (%(default)s)")
    add("--seed", type=whole_number, default=1, metavar="N", help="of random and shuffle (%(default)s)")
    add("--output", required=True, type=Path, metavar="DIR", help="where lth0, the dense model, lth1, ... go")


def _rates(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers with commas between, such as 0.2,0.36") from None


def run(arguments: argparse.Namespace) -> None:
    """Writes the series and prints its levels.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    from probing_bridge.huggingface.series import prune_series

    levels = prune_series(arguments.hf, arguments.rates, arguments.score, arguments.seed, arguments.output)
    for level in levels.itertuples():
        prunable = f"{level.sparsity_prunable:.4f} of the prunable weights"
        print(f"{arguments.output / level.checkpoint}: {prunable}, {level.sparsity:.4f} of all")
