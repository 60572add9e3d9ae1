"""The commands `tasks`, `instances` and `sentences`, through the program's own entry."""

import json

import pytest

from probing_bridge.corpora.tasks import TASKS
from probing_bridge.run import main

CHUNKS = "Otters NNS B-NP\nnap VBP B-VP\n"
UD = "1\tAnn\t_\tPROPN\t_\t_\t2\tnsubj\t_\t_\n2\tnaps\t_\tVERB\t_\t_\t0\troot\t_\t_\n"


@pytest.fixture
def run(capsys):
    """run(words) -> (status, output lines, error lines)."""

    def command(*words):
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return command


def test_tasks_lists_every_task(run):
    status, out, _ = run("tasks")
    assert status == 0 and [line.split()[0] for line in out[1 : len(TASKS) + 1]] == list(TASKS)


def test_instances(run, tmp_path):
    (tmp_path / "a.conllu").write_text(UD)
    status, out, _ = run("instances", "syn_arc_prediction", tmp_path / "a.conllu", "--compat", "liu2019")
    expected = {"tokens": ["Ann", "naps"], "labels": ["1"], "indices": [[0, 1]]}
    assert status == 0 and [json.loads(line) for line in out] == [expected]
    (tmp_path / "chunk").write_text("Café NN B-NP\n")
    _, out, _ = run("instances", "chunk", tmp_path / "chunk")
    assert json.loads(out[0]) == {"tokens": ["Café"], "labels": ["B-NP"], "indices": None}


def test_a_fault_is_one_line_and_no_output(run, tmp_path):
    (tmp_path / "a.txt").write_text(CHUNKS + "\nnap VBP\n")
    status, out, err = run("instances", "chunk", tmp_path / "a.txt")
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith(f"probing_bridge instances: error: {tmp_path}/a.txt:4: expected 3 columns")


def sentence(words):
    rows = [f"zoo 0 {i} {word} NN * - - - - * {mark}\n" for i, (word, mark) in enumerate(words)]
    return "".join(rows) + "\n"


def write_suite(folder):
    """Chunks, arcs and a document whose first sentence is also a chunked one."""
    document = sentence([("Ann", "(0)"), ("she", "(0)")]) + sentence([("Bob", "(1)"), ("he", "(1)")])
    files = {
        "chunk.txt": f"{CHUNKS}\n{CHUNKS}\nAnn NN O\nshe NN O\nBob NN O\nhe NN O\n",
        "a.conllu": UD,
        "a.gold_conll": f"#begin document zoo\n{document}#end document\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    tasks = {"chunk": "chunk.txt", "coref": "a.gold_conll", "pos": "a.conllu"}
    suite = {"tasks": {task: dict.fromkeys(("train", "dev", "test"), name) for task, name in tasks.items()}}
    (folder / "suite.yaml").write_text(json.dumps(suite))
    return folder / "suite.yaml"


def test_sentences_once_in_the_order_of_the_suite_and_documents_with_tabs(run, tmp_path):
    status, out, _ = run("sentences", "--suite", write_suite(tmp_path), "--output", tmp_path / "new" / "folder")
    text = (tmp_path / "new" / "folder" / "sentences.txt").read_text()
    assert text == "Otters nap\nAnn she\tBob he\nAnn naps\n"
    assert status == 0 and "3 sentences and documents, 8 words, of 3 tasks" in out[0]
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["sentences.txt"]


def test_a_word_with_a_space_is_refused(run, tmp_path):
    suite = write_suite(tmp_path)
    (tmp_path / "a.conllu").write_text(UD.replace("naps", "takes naps"))
    status, _, err = run("sentences", "--suite", suite, "--output", tmp_path / "out")
    assert status == 2 and "a.conllu: task pos: the word 'takes naps' is empty or contains white space" in err[0]
    assert not (tmp_path / "out").exists()


def test_the_faults_of_all_files_at_once(run, tmp_path):
    suite = write_suite(tmp_path)
    (tmp_path / "a.conllu").write_text(UD.replace("naps", "takes naps"))
    (tmp_path / "chunk.txt").write_text("Ann NN\n")
    status, _, err = run("sentences", "--suite", suite, "--output", tmp_path / "out")
    assert status == 2 and len(err) == 2
    assert "chunk.txt:1: " in err[0] and "a.conllu: task pos: the word 'takes naps'" in err[1]


def test_another_root(run, tmp_path):
    (tmp_path / "data").mkdir()
    suite = write_suite(tmp_path / "data").rename(tmp_path / "suite.yaml")
    status, _, err = run("sentences", "--suite", suite, "--output", tmp_path / "out")
    assert status == 2 and len(err) == 9  # three files of three tasks
    status, _, _ = run("sentences", "--suite", suite, "--corpora", tmp_path / "data", "--output", tmp_path / "out")
    assert status == 0


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = run("sentences", "--suite", write_suite(tmp_path), "--output", tmp_path / "file")
    assert status == 2 and "cannot be written" in err[0]
