"""`import`: word representations made elsewhere, checked sentence by sentence and given an origin."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from probing_bridge import __version__
from probing_bridge.errors import BridgeError
from probing_bridge.formats.origin import MOST_LEVELS, Origin

FORMATS = ("liu", "npz", "vectors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `import`."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="what was made elsewhere")
    add(
        "--from",
        dest="format",
        required=True,
        choices=FORMATS,
        help="liu: HDF5 with sentence_to_index (ELMo, BERT, ...); npz: as `export` writes; vectors: text (GloVe)",
    )
    add("--output", required=True, type=Path, metavar="REPS.hdf5", help="the file to write")
    add(
        "--experiment",
        metavar="NAME",
        help="what tables call it, such as bert-base-cased (default: the file's own)",
    )
    add("--level", type=int, metavar="K", help="its level, if it is one of several prunings (default: the file's own)")
    add("--sentences", type=Path, metavar="WORDS.txt", help="what `sentences` wrote (needed for vectors)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the representation file.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    from probing_bridge.exchange.npz import NpzVectors
    from probing_bridge.exchange.vectors import TextVectors
    from probing_bridge.formats.representations import Representations, WordVectors, write_vectors

    if (arguments.format == "vectors") != (arguments.sentences is not None):
        raise BridgeError("--sentences goes with --from vectors, and only with it")
    if arguments.level is not None and not 0 <= arguments.level <= MOST_LEVELS:
        raise BridgeError(f"--level {arguments.level}: expected at least 0, the dense model, and at most {MOST_LEVELS}")
    note = ""
    with ExitStack() as opened:
        source: WordVectors
        if arguments.format == "liu":
            source = opened.enter_context(Representations(arguments.file))
        elif arguments.format == "npz":
            source = NpzVectors(arguments.file)
        else:
            source = vectors = TextVectors(arguments.file, arguments.sentences)
            note = f", {100 * vectors.unknown_share:.2f} % of the words have no vector"
        n = write_vectors(source, arguments.output, _origin(arguments, source.origin))
    print(f"{arguments.output}: {n} sentences{note}")


def _origin(arguments: argparse.Namespace, said: Origin) -> Origin:
    """What the file says of its origin, completed by what the command line says."""
    experiment = arguments.experiment or said.experiment
    if not experiment:
        raise BridgeError(f"{arguments.file}: does not say of which experiment it is; name one with --experiment")
    return replace(
        said,
        experiment=experiment,
        level=said.level if arguments.level is None else arguments.level,
        checkpoint=said.checkpoint or arguments.file.name,
        package_version=said.package_version or __version__,
    )
