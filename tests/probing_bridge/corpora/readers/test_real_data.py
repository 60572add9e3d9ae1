"""The real files of ../shared/data, with the counts of its README: the dev files, and (slow) the large train files.

Skipped where they are not.
"""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from probing_bridge.corpora.readers.conll2012 import read_documents
from probing_bridge.corpora.readers.source import read_source
from probing_bridge.corpora.tasks import label_vocabulary, read_instances

SPLITS = ("train", "dev", "test")
SLOW = pytest.mark.slow
# Task, file, (sentences, items) of train, dev, test; None: not counted in the README.
COUNTS = [
    ("pos", "ud_ewt/en_ewt-ud-{}.conllu", [(12544, 204577), (2001, 25147), (2077, 25094)]),
    ("pos", "gum/gum_{}.conllu", [(7425, 129805), (1022, 18432), (937, 18309)]),
    ("parent", "gum/gum_{}.ptb", [(7425, 129805), (1022, 18432), (937, 18309)]),
    ("gparent", "gum/gum_{}.ptb", [(7425, 129805), (1022, 18432), (937, 18309)]),
    ("ggparent", "gum/gum_{}.ptb", [(7425, 129805), (1022, 18432), (937, 18309)]),
    ("chunk", "gum/chunk_{}.txt", [(7425, 129805), (1022, 18432), (937, 18309)]),
    ("conj", "gum/conjunct_{}.tsv", [(2436, None), (344, None), (354, None)]),
    ("ner", "ner_wnut17/wnut17_{}.conll", [(3394, 62730), (1009, 15733), (1287, 23394)]),
    ("ner", "ner_uner_ewt/ewt_{}.conll", [None, (2001, 25149), (2075, 25020)]),  # the README says 2076
    ("ged", "ged_ud/ged_{}.tsv", [(1046, None), (187, None), (154, None)]),
    ("ccg", "pmb/ccg_{}.tsv", [(7745, 50408), (1174, 7368), (1053, 6821)]),
    ("st", "pmb/semtag_{}.tsv", [(7745, None), (1174, None), (1053, None)]),
    ("ef", "factuality/it-happened_{}.json", [(9127, 22209), (1247, 2646), (1221, 2548)]),
    ("sem_arc_classification", "sdp_erg/dm_{}.sdp", [(7802, 114045), (555, 9005), (712, 10787)]),
    ("sem_arc_prediction", "sdp_erg/dm_{}.sdp", [(7802, None), (555, None), (712, None)]),
]
CASES = [
    pytest.param(task, name.format(split), *expected, marks=[SLOW] if split == "train" else [])
    for task, name, counts in COUNTS
    for split, expected in zip(SPLITS, counts, strict=True)
    if expected is not None
]


def data(shared: Path, name: str) -> Path:
    return shared / "data" / f"{name}.gz"


@pytest.mark.parametrize(("task", "name", "n_sentences", "n_items"), CASES)
def test_sentences_and_items(task, name, n_sentences, n_items, shared):
    found = read_instances(task, data(shared, name))
    assert len(found) == n_sentences
    assert n_items in (None, sum(len(one.labels) for one in found))


@pytest.mark.parametrize(
    ("split", "n_words"), [pytest.param("train", 50408, marks=SLOW), ("dev", 7368), ("test", 6821), ("eval", 5710)]
)
def test_semantic_tags_of_forms_of_several_words(split, n_words, shared):
    lines = gzip.decompress(data(shared, f"pmb/semtag_{split}.tsv").read_bytes()).decode().split("\n")
    words = [word for line in lines if line for word in re.split(r"[~\s]+", line.split("\t")[0]) if word]
    assert sum(map(bool, lines)) == n_words
    found = read_instances("st", data(shared, f"pmb/semtag_{split}.tsv"))
    assert [word for one in found for word in one.tokens] == words


@SLOW
def test_labels(shared):
    def vocabulary(task, name, splits=SPLITS):
        return set(label_vocabulary(*[read_instances(task, data(shared, name.format(split))) for split in splits]))

    assert len(vocabulary("pos", "ud_ewt/en_ewt-ud-{}.conllu")) == 17
    assert len(vocabulary("syn_arc_classification", "ud_ewt/en_ewt-ud-{}.conllu")) == 51 - 1  # the root is no arc
    assert len(vocabulary("parent", "gum/gum_{}.ptb") - {"None"}) == 27 - 1  # nor ROOT a phrase
    assert len(vocabulary("st", "pmb/semtag_{}.tsv")) == 69
    assert len(vocabulary("ccg", "pmb/ccg_{}.tsv", ["train"])) == 294
    assert len(vocabulary("sem_arc_classification", "sdp_erg/dm_{}.sdp", ["train"])) == 52
    assert len(vocabulary("ps_role", "streusle/streusle.ud_{}.json", ["train"])) == 46
    assert len(vocabulary("ps_fxn", "streusle/streusle.ud_{}.json", ["train"])) == 38
    types = {tag[2:] for tag in vocabulary("ner", "ner_wnut17/wnut17_{}.conll") if tag != "O"}
    assert types == {"person", "location", "corporation", "group", "product", "creative-work"}
    errors = read_instances("ged", data(shared, "ged_ud/ged_train.tsv"))
    assert Counter(label for one in errors for label in one.labels)["i"] == 1402


@pytest.mark.parametrize(("split", "expected"), [pytest.param("train", 4553, marks=SLOW), ("dev", 462), ("test", 485)])
def test_supersenses_of_both_files_and_of_expressions_of_several_words(split, expected, shared):
    path = data(shared, f"streusle/streusle.ud_{split}.json")
    for task in ("ps_role", "ps_fxn"):
        found = read_instances(task, path)
        assert found == read_instances(task, data(shared, f"streusle/streusle.ud_{split}.conllulex"))
    in_several = sum(
        (expression["ss"] or "").startswith("p.")
        for sentence in json.loads(gzip.decompress(path.read_bytes()))
        for expression in sentence["smwes"].values()
    )
    assert sum(len(one.labels) for one in found) + in_several == expected


@pytest.mark.parametrize(
    ("split", "mentions", "entities", "documents"),
    [pytest.param("train", 16854, 3895, 128, marks=SLOW), ("dev", 2366, 529, 20), ("test", 2313, 579, 20)],
)
def test_coreference(split, mentions, entities, documents, shared):
    path = data(shared, f"gum/gum_{split}.gold_conll")
    found = list(read_documents(read_source(path, "conll2012")))
    assert len(found) == documents
    assert sum(len(spans) for one in found for spans in one.clusters.values()) == mentions
    assert sum(len(one.clusters) for one in found) == entities
    words = sum(len(one.tokens) for one in found)
    assert words == {"train": 129805, "dev": 18432, "test": 18309}[split]
    assert 0 < len(read_instances("coref", path)) <= documents
