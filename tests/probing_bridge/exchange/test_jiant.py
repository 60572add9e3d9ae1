"""Tasks as edge-probing files, and the round trip through jiant's own task class, head and metric."""

import importlib.util
import json
import shutil

import numpy as np
import pytest

from probing_bridge.exchange import jiant_adapter
from probing_bridge.exchange.jiant_adapter import micro_f1
from probing_bridge.exchange.jiant_files import check_task
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import Representations, RepresentationWriter
from probing_bridge.run import main

needs_jiant = pytest.mark.skipif(
    importlib.util.find_spec("jiant") is None, reason="jiant is not installed: make setup EXTRAS=jiant-runtime"
)
TAGS = {"the": "DET", "otter": "NOUN", "river": "NOUN", "naps": "VERB", "sees": "VERB", "it": "PRON", "-": "PUNCT"}


def conllu(rng, n):
    """Sentences whose tags follow from their words, and whose head is always the first verb."""
    text = ""
    for _ in range(n):
        words = ["the", rng.choice(["otter", "river"]), rng.choice(["naps", "sees"]), rng.choice(["it", "-"])]
        for number, word in enumerate(words, 1):
            head, relation = (0, "root") if number == 3 else (3, {1: "det", 2: "nsubj", 4: "obj"}[number])
            text += f"{number}\t{word}\t_\t{TAGS[word]}\t_\t_\t{head}\t{relation}\t_\t_\n"
        text += "\n"
    return text


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jiant")
    rng = np.random.default_rng(0)
    for split, n in (("train", 40), ("dev", 5), ("test", 15)):
        (folder / f"{split}.conllu").write_text(conllu(rng, n))
    files = "{train: train.conllu, dev: dev.conllu, test: test.conllu}"
    (folder / "ef.json").write_text('{"1": {"sentence": ["a"], "predicate_indices": [1], "labels": [1.5]}}')
    (folder / "suite.yaml").write_text(
        f"tasks:\n  pos: {files}\n  syn_arc_classification: {files}\n"
        "  ef: {train: ef.json, dev: ef.json, test: ef.json}\n"
    )
    assert main(["export", "--to", "jiant", "--suite", str(folder / "suite.yaml"), "--output", str(folder / "o")]) == 0
    vectors = {word: (5 * rng.normal(size=8)).astype(np.float32) for word in TAGS}
    files = [folder / "o" / "pos" / f"{split}.jsonl" for split in ("train", "val", "test")]
    texts = [json.loads(line)["text"].split() for file in files for line in file.read_text().splitlines()]
    with RepresentationWriter(folder / "reps.hdf5", texts, ["0", "norm"], 8, Origin()) as writer:
        for words in texts:
            known = np.stack([vectors[word] for word in words])
            writer.add(words, np.stack([np.zeros_like(known), known]))
    return folder


def test_words_become_one_span_and_pairs_two(exported):
    assert not (exported / "o" / "ef").exists()
    first = json.loads((exported / "o" / "pos" / "train.jsonl").read_text().splitlines()[0])
    words = first["text"].split()
    assert first["targets"] == [{"span1": [n, n + 1], "label": TAGS[word]} for n, word in enumerate(words)]
    first = json.loads((exported / "o" / "syn_arc_classification" / "train.jsonl").read_text().splitlines()[0])
    spans = [(target["span1"], target["span2"], target["label"]) for target in first["targets"]]
    assert spans == [([0, 1], [2, 3], "det"), ([1, 2], [2, 3], "nsubj"), ([3, 4], [2, 3], "obj")]
    assert json.loads((exported / "o" / "pos" / "labels.json").read_text()) == sorted(set(TAGS.values()))


@pytest.mark.parametrize("task", ["pos", "syn_arc_classification"])
def test_what_is_written_is_taken_back(exported, task):
    labels = json.loads((exported / "o" / task / "labels.json").read_text())
    assert check_task(exported / "o" / task) == (labels, task != "pos")


def test_a_regression_task_does_not_fit(exported, capsys):
    command = ["export", "--to", "jiant", "--suite", str(exported / "suite.yaml"), "--output", str(exported / "o")]
    assert main([*command, "--tasks", "ef"]) == 2
    assert "its labels are real numbers" in capsys.readouterr().err


