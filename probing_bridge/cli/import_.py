"""`import`: word representations made elsewhere, checked sentence by sentence and given an origin."""

from __future__ import annotations

import argparse
from pathlib import Path

from probing_bridge.errors import BridgeError

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
    add("--experiment", required=True, metavar="NAME", help="what result tables will call it, such as bert-base-cased")
    add("--level", type=int, default=-1, metavar="K", help="its level, if it is one of several prunings")
    add("--sentences", type=Path, metavar="WORDS.txt", help="what `sentences` wrote (needed for vectors)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the representation file.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    from probing_bridge import __version__
    from probing_bridge.exchange import interop
    from probing_bridge.formats.representations import Representations

    if (arguments.format == "vectors") != (arguments.sentences is not None):
        raise BridgeError("--sentences goes with --from vectors, and only with it")
    origin = {"experiment": arguments.experiment, "level": arguments.level, "checkpoint": arguments.file.name}
    origin |= {"package_version": __version__}
    note = ""
    if arguments.format == "vectors":
        n, unknown = interop.vectors_to_representations(arguments.file, arguments.sentences, arguments.output, origin)
        note = f", {100 * unknown:.2f} % of the words have no vector"
    elif arguments.format == "npz":
        n = interop.npz_to_representations(arguments.file, arguments.output, origin)
    else:
        with Representations(arguments.file) as representations:
            n = interop.copy_representations(representations, arguments.output, origin)
    print(f"{arguments.output}: {n} sentences{note}")
