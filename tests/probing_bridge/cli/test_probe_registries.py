"""What CONTRIBUTING promises: a new task, metric, measure, kind of probe or baseline is one entry of its table."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from pathlib import Path

import numpy as np
import pytest

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers import conllu
from probing_bridge.corpora.readers.source import Source
from probing_bridge.corpora.tasks import SEMANTIC, TASKS, Task
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import RepresentationWriter
from probing_bridge.probes.baselines import BASELINES
from probing_bridge.probes.features import Features
from probing_bridge.probes.items import InstanceLike
from probing_bridge.probes.measures import MEASURES, Measure, Outcome, TaskData
from probing_bridge.probes.metrics import METRICS, Metric, Predictions
from probing_bridge.probes.problem import PROBES, Recipe
from probing_bridge.results.folder import read_results
from probing_bridge.results.probed import scores_of_models
from probing_bridge.run import main

WORDS = ("ant", "bee", "owl", "cow", "elk", "fly", "ape")


def read_vowels(source: Source) -> Iterator[Instance]:
    """Whether a word begins with a vowel."""
    for instance in conllu.read_pos(source):
        yield Instance(instance.tokens, tuple("V" if word[0] in "aeiou" else "C" for word in instance.tokens), None)


def consonant_counts(predictions: Predictions) -> np.ndarray:
    """(right answers of the label C, gold C) of each sentence: the majority label, V, is right in none."""
    assert predictions.labels is not None
    gold = predictions.gold == predictions.labels.index("C")
    columns = np.stack([gold & (predictions.predicted == predictions.gold), gold])
    return np.add.reduceat(columns.astype(float), predictions.offsets[:-1], axis=1).T


def sizes(data: TaskData, features: Features, recipe: Recipe) -> list[Outcome]:
    """How long the vectors are, less 1000: a value that would never be the best score."""
    norms = features.values.norm(dim=-1).mean(dim=1).tolist()
    return [Outcome(len(data.splits["test"]), values={"mean_norm": 1000 + norm}) for norm in norms]


def first_letter(instance: InstanceLike, item: int) -> Hashable:
    return instance.tokens[item][0]


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry in each table, and nothing else."""
    task = Task("vowels", "Vowels", "token", {"conllu": read_vowels}, "recall_c", SEMANTIC, "invented 2020")
    monkeypatch.setitem(TASKS, "vowels", task)
    monkeypatch.setitem(
        METRICS, "recall_c", Metric("recall_c", consonant_counts, lambda sums: sums[..., 0] / sums[..., 1])
    )
    monkeypatch.setitem(MEASURES, "sizes", Measure("how long the vectors are", sizes, values=("mean_norm",)))
    monkeypatch.setitem(PROBES, "deep", (8, 4))
    monkeypatch.setitem(BASELINES, "first_letter", first_letter)


@pytest.fixture
def words_of(tmp_path: Path) -> list[str]:
    """A suite of the task, and a level whose layer `norm` holds the answer; the arguments for them."""
    rng = np.random.default_rng(0)
    texts: set[tuple[str, ...]] = set()
    for split in ("train", "dev", "test"):
        sentences = [tuple(rng.choice(WORDS, size=4).tolist()) for _ in range(2400 if split == "train" else 60)]
        lines = ["\n".join(f"{i + 1}\t{word}\t_\tX{6 * f'{chr(9)}_'}" for i, word in enumerate(s)) for s in sentences]
        (tmp_path / f"{split}.conllu").write_text("\n\n".join(lines) + "\n")
        texts.update(sentences)
    files = {split: f"{split}.conllu" for split in ("train", "dev", "test")}
    (tmp_path / "suite.yaml").write_text(json.dumps({"tasks": {"vowels": files}}))
    with RepresentationWriter(tmp_path / "lth0.hdf5", sorted(texts), ("0", "1", "norm"), 6, Origin("e", 0)) as writer:
        for tokens in sorted(texts):
            array = rng.normal(size=(3, len(tokens), 6))
            array[2] += [[30.0] if word[0] in "aeiou" else [-30.0] for word in tokens]
            writer.add(tokens, array)
    return ["--suite", str(tmp_path / "suite.yaml"), "--reps", str(tmp_path / "lth0.hdf5")]


def test_an_entry_a_table_is_enough(
    entries: None, words_of: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results"
    options = ["--probes", "deep", "linear", "--measures", "score", "sizes", "--output", str(output)]
    assert main(["probe", *words_of, *options]) == 0
    rows = read_results(output)["probes"]
    assert set(rows["metric"]) == {"recall_c", "gain", "mean_norm"} and set(rows["task"]) == {"vowels"}
    scores = rows[rows["metric"] == "recall_c"].set_index(["probe", "layer"])["score"]
    assert set(scores.index) == {(kind, layer) for kind in ("deep", "linear") for layer in ("0", "1", "norm")} | {
        (kind, "-") for kind in BASELINES
    }
    assert scores["first_letter", "-"] == 1.0 and scores["majority", "-"] == 0.0
    assert min(scores["deep", "norm"], scores["linear", "norm"]) > 0.95
    best = scores_of_models(rows)  # of scores, not of the lengths
    assert best[["probe", "layer", "first_letter"]].to_numpy().tolist() == [
        ["deep", "norm", 1.0],
        ["linear", "norm", 1.0],
    ]
    header, *lines = capsys.readouterr().out.splitlines()
    assert "first_letter" in header and [line.split()[2:4] for line in lines[:2]] == [
        ["deep", "norm"],
        ["linear", "norm"],
    ]


def test_other_commands_know_the_task_too(
    entries: None, words_of: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks"]) == 0
    assert any(line.split()[:3] == ["vowels", "semantic", "token"] for line in capsys.readouterr().out.splitlines())
    assert main(["instances", "vowels", str(tmp_path / "dev.conllu")]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["labels"] == ["V" if word[0] in "aeiou" else "C" for word in first["tokens"]]
    assert main(["sentences", *words_of[:2], "--output", str(tmp_path)]) == 0
    assert "of 1 tasks" in capsys.readouterr().out


def test_help_names_the_entries(entries: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["probe", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert caught.value.code == 0 and "deep" in text and "sizes: how long the vectors are" in text
