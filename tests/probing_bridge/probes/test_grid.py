"""The grid: every row once, whatever is killed, fails or runs at the same time."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from probing_bridge.cluster.jobs import Cluster
from probing_bridge.corpora.instances import Instance
from probing_bridge.errors import InputError
from probing_bridge.formats.files import remove_leftovers, written_beside
from probing_bridge.formats.locks import locked
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import RepresentationWriter
from probing_bridge.formats.tables import read_table, write_table
from probing_bridge.probes import executors, grid, units
from probing_bridge.probes.intervals import resample
from probing_bridge.probes.measures import MEASURES, TaskData, TaskSpec
from probing_bridge.probes.parts import PartKey, all_parts, current_parts, load_part, note_current, save_part, states
from probing_bridge.probes.problem import Recipe
from probing_bridge.probes.rows import assemble, write_tables

INDICES: dict[str, tuple[int, ...] | tuple[tuple[int, int], ...] | None] = {
    "tag": None,
    "pair": ((1, 0), (0, 1)),
    "value": (0,),
}


def sentences(task: str, n: int, seed: int) -> list[Instance]:
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        tokens = tuple(rng.choice("abcdefgh") for _ in range(rng.randrange(2, 7)))
        where = INDICES[task]
        count = len(tokens) if where is None else len(where)
        labels = tuple(rng.random() * 3 if task == "value" else rng.choice("XYZ") for _ in range(count))
        made.append(Instance(tokens, labels, where))
    return made


def make_task(task: str) -> TaskData:
    splits = {split: sentences(task, 20, seed) for seed, split in enumerate(("train", "dev", "test"))}
    metric = "pearson" if task == "value" else "accuracy"
    return TaskData(TaskSpec(task, metric, f"hash of {task}"), splits, None if task == "value" else ("X", "Y", "Z"))


TASKS = {name: make_task(name) for name in ("tag", "pair", "value")}


@pytest.fixture
def models(tmp_path: Path) -> list[grid.ModelInfo]:
    infos = []
    for level in range(2):
        path = tmp_path / f"lth{level}.hdf5"
        rng = np.random.default_rng(level)
        origin = Origin("e", level, sparsity=0.2 * level)
        sentences = dict.fromkeys(tuple(tokens) for data in TASKS.values() for tokens in data.sentences)
        with RepresentationWriter(path, sentences, ("0", "1", "2"), 4, origin) as writer:
            for tokens in sentences:
                writer.add(tokens, rng.normal(size=(3, len(tokens), 4)))
        infos.append(grid.ModelInfo(path, path.stem, origin, ("0", "1", "2"), f"hash of {level}"))
    return infos


RECIPES = [Recipe(seed=133, max_epochs=3), Recipe(seed=1, max_epochs=3)]


def plan(
    models: Sequence[grid.ModelInfo], folder: Path, measures: Sequence[str] = ("score",), workers: int = 1
) -> list[grid.Unit]:
    jobs = grid.list_jobs(models, [data.spec for data in TASKS.values()], RECIPES, measures)
    left = [job for whole in jobs if (job := grid.unfinished(whole, folder)) is not None]
    return grid.make_units(left, TASKS, folder, "test", workers, workers, None)


def endings_of(some: Sequence[grid.Unit], executor: executors.Executor = executors.run_here) -> list[units.Ending]:
    return [ending for endings in executor(some, False) for ending in endings]


def rows(folder: Path) -> list[tuple]:
    frame = assemble(all_parts(folder), folder)["probes"].drop(columns="command")
    return [tuple(str(value) for value in row) for row in frame.itertuples(index=False)]


def test_every_job_once_and_then_nothing_is_left(
    models: list[grid.ModelInfo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probing_bridge.probes.mdl._ROUNDS", 1)  # code lengths are no matter here
    folder = tmp_path / "parts"
    todo = plan(models, folder, ("score", "control", "mdl"))
    done = endings_of(todo)
    assert {ending.status for ending in done} == {"done"}
    # baselines: 3 tasks x 2; probes: 2 models x 2 seeds x (3 tasks x 2 measures + 2 with mdl)
    assert len(done) == 6 + 2 * 2 * (3 * 2 + 2)
    tables = assemble(all_parts(folder), folder)
    for name, frame in tables.items():
        write_table(frame, name, tmp_path / f"{name}.csv")  # refuses rows that are there twice
        assert len(read_table(tmp_path / f"{name}.csv", name)) == len(frame) > 0
    own = tables["probes"][tables["probes"]["seed"].notna() | (tables["probes"]["layer"] == "-")]
    per_probe = own.groupby(["probe", "metric"]).size().to_dict()
    cells = 2 * 2 * 3  # models, seeds, layers
    assert per_probe[("linear", "accuracy")] == per_probe[("linear_control", "accuracy")] == 2 * cells
    assert per_probe[("linear", "pearson")] == cells and per_probe[("linear", "selectivity")] == 3 * cells
    assert per_probe[("linear", "mdl_bits")] == per_probe[("linear", "mdl_compression")] == 2 * cells
    lengths = tables["probes"][tables["probes"]["metric"].isin(["mdl_bits", "mdl_compression"])]
    assert (lengths["low"] < lengths["score"]).all() and (lengths["score"] < lengths["high"]).all()
    assert per_probe[("linear", "gain")] == 3 * 2 * 2 * 2  # tasks, models, seeds, layers above 0
    assert per_probe[("linear_control", "control_ceiling")] == 3 * cells
    means = tables["probes"][tables["probes"]["seed"].isna() & (tables["probes"]["layer"] != "-")]
    assert 2 * len(means) == len(tables["probes"]) - len(means) - 6  # one for two seeds; none of the baselines
    assert per_probe[("majority", "accuracy")] == 2 and per_probe[("word_majority", "pearson")] == 1
    assert len(tables["probes_differences"]) == 3 * 3 * 3  # tasks, seeds and their mean, layers: level 1 against 0
    assert plan(models, folder) == []


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_scores_on_a_gpu_are_those_of_the_cpu(
    models: list[grid.ModelInfo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within two items; a sum in another order may put one on the other side."""
    import torch

    frames = []
    for name in ("gpu", "cpu"):
        endings_of(plan(models, tmp_path / name))
        frames.append(assemble(all_parts(tmp_path / name), tmp_path / name)["probes"])
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    place = ["model", "task", "layer", "probe", "metric", "seed"]
    both = frames[0].merge(frames[1], on=place, validate="one_to_one")
    assert len(both) == len(frames[0]) == len(frames[1])
    counted = both[both["metric"] == "accuracy"]
    assert len(counted) > 20 and ((counted["score_x"] - counted["score_y"]).abs() * counted["n_x"] <= 2 + 1e-9).all()
    np.testing.assert_allclose(
        *(both[both["metric"] == "pearson"][f"score_{side}"].astype(float) for side in "xy"), atol=1e-4
    )


