"""`probe` as a user runs it: tables, resuming after a kill, two runners at once, and what it refuses."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import random
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from probing_bridge.corpora.suite import load_suite
from probing_bridge.formats import tables
from probing_bridge.formats.locks import locked
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import Representations, RepresentationWriter, write_vectors
from probing_bridge.probes.measures import MEASURES
from probing_bridge.results.folder import read_results
from probing_bridge.run import main

TAGS = {"the": "DET", "cat": "NOUN", "dog": "NOUN", "sees": "VERB", "runs": "VERB", "now": "ADV"}
LAYERS = ("0", "1", "norm")


def write_corpus(folder: Path, n: int = 30) -> Path:
    """CoNLL-U and It-Happened files of invented sentences, and a suite of four tasks on them."""
    rng = random.Random(0)
    for split in ("train", "dev", "test"):
        blocks, judgements = [], {}
        for number in range(n):
            words = [rng.choice(list(TAGS)) for _ in range(rng.randrange(2, 6))]
            relations = ["root", *(rng.choice(["nsubj", "obj"]) for _ in words[1:])]
            lines = [
                f"{i + 1}\t{word}\t{word}\t{TAGS[word]}\t_\t_\t{i}\t{relation}\t_\t_"
                for i, (word, relation) in enumerate(zip(words, relations, strict=True))
            ]
            blocks.append("\n".join(lines) + "\n")
            judgements[f"{split} {number}"] = {
                "sentence": words,
                "predicate_indices": [1],
                "labels": [rng.randrange(-8, 9) * 0.375],
            }
        (folder / f"{split}.conllu").write_text("\n".join(blocks))
        (folder / f"{split}.json").write_text(json.dumps(judgements))
    files = {split: f"{split}.conllu" for split in ("train", "dev", "test")}
    suite = {task: files for task in ("pos", "syn_arc_prediction", "syn_arc_classification")}
    suite["ef"] = {split: f"{split}.json" for split in ("train", "dev", "test")}
    (folder / "suite.yaml").write_text(json.dumps({"tasks": suite}))
    return folder / "suite.yaml"


def write_representations(
    path: Path, suite: Path, level: int, experiment: str = "e1", skip: int = 0, damage: float = 0.0, parent: str = ""
) -> Path:
    """Random vectors of three layers for every sentence of a suite, of which the first `skip` are left out."""
    tasks = load_suite(suite).tasks.values()
    texts = sorted({i.tokens for task in tasks for split in ("train", "dev", "test") for i in task.read(split)})
    rng = np.random.default_rng(level)
    word_vectors = {word: 20 * rng.normal(size=8) for word in TAGS}
    origin = Origin(experiment, level, parent, 0.2 * level)
    with RepresentationWriter(path, texts[skip:], LAYERS, 8, origin) as writer:
        for tokens in texts[skip:]:
            base = np.stack([word_vectors[word] for word in tokens])
            writer.add(tokens, base + rng.normal(size=(len(LAYERS), len(tokens), 8)))
    if damage:
        with h5py.File(path, "a") as file:
            file["layers/1"][0, 0] = damage
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("inputs")
    suite = write_corpus(folder)
    return suite, [write_representations(folder / f"lth{k}.hdf5", suite, k) for k in range(2)]


def arguments(inputs: tuple[Path, list[Path]], output: Path, *more: str) -> list[str]:
    return ["probe", "--suite", str(inputs[0]), "--reps", *map(str, inputs[1]), "--output", str(output), *more]


def comparable(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "probes.csv").drop(columns="command")


def test_whole_table(inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(inputs, tmp_path / "results", "--seeds", "133", "2")) == 0
    results = read_results(tmp_path / "results")
    frame = results["probes"]
    probes = frame[frame["probe"] == "linear"]
    gains = probes["metric"] == "gain"
    assert (~gains).sum() == 4 * 2 * 3 * 3  # tasks, levels, layers, seeds and their mean
    assert gains.sum() == 4 * 2 * 2 * 3 and len(frame) == len(probes) + 4 * 2  # two baselines a task
    assert set(probes["layer"]) == set(LAYERS) and set(probes["level"]) == {0, 1}
    assert set(probes["seed"].dropna()) == {133, 2} and set(probes["features"]) == {"standardised"}
    assert set(frame.loc[frame["task"] == "ef", "metric"]) == {"pearson", "gain"}
    assert probes.loc[~gains, "dev_score"].between(-1, 1).all()
    assert (probes["low"] <= probes["score"]).all() and (probes["score"] <= probes["high"]).all()
    pos = frame[(frame["task"] == "pos") & (frame["metric"] == "accuracy")].set_index("probe")["score"]
    assert pos["word_majority"] == 1.0 and pos["linear"].max() > pos["majority"]  # the word decides its tag here
    arcs = frame[(frame["task"] == "syn_arc_prediction") & (frame["probe"] == "majority")].iloc[0]
    assert 0.4 < arcs["score"] < 0.7 and arcs["layer"] == "-"
    assert len(results["probes_differences"]) == 4 * 3 * 3
    details = results["probes_details"]
    tags = details[(details["task"] == "pos") & (details["label"] == "NOUN") & (details["metric"] == "f1")]
    assert len(tags) == 2 * 3 * 2 + 2
    printed = capsys.readouterr().out.splitlines()
    assert "majority" in printed[0] and printed[9].startswith("layer: one for all levels, by the scores on the dev")


def test_again_does_nothing_and_more_layers_are_added(inputs: tuple[Path, list[Path]], tmp_path: Path) -> None:
    output = tmp_path / "results"
    assert main(arguments(inputs, output, "--layers", "0", "norm")) == 0
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "results" / "probes.parts").rglob("*.npz")}
    before = comparable(output)
    assert main(arguments(inputs, output, "--layers", "0", "norm")) == 0
    pd.testing.assert_frame_equal(comparable(output), before)
    assert {path: path.stat().st_mtime_ns for path in parts} == parts
    assert main(arguments(inputs, output)) == 0
    assert len(comparable(output)) == len(before) + 4 * 2 * 2  # scores and gains
    whole = tmp_path / "whole"
    assert main(arguments(inputs, whole)) == 0
    pd.testing.assert_frame_equal(comparable(output), comparable(whole))


def start(words: list[str]) -> multiprocessing.process.BaseProcess:
    """The command in a process of its own, which has all imports of this one."""
    process = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(main(words)))
    process.start()
    return process


def test_killed_and_two_at_once(inputs: tuple[Path, list[Path]], tmp_path: Path) -> None:
    few = ("--tasks", "pos", "syn_arc_prediction", "--layers", "0", "1", "--seeds", "1", "2", "3")
    assert main(arguments(inputs, tmp_path / "alone", *few)) == 0
    output = tmp_path / "results"
    words = arguments(inputs, output, *few)
    victim = start(words)
    while len(list(tmp_path.glob("results/probes.parts/e1/lth*/*.npz"))) < 3 and victim.is_alive():
        time.sleep(0.01)
    victim.kill()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL and not (output / "probes.csv").exists()
    runners = [start(words) for _ in range(2)]
    for runner in runners:
        runner.join()
        assert runner.exitcode == 0
    pd.testing.assert_frame_equal(comparable(output), comparable(tmp_path / "alone"))
    for left in (tmp_path / "results" / "probes.parts").rglob("*.lock"):  # of a job that was done before the kill
        with locked(left, wait=False) as ours:
            assert ours


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(20))
def test_three_runners_wait_for_the_tables(inputs: tuple[Path, list[Path]], tmp_path: Path, attempt: int) -> None:
    """Each has a layer of its own and all wait for the lock that a fourth holds; whoever writes last writes all."""
    output, parts = tmp_path / "results", tmp_path / "results" / "probes.parts"
    few = ("--tasks", "pos", "syn_arc_prediction", "--seeds", str(attempt))
    with locked(parts / "tables.lock", wait=False) as ours:
        assert ours
        runners = [start(arguments(inputs, output, *few, "--layers", layer)) for layer in LAYERS]
        while len(list(parts.glob("*/*/*.npz"))) < 2 * (2 + 2 * len(LAYERS)) or list(parts.glob("e1/*/*.lock")):
            assert all(runner.is_alive() for runner in runners)
            time.sleep(0.05)
        time.sleep(0.5)  # they have nothing left but to wait
    for runner in runners:
        runner.join(120)
        assert runner.exitcode == 0
    whole = read_results(output)["probes"]
    assert len(whole) == 2 * (2 + 2 * len(LAYERS) + 2 * (len(LAYERS) - 1)) and set(whole["layer"]) == {"-", *LAYERS}


def test_more_bootstrap_samples_need_no_new_training(inputs: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """They bring p-values below what 1000 can, which a correction over many tests needs."""
    few = ("--tasks", "pos", "--layers", "0", "1")
    assert main(arguments(inputs, tmp_path, *few)) == 0
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "probes.parts").rglob("*.npz")}
    before = read_results(tmp_path)
    assert main(arguments(inputs, tmp_path, *few, "--resamples", "20000")) == 0
    after = read_results(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in parts} == parts
    assert before["probes"]["score"].equals(after["probes"]["score"])
    assert not before["probes"]["low"].equals(after["probes"]["low"])
    assert set(before["probes_differences"]["resamples"]) == {1000}
    assert set(after["probes_differences"]["resamples"]) == {20000}


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_extras_and_processes(inputs: tuple[Path, list[Path]], tmp_path: Path, jobs: str) -> None:
    one = (inputs[0], inputs[1][:1])
    few = ("--layers", "1", "--tasks", "pos", "ef", "--mix", "--jobs", jobs)
    assert main(arguments(one, tmp_path / "results", *few, "--measures", "score", "control", "mdl")) == 0
    assert main(arguments(one, tmp_path / "results", *few, "--probes", "mlp")) == 0
    frame = read_results(tmp_path / "results")["probes"]
    counts = frame.groupby(["task", "probe", "metric"]).size().to_dict()
    assert counts == {  # a layer and the mix; a regression has no description length
        ("ef", "linear", "pearson"): 2,
        ("ef", "linear", "selectivity"): 2,
        ("ef", "linear_control", "control_ceiling"): 2,
        ("ef", "linear_control", "pearson"): 2,
        ("ef", "majority", "pearson"): 1,
        ("ef", "mlp", "pearson"): 2,
        ("ef", "word_majority", "pearson"): 1,
        ("pos", "linear", "accuracy"): 2,
        ("pos", "linear", "mdl_bits"): 2,
        ("pos", "linear", "mdl_compression"): 2,
        ("pos", "linear", "selectivity"): 2,
        ("pos", "linear_control", "accuracy"): 2,
        ("pos", "linear_control", "control_ceiling"): 2,
        ("pos", "majority", "accuracy"): 1,
        ("pos", "mlp", "accuracy"): 2,
        ("pos", "word_majority", "accuracy"): 1,
    }
    assert set(frame["layer"]) == {"1", "mix", "-"}


def test_what_is_printed_beside_the_score_are_the_numbers_of_the_table(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is told before and while probes are trained, as in a log."""
    monkeypatch.setattr("probing_bridge.progress.IN_LOG", 0.0)
    few = arguments((inputs[0], inputs[1][:1]), tmp_path / "results", "--tasks", "pos")
    assert main(few) == 0
    plain = capsys.readouterr()
    beside = ["gain", "[95", "%]", "majority", "word_majority", "best", "on", "test"]
    assert plain.out.split("\n")[0].split()[5:] == beside
    assert main([*few, "--measures", "score", "control", "mdl"]) == 0
    printed = capsys.readouterr()
    line = printed.out.splitlines()[1].split()
    rows = read_results(tmp_path / "results")["probes"]
    rows = rows[
        rows["probe"].isin(["linear", "linear_control"]) & (rows["probe"] + rows["metric"] != "linear_controlaccuracy")
    ]
    scores, layer = rows.set_index(["metric", "layer"]), line[3]
    assert layer == max(("1", "norm"), key=lambda one: scores["dev_score"]["accuracy", one])
    gain = scores.loc[("gain", layer)]
    best = max(("1", "norm"), key=lambda one: scores["score"]["accuracy", one])
    expected = [
        f"{scores['score']['accuracy', layer]:.3f}",
        f"{gain['score']:+.3f}", f"[{gain['low']:.3f},", f"{gain['high']:.3f}]",
        *(f"{scores['score'][side, layer]:.3f}" for side in ("selectivity", "mdl_compression", "control_ceiling")),
    ]  # fmt: skip
    assert line[4:11] == expected and line[-2:] == [best, f"{scores['score']['accuracy', best]:.3f}"]
    first, *lines = plain.err.splitlines()
    assert first.startswith("3 of 3 jobs to do: 2 baseline, 1 score by linear; about 0 seconds of one core")
    assert [line.split(",")[0] for line in lines] == [f"{n} of 3 jobs" for n in (1, 2, 3)]
    assert all(" % " in line and line.endswith(" left") for line in lines)
    assert "2 of 5 jobs to do (3 are finished): 1 control by linear, 1 mdl by linear; about" in printed.err


