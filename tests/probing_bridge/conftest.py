"""Result folders made up for the tests of figures, claims, report and page."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from probing_bridge.formats.activations.output import Output
from probing_bridge.report.page import build
from probing_bridge.results.folder import Results, read_results
from probing_bridge.results.runs import with_baseline


@pytest.fixture(scope="session")
def full_folder(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine levels, 18 tasks, 6 layers, trends as in the paper."""
    return synthetic.write_results(tmp_path_factory.mktemp("full") / "results", width=24)


@pytest.fixture(scope="session")
def full_baseline(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random pruning from LTH0 of full_folder: BLEU only."""
    return synthetic.write_baseline(tmp_path_factory.mktemp("random") / "results")


@pytest.fixture(scope="session")
def full(full_folder: Path, full_baseline: Path) -> Results:
    """The tables of full_folder, with random pruning beside them."""
    return with_baseline(read_results(full_folder), [full_baseline])


@pytest.fixture(scope="session")
def opposite(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The same with every trend the other way round."""
    folder = tmp_path_factory.mktemp("opposite")
    results = read_results(synthetic.write_results(folder / "results", width=24, sign=-1))
    return with_baseline(results, [synthetic.write_baseline(folder / "random", sign=-1)])


@pytest.fixture(scope="session")
def pre_norm_folder(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a model whose stacks end in a norm of their own, over layer 3."""
    folder = tmp_path_factory.mktemp("pre_norm") / "results"
    return synthetic.write_results(folder, levels=5, tasks=18, layers=3, width=8, pre_norm=True)


@pytest.fixture(scope="session")
def pre_norm(pre_norm_folder: Path) -> Results:
    """The tables of pre_norm_folder."""
    return read_results(pre_norm_folder)


@pytest.fixture(scope="session")
def small_folder(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the quickstart's size."""
    return synthetic.write_results(tmp_path_factory.mktemp("small") / "results", levels=4, tasks=4, layers=3, width=8)


@pytest.fixture(scope="session")
def tiny_folder(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of which tables and figures are small."""
    return synthetic.write_results(tmp_path_factory.mktemp("tiny") / "results", levels=2, tasks=2, layers=2, width=4)


@pytest.fixture(scope="session")
def small_page(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole report of small_folder, and of each picture the SVG."""
    return _once(
        "small_page", tmp_path_factory, lambda folder: build(read_results(small_folder), folder, forms=("svg",))
    )


@pytest.fixture(scope="session")
def full_page(full: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole report of nine levels, 18 tasks and 6 layers with its baseline, and of each picture the SVG."""
    return _once("full_page", tmp_path_factory, lambda folder: build(full, folder, forms=("svg",)))


def _once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], Path]) -> Path:
    """A page that takes seconds to make: parallel workers share the one that came first."""
    base = factory.getbasetemp()
    page = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name / "index.html"
    try:
        page.parent.mkdir()
    except FileExistsError:
        for _ in range(600):
            if page.is_file():
                return page
            time.sleep(0.5)
        pytest.fail(f"another worker did not finish {page}")
    return make(page.parent)


@pytest.fixture(scope="session")
def output_of() -> Callable[[np.ndarray, np.ndarray, int], Output]:
    """Gives what a dump stores of (n, n_symbols) log probabilities, (n,) gold tokens and a number of best tokens."""

    def of(logs: np.ndarray, gold: np.ndarray, n_best: int) -> Output:
        logs = logs.astype(np.float32)
        tokens = np.argsort(-logs, axis=1, kind="stable")[:, :n_best].astype(np.int32)
        own = np.take_along_axis(logs, gold[:, None], axis=1)
        rank = 1 + (logs > own).sum(axis=1)
        best = np.take_along_axis(logs, tokens, axis=1)
        least = logs.min(axis=1)
        return Output(
            tokens, best, gold.astype(np.int32), own[:, 0], rank.astype(np.int32), least, np.zeros_like(least)
        )

    return of