def test_gain_is_the_difference_from_layer_0_paired_over_sentences(
    models: list[grid.ModelInfo], tmp_path: Path
) -> None:
    """And the row of the mean over seeds holds the means, with its own interval."""
    folder = tmp_path / "parts"
    endings_of(plan(models[:1], folder))
    frame = assemble(all_parts(folder), folder)["probes"]
    cells = frame[(frame["probe"] == "linear") & (frame["task"] == "tag")].set_index(["seed", "layer", "metric"])
    score, gain = ({key[:2]: row for key, row in cells.iterrows() if key[2] == name} for name in ("accuracy", "gain"))
    for layer in ("1", "2"):
        for seed in (133, 1):
            assert gain[seed, layer]["score"] == pytest.approx(score[seed, layer]["score"] - score[seed, "0"]["score"])
            read = [
                load_part(p.key.path(folder)) for p in all_parts(folder) if (p.key.task, p.key.seed) == ("tag", seed)
            ]
            of = {part.key.layer: part.outcome.predictions for part in read if part and part.outcome.predictions}
            right = [of[one].gold == of[one].predicted for one in (layer, "0")]
            change = np.add.reduceat(right[0].astype(int) - right[1], of["0"].offsets[:-1])
            drawn = resample(20).astype(int)
            slow = (drawn @ change) / (drawn @ np.diff(of["0"].offsets))
            assert [gain[seed, layer]["low"], gain[seed, layer]["high"]] == pytest.approx(
                np.percentile(slow, [2.5, 97.5])
            )
        mean = cells.xs((layer, "gain"), level=("layer", "metric")).loc[np.nan]
        assert mean["score"] == pytest.approx(np.mean([gain[seed, layer]["score"] for seed in (133, 1)]))
        assert mean["low"] < mean["score"] < mean["high"]


def test_selectivity_is_the_difference_of_the_two_rows(models: list[grid.ModelInfo], tmp_path: Path) -> None:
    endings_of(plan(models[:1], tmp_path / "parts", ("score", "control")))
    frame = assemble(all_parts(tmp_path / "parts"), tmp_path / "parts")["probes"]
    frame = frame.set_index(["task", "seed", "layer", "probe", "metric"])["score"]
    for (task, seed, layer, _, metric), value in frame.items():
        if metric == "selectivity":
            own = "pearson" if task == "value" else "accuracy"
            expected = frame[task, seed, layer, "linear", own] - frame[task, seed, layer, "linear_control", own]
            assert value == pytest.approx(expected, abs=1e-12)


