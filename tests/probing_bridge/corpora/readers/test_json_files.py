"""STREUSLE (JSON and .conllulex) and It-Happened."""

import json

import pytest

ROLES = ("My otter naps at noon", ["p.SocialRel", "p.Time"], [0, 3])
FUNCTIONS = ("My otter naps at noon", ["p.Gestalt", "p.Locus"], [0, 3])


def happened(**changes):
    sentence = {"sentence": ["Go", "!"], "predicate_indices": [1], "labels": [0]} | changes
    return "{\n" + json.dumps("s 1") + ":\n" + json.dumps(sentence) + "}"


def supersenses(swes, words=("a", "b", "c")):
    return json.dumps([{"sent_id": "x", "toks": [{"word": word} for word in words], "swes": swes}])


def test_both_layouts_of_streusle(corpora, read):
    for text, name in ((corpora.STREUSLE, "a.json"), (corpora.CONLLULEX, "a.conllulex")):
        assert read("ps_role", text, name) == [ROLES]
        assert read("ps_fxn", text, name) == [FUNCTIONS]


def test_only_supersenses_of_adpositions_in_the_order_of_the_object(read):
    classes = ["p.Locus", "??", "`i", "`$", None, "n.ANIMAL", "", "p.Time"]
    swes = {str(8 - position): {"ss": None, "ss2": label} for position, label in enumerate(classes)}
    assert read("ps_fxn", supersenses(swes, "abcdefgh"), "a.json") == [
        ("a b c d e f g h", ["p.Locus", "p.Time"], [7, 0])
    ]


def test_words_of_multiword_expressions_are_left_out_of_conllulex(corpora, read):
    text = corpora.CONLLULEX.replace("\t_\tP\tat", "\t1:1\tP\tat")
    assert read("ps_role", text, "a.conllulex") == [("My otter naps at noon", ["p.SocialRel"], [0])]


def test_factuality_keeps_the_order_of_the_lists(corpora, read):
    assert read("ef", corpora.IT_HAPPENED, "a.json") == [("Ann said she left", [-1.5, 3.0], [3, 1])]


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predicate_indices": [3]}, "expected a predicate index from 1 to 2, found 3"),
        ({"predicate_indices": [0]}, "expected a predicate index from 1 to 2, found 0"),
        ({"predicate_indices": [True]}, "expected a predicate index from 1 to 2, found True"),
        ({"predicate_indices": ["1"]}, "expected a predicate index from 1 to 2, found '1'"),
        ({"predicate_indices": [1.0]}, "expected a predicate index from 1 to 2, found 1.0"),
        ({"predicate_indices": [1, 2]}, "has 2 predicate_indices but 1 labels"),
        ({"labels": ["3"]}, "expected numbers as labels, found '3'"),
        ({"labels": [None]}, "expected numbers as labels, found None"),
        ({"labels": [[[3]]]}, "expected numbers as labels, found an array"),
        ({"labels": [False]}, "expected numbers as labels, found False"),
        ({"labels": [10**400]}, "expected numbers as labels, found 1"),
        ({"labels": 3}, "expected an array as 'labels', found a number"),
        ({"sentence": "Go !"}, "expected an array as 'sentence', found a text"),
        ({"sentence": ["Go", 3]}, "word 2 is not a text with at least one character"),
        ({"sentence": ["Go", ""]}, "word 2 is not a text with at least one character"),
        ({"sentence": ["Go", "\ud800"]}, "holds half a character"),
    ],
)
def test_faults_of_factuality(changes, message, compat, fault):
    found = fault("ef", happened(**changes), "a.json", compat=compat)
    assert found.startswith("a.json:2: sentence 's 1'") and message in found


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(word, fault):
    assert fault("ef", happened().replace("[0]", f"[{word}]"), "a.json").startswith("a.json:")


def test_a_sentence_with_one_empty_list(read, fault):
    text = happened()[:-1] + ', "s 2": {"sentence": ["a"], "predicate_indices": [], "labels": [1.0]}}'
    assert len(read("ef", text, "a.json", compat=True)) == 1  # dropped by the original
    assert "sentence 's 2' has 0 predicate_indices but 1 labels" in fault("ef", text, "a.json")


def test_a_key_that_occurs_twice(read, fault):
    text = happened()[:-1] + ", " + happened(sentence=["Stop"])[2:]
    assert "the key 's 1' occurs twice in one object" in fault("ef", text, "a.json")
    assert read("ef", text, "a.json", compat=True)[0][0] == "Stop"  # the last one, as in the original


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n1}', "a.json:2: expected JSON: "),
        ("[" * 200_000, "nested too deeply"),
        ('{"a": {"sentence": ' + "[" * 200_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "expected JSON"),
        ("[]", "expected one JSON object with a key per sentence, found an array"),
        ("{}", "no sentence has an item"),
        ('{"a": 3}', "sentence 'a': expected an object with 'sentence', found a number"),
        ('{"a": {}}', "sentence 'a': expected an array as 'sentence', it is missing"),
    ],
)
def test_faults_of_json(text, message, fault):
    assert message in fault("ef", text, "a.json")


@pytest.mark.parametrize(
    ("swes", "message"),
    [
        ({"0": {"ss": "p.X"}}, "expected word numbers 1 to 3 in swes, found '0'"),
        ({"4": {"ss": "p.X"}}, "expected word numbers 1 to 3 in swes, found '4'"),
        ({"²": {"ss": "p.X"}}, "expected word numbers 1 to 3 in swes"),
        ({"9" * 5000: {"ss": "p.X"}}, "expected word numbers 1 to 3 in swes"),
        ({"1": {"ss": 3}}, "expected a text or null as 'ss', found a number"),
        ({"1": {}}, "expected a text or null as 'ss', it is missing"),
        ({"1": "p.X"}, "expected an object with 'ss', found a text"),
        ([], "expected an object as 'swes', found an array"),
    ],
)
def test_faults_of_streusle(swes, message, fault):
    assert message in fault("ps_role", supersenses(swes), "a.json")
    assert message in fault("ps_role", supersenses(swes), "a.json", compat=True)


def test_an_object_instead_of_sentences(fault):
    assert "a.json:1: expected a JSON array of sentences, found an object" in fault("ps_role", "{}", "a.json")


def test_lexical_columns(corpora, fault):
    text = corpora.CONLLULEX.replace("\tO\n", "\n", 1)
    assert fault("ps_role", text, "a.conllulex").startswith(
        "a.conllulex:2: expected 19 columns with tabs between, found 18"
    )
