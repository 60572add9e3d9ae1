"""`similarity`: compare levels and layers by their dumps, and write the tables of the results folder."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from probing_bridge.cli import command_line
from probing_bridge.cluster.options import add_cluster_arguments, asked_cluster
from probing_bridge.errors import BridgeError


def _tag_file(text: str) -> tuple[str, str]:
    """`kind=file`; the path is made absolute, for jobs elsewhere."""
    kind, equals, path = text.partition("=")
    if not kind.isidentifier() or not equals or not path or kind == "frequency":
        raise argparse.ArgumentTypeError(f"{text!r}: expected KIND=FILE, as pos=valid.pos or semtag=valid.semtag")
    return kind, str(Path(path).resolve())


def _frequencies(words: Sequence[str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Where pieces are counted, and the texts of the sides, whose paths are made absolute.

    Raises:
        BridgeError: Neither a source of counts nor a text of a side.
    """
    if list(words) in (["dump"], ["dictionary"]):
        return words[0], ()
    texts = {}
    for word in words:
        side, equals, path = word.partition("=")
        if side not in ("source", "target") or not equals or not path or side in texts:
            raise BridgeError(f"--frequencies {word}: expected dump, dictionary, or source=FILE target=FILE")
        texts[side] = str(Path(path).resolve())
    return "text", tuple(sorted(texts.items()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `similarity`."""
    if "numpy" not in sys.modules:  # let OpenBLAS take the kernel of this CPU: an inherited choice may cost half
        os.environ.pop("OPENBLAS_CORETYPE", None)
    from probing_bridge.similarity.measures.registry import MEASURES, default_measures

    add = parser.add_argument
    add("--dumps", required=True, type=Path, nargs="+", metavar="H5", help="dumps of the same sentences, one a level")
    add("--output", required=True, type=Path, metavar="DIR", help="results folder for similarity.csv and its kin")
    add(
        "--pairs", nargs="+", default=["all"], choices=("within", "dense", "all"),
        help="levels to compare: each with itself, each with level 0, all with all (default: all)",
    )  # fmt: skip
    add(
        "--measures", nargs="+", default=[], choices=MEASURES, metavar="NAME",
        help=f"measures of layers besides the paper's, which are {' and '.join(default_measures())}: "
        f"{', '.join(name for name in MEASURES if name not in default_measures())}",
    )  # fmt: skip
    add(
        "--absolute",
        action="store_true",
        help="NeuronSim of |r|, as the code of Wu et al. 2020, instead of the paper's signed r",
    )
    add("--threshold", type=float, default=0.95, help="mass that makes attention concentrated (default: 0.95)")
    add(
        "--tags", nargs="+", default=[], type=_tag_file, metavar="KIND=FILE",
        help="tags of the source words, e.g. pos=FILE semtag=FILE: a sentence a line, a tag a word",
    )  # fmt: skip
    add(
        "--frequencies", nargs="+", default=["dump"], metavar="dump | dictionary | SIDE=FILE",
        help="whose counts rank the pieces for groups by frequency: the dumped sentences of the side (default), the "
        "dictionary, which counts both sides together if it is joined (the paper's way), or a text of each side in "
        "pieces, as source=FILE target=FILE",
    )  # fmt: skip
    add_cluster_arguments(parser, "tiles")


def run(arguments: argparse.Namespace) -> None:
    """Compares the dumps, and adds to the tables what they do not hold yet.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input, found before anything is computed.
    """
    from probing_bridge.formats.tables import read_table
    from probing_bridge.similarity.measures.registry import MEASURES, default_measures
    from probing_bridge.similarity.run import driver
    from probing_bridge.similarity.run.plan import Plan
    from probing_bridge.similarity.run.rows import summary

    frequencies, texts = _frequencies(arguments.frequencies)
    asked = {*default_measures(), *arguments.measures}
    plan = Plan(
        dumps=tuple(str(path.resolve()) for path in arguments.dumps),
        pairs=tuple(sorted(set(arguments.pairs))),
        measures=tuple(name for name in MEASURES if name in asked),
        absolute=arguments.absolute,
        threshold=arguments.threshold,
        tags=tuple(arguments.tags),
        frequencies=frequencies,
        texts=texts,
        gemm="",
        command=command_line(),
    )
    table = arguments.output / "similarity.csv"
    finished = driver.run(plan, arguments.output, asked_cluster(arguments))
    if finished.notes:
        print("\n".join(f"note: {note}" for note in finished.notes), file=sys.stderr)
    print(summary(read_table(table, "similarity"), plan.measures))
    print(table if finished.added else f"{table}: already there, nothing to add")
