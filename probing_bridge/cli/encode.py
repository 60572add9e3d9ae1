"""`encode`: one vector a word and layer of a Hugging Face model; fairseq's are encoded by `fairseq_lth.encode`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from probing_bridge.errors import BridgeError
from probing_bridge.formats.origin import MOST_LEVELS


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what names a model and its place in a series."""
    add = parser.add_argument
    add("--hf", required=True, type=Path, metavar="DIR", help="the folder of a Hugging Face model")
    add("--level", type=whole_number, metavar="N", help="which level of its series the model is, 0: dense")
    add("--sparsity", action="store_true", help="read the sparsity of the weights: those that are exactly zero")
    add("--source-lang", default="", metavar="CODE", help="language of the source, as the tokenizer calls it")
    add("--target-lang", default="", metavar="CODE", help="language of the target")
    add("--max-tokens", type=_tokens, default=1000, metavar="N", help="pieces in a batch (%(default)s)")
    add("--cpu", action="store_true", help="use the CPU even if there is a GPU")


def whole_number(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal() or int(text) > MOST_LEVELS:
        raise argparse.ArgumentTypeError(f"{text!r:.80}: expected a whole number from 0 to {MOST_LEVELS}")
    return int(text)


def _tokens(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_LEVELS:
        raise argparse.ArgumentTypeError(f"{text!r:.80}: expected a whole number from 1 to {MOST_LEVELS}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `encode`."""
    add_model_arguments(parser)
    add = parser.add_argument
    add("--sentences", required=True, type=Path, metavar="WORDS.txt", help="one sentence a line, of `sentences`")
    add("--output", required=True, type=Path, metavar="REPS.hdf5", help="the file to write")
    add(
        "--side",
        choices=("source", "target"),
        default="source",
        help="whose words they are: target: the decoder's, under teacher forcing (%(default)s)",
    )
    add("--source", type=Path, metavar="WORDS.txt", help="with --side target: the source of each line (default: empty)")
    add("--pooling", choices=("mean", "first", "last"), default="mean", help="how pieces become a word (%(default)s)")
    add("--dtype", choices=("float32", "float16"), default="float32", help="float16 halves the file (%(default)s)")
    add("--allow-unknown", action="store_true", help="encode even if fewer than half of the pieces are known")


def run(arguments: argparse.Namespace) -> None:
    """Encodes a file of words.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    from probing_bridge.capture.encoding import Output, logger
    from probing_bridge.huggingface.encoding import EncodeRequest, encode
    from probing_bridge.huggingface.levels import Level

    if arguments.source is not None and arguments.side != "target":
        raise BridgeError("--source is for --side target: the words of an encoder have no other source")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout, force=True)
    logger.setLevel(logging.INFO)
    encode(
        EncodeRequest(
            folder=arguments.hf,
            sentences=arguments.sentences,
            output=Output(arguments.output, arguments.dtype),
            level=Level(arguments.level, arguments.sparsity),
            languages={"source": arguments.source_lang, "target": arguments.target_lang},
            side=arguments.side,
            source=arguments.source,
            pooling=arguments.pooling,
            max_tokens=arguments.max_tokens,
            allow_unknown=arguments.allow_unknown,
            cpu=arguments.cpu,
        )
    )
