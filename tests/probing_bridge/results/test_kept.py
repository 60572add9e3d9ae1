"""Claims about probes from the predictions that were kept: beside a jackknife of the predictions themselves."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from probing_bridge import __version__
from probing_bridge.claims.numbers import Numbers
from probing_bridge.claims.per_run import PerRun, mean
from probing_bridge.claims.probing import trend_of
from probing_bridge.errors import InputError
from probing_bridge.formats.tables import empty_table, write_table
from probing_bridge.probes.measures import Outcome
from probing_bridge.probes.metrics import Predictions
from probing_bridge.probes.parts import PARTS, Part, PartKey, save_part
from probing_bridge.probes.rows import write_tables
from probing_bridge.report.texts import effects_of_probes
from probing_bridge.results.folder import Results, read_results
from probing_bridge.results.runs import read_runs
from probing_bridge.results.statistics import fitted_weights, multi_jackknife
from probing_bridge.run import main

RUNS, LEVELS, LAYERS, SEEDS = 3, (0, 1, 2, 3), ("0", "1", "2"), (1, 2)
SENTENCES, WORDS = 60, 4
TASKS = ("ps_fxn", "ps_role")


def right(task: str, run: int, level: int, layer: str, seed: int) -> np.ndarray:
    """(SENTENCES * WORDS,) bool: which items a probe gets right; half of them because of the item."""
    items = np.random.default_rng([9, len(task)]).random(SENTENCES * WORDS)
    own = np.random.default_rng([len(task), run, level, int(layer), seed]).random(SENTENCES * WORDS)
    return (items + own) / 2 < 0.45 + 0.08 * int(layer) - 0.03 * level + 0.02 * run


def write_run(folder: Path, run: int) -> Path:
    """The parts of a run, and the tables that `probe` makes of them."""
    about = {"sparsity": None, "features": "standardised", "package_version": __version__, "command": "probe"}
    offsets, gold = np.arange(0, SENTENCES * WORDS + 1, WORDS), np.zeros(SENTENCES * WORDS, np.int64)
    for task in TASKS:
        for level in LEVELS:
            for layer in LAYERS:
                for seed in SEEDS:
                    answers = np.where(right(task, run, level, layer, seed), 0, 1)
                    outcome = Outcome(len(gold), 3, 0.5, Predictions(gold, answers, offsets, ("x", "y")))
                    fingerprint = about | {"level": level, "data_hash": task, "reps_hash": f"{run}-{level}"}
                    key = PartKey(f"run-{run}", f"lth{level}", task, "linear", seed, "score", layer)
                    save_part(Part(key, fingerprint, "accuracy", outcome, []), folder / PARTS)
    write_tables(folder, folder / PARTS)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = tmp_path_factory.mktemp("kept")
    return [write_run(base / f"seed{run}", run) for run in range(1, RUNS + 1)]


@pytest.fixture(scope="module")
def study(folders: list[Path]) -> Results:
    return read_runs(folders)


@pytest.fixture
def copied(folders: list[Path], tmp_path: Path) -> list[Path]:
    """Runs of which a test may change something."""
    return [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in folders]


def sums(task: str, layer: str) -> np.ndarray:
    """(RUNS, SENTENCES, LEVELS) correct answers, mean over seeds."""
    found = [
        [np.mean([right(task, run, level, layer, seed) for seed in SEEDS], axis=0) for level in LEVELS]
        for run in range(1, RUNS + 1)
    ]
    return np.array(found).reshape(RUNS, len(LEVELS), SENTENCES, WORDS).sum(axis=-1).transpose(0, 2, 1)


CHANGES: dict[str, tuple[Callable[[Numbers], PerRun], list[float]]] = {
    "a level less LTH0": (lambda numbers: numbers.change("ps_fxn", 2, "2"), [-1, 0, 1, 0]),
    "the fitted line": (lambda numbers: trend_of(numbers, "ps_fxn", "2"), fitted_weights(LEVELS).tolist()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_effect_is_that_of_the_predictions(name: str, study: Results) -> None:
    number, weights = CHANGES[name]
    found = number(Numbers(study)).estimate()
    counts = sums("ps_fxn", "2")
    wanted = multi_jackknife(counts, lambda total: total @ np.array(weights) * 100 / (SENTENCES * WORDS))
    assert found.effect == pytest.approx(wanted.effect) and found.degrees == pytest.approx(wanted.degrees, rel=0.3)
    assert found.error == pytest.approx(wanted.error, rel=0.1)


def test_intervals_of_the_tables_are_wider(copied: list[Path], study: Results) -> None:
    assert effects_of_probes(study).startswith("from the kept predictions")
    shutil.rmtree(copied[1] / PARTS / "run-2/lth2")
    bare = read_runs(copied)
    assert "not all of run 2 are in probes.parts" in effects_of_probes(bare)
    for number, _ in CHANGES.values():
        kept, from_tables = number(Numbers(study)).estimate(), number(Numbers(bare)).estimate()
        assert from_tables.effect == pytest.approx(kept.effect) and from_tables.error > 1.1 * kept.error
    one, two = (Numbers(results).change("ps_fxn", 1, "2").estimate() for results in (study, bare))
    assert one == two  # of a level whose predictions are all there


def test_what_two_test_sets_have_in_common_is_not_known(study: Results) -> None:
    numbers = Numbers(study)
    one, two = (numbers.change(task, 2, "2") for task in TASKS)
    both = mean([one, two]).estimate()
    assert both.of_sentences == pytest.approx((one.estimate().of_sentences + two.estimate().of_sentences) / 2)
    assert both.effect == pytest.approx((one.estimate().effect + two.estimate().effect) / 2)


def test_one_run_is_judged_over_its_sentences_alone(folders: list[Path]) -> None:
    found = trend_of(Numbers(read_results(folders[0])), "ps_fxn", "2").estimate()
    weights = fitted_weights(LEVELS)
    wanted = multi_jackknife(sums("ps_fxn", "2")[:1], lambda total: total @ weights * 100 / (SENTENCES * WORDS))
    assert (found.runs, found.degrees) == (1, SENTENCES - 1)
    assert wanted.error < found.error < 1.5 * wanted.error  # seeds are drawn too


def test_gather_takes_the_predictions_along(copied: list[Path], study: Results, tmp_path: Path) -> None:
    tables = []
    for number, folder in enumerate(copied, 1):
        for name in ("lth", "lth_modules"):
            write_table(empty_table(name), name, folder / f"{name}.csv")
        (folder / PARTS / f"run-{number}/lth2/coref.linear.1.score.2.npz").write_text("of another table")
        tables.append(tmp_path / f"tables{number}")
        assert main(["gather", "--results", str(folder), "--output", str(tables[-1])]) == 0
    assert not list(tables[0].glob(f"{PARTS}/*/*/coref*"))
    found = Numbers(read_runs(tables, names=("probes", "probes_differences")))
    assert found.change("ps_fxn", 2, "2").estimate() == Numbers(study).change("ps_fxn", 2, "2").estimate()


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        Numbers(read_results(folder)).change("ps_fxn", 2, "2")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_predictions_that_are_not_those_of_the_table_are_refused(copied: list[Path]) -> None:
    path = copied[0] / PARTS / "run-1/lth2/ps_fxn.linear.1.score.2.npz"
    own = path.read_bytes()
    shutil.copyfile(path.with_name("ps_fxn.linear.1.score.0.npz"), path)
    assert "gather both again" in refusal(copied[0]) and path.name in refusal(copied[0])
    for wrong in (b"", own[:100], b"no archive"):
        path.write_bytes(wrong)
        assert "is not what `probe` writes" in refusal(copied[0])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gold.npy", bytes(50_000_000))
    assert "would unpack to 50,000,000 bytes" in refusal(copied[0])


def test_hostile_offsets_are_refused(copied: list[Path]) -> None:
    path = copied[0] / PARTS / "run-1/lth2/ps_fxn.linear.1.score.2.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    for offsets in ([0, 10**9], [[0, 240]], [], [0, 9, 4, 240]):
        np.savez_compressed(path, **(arrays | {"offsets": np.array(offsets, np.int64)}))
        assert "is not what `probe` writes" in refusal(copied[0])


def test_a_table_without_seeds_or_scores_needs_no_predictions(copied: list[Path]) -> None:
    rows = pd.read_csv(copied[0] / "probes.csv", dtype=str, keep_default_na=False)
    rows.assign(seed="").drop_duplicates(["task", "layer", "level", "metric"]).to_csv(
        copied[0] / "probes.csv", index=False
    )
    bare = read_results(copied[0])
    assert Numbers(bare).score("ps_fxn", 2, "2").draws == {}
    assert effects_of_probes(bare).startswith("from the intervals of the tables")
