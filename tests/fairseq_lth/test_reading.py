"""The snippets of docs/reading.md give what is in the files; tests/test_docs.py runs them as a user would."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fairseq_lth import encode
from fairseq_lth.levels import __main__ as levels
from fairseq_lth.levels.checkpoints import read_checkpoint
from probing_bridge import run as bridge
from probing_bridge.formats.activations.reader import open_dump
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.tables import write_table

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "reading.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(dense, corpus, train, synthetic, tmp_path_factory) -> Path:
    """The files that the snippets name, as the commands leave them."""
    folder = tmp_path_factory.mktemp("reading")
    (folder / "reps").mkdir()
    shutil.copytree(dense, folder / "levels")
    level = folder / "levels" / "checkpoint_lth1.pt"
    words = [line.split() for line in (corpus.parent / "valid.en").read_text().splitlines()]
    conllu = "\n".join(
        "".join(f"{i}\t{word}\t_\tNOUN\t_\t_\t{i - 1}\tdep\t_\t_\n" for i, word in enumerate(sentence, 1))
        for sentence in words
    )
    for split in ("train", "dev", "test"):
        (folder / f"{split}.conllu").write_text(conllu)
    files = {split: f"{split}.conllu" for split in ("train", "dev", "test")}
    (folder / "suite.yaml").write_text(json.dumps({"tasks": {"pos": files, "syn_arc_prediction": files}}))
    suite = ["--suite", folder / "suite.yaml"]

    dumping = ["--dump-activations", folder / "words1.h5", "--dump-output", "3", "--dump-words", "subword_nmt", "--cpu"]
    data = [corpus, "--user-dir", ROOT / "fairseq_lth", "--task", "lth_imp", "--path", level]
    data += ["--valid-subset", "valid", "--max-tokens", "400", "--num-workers", "0"]
    train([*data, *dumping], command="validate").succeed()
    commands = [
        ("sentences", *suite, "--output", folder / "sentences"),
        ("tags", "--dump", folder / "words1.h5", *suite, "--task", "pos", "--output", folder / "pos.txt"),
        ("export", "--to", "npz", "--dump", folder / "words1.h5", "--output", folder / "dump1.npz"),
        ("export", "--to", "npz", "--reps", folder / "reps" / "lth1.hdf5", "--output", folder / "lth1.npz"),
    ]
    sentences, vectors = folder / "sentences" / "sentences.txt", folder / "reps" / "lth1.hdf5"
    for command in commands:
        assert bridge.main([str(word) for word in command]) == 0
        if command[0] == "sentences":
            encoding = ["--path", str(level), "--sentences", str(sentences), "--output", str(vectors), "--cpu"]
            assert encode.main(encoding) == 0
    compact = [str(folder / "levels"), "--level", "1", "--compact", str(folder / "level1.safetensors")]
    assert levels.main(compact) == 0

    results = synthetic.write_results(folder / "results", levels=4, tasks=4, layers=3, width=8)
    one = {"experiment": "magnitude-4f2a", "task": "pos", "layer": "1", "probe": "linear", "seed": 1, "level": 1}
    detail = {**one, "model": "LTH1", "label": "NOUN", "metric": "f1", "score": 0.5}
    difference = {**one, "metric": "accuracy", "other_level": 0, "difference": -0.1}
    line = {"experiment": "e", "level": 0, "other_experiment": "e", "other_level": 1}
    path = [{**line, "alpha": alpha, "loss": loss} for alpha, loss in ((0, 3.0), (0.5, 5.0), (1, 2.0))]
    write_table(pd.DataFrame([detail]), "probes_details", results / "probes_details.csv")
    write_table(pd.DataFrame([difference]), "probes_differences", results / "probes_differences.csv")
    write_table(pd.DataFrame(path), "interpolation", folder / "levels" / "interpolation_lth0_lth1.csv")
    return folder


@pytest.fixture
def ran(folder, monkeypatch):
    """What the names of a snippet stand for after it was run in that folder."""
    monkeypatch.chdir(folder)

    def run(number: int) -> dict:
        names: dict = {}
        exec(compile(SNIPPETS[number - 1], f"snippet {number}", "exec"), names)
        return names

    return run


def test_there_is_a_test_for_each_of_them():
    assert len(SNIPPETS) == 15


def test_levels(ran, folder):
    names = ran(1)
    assert names["record"][1:4] == (1, 3, names["origin"].sparsity)
    weight, kept = names["weight"], names["kept"]
    assert 0 < kept.count_nonzero() < kept.numel() and (weight[~kept] == 0).all() and (weight[kept] != 0).all()
    for number in (2, 3):
        assert torch.equal(torch.as_tensor(ran(number)["weight"]), weight)
    sparsity = ran(4)["sparsity"]
    assert sparsity.loc[1, "sparsity"] == names["state"]["sparsity"]
    assert sparsity.loc[1, "sparsity_prunable"] == pytest.approx(names["mask"].sparsity)
    assert read_checkpoint(folder / "level1.pt")["model"].keys() == names["checkpoint"]["model"].keys()


def test_dumps_tags_and_archives(ran, corpus):
    names = ran(5)
    english = [line.split() for line in (corpus.parent / "valid.en").read_text().splitlines()]
    assert names["words"] == english[0]
    assert len(names["states"]) == len(english[0]) + len(english[1]) + 2  # each ends in EOS
    np.testing.assert_allclose(names["attention"].sum(axis=1), 1, rtol=1e-5)  # of each query over the keys
    assert names["attention"].shape[1:] == (len(english[0]) + 1, 2)
    assert len(names["guesses"]) == names["n_queries"] == len(names["output"])
    assert names["origin"].level == 1
    assert ran(10)["tags"] == [["NOUN"] * len(words) for words in english]
    with open_dump("words1.h5") as dump:
        stop = int(dump.offsets("source")[-1])
        archive = ran(8)
        np.testing.assert_array_equal(archive["states"], dump.read_states("encoder", "1", 0, stop))
        np.testing.assert_array_equal(archive["tokens"], dump.tokens("source"))
        assert archive["symbols"] == dump.symbols("source")


def test_words(ran, corpus):
    english = {tuple(line.split()) for line in (corpus.parent / "valid.en").read_text().splitlines()}
    names, plain, archive, text = (ran(number) for number in (6, 7, 8, 9))
    assert tuple(names["sentence"]) in english and names["layers"] == ("0", "1") == tuple(plain["layers"])
    assert names["vectors"].shape == (2, len(names["sentence"]), 8) and names["origin"].level == 1
    assert plain["sentences"][0] == " ".join(names["sentence"]) == " ".join(archive["words"])
    np.testing.assert_array_equal(plain["vectors"], names["vectors"][1])
    np.testing.assert_array_equal(archive["vectors"], names["last"])
    assert text["words"] in english


def test_suites_and_result_tables(ran, corpus, capsys):
    names = ran(11)
    last = (corpus.parent / "valid.en").read_text().splitlines()[-1].split()
    assert (list(names["words"]), len(names["labels"])) == (last, len(names["indices"]))
    capsys.readouterr()
    tables = ran(12)["results"].tables
    assert capsys.readouterr().out.count(" rows, each ") == len(tables) == len(TABLES)
    assert {name for name, frame in tables.items() if not len(frame)} == {"interpolation"}  # it stays with the levels
    names = ran(13)
    looks = ("bleu", "best", "labels", "changes", "to_dense", "own_index", "heads", "spectrum", "sentences", "modules")
    assert [look for look in looks if not len(names[look])] == []
    dense = tables["probes"].query("task == 'pos' and level == 0 and probe == 'linear' and metric == 'accuracy'")
    assert len(dense) > 1 and names["best"].loc["pos", 0] == dense["score"].max()
    assert names["barrier"] == 2.5


def test_verdicts(ran, capsys):
    capsys.readouterr()
    (question,) = ran(14)["questions"]  # of the folder's one difference, which has no interval
    assert question.name == "pos" and question.estimate.effect == -10
    assert capsys.readouterr().out.startswith("pos: cannot tell, -10.0 [+nan, +nan]: one run without an error")
    names = ran(15)
    sums = names["correct"].mean(axis=(0, 1))
    assert names["estimate"].effect == pytest.approx(100 * (sums[1] - sums[0])) and names["estimate"].runs == 3
    assert capsys.readouterr().out.startswith("Verdict(verdict='cannot tell'")
