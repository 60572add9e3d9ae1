"""Intervals beside worlds whose truth is known, at the sizes of real corpora."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark of this checkout."""
    spec = importlib.util.spec_from_file_location("benchmark_of_coverage", ROOT / "benchmarks/coverage.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_intervals_and_errors_are_right_at_both_sizes(coverage: ModuleType) -> None:
    """By few corpora, so with room for chance; the benchmark's own table is of 400."""
    rows = [tally.row(key) for key, tally in coverage.tallies(100).items()]
    assert len({row["of"] for row in rows}) == 5
    for row in rows:
        share = "population %" if row["claims"] == "population" else "corpus size %"
        assert 88 <= row[share] <= 100, row
    errors = {(row["variant"], row["of"]): row["error / true error"] for row in rows if row["measure"] == "linear_cka"}
    for variant in ("biased", "debiased"):
        for size in ("3,900 tokens", "17,500 tokens"):
            assert abs(errors[variant, size] - 1) < 0.15, errors