def test_a_word_with_white_space_is_refused(exported, tmp_path, capsys):
    (tmp_path / "a.conllu").write_text("1\tnew\u00a0york\t_\tPROPN\t_\t_\t0\troot\t_\t_\n\n")
    (tmp_path / "suite.yaml").write_text("tasks:\n  pos: {train: a.conllu, dev: a.conllu, test: a.conllu}\n")
    assert main(["export", "--to", "jiant", "--suite", str(tmp_path / "suite.yaml"), "--output", str(tmp_path)]) == 2
    assert "a.conllu" in capsys.readouterr().err
    assert not (tmp_path / "pos").exists()


@needs_jiant
@pytest.mark.parametrize("task", ["pos", "syn_arc_classification"])
def test_the_round_trip_gives_jiants_own_f1_beside_ours(exported, task, capsys):
    argv = ["--task", str(exported / "o" / task), "--reps", str(exported / "reps.hdf5"), "--layer", "norm"]
    assert jiant_adapter.main([*argv, "--epochs", "1"]) == 0
    assert "jiant:  micro F1" in capsys.readouterr().out
    with Representations(exported / "reps.hdf5") as representations:
        scores = jiant_adapter.round_trip(exported / "o" / task, representations, "norm", epochs=30, batch_size=8)
        blind = jiant_adapter.round_trip(exported / "o" / task, representations, "0", epochs=30, batch_size=8)
    assert scores.jiant_f1 == pytest.approx(scores.f1_at_jiants_threshold, abs=1e-12)
    assert scores.n_items == {"pos": 60, "syn_arc_classification": 45}[task]
    assert scores.jiant_f1 > 0.8 and scores.f1 > 0.75 and scores.accuracy == 1.0
    assert blind.jiant_f1 < 0.6  # layer 0 is zeros: jiant's head really sees the layer


@needs_jiant
def test_jiants_class_is_jiants_own_with_the_labels_of_the_files(exported):
    from jiant.tasks.lib.edge_probing import pos

    task = jiant_adapter.load_task(exported / "o" / "pos")
    assert isinstance(task, pos.PosTask) and sorted(set(TAGS.values())) == task.LABELS
    examples = task.get_train_examples()
    assert len(examples) == 160 and isinstance(examples[0], pos.Example) and examples[0].task is type(task)
    assert "NOUN" not in pos.PosTask.LABELS  # the original is left alone


@needs_jiant
def test_bad_input_is_one_line(exported, tmp_path, capsys):
    argv = ["--task", str(exported / "o" / "pos"), "--reps", str(exported / "reps.hdf5"), "--layer", "7"]
    assert jiant_adapter.main(argv) == 2
    assert "has the layers 0,norm, no layer 7" in capsys.readouterr().err
    assert jiant_adapter.main(["--task", str(tmp_path), *argv[2:-1], "0"]) == 2
    assert "write it with `export --to jiant`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("labels.json", "[", "", "labels.json: expected JSON"),
        ("labels.json", '"DET"', "1", "expected a list of labels"),
        ("val.jsonl", "{", "", "val.jsonl:1: expected JSON"),
        ("train.jsonl", "targets", "target", 'train.jsonl:1: expected {"text"'),
        ("test.jsonl", "[0, 1]", "[0, 2]", "test.jsonl:1: expected one or two words"),
        ("test.jsonl", "[3, 4]", "[4, 5]", "test.jsonl:1: expected one or two words"),
        ("train.jsonl", '"DET"', '"det"', "train.jsonl:1: expected one or two words, and a label of labels.json"),
        ("val.jsonl", '{"span1": [0, 1]', '{"span1": [0, 1], "span2": [1, 2]', "items of one word and of two"),
        ("val.jsonl", None, "", "val.jsonl: holds no item"),
    ],
)
def test_files_of_another_kind_are_one_line(exported, tmp_path, capsys, name, old, new, message):
    folder = shutil.copytree(exported / "o" / "pos", tmp_path / "pos")
    text = (folder / name).read_text()
    (folder / name).write_text(new if old is None else text.replace(old, new, 1))
    argv = ["--task", str(folder), "--reps", str(exported / "reps.hdf5"), "--layer", "0"]
    assert jiant_adapter.main(argv) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_micro_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(2)
    predicted, gold = rng.integers(0, 2, (2, 50, 4))
    assert micro_f1(predicted, gold) == pytest.approx(f1_score(gold, predicted, average="micro"), abs=1e-12)
    assert micro_f1(np.zeros((2, 2), int), np.zeros((2, 2), int)) == 0.0
