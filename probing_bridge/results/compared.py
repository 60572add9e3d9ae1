"""Two experiments as frames: magnitude v random pruning, LR v weight rewinding, a run v the paper's numbers.

Both sides become one frame of measures (which, of what subject, at which level); rows that both have are laid side by
side. Levels are matched by their number, and the sparsity of both is shown. Place in the flow: results tables ->
compared -> report.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from probing_bridge.errors import BridgeError, InputError
from probing_bridge.results.folder import RUN, Results, read_results
from probing_bridge.results.levels import bleu_data, experiment_name, judged_test, known_levels, of_test
from probing_bridge.results.naming import final_layers, layer_label
from probing_bridge.results.paper import BEST_ON_TEST, COLUMNS, paper_measures, read_reference
from probing_bridge.results.probing import best_layers, chosen_layers, probe_scores
from probing_bridge.results.runs import mean_of_runs
from probing_bridge.results.similarity import (
    PAPER_THRESHOLD,
    concentration_data,
    off_diagonal,
    one_layer,
    own_index_data,
    to_dense,
)
from probing_bridge.similarity.measures.registry import ALL

PAPER = "paper"


@dataclass(frozen=True)
class Side:
    """One of the two: a name, its measures, and its tables unless it is a list of numbers."""

    name: str
    measures: pd.DataFrame
    results: Results | None


@dataclass(frozen=True)
class Comparison:
    """Two sides and what they share."""

    a: Side
    b: Side

    def table(self) -> pd.DataFrame:
        """Measures that both sides have: measure, subject, level, score_a, low_a, high_a, score_b, low_b, high_b."""
        keys = list(COLUMNS[:3])
        return self.a.measures.merge(self.b.measures, on=keys, suffixes=("_a", "_b"))


def compare(a: str | Path, b: str | Path, allow_mixed: bool = False) -> Comparison:
    """Reads two sides, each as read_side does, and lays them side by side.

    Raises:
        InputError: A side cannot be read.
        BridgeError: The two share no measure at all.
    """
    return side_by_side(read_side(a, allow_mixed), read_side(b, allow_mixed))


def read_side(where: str | Path, allow_mixed: bool = False) -> Side:
    """Reads one side of a comparison.

    Args:
        where: A results folder, a JSON file of reference numbers, or the word `paper`.
        allow_mixed: See folder.read_results.

    Returns:
        The side, named after how it pruned, after the file, or after the paper.

    Raises:
        InputError: It cannot be read.
    """
    path = Path(where)
    if path.is_dir():
        results = read_results(path, allow_mixed)
        return Side(experiment_name(results), measures(results), results)
    if path.is_file():
        return Side(path.stem, read_reference(path), None)
    if where == PAPER:
        return Side("Movva & Zhao 2020", paper_measures(), None)
    raise InputError(f"no such results folder or file of reference numbers (or the word {PAPER!r})", path)


def side_by_side(a: Side, b: Side) -> Comparison:
    """Two sides, with `(A)` and `(B)` behind equal names.

    Raises:
        BridgeError: They share no measure at all.
    """
    a, b = _beside_numbers(a, b), _beside_numbers(b, a)
    if a.name == b.name:
        a, b = (replace(side, name=f"{side.name} ({letter})") for side, letter in ((a, "A"), (b, "B")))
    comparison = Comparison(a, b)
    if not len(comparison.table()):
        raise BridgeError(f"--compare: {a.name} and {b.name} have no measure in common; run the same steps on both")
    return comparison


def _beside_numbers(side: Side, other: Side) -> Side:
    """A results folder beside numbers that name no test set: what it is judged by is the BLEU that they speak of."""
    test = judged_test(side.results) if side.results is not None and other.results is None else None
    if test is None:
        return side
    rows = side.measures[(side.measures["measure"] == test[1]) & (side.measures["subject"] == test[0])]
    return replace(side, measures=pd.concat([side.measures, rows.assign(measure="bleu", subject="test")]))


def measures(results: Results) -> pd.DataFrame:
    """Everything comparable of one experiment.

    Returns:
        measure, subject, level, score, low, high; of several runs as mean_of_runs gives them.
    """
    levels = known_levels(results).dropna(subset=["sparsity"])
    frames = [_rows("sparsity", levels.assign(subject="all weights", score=levels["sparsity"]))]
    for metric, rows in results["bleu"].groupby("metric", sort=False):
        frames.append(_rows(str(metric), rows.assign(subject=rows["test_set"])))
    for probe in ("linear", "mlp"):
        chosen = chosen_layers(probe_scores(results, probe))
        frames.append(_rows(f"{probe} probe", chosen.assign(subject=chosen["task"])))
    best = best_layers(probe_scores(results, "linear"))
    frames.append(_rows(BEST_ON_TEST, best.assign(subject=best["task"])))
    for measure in ("neuron_similarity", "linear_cka", "attention_cka"):
        rows = to_dense(results, measure)
        rows = rows[rows["level"] > 0]
        frames.append(
            _rows(f"{measure} to LTH0", rows.assign(subject=_places(rows) + ", " + rows["layer"].map(layer_label)))
        )
    for measure in ("linear_cka", "attention_cka"):
        rows = off_diagonal(results, measure)
        rows = rows[rows["layer"].isin(["all", "1"])]  # what the paper speaks of
        frames.append(
            _rows(f"{measure} of different layers", rows.assign(subject=_places(rows) + ", layer " + rows["layer"]))
        )
    k80 = one_layer(results, "spectrum_k80")
    for component, rows in k80.groupby("component"):
        final, *beside = final_layers(rows["layer"])
        frames.append(_rows("spectrum_k80", rows[rows["layer"] == final].assign(subject=component)))
        for layer in beside:
            name = f"{component}, {layer_label(layer)}"
            frames.append(_rows("spectrum_k80", rows[rows["layer"] == layer].assign(subject=name)))
    shares = pd.concat([concentration_data(results), concentration_data(results, ALL)])
    shares = shares.assign(subject=_places(shares)).drop_duplicates(["run", "subject", "threshold", "layer", "level"])
    for threshold, rows in shares[shares["layer"] == "all"].groupby("threshold"):
        name = "attention_concentration" + ("" if threshold == PAPER_THRESHOLD else f" above {threshold:g}")
        frames.append(_rows(name, rows))
    frames += _own_index(results)
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    return mean_of_runs(rows, COLUMNS[:3]).drop(columns=RUN)


def _places(rows: pd.DataFrame) -> pd.Series:
    """The component; decoder self-attention over all pairs of words, as the paper has it, says so."""
    masked = (rows["component"] == "decoder_self") & (rows["variant"] == ALL)
    return rows["component"].where(~masked, rows["component"] + " over all pairs")


def _own_index(results: Results) -> list[pd.DataFrame]:
    """Own-index shares of neurons: each component, and both together."""
    own = own_index_data(results)
    own = own[(own["layer"] == "all") & own["component"].isin(["encoder", "decoder"])]
    own = own.assign(hits=own["share"] * own["n"])
    both = own.groupby([RUN, "level"], as_index=False)[["hits", "n"]].sum()
    return [
        _rows("own index, neurons", own.assign(subject=own["component"], score=own["share"])),
        _rows("own index, neurons", both.assign(subject="encoder and decoder", score=both["hits"] / both["n"])),
    ]


def _rows(measure: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of one measure with the columns of COLUMNS."""
    frame = frame.assign(measure=measure).reindex(columns=[*COLUMNS, RUN])
    return frame.dropna(subset=["score"]).astype({"level": int, "score": float, "low": float, "high": float})


