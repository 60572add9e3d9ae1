"""The stage `gather`: the result tables of one experiment in a folder of their own, for `report` and for keeping.

An experiment that branched off LTH0 of another (random pruning, weight rewinding) has no level 0 of its own. The rows
about that level alone are taken from the tables of the experiment it came from, and keep its name, into tables that
have no level 0 yet: the branch's levels may have been compared with the parent's LTH0 already. The predictions behind
the scores of probes go with them, from which claims over several runs have their intervals.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd

from probing_bridge.errors import Faults, InputError
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.files import folder_beside, written_beside
from probing_bridge.formats.tables import parse_table
from probing_bridge.formats.text import file_bytes
from probing_bridge.probes.parts import PARTS, PartKey
from probing_bridge.probes.problem import PROBES
from probing_bridge.results.folder import table_file
from probing_bridge.results.naming import rows_of

FROM_TRAINING = ("lth", "lth_modules")
DENSE = "0"


def gather(results: Path, output: Path, parent: Path | None = None) -> list[str]:
    """Writes the tables of an experiment.

    Args:
        results: Folder of all its tables, lth.csv and lth_modules.csv among them.
        output: Results folder to write; tables in it that the experiment does not have are removed.
        parent: Tables of the experiment whose level 0 this one shares.

    Returns:
        The names of the tables.

    Raises:
        BridgeError: What is missing or wrong in the tables of both folders, a fault a line; nothing is written then.
    """
    faults = Faults()
    own = _text_tables(results, faults)
    faults.add(
        *(f"{results / name}.csv: no such file; training writes it" for name in FROM_TRAINING if name not in own)
    )
    dense = {} if parent is None else _text_tables(parent, faults)
    if parent is not None and not dense:
        faults.add(f"{parent}: no results here")
    faults.tell()
    tables = {name: with_dense(table, dense[name]) if name in dense else table for name, table in own.items()}
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            for file in (output / f"{name}.csv", output / f"{name}.csv.gz"):
                if name in tables and file.suffix == ".csv":
                    with written_beside(file) as beside:
                        tables[name].to_csv(beside, index=False)
                else:
                    file.unlink(missing_ok=True)
        if "probes" in tables and output.resolve() != results.resolve():
            _copy_predictions(tables["probes"], [results, *([] if parent is None else [parent])], output)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", output) from error
    return list(tables)


def _copy_predictions(probes: pd.DataFrame, folders: Sequence[Path], output: Path) -> None:
    """Copies the kept predictions of the levels' scores, those that are there."""
    rows = probes[probes["level"].ne("") & probes["seed"].ne("") & probes["probe"].isin(PROBES)]
    found: dict[Path, Path] = {}
    for row in rows_of(rows.drop_duplicates(["experiment", "model", "task", "probe", "seed", "layer"])):
        key = PartKey(row.experiment, row.model, row.task, row.probe, int(row.seed), "score", row.layer)
        paths = (key.path(folder / PARTS) for folder in folders)
        kept = next((path for path in paths if path.is_file()), None)
        if kept is not None:
            found[key.path(Path())] = kept
    if found:
        with folder_beside(output / PARTS) as made:
            for name, kept in found.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(kept, made / name)


def _text_tables(folder: Path, faults: Faults) -> dict[str, pd.DataFrame]:
    """The checked tables of a folder, every cell as it is written there."""
    tables = {}
    for name in TABLES:
        path = faults.of(table_file, folder, name)
        content = None if path is None else faults.of(file_bytes, path)
        if path is not None and content is not None and faults.of(parse_table, content, name, path) is not None:
            tables[name] = pd.read_csv(BytesIO(content), dtype=str, keep_default_na=False)
    return tables


def with_dense(branch: pd.DataFrame, parent: pd.DataFrame) -> pd.DataFrame:
    """Puts the parent's rows that are about level 0 and no other before the branch's own, unless it has such rows.

    Of probes each task is looked at by itself: a branch may have been compared with an LTH0 of which some were done.
    """
    dense, own = (table[_about_dense(table)] for table in (parent, branch))
    if "task" in branch.columns:
        dense = dense[~dense["task"].isin(own["task"])]
    elif len(own):
        return branch
    return pd.concat([dense, branch])[list(branch.columns)]


def _about_dense(table: pd.DataFrame) -> pd.Series:
    """Which rows are about level 0 and no other."""
    levels = table[[column for column in ("level", "level_a", "level_b") if column in table.columns]]
    return (levels == DENSE).any(axis=1) & levels.isin([DENSE, ""]).all(axis=1)
