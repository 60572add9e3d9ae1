"""Fixtures that every test may use."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two pytest workers share two cores

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from probing_bridge.results.folder import Results

os.fsync = lambda descriptor: None  # no test cuts the power, and some have the disk answer hundreds of times
settings.register_profile("many", max_examples=1000)  # pytest --hypothesis-profile many: ten times as many


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and golden outputs beside the checkout; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: real data and golden outputs are not part of the project")
    return folder


@pytest.fixture(scope="session")
def gpu() -> None:
    """Skips what needs a CUDA device where there is none."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The generator of made-up results of any size."""
    path = Path(__file__).parent / "probing_bridge" / "synthetic_results.py"
    spec = importlib.util.spec_from_file_location("synthetic_results", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def study() -> Results:
    """The committed study of recipes/open_en_de: three runs of magnitude pruning, and its three controls."""
    from probing_bridge.results.runs import read_runs, with_control

    folder = Path(__file__).resolve().parents[1] / "docs/results/open_en_de"
    seeds = sorted(folder.glob("seed*"))
    results = read_runs([seed / "magnitude" for seed in seeds])
    for control in ("control", "shuffle", "random"):
        results = with_control(results, [seed / control for seed in seeds])
    return results
