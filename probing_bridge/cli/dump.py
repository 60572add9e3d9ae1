"""`dump`: states and attention of a Hugging Face model; of fairseq's, `fairseq-validate --dump-activations`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from probing_bridge.cli.encode import add_model_arguments, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `dump`."""
    add_model_arguments(parser)
    add = parser.add_argument
    add("--source", required=True, type=Path, metavar="TEXT", help="what the model reads, one sentence a line")
    add("--target", type=Path, metavar="TEXT", help="its translations, for a model that translates")
    add("--output", required=True, type=Path, metavar="DUMP.h5", help="the file to write")
    add(
        "--dump-output",
        type=whole_number,
        default=0,
        metavar="K",
        help="also the K best tokens at each target position",
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes the dump.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    from probing_bridge.huggingface.dumping import DumpRequest, dump, logger
    from probing_bridge.huggingface.levels import Level

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout, force=True)
    logger.setLevel(logging.INFO)
    dump(
        DumpRequest(
            folder=arguments.hf,
            source=arguments.source,
            target=arguments.target,
            output=arguments.output,
            level=Level(arguments.level, arguments.sparsity),
            languages={"source": arguments.source_lang, "target": arguments.target_lang},
            n_best=arguments.dump_output,
            max_tokens=arguments.max_tokens,
            cpu=arguments.cpu,
        )
    )
