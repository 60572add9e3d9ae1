"""The levels of a run: their table, the checks, and what the command line asks for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from fairseq_lth.levels import paths, records
from fairseq_lth.levels.averaging import export_average
from fairseq_lth.levels.checkpoints import ImpState, imp_state, read_checkpoint
from fairseq_lth.levels.export import expand_compact, export_plain, write_compact
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import file_hash
from probing_bridge.pruning.masks import Mask

SPEED_NOTE = (
    "Unstructured sparsity saves disk (--compact), not time: dense kernels multiply by zeros as fast as by anything."
)


def read_run(directory: Path) -> pd.DataFrame:
    """Reads the records of a run.

    Args:
        directory: The run directory.

    Returns:
        The table `lth`, a row a level.

    Raises:
        InputError: The folder is missing, has no levels, or has a table that is damaged.
    """
    if not directory.is_dir():
        raise InputError("no such folder; give the --save-dir of a training", directory)
    rows = records.read_rows(directory, "lth")
    if not len(rows):
        raise InputError(f"has no {paths.RECORDS}: no level has been finished there", directory)
    for level, name in zip(rows["level"], rows["checkpoint"], strict=True):
        if pd.isna(level) or name != paths.level_checkpoint("", int(level)).name:
            raise InputError(
                f"the row of level {level} names {name!s:.80} as its checkpoint", directory / paths.RECORDS
            )
    return rows


def check_run(directory: Path, rows: pd.DataFrame) -> Iterator[str]:
    """Checks every level: readable, unchanged, of this experiment, zero where the mask says, masks only shrink.

    Args:
        directory: The run directory.
        rows: Its records.

    Yields:
        One line for each problem.
    """
    before: tuple[str, Mask] | None = None
    for row in rows.to_dict("records"):
        path = directory / row["checkpoint"]
        try:
            checkpoint = read_checkpoint(path)
            state = imp_state(checkpoint)
            if state is None:
                raise InputError("was not written by --task lth_imp", path)
            yield from _differences(path, row, state)
            if state["mask"] is None:
                continue
            mask = Mask.unpack(state["mask"])
            if mask.hash() != row["mask_hash"]:
                yield f"{path}: its mask is not the one in {paths.RECORDS}"
            if before is not None and not before[1].shrinks_to(mask):
                yield f"{path}: its mask keeps weights that {before[0]} has pruned"
            before = path.name, mask
            mask.check(checkpoint["model"])
        except BridgeError as error:
            yield str(error) if str(path) in str(error) else f"{path}: {error}"
    named = set(rows["checkpoint"])
    yield from (
        f"{path}: is not in {paths.RECORDS}"
        for path in paths.level_checkpoints(directory).values()
        if path.name not in named
    )


def _differences(path: Path, row: dict[Hashable, Any], state: ImpState) -> Iterator[str]:
    """What a checkpoint says about itself against the records."""
    if state["experiment"] != row["experiment"]:
        yield f"{path}: is of experiment {state['experiment']}, the records are of {row['experiment']}"
    if state["level"] != row["level"]:
        yield f"{path}: is level {state['level']}"
    if state["sparsity"] != row["sparsity"]:
        yield f"{path}: has sparsity {state['sparsity']}, the records say {row['sparsity']}"
    if file_hash(path) != row["checkpoint_hash"]:
        yield f"{path}: has been changed since it was written (sha256 differs from {paths.RECORDS})"


def table(directory: Path, rows: pd.DataFrame) -> str:
    """The table of a run, one line a level."""
    head = ("level", "epoch", "updates", "lr", "sparsity", "prunable", "pruned weights", "MB", "mask")
    lines = []
    for row in rows.to_dict("records"):
        path = directory / row["checkpoint"]
        lines.append(
            (
                str(row["level"]),
                str(row["epoch"]),
                str(row["updates"]),
                "-" if pd.isna(row["lr"]) else f"{row['lr']:.4g}",
                f"{row['sparsity']:.4f}",
                f"{row['sparsity_prunable']:.4f}",
                f"{row['pruned_weights']:,}",
                f"{path.stat().st_size / 1e6:.1f}" if path.is_file() else "-",
                row["mask_hash"][:12],
            )
        )
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    padded = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *lines]]
    experiment, parent = rows["experiment"].iloc[0], rows["parent"].iloc[0]
    return "\n".join([f"experiment {experiment}{f', branched from {parent}' if parent else ''}", *padded])


def run(arguments: argparse.Namespace) -> int:
    """Does what the command line asks for.

    Returns:
        The exit status.
    """
    source = arguments.source
    if source.suffix == ".safetensors":
        if arguments.export is None:
            raise InputError("is a compact level: give --export FILE.pt to expand it", source)
        expand_compact(source, arguments.export)
        print(f"{arguments.export}: {arguments.export.stat().st_size:,} bytes")
        return 0
    if arguments.average is not None:
        epochs = export_average(source, arguments.average, arguments.export)
        print(f"{arguments.export}: the mean of {', '.join(path.name for path in epochs)}; it is no level")
        return 0
    rows = read_run(source)
    if arguments.export is None and arguments.compact is None:
        print(table(source, rows))
        problems = list(check_run(source, rows))
        print(*problems, sep="\n", file=sys.stderr, end="\n" if problems else "")
        print(f"{len(problems)} problem(s) found" if problems else f"All {len(rows)} levels are as they were written.")
        print(SPEED_NOTE)
        return 1 if problems else 0
    level = paths.level_checkpoint(source, arguments.level if arguments.level is not None else int(rows["level"].max()))
    if arguments.export is not None:
        export_plain(level, arguments.export)
    if arguments.compact is not None:
        write_compact(level, arguments.compact)
    for path in filter(None, (arguments.export, arguments.compact)):
        print(f"{path}: {path.stat().st_size:,} bytes; {level.name} has {level.stat().st_size:,}")
    print(SPEED_NOTE)
    return 0