def test_seeds_and_layers_matter_and_grouping_does_not(models: list[grid.ModelInfo], tmp_path: Path) -> None:
    endings_of(plan(models, tmp_path / "a"))
    for layer in ("2", "0", "1"):  # one layer at a time, later runs add to earlier ones
        endings_of(plan([replace(model, layers=(layer,)) for model in models], tmp_path / "b"))
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    parts = {part.key: load_part(part.key.path(tmp_path / "a")) for part in all_parts(tmp_path / "a")}
    predicted = {
        key: part.outcome.predictions.predicted
        for key, part in parts.items()
        if key.task == "value" and part and part.outcome.predictions
    }
    assert len({values.tobytes() for values in predicted.values()}) == len(predicted)  # no two probes are the same


def test_changed_data_is_done_again(models: list[grid.ModelInfo], tmp_path: Path) -> None:
    endings_of(plan(models, tmp_path / "parts"))
    changed = [models[0], replace(models[1], hash="other")]
    left = plan(changed, tmp_path / "parts")
    assert {job.model.name for unit in left for job in unit.jobs} == {"lth1"}
    assert len([job for unit in left for job in unit.jobs]) == 3 * 2
    endings_of(left)
    assert plan(changed, tmp_path / "parts") == []
    write_table(
        assemble(all_parts(tmp_path / "parts"), tmp_path / "parts")["probes"], "probes", tmp_path / "probes.csv"
    )


def test_a_failing_job_does_not_stop_the_others(models: list[grid.ModelInfo], tmp_path: Path) -> None:
    models[0].path.write_bytes(b"no longer HDF5")  # type: ignore[union-attr]
    done = endings_of(plan(models, tmp_path / "parts"))
    failed = [ending for ending in done if ending.status == "failed"]
    assert len(failed) == 3 * 2 and {ending.job.model.name for ending in failed} == {"lth0"}
    assert all("not an HDF5 file" in ending.message and "\n" not in ending.message for ending in failed)
    assert len([ending for ending in done if ending.status == "done"]) == 6 + 3 * 2


