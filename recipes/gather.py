"""Copies the result tables of one experiment into a folder of their own, which `report` reads and a repository keeps.

    python recipes/gather.py --results RUN/results --output RUN/tables [--parent TABLES]

An experiment that branched off LTH0 of another (random pruning, weight rewinding) has no level 0 of its own: with
--parent the rows about that level alone are added from the tables of the experiment it came from, and keep its name,
to tables that have no level 0 yet: the branch's levels may have been compared with the parent's LTH0 already.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.tables import TABLES

FROM_TRAINING = ("lth", "lth_modules")
DENSE = "0"


def main() -> int:
    """Writes the tables; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="folder of all its tables, lth.csv among them")
    parser.add_argument("--parent", type=Path, help="tables of the experiment whose level 0 this one shares")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    try:
        with folder_beside(arguments.output) as beside:
            for name in TABLES:
                path = arguments.results / f"{name}.csv"
                if path.is_file() or name in FROM_TRAINING:
                    gathered(path, arguments.parent).to_csv(beside / path.name, index=False)
    except OSError as error:
        print(f"gather: {error}", file=sys.stderr)
        return 1
    return 0


def gathered(path: Path, parent: Path | None) -> pd.DataFrame:
    """A table as text, with the parent's rows of level 0 if it has none."""
    table = read(path)
    if parent is None or not (parent / path.name).is_file():
        return table
    return with_dense(table, read(parent / path.name))


def read(path: Path) -> pd.DataFrame:
    """A table as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


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
