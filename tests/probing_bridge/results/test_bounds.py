"""Scores that their metric or measure cannot have are refused, whatever registry it stands in."""

from pathlib import Path

import pandas as pd
import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.tables import write_table
from probing_bridge.results.folder import read_results

PROBE = {"experiment": "e", "level": 0, "task": "upos", "layer": "1", "probe": "linear", "seed": 0}
SIMILARITY = {"experiment": "e", "component": "encoder", "level_a": 0, "layer_a": "1"}
CASES = [
    ("probes", PROBE, {"metric": "accuracy", "score": 91.5}),
    ("probes", PROBE, {"metric": "accuracy", "score": 0.9, "high": 91.5}),
    ("probes", PROBE, {"metric": "pearson", "score": 1.5}),
    ("probes", PROBE, {"metric": "pearson", "score": 0.1, "low": -1.5}),
    ("probes", PROBE, {"metric": "f0.5", "score": -0.1}),
    ("probes", PROBE, {"metric": "selectivity", "score": 30}),
    ("probes", PROBE, {"metric": "mdl_bits", "score": -1}),
    ("probes_details", PROBE, {"metric": "recall", "label": "NOUN", "score": 50}),
    ("probes_differences", {**PROBE, "other_level": 1}, {"metric": "accuracy", "difference": -1.5}),
    ("bleu", {"experiment": "e", "level": 0}, {"metric": "sacrebleu", "score": 101}),
    (
        "bleu_differences",
        {"experiment": "e", "level": 0, "other_level": 0},
        {"metric": "sacrebleu", "difference": -101},
    ),
    ("similarity", SIMILARITY, {"measure": "linear_cka", "score": 97.2}),
    ("similarity", SIMILARITY, {"measure": "svcca", "score": -0.5}),
    ("similarity", SIMILARITY, {"measure": "attention_cka", "score": 1.5}),
    ("similarity", SIMILARITY, {"measure": "spectrum_k80", "score": 0.5}),
    ("similarity", SIMILARITY, {"measure": "attention_concentration", "score": 40}),
    ("similarity", SIMILARITY, {"measure": "attention_entropy", "score": -1}),
]


@pytest.mark.parametrize(("table", "row", "wrong"), CASES)
def test_a_score_beyond_its_bounds_is_refused_with_its_line(tmp_path: Path, table: str, row: dict, wrong: dict) -> None:
    column = next(name for name in ("high", "low", "difference", "score") if name in wrong)
    right = {**row, **{key: value for key, value in wrong.items() if isinstance(value, str)}}
    rows = [{**right, "difference" if "difference" in wrong else "score": 1.0}]
    path = tmp_path / f"{table}.csv"
    write_table(pd.DataFrame(rows), table, path)
    read_results(tmp_path)
    write_table(pd.DataFrame([*rows, {**right, **wrong, **_elsewhere(table)}]), table, path)
    with pytest.raises(InputError, match=f"{table}.csv:3: column '{column}' has "):
        read_results(tmp_path)


def _elsewhere(table: str) -> dict:
    """What makes it another row."""
    return {"layer_a": "2"} if table == "similarity" else {"test_set": "t"} if "bleu" in table else {"layer": "2"}


def test_a_metric_of_another_tool_may_have_any_finite_score(tmp_path: Path) -> None:
    write_table(pd.DataFrame([{**PROBE, "metric": "perplexity", "score": 91.5}]), "probes", tmp_path / "probes.csv")
    assert read_results(tmp_path)["probes"]["score"].tolist() == [91.5]