def test_an_unexpected_error_leaves_its_traceback(
    models: list[grid.ModelInfo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(MEASURES, "score", replace(MEASURES["score"], run=broken))
    done = endings_of(plan(models[:1], tmp_path / "parts"))
    failed = [ending for ending in done if ending.status == "failed"]
    assert len(failed) == 6 and len(done) == 12
    path = Path(failed[0].message.split("traceback in ")[1].rstrip(")"))
    assert "ZeroDivisionError: oh" in path.read_text()


def test_a_job_that_is_claimed_is_left_to_its_owner(models: list[grid.ModelInfo], tmp_path: Path) -> None:
    todo = plan(models[:1], tmp_path / "parts")
    job = next(job for unit in todo for job in unit.jobs if job.task.name == "pair" and job.recipe is not None)
    with locked(job.key("layers").path(tmp_path / "parts").with_suffix(".lock"), wait=False):
        done = endings_of(todo)
    assert [ending.job for ending in done if ending.status == "elsewhere"] == [job]


def test_tables_hold_what_was_finished_while_they_waited(
    models: list[grid.ModelInfo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another runner has the lock of the tables, and a third one finishes its jobs meanwhile."""
    mine, others = plan(models[:1], tmp_path / "parts"), plan(models[1:], tmp_path / "parts")
    endings_of(mine)

    @contextmanager
    def waiting(path: Path, *, wait: bool) -> Iterator[bool]:
        assert wait and path == tmp_path / "parts" / "tables.lock"
        endings_of(others)
        with locked(path, wait=wait) as ours:
            yield ours

    monkeypatch.setattr("probing_bridge.probes.rows.locked", waiting)
    tables = write_tables(tmp_path, tmp_path / "parts")
    assert set(tables["probes"]["model"]) == set(read_table(tmp_path / "probes.csv", "probes")["model"])
    assert set(tables["probes"]["model"]) == {"-", "lth0", "lth1"} and len(tables["probes_differences"])


def test_what_another_runner_is_writing_is_no_part_and_may_go(
    models: list[grid.ModelInfo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings_of(plan(models[:1], tmp_path))
    part = next(tmp_path.glob("e/lth0/tag.*.npz"))
    with written_beside(part, shared=True) as beside:
        beside.write_bytes(part.read_bytes())
        scandir = os.scandir

        def late(path: str | Path) -> object:
            if str(path).endswith(".tmp"):
                raise FileNotFoundError
            return scandir(path)

        whole = all_parts(tmp_path)
        monkeypatch.setattr(os, "scandir", late)
        assert [other.key for other in all_parts(tmp_path)] == [other.key for other in whole]
        remove_leftovers(tmp_path)
    assert len({other.key for other in whole}) == len(whole) == 6 + 6 * 3


def test_no_two_keys_have_one_file(tmp_path: Path) -> None:
    """Names of files from elsewhere are made into names of folders."""
    names = ["", "-", "a", "a b", "a_b", "a/b", "..", ".a", "é", "\udcff", "a" * 240, "a " * 120, "a " * 121]
    paths = {PartKey(one, other, "pos", "linear", 1, "score", "0").path(tmp_path) for one in names for other in names}
    assert len(paths) == len(names) ** 2
    for path in paths:
        assert path.parent.parent.parent == tmp_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert PartKey("e1", "lth0", "pos", "linear", 1, "score", "0").path(tmp_path) == tmp_path / "e1/lth0" / path.name


def test_what_is_current_is_read_with_care(models: list[grid.ModelInfo], tmp_path: Path) -> None:
    endings_of(plan(models[:1], tmp_path))
    assert len(current_parts(tmp_path)) == len(all_parts(tmp_path)) > 0
    for text, message in (("{", "cannot be read"), ("[]", "is not what `probe` writes"), ('{"a": 1}', "is not what")):
        (tmp_path / "current.json").write_text(text)
        with pytest.raises(InputError, match=message):
            current_parts(tmp_path)
    (tmp_path / "current.json").unlink()
    part = next(part for part in all_parts(tmp_path) if part.key.layer == "0")
    key = replace(part.key, layer="9")
    save_part(replace(part, key=key, fingerprint=part.fingerprint | {"reps_hash": "other"}), tmp_path)
    with pytest.raises(InputError, match=f"parts of 2 states of model {key.experiment}/{key.model}: probe it again"):
        current_parts(tmp_path)
    own = states({}, {(key.experiment, key.model): "other"})
    assert {part.key.layer for part in current_parts(tmp_path, own)} == {"-", "9"}
    note_current(tmp_path, own)
    assert {part.key.layer for part in current_parts(tmp_path)} == {"-", "9"}


def test_half_a_part_is_no_part(models: list[grid.ModelInfo], tmp_path: Path) -> None:
    endings_of(plan(models[:1], tmp_path / "parts"))
    before = rows(tmp_path / "parts")
    part = next((tmp_path / "parts" / "e" / "lth0").glob("tag.linear.133.score.1.npz"))
    part.write_bytes(part.read_bytes()[:200])
    left = plan(models[:1], tmp_path / "parts")
    assert [job.layers for unit in left for job in unit.jobs] == [("1",)]
    endings_of(left)
    assert rows(tmp_path / "parts") == before


@pytest.mark.slow
@pytest.mark.parametrize("where", ["processes", "submitit"])
def test_other_executors_give_the_same_rows(models: list[grid.ModelInfo], tmp_path: Path, where: str) -> None:
    specs, recipes = [TASKS["pair"].spec], [Recipe(max_epochs=2)]

    def some_units(folder: Path) -> list[grid.Unit]:
        jobs = grid.list_jobs(models[:1], specs, recipes, ["score"])
        return grid.make_units(jobs, {"pair": TASKS["pair"]}, folder, "test", 2, 2, None)

    endings_of(some_units(tmp_path / "here"))
    if where == "processes":
        executor = executors.run_in_processes(2)
    else:
        executor = executors.run_on_cluster(Cluster("local", {"timeout_min": 5}), tmp_path / "submitit")
    done = endings_of(some_units(tmp_path / "there"), executor)
    assert len(some_units(tmp_path / "there")) == 2 and [ending.status for ending in done] == ["done"] * 3
    assert rows(tmp_path / "there") == rows(tmp_path / "here")


def test_a_dead_worker_is_told(models: list[grid.ModelInfo], tmp_path: Path) -> None:
    """As when the system kills it for want of memory; here its work cannot even be unpacked."""
    jobs = grid.list_jobs(models[:1], [TASKS["pair"].spec], RECIPES[:1], ["score"])
    endings_of(grid.make_units(jobs[:1], {"pair": TASKS["pair"]}, tmp_path / "parts", "test", 1, 1, None))
    data = replace(TASKS["pair"], splits={**TASKS["pair"].splits, "extra": [_Killer()]})  # type: ignore[list-item]
    todo = grid.make_units(jobs, {"pair": TASKS["pair"]}, tmp_path / "parts", "test", 1, 1, None)
    todo = [replace(unit, tasks={"pair": data}) for unit in todo]
    done = endings_of(todo, executors.run_in_processes(2))
    status = {ending.job: ending.status for ending in done}  # what it has finished has not failed
    assert status == {jobs[0]: "done", jobs[1]: "failed", jobs[2]: "failed"}
    assert all("a worker process died" in ending.message for ending in done if ending.status == "failed")


class _Killer:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple:
        return os._exit, (1,)
