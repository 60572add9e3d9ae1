"""Both SDP layouts, and how pairs that are not arcs are drawn."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.arcs import sample_negatives

ARCS = [(0, 1), (3, 1), (4, 1), (4, 3)]


def many_heads():
    """Twelve words, of which ten are predicates, eight of them heads of the last one."""
    for n in range(1, 13):
        arguments = ["A" if n == 12 and k < 8 else "_" for k in range(10)]
        yield "\t".join([str(n), f"w{n}", "w", "NN", "0", "x", "-", "+" if n <= 10 else "-", "_", *arguments]) + "\n"


@pytest.mark.parametrize("compat", [False, True])
def test_both_layouts_give_the_same_arcs(compat, corpora, read):
    for text in (corpora.SDP_AUGMENTED, corpora.SDP_OFFICIAL):
        found = read("sem_arc_classification", text, "a.sdp", compat=compat)
        assert found == [("Ann wants to swim Ann", ["ARG1", "ARG2", "ARG1", "ARG1"], ARCS)]


def test_signs_as_heads_do_not_make_a_file_official(read):
    text = "1\ta\ta\tNN\t-\t+\t-\t+\tv\tA\n"
    assert read("sem_arc_classification", text, "a.sdp", compat=True) == [("a", ["A"], [(0, 0)])]


def test_drawn_pairs_of_a_word_with_many_heads(read):
    # From the original, run on this sentence.
    drawn = [9, 9, 8, 9, 10, 9, 9, 9]
    for compat in (False, True):
        (found,) = read("sem_arc_prediction", "".join(many_heads()), "a.sdp", compat=compat)
        assert found[1] == ["1", "0"] * 8
        assert found[2] == [pair for head, other in enumerate(drawn) for pair in ((11, head), (11, other))]


def test_self_loops_stay_and_sentences_without_arcs_go(read):
    text = "1\tGo\tgo\tVB\t0\troot\t+\t+\tv:e\tARG1\n2\tnow\tnow\tRB\t1\tadvmod\t-\t-\t_\tloc\n"
    lone = "\n1\tYes\tyes\tUH\t0\troot\t-\t-\t_\n\n"
    assert read("sem_arc_classification", lone + text + lone, "a.sdp") == [
        ("Go now", ["ARG1", "loc"], [(0, 0), (1, 0)])
    ]
    # A word whose only other word is its head: nothing to draw for it.
    assert read("sem_arc_prediction", text, "a.sdp")[0][2] == [(0, 0), (0, 1), (1, 0)]


def test_more_argument_columns_than_predicates(corpora, read, fault):
    row = "1\ta\ta\tNN\t0\tx\t-\t+\t_\tA\t{}\n"
    assert read("sem_arc_classification", row.format("_"), "a.sdp", compat=True) == [("a", ["A"], [(0, 0)])]
    for extra, compat in (("_", False), ("B", True), ("B", False)):
        message = fault("sem_arc_classification", row.format(extra), "a.sdp", compat=compat)
        assert message.startswith("a.sdp:1: expected 10 columns (1 predicates), found 11")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3\tto", "4\tto", "a.sdp:5: expected word number 3 in column 1, found '4'"),
        ("\t-\t-\t_\t_\t_", "\t-\tx\t_\t_\t_", "a.sdp:5: expected + or - in column 8 (pred), found 'x'"),
        ("\t-\t-\t_\t_\t_", "\tx\t-\t_\t_\t_", "a.sdp:5: expected + or - in column 7 (top), found 'x'"),
        ("\tnamed:x-c\tARG1\tARG1", "\tnamed:x-c\tARG1", "a.sdp:7: expected 11 columns (2 predicates), found 10"),
        ("\tto\tTO\t4\taux\t-\t-\t_\t_\t_", "", "a.sdp:5: expected + or - in column 8 (pred), found 2 columns"),
        ("\t2\tnsubj\t-", "\t2\tnsubj\tx", "a.sdp:3: expected SDP columns with tabs between"),
    ],
)
def test_faults(old, new, message, corpora, fault):
    assert old in corpora.SDP_AUGMENTED
    assert fault("sem_arc_classification", corpora.SDP_AUGMENTED.replace(old, new, 1), "a.sdp").startswith(message)


def test_words_with_very_many_heads_are_drawn_in_the_order_of_a_python_set():
    """Of 9 words, 5 to 8 are left for word 0: 8 comes first in the set {5, 6, 7, 8}, whose table has 8 places."""
    gold = Instance(tuple("w" * 9), ("A",) * 4, ((0, 1), (0, 2), (0, 3), (0, 4)))
    rng = random.Random(0)
    (found,) = sample_negatives([gold])
    assert [parent for _, parent in found.indices[1::2]] == [rng.choice([8, 5, 6, 7]) for _ in range(4)]


# Graphs in which a word has at most one head.
graphs = st.lists(st.integers(-1, 39), min_size=1, max_size=40).map(
    lambda heads: (len(heads), [(child, head % len(heads)) for child, head in enumerate(heads) if head >= 0])
)


@settings(max_examples=50)
@given(sentences=st.lists(graphs, max_size=4))
def test_drawn_pairs_equal_the_slow_formula(sentences):
    """After each arc, one draw from the ascending words that are neither the child nor its head."""
    gold = [Instance(tuple("w" * n), ("A",) * len(arcs), tuple(arcs)) for n, arcs in sentences]
    rng = random.Random(0)
    for instance, (n, arcs) in zip(sample_negatives(gold), sentences, strict=True):
        expected = []
        for child, parent in arcs:
            expected.append(((child, parent), "1"))
            others = [q for q in range(n) if q not in (child, parent)]
            if others:
                expected.append(((child, rng.choice(others)), "0"))
        assert list(zip(instance.indices, instance.labels, strict=True)) == expected
