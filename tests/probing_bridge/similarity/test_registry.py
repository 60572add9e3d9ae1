"""One entry in a registry is all that a new measure takes: the command, the tables and the report know it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from probing_bridge import run
from probing_bridge.results.folder import read_results
from probing_bridge.results.similarity import similarity_rows
from probing_bridge.similarity.measures.attention_distributions import DistributionMeasure
from probing_bridge.similarity.measures.registry import (
    DISTRIBUTION_MEASURES,
    HEAD_MEASURES,
    MEASURES,
    SPECTRUM_MEASURES,
    Measure,
)
from probing_bridge.similarity.measures.spectra import SpectrumMeasure
from probing_bridge.similarity.sums.moments import PairBlocks, PairMoments
from probing_bridge.similarity.sums.records import Estimate, LayerPair

CITED = "Nobody 2026, eq. 1"


def size_ratio(pair: PairMoments) -> float:
    return pair.x.trace / pair.y.trace


def size_likeness(pair: PairMoments) -> float:
    return 2 * math.sqrt(pair.x.trace * pair.y.trace) / (pair.x.trace + pair.y.trace)


def keep_sizes(own: PairBlocks, weights: np.ndarray) -> dict[str, np.ndarray]:
    return {"sizes": weights @ own.x.norms}


def closed_form(pair: LayerPair, variants: Sequence[str], weights: np.ndarray) -> dict[str, Estimate]:
    left_out = pair.x.kept["sizes"] / pair.y.kept["sizes"]
    return {variant: Estimate(size_ratio(pair.moments), left_out) for variant in variants}


@pytest.fixture
def rows(make_dumps: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """What one run of the command writes with a dummy of each kind in its registry."""
    likeness = {"mild": size_likeness, "strict": lambda pair: size_likeness(pair) ** 2}
    monkeypatch.setitem(MEASURES, "likeness", Measure(likeness, True, (0, 1), CITED))
    monkeypatch.setitem(
        MEASURES, "ratio", Measure({"": size_ratio}, False, (0, np.inf), CITED, closed_form, keep_sizes)
    )
    monkeypatch.setitem(HEAD_MEASURES, "head_ratio", Measure({"": size_ratio}, False, (0, np.inf), CITED))
    largest = SpectrumMeasure(lambda spectrum: float(spectrum.cumulative[0] * len(spectrum.values)), CITED)
    monkeypatch.setitem(SPECTRUM_MEASURES, "largest_direction", largest)
    smallest = DistributionMeasure(
        lambda rows, starts, threshold: np.minimum.reduceat(rows, starts, axis=0), (0.0, 1.0), CITED
    )
    monkeypatch.setitem(DISTRIBUTION_MEASURES, "smallest_mass", smallest)
    maker = make_dumps(n_sentences=20, n_layers=1, width=5)
    dumps = [str(maker.level(k).path) for k in range(2)]
    words = ["similarity", "--dumps", *dumps, "--output", str(tmp_path)]
    assert run.main([*words, "--measures", "likeness", "ratio"]) == 0
    return read_results(tmp_path)["similarity"]


def test_a_dummy_of_each_kind_is_in_the_table(rows: pd.DataFrame) -> None:
    counts = rows[rows["group"] == ""].groupby(["measure", "variant"]).size()
    layers, kinds = 2 * (2 * 2) ** 2, 3
    assert counts["likeness", "mild"] == counts["likeness", "strict"] == counts["ratio", ""] == layers
    for variant in ("visible", "all"):
        assert counts["head_ratio", variant] == kinds * 2**2
        assert counts["smallest_mass", variant] == kinds * 2
    assert counts["largest_direction", "centred"] == counts["largest_direction", "uncentred"] == 8
    dummies = rows[rows["measure"].isin(["likeness", "ratio", "head_ratio", "largest_direction", "smallest_mass"])]
    assert ((dummies["low"] <= dummies["score"]) & (dummies["score"] <= dummies["high"])).all()
    other = dummies[(dummies["measure"] == "ratio") & (dummies["layer_a"] != dummies["layer_b"])]
    assert ((other["high"] - other["low"]) > 0).all()


def test_the_report_knows_its_paper_variant_and_its_symmetry(rows: pd.DataFrame) -> None:
    upwards = rows[(rows["level_a"] <= rows["level_b"]) & (rows["group"] == "")]

    def read(measure: str) -> pd.DataFrame:
        return similarity_rows({"similarity": upwards}, measure, "encoder")  # type: ignore[arg-type]

    assert set(read("likeness")["variant"]) == {"mild"}
    assert len(read("likeness")) == 16  # the other order was added: likeness is symmetric
    assert len(read("ratio")) == 12
    assert set(read("largest_direction")["variant"]) <= {"centred"}


def test_an_unknown_measure_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["similarity", "--dumps", "x", "--output", "y", "--measures", "cka"])
    error = capsys.readouterr().err
    assert all(name in error for name in MEASURES)
