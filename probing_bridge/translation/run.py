"""The stage `score`: from fairseq-generate's files to the result tables `bleu` and `bleu_differences`.

Every level is tested against the dense one, and against the level of the same number of each experiment that it is to
be compared with. A branch has no dense level of its own: the experiment that it came from has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from probing_bridge import __version__
from probing_bridge.errors import BridgeError, Faults, InputError
from probing_bridge.formats.tables import read_table, write_table
from probing_bridge.formats.text import plain_lines
from probing_bridge.translation.differences import compare
from probing_bridge.translation.generated import read_generated
from probing_bridge.translation.metrics import METRICS, Texts, take

RECORDS = "lth.csv"  # beside the checkpoints of a run; says which level each of them is


@dataclass(frozen=True)
class System:
    """A level of an experiment and the file of its translations."""

    experiment: str
    level: int
    path: Path

    def identity(self) -> dict[str, str | int]:
        """The columns that say which level a row is about."""
        return {"experiment": self.experiment, "level": self.level}


@dataclass(frozen=True)
class Plan:
    """What is scored: read and checked.

    Attributes:
        levels: Whose BLEU is taken.
        comparisons: What is compared: a level, and those that are compared with it.
        texts: Metric -> level -> its texts.
        n: Number of sentences.
    """

    levels: list[System]
    comparisons: list[tuple[System, list[System]]]
    texts: dict[str, dict[System, Texts]]
    n: int


def run(
    levels: Sequence[str],
    against: Sequence[str],
    reference: Path,
    output: Path,
    *,
    test_set: str,
    metrics: Sequence[str],
    command: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and compares levels and writes the tables; rows of other test sets that are there stay.

    Rows do not say of which translations they are, so all of a test set are made anew.

    Args:
        levels: `CHECKPOINT=FILE` each: a level's checkpoint, with lth.csv beside it, and its translations.
        against: Levels of other experiments to compare with, given likewise.
        reference: Plain references, one a line, in corpus order.
        output: The results folder; made if it is missing.
        test_set: The test set's name in the tables.
        metrics: Keys of METRICS.
        command: What the tables say made them.

    Returns:
        The rows of bleu.csv and of bleu_differences.csv.

    Raises:
        BridgeError: Everything that is wrong with the files, a fault a line; nothing is computed then.
    """
    plan = make_plan(levels, against, reference, metrics)
    about: dict[str, Any] = {
        "test_set": test_set,
        "n": plan.n,
        "package_version": __version__,
        "command": command,
    }
    scores, differences = [], []
    for name, texts in plan.texts.items():
        metric = METRICS[name]
        found = {system: take(metric, text) for system, text in texts.items()}
        scores += [{**system.identity(), "metric": name, **asdict(found[system])} for system in plan.levels]
        for other, compared in plan.comparisons:
            for system in compared:
                beside = {"other_experiment": other.experiment, "other_level": other.level, "metric": name}
                differences.append(
                    {**system.identity(), **beside, **asdict(compare(metric, texts[system], texts[other]))}
                )
    tables = pd.DataFrame(scores).assign(**about), pd.DataFrame(differences).assign(**about)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for frame, table in zip(tables, ("bleu", "bleu_differences"), strict=True):
            path = output / f"{table}.csv"
            write_table(_beside_others(frame, table, path, test_set), table, path)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", output) from error
    return tables


def _beside_others(frame: pd.DataFrame, table: str, path: Path, test_set: str) -> pd.DataFrame:
    """The rows of other test sets in a table; the new ones where that test set's were, or behind them."""
    if not path.exists():
        return frame
    before = read_table(path, table)
    own = before["test_set"] == test_set
    first = int(own.to_numpy().argmax()) if own.any() else len(before)
    others = before[~own]
    parts = [others[others.index < first], frame, others[others.index >= first]]
    parts = [part for part in parts if len(part)]  # pandas takes types from empty ones too
    return pd.concat(parts, ignore_index=True) if parts else frame


def make_plan(levels: Sequence[str], against: Sequence[str], reference: Path, metrics: Sequence[str]) -> Plan:
    """Reads and checks everything.

    Args:
        levels: As for run.
        against: As for run.
        reference: As for run.
        metrics: As for run.

    Raises:
        BridgeError: All faults, one a line.
    """
    faults = Faults()
    references = faults.of(plain_lines, reference)
    own, others = ([found for pair in pairs if (found := faults.of(find_system, pair))] for pairs in (levels, against))
    for systems in (own, others):
        faults.add(*_twice(systems))
    texts: dict[str, dict[System, Texts]] = {name: {} for name in metrics}
    for system in dict.fromkeys([*own, *others]):
        translations = faults.of(read_generated, system.path)
        if translations is not None and references is not None:
            for name, of_metric in texts.items():
                sides = faults.of(METRICS[name].texts, translations, references)
                if sides is not None:
                    of_metric[system] = sides
    compared = comparisons(own, others)
    for of_metric in texts.values():
        faults.add(*_of_other_sets(compared, of_metric))
    faults.tell()
    return Plan(own, compared, texts, len(references or ()))


def find_system(pair: str) -> System:
    """Which level `CHECKPOINT=FILE` is about, by the records beside the checkpoint.

    Args:
        pair: Both paths; either may have further `=` in it.

    Raises:
        InputError: No such checkpoint or file, no records, or the checkpoint is none of their levels.
    """
    words = pair.split("=")
    splits = ((Path("=".join(words[:k])), Path("=".join(words[k:]))) for k in range(1, len(words)))
    checkpoint, translations = next(((left, right) for left, right in splits if left.is_file()), (None, Path()))
    if checkpoint is None:
        raise BridgeError(f"{pair}: expected CHECKPOINT=FILE, a level's checkpoint that is there and its translations")
    records = checkpoint.parent / RECORDS
    table = read_table(records, "lth")
    rows = table[table["checkpoint"] == checkpoint.name]
    if len(rows) != 1:
        raise InputError(f"is none of the levels in {records}: {', '.join(table['checkpoint'])}", checkpoint)
    return System(str(rows["experiment"].iloc[0]), int(rows["level"].iloc[0]), translations)


def comparisons(levels: Sequence[System], against: Sequence[System]) -> list[tuple[System, list[System]]]:
    """What is compared: a level, and those that are compared with it."""
    dense = next((each for each in (*levels, *against) if each.level == 0), None)
    found = [(dense, [each for each in levels if each != dense])] if dense else []
    found += [
        (other, [each for each in levels if each.level == other.level and each.experiment != other.experiment])
        for other in against
        if other != dense
    ]
    return [(other, compared) for other, compared in found if compared]


def _twice(systems: Sequence[System]) -> Iterator[str]:
    """A fault for each level that is given again."""
    first: dict[tuple[str, int], System] = {}
    for system in systems:
        known = first.setdefault((system.experiment, system.level), system)
        if known is not system:
            yield f"{known.path} and {system.path}: both are given as level {system.level} of {system.experiment}"


def _of_other_sets(compared: list[tuple[System, list[System]]], texts: dict[System, Texts]) -> Iterator[str]:
    """A fault for each pair of translations whose references differ."""
    for other, systems in compared:
        for system in systems:
            if {system, other} <= texts.keys() and texts[system].references != texts[other].references:
                yield f"{system.path} and {other.path} have different T lines: they are not of one test set"
