"""`python -m fairseq_lth.encode --path LEVEL --sentences WORDS.txt --output REPS.hdf5`: one vector a word and layer.

WORDS.txt holds one sentence a line, words with one space between; a TAB in place of a space ends a sentence inside a
document, whose sentences are encoded one by one and stored as one. probing_bridge.formats.representations describes
REPS.hdf5. Tokenizer and BPE are fairseq's own and take fairseq's own flags. The GPUs of a machine share the work, and
so do processes that are given `--shard I/N`; `probe` reads their files as one.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import fairseq_lth
from probing_bridge.errors import BridgeError, failures_told, require_values


def main(argv: Sequence[str] | None = None) -> int:
    """Encodes a file of words.

    Args:
        argv: Arguments after the program's name; those of the process if None.

    Returns:
        Exit status: 0 done, 2 bad input (one line on standard error says what and where).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(words)
    if arguments.shard is None and not arguments.cpu and (devices := _devices()) > 1:
        return _on_each(devices, words)
    arguments.shard = arguments.shard or (0, 1)
    fairseq_lth.register()
    from fairseq_lth.capture import encoder
    from probing_bridge.capture.encoding import logger

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout, force=True)
    logger.setLevel(logging.INFO)
    try:
        require_values(words)
        with failures_told():
            encoder.encode_file(arguments)
    except BridgeError as error:
        print(f"fairseq_lth.encode: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _devices() -> int:
    from torch.cuda import device_count

    return device_count()


def _on_each(devices: int, argv: Sequence[str]) -> int:
    """Encodes one part on each GPU, in a process of its own; the worst of their statuses."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = shown if len(shown) == devices else [str(number) for number in range(devices)]
    command = [sys.executable, "-m", "fairseq_lth.encode", *argv]
    processes = [
        subprocess.Popen([*command, "--shard", f"{number}/{devices}"], env={**os.environ, "CUDA_VISIBLE_DEVICES": name})
        for number, name in enumerate(names)
    ]
    try:
        return max(abs(process.wait()) for process in processes)
    finally:
        for process in processes:
            process.kill()


def shard(text: str) -> tuple[int, int]:
    """Reads I/N, 0 <= I < N."""
    if (found := re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)) is None or not int(found[1]) < int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 0 to N - 1, such as 0/4")
    return int(found[1]), int(found[2])


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; fairseq is imported only where a tokenizer or a BPE with flags of its own is named.

    Args:
        argv: Arguments after the program's name; those of the process if None.

    Returns:
        The arguments, with those of fairseq's tokenizer and BPE.
    """
    parser = argparse.ArgumentParser(
        prog="python -m fairseq_lth.encode", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--path", required=True, metavar="CHECKPOINT", help="a level, or any fairseq Transformer")
    parser.add_argument("--sentences", required=True, type=Path, metavar="WORDS.txt", help="one sentence a line")
    parser.add_argument(
        "--side",
        choices=("source", "target"),
        default="source",
        help="whose words they are: the encoder's, or the decoder's under teacher forcing (%(default)s)",
    )
    parser.add_argument(
        "--source", type=Path, metavar="WORDS.txt", help="with --side target: the source of each line (default: empty)"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="REPS.hdf5", help="the file to write")
    parser.add_argument("--data", metavar="DIR", help="folder of the dictionaries, if it has moved since the training")
    parser.add_argument(
        "--pooling", choices=("mean", "first", "last"), default="mean", help="how pieces become a word (%(default)s)"
    )
    parser.add_argument("--max-tokens", type=int, default=1000, metavar="N", help="pieces in a batch (%(default)s)")
    parser.add_argument(
        "--allow-unknown", action="store_true", help="encode even if the model knows fewer than half of the pieces"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        default="float32",
        help="float16 halves the file; means are taken off before",
    )
    parser.add_argument(
        "--shard", type=shard, metavar="I/N", help="encode only the I-th of N parts, from 0 (default: all, one a GPU)"
    )
    parser.add_argument("--cpu", action="store_true", help="use the CPU even if there is a GPU")
    parser.add_argument("--fp16", action="store_true", help="half precision on the GPU")
    named = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("tokenizer", "bpe"):
        parser.add_argument(f"--{name}", metavar="NAME", help=f"fairseq's; with its own flags: --{name} NAME --help")
        named.add_argument(f"--{name}")
    chosen = vars(named.parse_known_args(argv)[0])
    if any(chosen.values()):
        fairseq_lth.register()
        from fairseq_lth.capture.encoder import add_segmentation_flags

        add_segmentation_flags(parser, chosen)
    parser.set_defaults(source_lang=None, target_lang=None)  # of the checkpoint, unless given
    arguments = parser.parse_args(argv)
    if arguments.max_tokens < 1:
        parser.error(f"argument --max-tokens: {arguments.max_tokens}: expected at least 1")
    if arguments.source is not None and arguments.side != "target":
        parser.error("--source is for --side target: the words of the encoder have no other source")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
