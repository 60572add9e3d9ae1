"""Copies the result tables of one experiment into a folder of their own, which `report` reads and a repository keeps.

    python recipes/gather.py --results RUN/results --output RUN/tables [--parent TABLES]

An experiment that branched off LTH0 of another (random pruning, weight rewinding) has no level 0 of its own: with
--parent the rows about that level alone are added from the tables of the experiment it came from, and keep its name,
to tables that have no level 0 yet: the branch's levels may have been compared with the parent's LTH0 already.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

import pandas as pd

from probing_bridge.results import TABLES

FROM_TRAINING = ("lth", "lth_modules")
DENSE = "0"


def main() -> int:
    """Writes the tables; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="folder of all its tables, lth.csv among them")
    parser.add_argument("--parent", type=Path, help="tables of the experiment whose level 0 this one shares")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    beside = arguments.output.with_name(f"{arguments.output.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        for name in TABLES:
            path = arguments.results / f"{name}.csv"
            if path.is_file() or name in FROM_TRAINING:
                table = pd.read_csv(path, dtype=str, keep_default_na=False)
                if arguments.parent and (arguments.parent / path.name).is_file():
                    table = with_dense(
                        table, pd.read_csv(arguments.parent / path.name, dtype=str, keep_default_na=False)
                    )
                table.to_csv(beside / path.name, index=False)
    except OSError as error:
        shutil.rmtree(beside)
        print(f"gather: {error}", file=sys.stderr)
        return 1
    shutil.rmtree(arguments.output, ignore_errors=True)
    os.replace(beside, arguments.output)
    return 0


def with_dense(branch: pd.DataFrame, parent: pd.DataFrame) -> pd.DataFrame:
    """Puts the parent's rows that are about level 0 and no other before the branch's own, unless it has such rows."""
    if about_dense(branch).any():
        return branch
    return pd.concat([parent[about_dense(parent)], branch])[list(branch.columns)]


def about_dense(table: pd.DataFrame) -> pd.Series:
    """Which rows are about level 0 and no other."""
    levels = table[[column for column in ("level", "level_a", "level_b") if column in table.columns]]
    return (levels == DENSE).any(axis=1) & levels.isin([DENSE, ""]).all(axis=1)


if __name__ == "__main__":
    sys.exit(main())