def test_words_of_the_other_side_are_refused(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, (plain, _) = inputs
    decoded = tmp_path / "decoded.hdf5"
    with Representations(plain) as read:
        write_vectors(read, decoded, replace(read.origin, component="decoder"))
    for side, reps, of in (("target", plain, "encoder"), ("source", decoded, "decoder")):
        named = suite.with_name("sided.yaml")
        named.write_text(json.dumps({"side": side, **json.loads(suite.read_text())}))
        words = ["probe", "--suite", named, "--reps", reps, "--output", tmp_path / "results"]
        assert main([str(word) for word in words]) == 2
        refused = f"{reps}: holds words of the {of}, but the suite is of the {side} side\n"
        assert capsys.readouterr().err.endswith(refused)


def test_unknown_pieces_and_another_language_are_warned_of(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, (plain, _) = inputs
    told = tmp_path / "told.hdf5"
    with Representations(plain) as read:
        write_vectors(read, told, replace(read.origin, source_lang="de", unknown_pieces=0.12))
    named = suite.with_name("named.yaml")
    named.write_text(json.dumps({"language": "en", **json.loads(suite.read_text())}))
    for reps, warnings in (
        ([plain], []),
        ([told], ["12.0% of the pieces are unknown", "the model reads 'de', but .*'en'"]),
    ):
        few = ("--tasks", "pos", "--layers", "1")
        assert main(arguments((named, reps), tmp_path / reps[0].stem, *few)) == 0
        found = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
        assert len(found) == len(warnings)
        assert all(re.search(f"{told}: .*{text}", line) for text, line in zip(warnings, found, strict=True))


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1 and printed.startswith("probing_bridge probe: error: ")
    return printed


def test_refusals_before_training(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, (good, _) = inputs
    output = tmp_path / "results"

    def with_reps(*paths: Path, more: tuple[str, ...] = ()) -> str:
        message = refused(arguments((suite, list(paths)), output, *more), capsys)
        assert not output.exists()
        return message

    missing = write_representations(tmp_path / "missing.hdf5", suite, 0, skip=3)
    message = with_reps(missing)
    assert re.search(r"3 of \d\d+ sentences are missing, the first is '", message)
    changed = with_reps(write_representations(tmp_path / "nan.hdf5", suite, 0, damage=np.nan))
    assert "layer 1 has other values than were written" in changed
    other = write_representations(tmp_path / "other.hdf5", suite, 1, experiment="e2")
    assert "several experiments: e1" in with_reps(good, other)
    assert "no such file" in with_reps(tmp_path / "absent.hdf5")
    assert "has the layers 0,1,norm, no layer 7" in with_reps(good, more=("--layers", "7"))
    assert "two of the --reps are named 'lth0'" in with_reps(good, good)
    assert "--tasks ner: not in" in with_reps(good, more=("--tasks", "ner"))


def test_every_fault_is_told_at_once(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, (good, _) = inputs
    gaps = [write_representations(tmp_path / f"gap{k}.hdf5", suite, k, skip=3 + k) for k in range(2)]
    damaged = write_representations(tmp_path / "nan.hdf5", suite, 0, damage=np.nan)
    absent = [tmp_path / "no1.hdf5", tmp_path / "no2.hdf5"]
    tasks = ("--tasks", "pos", "nonsense", "ner", "--layers", "0")
    reps = [absent[0], good, gaps[0], absent[1], gaps[1], damaged]
    (tmp_path / "out").touch()
    assert main(arguments((suite, reps), tmp_path / "out", *tasks)) == 2
    printed = capsys.readouterr().err.splitlines()
    told = [
        f"{tmp_path / 'out'}: is not a folder", "--tasks nonsense: not in", "--tasks ner: not in",
        f"{absent[0]}: no such file", f"{absent[1]}: no such file", f"{damaged}: sentence",
        f"{gaps[0]}: is of level 0 of its experiment as 'lth0' is", f"{gaps[0]}: 3 of ", f"{gaps[1]}: 4 of ",
    ]  # fmt: skip
    assert len(printed) == len(told)
    for line, text in zip(printed, told, strict=True):
        assert text in line


@pytest.mark.parametrize(
    "option",
    [
        ("--jobs", "0"), ("--seeds", "1", "-1"), ("--memory", "-1"), ("--memory", "much"), ("--probes", "quadratic"),
        ("--measures", "iq"), ("--resamples", "0"),
    ],
)  # fmt: skip
def test_options_out_of_range(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments(inputs, tmp_path / "results", *option))
    assert caught.value.code == 2 and option[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_branch_is_compared_with_the_level_it_came_from(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, (dense, pruned) = inputs
    few = ("--tasks", "ef", "--layers", "0")
    branch = [write_representations(tmp_path / f"b{k}.hdf5", suite, k, "e2", parent="e1/lth0") for k in (1, 2)]
    assert main(arguments((suite, [dense, *branch]), tmp_path / "one", *few)) == 0
    rows = pd.read_csv(tmp_path / "one" / "probes_differences.csv")
    assert list(zip(rows["experiment"], rows["other_level"], rows["level"], strict=True)) == [
        ("e2", 0, 1),
        ("e2", 0, 2),
    ]
    assert set(comparable(tmp_path / "one").query("level.isna()")["experiment"]) == {"e2"}  # one set of baselines
    same = write_representations(tmp_path / "same1.hdf5", suite, 1)  # level 1 of e1 under another name: equal vectors
    assert main(arguments((suite, [dense, same]), tmp_path / "own", *few)) == 0
    own = pd.read_csv(tmp_path / "own" / "probes_differences.csv")
    pd.testing.assert_frame_equal(own.drop(columns="experiment"), rows[:1].drop(columns="experiment"))
    # the branch later, into the table that holds the probes of level 0
    assert main(arguments((suite, [dense]), tmp_path / "two", *few)) == 0
    for level in branch:
        assert main(arguments((suite, [level]), tmp_path / "two", *few)) == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "two" / "probes_differences.csv"), rows)
    capsys.readouterr()
    message = refused(arguments((suite, [pruned, *branch]), tmp_path / "none", *few), capsys)
    assert "several experiments: e1" in message  # level 1 of the parent is no level of the branch
    assert "rows of another experiment (e1, e2)" in refused(
        arguments((suite, [pruned]), tmp_path / "two", *few), capsys
    )


def test_tables_of_other_runs_are_not_overwritten(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results"
    few = ("--tasks", "ef", "--layers", "0")
    other = write_representations(tmp_path / "lth0.hdf5", inputs[0], 0, experiment="e2")
    assert main(arguments(inputs, output, *few)) == 0
    before = (output / "probes.csv").read_bytes()
    capsys.readouterr()
    message = refused(arguments((inputs[0], [other]), output, *few), capsys)
    assert "rows of another experiment (e1)" in message and (output / "probes.csv").read_bytes() == before
    assert main(arguments((inputs[0], [other]), output, *few, "--allow-mixed")) == 0
    assert set(comparable(output)["experiment"]) == {"e1", "e2"}
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "probes.csv").write_bytes(before)
    capsys.readouterr()
    assert "not the finished jobs" in refused(arguments(inputs, tmp_path / "copy", *few), capsys)


def test_files_of_unsound_sizes_are_told_before_training(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A corpus that would unpack to far more than it is; and a sentence of Liu's layout with too few vectors."""
    suite = write_corpus(tmp_path)
    tasks = load_suite(suite).tasks.values()
    texts = {i.tokens for task in tasks for split in ("train", "dev", "test") for i in task.read(split)}
    with h5py.File(tmp_path / "liu.hdf5", "w") as file:
        index = {" ".join(tokens): str(number) for number, tokens in enumerate(sorted(texts))}
        for text, number in index.items():
            file[number] = np.zeros((2, text.count(" ") + (number != "7"), 4), "f4")
        file.create_dataset("sentence_to_index", shape=(1,), dtype=h5py.string_dtype())[0] = json.dumps(index)
    few = ("--tasks", "pos", "--layers", "0")
    short = list(index)[7]
    message = refused(arguments((suite, [tmp_path / "liu.hdf5"]), tmp_path / "results", *few), capsys)
    assert f"{short!r} has {short.count(' ') + 1} words but {short.count(' ')} vectors" in message
    with gzip.open(tmp_path / "train.conllu.gz", "wb") as file:
        for _ in range(50):
            file.write(b"\n" * (1 << 20))
    suite.write_text(suite.read_text().replace('"train.conllu"', '"train.conllu.gz"'))
    message = refused(arguments((suite, inputs[1]), tmp_path / "results", *few), capsys)
    assert "train.conllu.gz: has more than 4,194,304 bytes of text" in message
    assert not (tmp_path / "results").exists()


def test_a_level_has_one_file_of_words(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows and figures do not say of which file they are: words pooled otherwise need results of their own."""
    suite, (dense, _) = inputs
    few, output = ("--tasks", "ef", "--layers", "0"), tmp_path / "results"
    first = write_representations(tmp_path / "first.hdf5", suite, 0)
    told = f"{first}: is of level 0 of its experiment as 'lth0' is, and {output} can have one file of it"
    assert told in refused(arguments((suite, [dense, first]), output, *few), capsys)
    assert main(arguments((suite, [dense]), output, *few)) == 0
    before = (output / "probes.csv").read_bytes()
    capsys.readouterr()
    assert told in refused(arguments((suite, [first]), output, *few, "--allow-mixed"), capsys)
    assert (output / "probes.csv").read_bytes() == before
    assert main(arguments((suite, [first]), tmp_path / "own", *few)) == 0
    (again := tmp_path / "again").mkdir()  # encoded anew under its name: it takes the place of the old file
    renewed = write_representations(again / "lth0.hdf5", suite, 1)
    with h5py.File(renewed, "a") as file:
        file.attrs["level"] = 0
    assert main(arguments((suite, [renewed]), output, *few)) == 0
    assert (output / "probes.csv").read_bytes() != before and len(comparable(output)) == 3


def test_what_is_out_of_date_does_not_come_back_with_another_task(tmp_path: Path) -> None:
    """Layers that were not probed again are of old sentences and vectors: no gain and no difference is made of them."""
    reps, output = [tmp_path / f"lth{k}.hdf5" for k in (0, 1)], tmp_path / "results"

    def probe(which: list[Path], *more: str) -> pd.DataFrame:
        assert main(arguments((suite, which), output, *more)) == 0
        return read_results(output)["probes"].query("probe == 'linear'")

    for n in (30, 40):  # the corpora grow
        suite = write_corpus(tmp_path, n)
        for level, path in enumerate(reps):
            path.unlink(missing_ok=True)
            write_representations(path, suite, level)
        rows = probe(reps, "--tasks", "pos", *(("--layers", "0") if n == 40 else ()))
    assert set(rows["layer"]) == {"0"}
    rows = probe(reps, "--tasks", "ef", "--layers", "0")
    assert set(rows.query("task == 'pos'")["layer"]) == {"0"}
    rows = probe(reps, "--tasks", "pos", "ef")
    reps[1].unlink()
    write_representations(reps[1], suite, 4)  # vectors of its own, and another level
    rows = probe(reps[1:], "--tasks", "pos", "--layers", "1")
    assert set(rows.query("model == 'lth1'")["layer"]) == {"1"} and "gain" not in set(rows["metric"][rows.level == 4])
    rows = probe(reps[:1], "--tasks", "ef")
    assert set(rows.query("model == 'lth1'")["layer"]) == {"1"}
    assert set(rows.query("model == 'lth0' and task == 'pos'")["layer"]) == set(LAYERS)


def test_a_run_whose_jobs_all_fail_says_so(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*rest: object) -> object:
        raise ArithmeticError("too much")

    monkeypatch.setitem(MEASURES, "score", replace(MEASURES["score"], run=breaks))
    monkeypatch.setattr("probing_bridge.probes.units.measure_baseline", breaks)
    with pytest.raises(SystemExit) as caught:
        main(arguments(inputs, tmp_path / "results"))
    assert caught.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert any("jobs failed; run again" in line for line in lines)
    assert not len(tables.read_table(tmp_path / "results" / "probes.csv", "probes"))
    monkeypatch.undo()
    assert main(arguments(inputs, tmp_path / "results")) == 0


def test_failing_jobs_are_told_and_the_others_done(
    inputs: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = MEASURES["score"]

    def breaks_on_arcs(data: object, *rest: object) -> object:
        if data.spec.name == "syn_arc_prediction":  # type: ignore[attr-defined]
            raise ArithmeticError("too much")
        return scored.run(data, *rest)  # type: ignore[arg-type]

    monkeypatch.setitem(MEASURES, "score", replace(scored, run=breaks_on_arcs))
    with pytest.raises(SystemExit) as caught:
        main(arguments(inputs, tmp_path / "results"))
    assert caught.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert len(lines) == 2 and all(
        "syn_arc_prediction" in line and "ArithmeticError: too much" in line for line in lines
    )
    frame = comparable(tmp_path / "results")
    assert len(frame[(frame["probe"] == "linear") & (frame["metric"] != "gain")]) == 3 * 2 * 3
    monkeypatch.undo()
    assert main(arguments(inputs, tmp_path / "results")) == 0
    assert len(comparable(tmp_path / "results")) == len(frame) + 2 * 3 + 2 * 2


def test_features_larger_than_memory_stream_from_disk(inputs: tuple[Path, list[Path]], tmp_path: Path) -> None:
    few = ("--tasks", "pos", "syn_arc_classification")
    assert main(arguments(inputs, tmp_path / "a", *few)) == 0
    assert main(arguments(inputs, tmp_path / "b", *few, "--memory", "0")) == 0
    pd.testing.assert_frame_equal(comparable(tmp_path / "a"), comparable(tmp_path / "b"))


def test_compat_is_another_result(inputs: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """The Adam of PyTorch 1.0 and pairs (0, 0): other data hashes, so that rows are never taken for each other."""
    suite = json.loads(inputs[0].read_text())
    folder = inputs[0].parent
    (folder / "compat.yaml").write_text(json.dumps({"compat": "liu2019", **suite}))
    few = ("--tasks", "pos", "--layers", "0")
    assert main(arguments(inputs, tmp_path / "a", *few)) == 0
    assert main(arguments((folder / "compat.yaml", inputs[1]), tmp_path / "b", *few)) == 0
    hashes = [set(comparable(tmp_path / name)["data_hash"]) for name in ("a", "b")]
    assert not hashes[0] & hashes[1]


FILES = {
    "pos": "ud_ewt/en_ewt-ud-{}.conllu.gz",
    "ccg": "pmb/ccg_{}.tsv.gz",
    "parent": "gum/gum_{}.ptb.gz",
    "gparent": "gum/gum_{}.ptb.gz",
    "ggparent": "gum/gum_{}.ptb.gz",
    "chunk": "gum/chunk_{}.txt.gz",
    "ner": "ner_wnut17/wnut17_{}.conll.gz",
    "ged": "ged_ud/ged_{}.tsv.gz",
    "conj": "gum/conjunct_{}.tsv.gz",
    "syn_arc_prediction": "ud_ewt/en_ewt-ud-{}.conllu.gz",
    "syn_arc_classification": "ud_ewt/en_ewt-ud-{}.conllu.gz",
    "st": "pmb/semtag_{}.tsv.gz",
    "ps_fxn": "streusle/streusle.ud_{}.json.gz",
    "ps_role": "streusle/streusle.ud_{}.conllulex.gz",
    "ef": "factuality/it-happened_{}.json.gz",
    "sem_arc_prediction": "sdp_erg/dm_{}.sdp.gz",
    "sem_arc_classification": "sdp_erg/dm_{}.sdp.gz",
    "coref": "gum/gum_{}.gold_conll.gz",
}


@pytest.mark.slow
def test_all_eighteen_tasks_on_real_data(shared: Path, tmp_path: Path) -> None:
    """Vectors of words plus noise, trained on the small dev files: every probe finishes, most beat the majority."""
    splits = {"train": "dev", "dev": "dev", "test": "test"}
    tasks = {task: {split: name.format(part) for split, part in splits.items()} for task, name in FILES.items()}
    (tmp_path / "suite.yaml").write_text(json.dumps({"tasks": tasks}))
    suite = load_suite(tmp_path / "suite.yaml", shared / "data")
    texts = sorted({i.tokens for task in suite.tasks.values() for split in ("dev", "test") for i in task.read(split)})
    rng, words = np.random.default_rng(0), {}
    with RepresentationWriter(tmp_path / "lth0.hdf5", texts, ["0", "1"], 24, Origin("e", 0)) as writer:
        for tokens in texts:
            base = np.stack([words.setdefault(word, 3 * rng.normal(size=24)) for word in tokens])
            writer.add(tokens, base + rng.normal(size=(2, len(tokens), 24)))
    words_of = [
        "probe",
        "--suite",
        str(suite.path),
        "--corpora",
        str(suite.root),
        "--reps",
        str(tmp_path / "lth0.hdf5"),
    ]
    assert main([*words_of, "--output", str(tmp_path / "results")]) == 0
    frame = read_results(tmp_path / "results")["probes"]
    own = frame[~frame["metric"].isin(["f0.5", "gain"])]
    assert len(own[own["probe"] == "linear"]) == 18 * 2 and len(own[own["probe"] == "majority"]) == 18
    best = own.groupby(["task", "probe"])["score"].max().unstack()
    assert (best["linear"] > best["majority"].fillna(0)).sum() >= 15
    assert (best["linear"].between(0, 1)).all()
