"""The rows of a tile, and how those of all tiles become the tables of the results folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from probing_bridge import __version__
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.tables import read_table, write_table
from probing_bridge.similarity.measures.neuron_sim import Matches
from probing_bridge.similarity.measures.registry import interval_of, pair_measure, shown_variant
from probing_bridge.similarity.run.dumps import DumpSet
from probing_bridge.similarity.run.plan import Plan
from probing_bridge.similarity.run.scoring import Score

RESULT_TABLES = ("similarity", "neurons", "heads", "spectrum", "disagreements")
Key = tuple[int, str]  # place of the level, layer


@dataclass
class TileRows:
    """The rows of a tile, by table, and notes."""

    tables: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in RESULT_TABLES})
    notes: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Writes the tables into a folder beside, which then gets its name."""
        with folder_beside(folder, shared=True) as beside:
            for name, parts in self.tables.items():
                frames = [part for part in parts if isinstance(part, pd.DataFrame)]
                rows = [part for part in parts if not isinstance(part, pd.DataFrame)]
                frames += [pd.DataFrame(rows, columns=list(TABLES[name].columns))] if rows or not frames else []
                write_table(pd.concat(frames, ignore_index=True), name, beside / f"{name}.csv")
            (beside / "notes.json").write_text(json.dumps(self.notes))


@dataclass(frozen=True)
class RowMaker:
    """Writes what a row has to say besides its score.

    Attributes:
        plan: The request.
        dumps: Its dumps.
        component: e.g. "encoder".
        variants: Of attention: the variants whose pairs of words the scores are of; each gets a row.
    """

    plan: Plan
    dumps: DumpSet
    component: str
    variants: tuple[str, ...] = ()

    def scores(
        self, score: Score, a: Key, b: Key | None, n: int, group: str = "", threshold: float | None = None
    ) -> list[dict[str, Any]]:
        """Rows of the similarity table: of layers a and b, or of layer a alone."""
        row = {
            "experiment": self.dumps.experiment,
            "measure": score.measure,
            "variant": score.variant,
            "component": self.component,
            "level_a": self.dumps.levels[a[0]],
            "layer_a": a[1],
            "level_b": pd.NA if b is None else self.dumps.levels[b[0]],
            "layer_b": "" if b is None else b[1],
            "group": group,
            "threshold": threshold,
            "score": score.value,
            "low": score.low,
            "high": score.high,
            "interval_of": interval_of(score.measure, score.variant),
            "baseline": score.baseline,
            "n": n,
            "sentence_hash": self.dumps.sentence_hash,
            "hash_a": self.dumps.checkpoint_hash(a[0]),
            "hash_b": "" if b is None else self.dumps.checkpoint_hash(b[0]),
            "package_version": __version__,
            "command": self.plan.command,
        }
        return [row | {"variant": variant} for variant in self.variants or (score.variant,)]

    def neurons(self, matches: Matches, a: Key, b: Key) -> pd.DataFrame:
        """Rows of the neurons table."""
        return pd.DataFrame({**self._matches(matches, a, b), "neuron": matches.neurons})

    def heads(self, matches: Matches, a: Key, b: Key, baseline: np.ndarray) -> pd.DataFrame:
        """Rows of the heads table, with what the best match would be at random."""
        rows = {**self._matches(matches, a, b), "head": matches.neurons, "baseline": baseline}
        return pd.concat([pd.DataFrame({**rows, "variant": variant}) for variant in self.variants])

    def _matches(self, matches: Matches, a: Key, b: Key) -> dict[str, Any]:
        return {
            "experiment": self.dumps.experiment,
            "component": self.component,
            "level_a": self.dumps.levels[a[0]],
            "layer_a": a[1],
            "level_b": self.dumps.levels[b[0]],
            "layer_b": b[1],
            "best_match": matches.best,
            "correlation": matches.correlation,
            "own_correlation": matches.own,
        }

    def spectrum(self, cumulative: np.ndarray, variant: str, key: Key) -> pd.DataFrame:
        """Rows of the spectrum table."""
        columns = {
            "experiment": self.dumps.experiment,
            "component": self.component,
            "level": self.dumps.levels[key[0]],
            "layer": key[1],
            "variant": variant,
            "k": np.arange(1, len(cumulative) + 1),
            "cumulative_variance": cumulative,
        }
        return pd.DataFrame(columns)


def collect(work: Path, tiles: Sequence[str], output: Path) -> list[str]:
    """Adds the rows of finished tiles to the tables of the results folder; rows that are there stay as they are.

    Args:
        work: The work folder.
        tiles: Names of all tiles.
        output: The results folder.

    Returns:
        The notes of all tiles.

    Raises:
        InputError: A table of the results folder is damaged.
    """
    for name in RESULT_TABLES:
        frames = [frame for tile in tiles for frame in _rows_as_text(work / "tiles" / tile / f"{name}.csv", name)]
        found = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(TABLES[name].columns))
        if (output / f"{name}.csv").exists():
            read_table(output / f"{name}.csv", name)  # refuses a damaged one
            for kept in _rows_as_text(output / f"{name}.csv", name):
                is_there = _keys(found, name).isin(_keys(kept, name))
                found = pd.concat([kept, found[~is_there]], ignore_index=True)
        write_table(found, name, output / f"{name}.csv")
    notes = [note for tile in tiles for note in json.loads((work / "tiles" / tile / "notes.json").read_text())]
    return list(dict.fromkeys(notes))


def summary(table: pd.DataFrame, measures: Sequence[str]) -> str:
    """Mean similarity of each level with the lowest one, layer by layer, and the divergence of outputs, as text.

    Args:
        table: The similarity table.
        measures: Those asked for, which are named even if nothing could be scored.

    Returns:
        One line a measure and component, of measures of two layers in their `shown_variant`, or else in the one that
        was scored; one line
        of Jensen-Shannon divergences, each between its bounds, where there are outputs.
    """
    base = table["level_a"].min()
    rows = table[(table["group"] == "") & (table["level_a"] == base) & (table["layer_a"] == table["layer_b"])]
    rows = rows[[pair_measure(name) is not None for name in rows["measure"]]]
    shown = rows["variant"] == rows["measure"].map(shown_variant)
    rows = rows[shown | ~shown.groupby(rows["measure"]).transform("any")]
    means = rows.pivot_table(index=["measure", "component"], columns="level_b", values="score", aggfunc="mean")
    text = means.round(3).rename(columns=lambda level: f"LTH{level}").to_string()
    lacking = "".join(f"\n{name}: nothing could be scored" for name in measures if name not in set(rows["measure"]))
    return f"mean over the layers, each with the same layer of LTH{base}:\n{text}{lacking}{_divergences(table)}"


def _divergences(table: pd.DataFrame) -> str:
    """The line of Jensen-Shannon divergences; empty without any."""
    rows = table[(table["measure"] == "js_divergence") & (table["group"] == "") & (table["level_b"] != 0)]
    if not len(rows):
        return ""
    bounds = rows.pivot(index="level_b", columns="variant", values="score")
    spans = (f"LTH{row.Index} {row.lower:.3f} to {row.upper:.3f}" for row in bounds.itertuples())
    return f"\nJensen-Shannon divergence of the output to LTH0 in bits, within these bounds: {', '.join(spans)}"


def _rows_as_text(path: Path, name: str) -> Iterator[pd.DataFrame]:
    """The rows of a table, if it has any, as text: they keep their digits in the joined table."""
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    if len(frame):
        yield frame[list(TABLES[name].columns)]


def _keys(rows: pd.DataFrame, name: str) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(rows[list(TABLES[name].key)])
