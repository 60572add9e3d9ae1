"""What holds for every format and every task of the table, and the outputs of the original code."""

import gzip
import json
import re
from pathlib import Path

import pytest

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.formats import BIOUL, FORMATS, guess_format
from probing_bridge.corpora.tasks import (
    FEATURES,
    PAPER_TASKS,
    TASKS,
    choose_format,
    find_task,
    label_vocabulary,
    read_instances,
)
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.probes.metrics import METRICS

FAMILIES = {"token", "selective", "pairwise", "regression"}
ISSUE_5 = (
    "pos ccg parent gparent ggparent chunk ner ged conj syn_arc_prediction syn_arc_classification st ps_fxn ps_role ef "
    "sem_arc_prediction sem_arc_classification coref"
)
GOLDEN_TASKS = {
    "conllx_pos": "pos",
    "conllu_pos": "pos",
    "ccg_supertagging": "ccg",
    "conll2000_chunking": "chunk",
    "conll2003_ner": "ner",
    "grammatical_error_correction": "ged",
    "conjunct_identification": "conj",
    "semantic_tagging": "st",
    "event_factuality": "ef",
    "coreference_arc_prediction": "coref",
    "syntactic_dependency_arc_prediction": "syn_arc_prediction",
    "syntactic_dependency_arc_classification": "syn_arc_classification",
    "semantic_dependency_arc_prediction": "sem_arc_prediction",
    "semantic_dependency_arc_classification": "sem_arc_classification",
    "parent": "parent",
    "grandparent": "gparent",
    "greatgrandparent": "ggparent",
    "role": "ps_role",
    "function": "ps_fxn",
}


CATEGORIES = {"POS", "syntactic", "semantic", "morphological"}


def test_the_table_has_the_tasks_of_the_paper_in_its_order():
    assert " ".join(PAPER_TASKS) == ISSUE_5 and list(TASKS) == [*PAPER_TASKS, *FEATURES]


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_a_row_is_complete(task):
    assert task.family in FAMILIES and task.metric in METRICS and task.category in CATEGORIES
    assert re.search(r"\d{4}", task.citation) and set(task.formats) <= set(FORMATS)
    assert (task.family == "regression") == (task.metric == "pearson")
    assert (task.batch_size, task.patience) == {"coref": (10, 3), "ged": (80, 10)}.get(task.name, (80, 3))


def test_every_format_is_read_by_some_task():
    assert {key for task in TASKS.values() for key in task.formats} == set(FORMATS)


@pytest.mark.parametrize("task", PAPER_TASKS.values(), ids=lambda task: task.name)
def test_items_point_into_the_sentence(task, corpora, read):
    for format in task.formats:
        name, _, text = corpora.CORPORA["conll2003" if format == BIOUL else format]
        found = read(task.name, text, name, format=format)
        assert found
        for words, labels, indices in found:
            n_words = len(words.split())
            if task.family == "token":
                assert indices is None and len(labels) == n_words
                continue
            assert indices and len(indices) == len(labels)
            flat = [end for pair in indices for end in pair] if task.family == "pairwise" else indices
            assert all(0 <= position < n_words for position in flat)
            assert all(isinstance(label, float if task.family == "regression" else str) for label in labels)


@pytest.mark.parametrize("format", [key for key in FORMATS if key != BIOUL])
class TestEveryFormat:
    def test_name_tells_it(self, format, corpora):
        name, task, _ = corpora.CORPORA[format]
        for ending in ("", ".gz"):
            assert choose_format(TASKS[task], name + ending) == format

    def test_content_tells_it(self, format, corpora):
        assert guess_format(corpora.CORPORA[format][2]) == format

    def test_gzip_and_line_ends_do_not_matter(self, format, corpora, read):
        name, task, text = corpora.CORPORA[format]
        plain = read(task, text, name)
        assert read(task, gzip.compress(text.encode()), name + ".gz") == plain
        for compat in (False, True):
            assert read(task, text.replace("\n", "\r\n"), name, compat=compat) == read(task, text, name, compat=compat)
        assert read(task, b"\xef\xbb\xbf" + text.encode(), name) == plain

    @pytest.mark.parametrize("compat", [False, True])
    @pytest.mark.parametrize("tail", ["\n", "\n\n", "\n\n\n"])
    def test_blank_lines_at_the_end_do_not_matter(self, format, compat, tail, corpora, read):
        name, task, text = corpora.CORPORA[format]
        assert read(task, text + tail, name, compat=compat) == read(task, text, name, compat=compat)

    def test_empty_file(self, format, corpora, fault):
        name, task, _ = corpora.CORPORA[format]
        for text in ("", "\n \n\t\n"):
            assert fault(task, text, name).startswith(f"{name}: is empty; expected")

    def test_other_encodings(self, format, corpora, fault):
        name, task, text = corpora.CORPORA[format]
        at_line_2 = text.replace("\n", "\nÄ", 1).encode("latin-1")
        assert fault(task, at_line_2, name).startswith(f"{name}:2: byte 0xc4 is not UTF-8; convert the file")
        assert "is UTF-16 text; expected UTF-8" in fault(task, text.encode("utf-16"), name)
        assert f"{name}:2: a zero byte is not text" in fault(task, text.replace("\n", "\n\0", 1), name)

    def test_a_file_of_every_other_format_is_refused_by_its_name(self, format, corpora, fault):
        _, _, text = corpora.CORPORA[format]
        for other, (name, task, _) in corpora.CORPORA.items():
            # CoNLL-U has all columns of CoNLL-X, and the lexical columns stand behind; what is asked for is there.
            if other == format or (other == "conllx" and format in ("conllu", "conllulex")):
                continue
            assert FORMATS[format].title in fault(task, text, name), other


