"""`export`: activations, word representations or probing tasks in another tool's format."""

from __future__ import annotations

import argparse
from pathlib import Path

from probing_bridge.errors import BridgeError

FORMATS = ("liu", "jiant", "npz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `export`."""
    add = parser.add_argument
    add("--to", required=True, choices=FORMATS, help="liu: HDF5 of contextual-repr-analysis; jiant: edge-probing JSONL")
    add("--output", required=True, type=Path, metavar="PATH", help="the file to write; for jiant a folder")
    what = parser.add_argument_group("what (one of the three)")
    what.add_argument("--dump", type=Path, metavar="FILE", help="a file of --dump-activations (liu, npz)")
    what.add_argument("--reps", type=Path, metavar="FILE", help="word representations (liu, npz)")
    what.add_argument("--suite", type=Path, metavar="YAML", help="the tasks of a suite (jiant)")
    add("--component", choices=("encoder", "decoder"), help="of a dump, for liu (default: encoder)")
    add("--corpora", type=Path, metavar="DIR", help="root of the suite's paths (default: the suite's folder)")
    add("--tasks", nargs="+", metavar="TASK", help="only these tasks of the suite")


def run(arguments: argparse.Namespace) -> None:
    """Writes the file or folder.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: Bad input; nothing is written then.
    """
    given = [name for name in ("dump", "reps", "suite") if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise BridgeError(f"give one of --dump, --reps and --suite, not {len(given)}")
    if (arguments.to == "jiant") != (given == ["suite"]):
        raise BridgeError(f"--to {arguments.to} takes {'--suite' if arguments.to == 'jiant' else '--dump or --reps'}")
    for flag, is_of in (
        ("--component", arguments.to == "liu" and given == ["dump"]),
        ("--corpora", given == ["suite"]),
        ("--tasks", given == ["suite"]),
    ):
        if getattr(arguments, flag[2:]) is not None and not is_of:
            raise BridgeError(f"{flag}: is not for --to {arguments.to} --{given[0]}: leave it out")
    {"dump": _export_dump, "reps": _export_representations, "suite": _export_tasks}[given[0]](arguments)


def _export_dump(arguments: argparse.Namespace) -> None:
    from probing_bridge.exchange import liu, npz
    from probing_bridge.formats.activations.reader import open_dump

    with open_dump(arguments.dump) as dump:
        if arguments.to == "npz":
            npz.write_dump(dump, arguments.output)
            print(f"{arguments.output}: {dump.n_sentences} sentences")
        else:
            written, repeated = liu.write_pieces(dump, arguments.component or "encoder", arguments.output)
            print(f"{arguments.output}: {written} sentences, {repeated} empty ones and repetitions left out")


def _export_representations(arguments: argparse.Namespace) -> None:
    from probing_bridge.exchange import liu, npz
    from probing_bridge.formats.representations import Representations

    with Representations(arguments.reps) as representations:
        if arguments.to == "npz":
            npz.write_representations(representations, arguments.output)
        else:
            liu.write_words(representations, arguments.output)
        print(f"{arguments.output}: {len(representations)} sentences, {len(representations.layers)} layers")


def _export_tasks(arguments: argparse.Namespace) -> None:
    from probing_bridge.corpora.suite import load_suite
    from probing_bridge.corpora.tasks import TASKS, find_task
    from probing_bridge.exchange.jiant_files import write_task

    suite = load_suite(arguments.suite, arguments.corpora)
    chosen = {find_task(name).name for name in arguments.tasks or suite.tasks}
    if chosen - suite.tasks.keys():
        raise BridgeError(f"{arguments.suite}: has no task {', '.join(sorted(chosen - suite.tasks.keys()))}")
    for name, task in suite.tasks.items():
        if name in chosen and (arguments.tasks or TASKS[name].family != "regression"):
            counts = write_task(task, arguments.output)
            print(f"{arguments.output / name}: {', '.join(f'{n} {split}' for split, n in counts.items())} items")