def bleu_curves(comparison: Comparison) -> tuple[pd.DataFrame, pd.DataFrame]:
    """BLEU over sparsity of both sides, on the test set and by the metric that the first of them is judged by."""
    judged = [judged_test(side.results) for side in (comparison.a, comparison.b) if side.results is not None]
    test = next(iter(judged), None)
    return _bleu_curve(comparison.a, test), _bleu_curve(comparison.b, test)


def _bleu_curve(side: Side, test: tuple[str, str] | None) -> pd.DataFrame:
    """That of one side; numbers that name no test set stand beside it all the same."""
    if side.results is not None:
        return of_test(bleu_data(side.results), test).assign(experiment=side.name)
    table = side.measures
    sparsity = table[table["measure"] == "sparsity"].set_index("level")["score"]
    rows = table[table["measure"] == "bleu"]
    test_set, metric = test or ("test", "bleu")
    rows = rows.assign(experiment=side.name, run=1, test_set=test_set, metric=metric, n=np.nan)
    rows = rows.assign(sparsity=rows["level"].map(sparsity))
    return rows[["experiment", RUN, "level", "sparsity", "test_set", "metric", "score", "low", "high", "n"]]


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """Of every measure and subject, the first and the highest level that both sides have."""
    levels = table.groupby(["measure", "subject"])["level"]
    keep = (table["level"] == levels.transform("min")) | (table["level"] == levels.transform("max"))
    return table[keep].reset_index(drop=True)