def golden_cases():
    folder = Path(__file__).resolve().parents[5] / "shared" / "golden" / "readers"
    manifest = folder / "manifest.json"
    return [] if not manifest.is_file() else [(folder, *case) for case in json.loads(manifest.read_text())]


@pytest.mark.parametrize(("folder", "name", "file", "parameters"), golden_cases(), ids=lambda value: str(value)[:40])
def test_outputs_of_the_original(folder, name, file, parameters):
    key = parameters.get("ancestor") or parameters.get("mode") or parameters["type"]
    task, format = GOLDEN_TASKS[key], BIOUL if "label_encoding" in parameters else None
    found = read_instances(task, folder / file, compat=True, format=format)
    golden = json.loads((folder / f"{name}.json").read_text())
    expected = [
        (tuple(one["tokens"]), tuple(one["labels"]), one.get("arc_indices", one.get("label_indices")))
        for one in golden["instances"]
    ]
    got = [(one.tokens, one.labels, json.loads(json.dumps(one.indices))) for one in found]
    if task == "coref":  # the original's order is that of its Python's hash tables
        got, expected = ([comparable(*one) for one in some] for some in (got, expected))
    assert got == expected
    assert list(label_vocabulary(found)) == (golden["label_vocab_in_index_order"] or [])


def comparable(tokens, labels, pairs):
    """Arcs as a set, and of the drawn pairs the children as often as they occur: what Python's hash order leaves."""
    arcs = sorted(tuple(pair) for pair, label in zip(pairs, labels, strict=True) if label == "1")
    return tokens, arcs, sorted(child for (child, _), label in zip(pairs, labels, strict=True) if label == "0")


def test_vocabulary_is_by_total_count_then_first_occurrence():
    train, dev = Instance(("a", "b", "c"), ("X", "Y", "Z"), None), Instance(("a", "b", "c"), ("W", "Z", "W"), None)
    assert label_vocabulary([train], [dev], []) == ("Z", "W", "X", "Y")


def test_unknown_task_gives_the_nearest():
    with pytest.raises(BridgeError, match="unknown task 'ps_role2'; do you mean 'ps_role'"):
        find_task("ps_role2")


def test_a_format_the_task_is_not_read_from(read, tmp_path):
    with pytest.raises(InputError, match=r"is CoNLL-U by its name, but chunk is read from conll2000; .* --format"):
        read("chunk", "x", "a.conllu.gz")
    with pytest.raises(InputError, match="chunk is read from conll2000, not from 'sdp'"):
        read("chunk", "x", format="sdp")


def test_format_overrides_the_name(corpora, read):
    assert read("pos", corpora.CONLLU, "a.conllx", format="conllu")[0][1] == ["PROPN", "VERB", "PUNCT"]


def test_file_that_is_not_there_or_a_folder(tmp_path):
    for path, reason in ((tmp_path / "no", "No such file"), (tmp_path, "directory")):
        with pytest.raises(InputError, match=reason):
            read_instances("pos", path)
    with pytest.raises(InputError):
        read_instances("pos", "a\0b")


def test_nothing_to_predict(fault):
    assert "no sentence has an item: every word has head 0, and a root is no arc" in fault(
        "syn_arc_prediction", "1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_\n", "a.conllu"
    )


def test_damaged_gzip_and_bombs(fault, monkeypatch):
    packed = gzip.compress(b"cats\tB\n" * 1000)
    assert "is a damaged or incomplete gzip file" in fault("conj", packed[:-20], "a.tsv.gz")
    assert "is a damaged or incomplete gzip file" in fault("conj", packed[:20] + b"x" + packed[21:], "a.tsv.gz")
    monkeypatch.setattr("probing_bridge.formats.text.BOMB_BYTES", 1000)
    assert "bytes of text (the file: " in fault("conj", gzip.compress(b"cats\tB\n" * 100_000), "a.tsv.gz")


def test_an_endless_column_does_not_fill_the_screen(fault):
    assert len(fault("ged", "I\t" + "c" * 100_000)) < 1000
