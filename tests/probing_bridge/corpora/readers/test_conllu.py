"""CoNLL-U and CoNLL-X."""

import pytest

ROW = "{}\t{}\tx\tNOUN\tNN\t_\t{}\tdep\t_\t_\n"


def tree(*heads):
    return "".join(ROW.format(number, f"w{number}", head) for number, head in enumerate(heads, 1))


def test_conllx_takes_the_fifth_column_and_keeps_the_sign_as_a_word(corpora, read):
    expected = [("Otters nap #", ["NNS", "VBP", "#"], None), ("Yes", ["UH"], None)]
    assert read("pos", corpora.CONLLX, "a.conllx") == read("pos", corpora.CONLLX, "a.conllx", compat=True) == expected


def test_multiword_lines_and_empty_nodes_are_no_words(corpora, read):
    assert read("pos", corpora.CONLLU_EXTRA, "a.conllu") == [("do n't nap", ["AUX", "PART", "VERB"], None)]
    arcs = read("syn_arc_classification", corpora.CONLLU_EXTRA, "a.conllu")
    assert arcs == [("do n't nap", ["aux", "advmod"], [(0, 2), (1, 2)])]


def test_the_original_takes_them_for_words_in_tagging(corpora, read):
    found = read("pos", corpora.CONLLU_EXTRA, "a.conllu", compat=True)
    assert found == [("don't do n't nap nap", ["_", "AUX", "PART", "VERB", "VERB"], None)]
    arcs = read("syn_arc_classification", corpora.CONLLU_EXTRA, "a.conllu", compat=True)
    assert arcs == [("do n't nap", ["aux", "advmod"], [(0, 2), (1, 2)])]  # the original crashes


def test_the_original_splits_at_two_spaces(corpora, read, fault):
    text = corpora.CONLLU.replace("\t", "  ")
    assert read("pos", text, "a.conllu", compat=True) == read("pos", corpora.CONLLU, "a.conllu")
    assert fault("pos", text, "a.conllu") == "a.conllu:2: expected 10 columns with tabs between, found 1"


def test_arcs_and_drawn_pairs(corpora, read):
    arcs = read("syn_arc_classification", corpora.CONLLU, "a.conllu")
    assert arcs == [("Ann sang .", ["nsubj", "punct"], [(0, 1), (2, 1)])]
    drawn = read("syn_arc_prediction", corpora.CONLLU, "a.conllu")
    assert drawn == [("Ann sang .", ["1", "0", "1", "0"], [(0, 1), (0, 2), (2, 1), (2, 0)])]


def test_a_sentence_without_arcs_is_left_out(read):
    assert [words for words, _, _ in read("syn_arc_classification", tree(0) + "\n" + tree(0, 1), "a.conllu")] == [
        "w1 w2"
    ]


def test_self_heads_stay_in_compat(read, fault):
    assert read("syn_arc_classification", tree(1, 0), "a.conllu", compat=True)[0][2] == [(0, 0)]
    assert fault("syn_arc_classification", tree(1, 0), "a.conllu").startswith("a.conllu:1: the heads from word 1 lead")


@pytest.mark.parametrize("heads", [(2, 1, 0), (2, 3, 1), (0, 3, 4, 2)])
def test_cycles(heads, fault):
    assert "lead round in a cycle" in fault("syn_arc_classification", tree(*heads), "a.conllu")


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("head", ["4", "-1", "_", "x", "", "²", "9" * 5000, "1.0"])
def test_heads_out_of_range(head, compat, fault):
    message = fault("syn_arc_prediction", "\n" + tree(0, head, 1), "a.conllu", compat=compat)
    assert message.startswith("a.conllu:3: expected a head from 0 to 3 in column 7, found")


def test_other_faults(fault):
    assert "a.conllu:1: expected 10 columns" in fault("pos", tree(0)[:-3] + "\n", "a.conllu")
    assert "a.conllu:2: expected word number 2 in column 1, found '1'" in fault("pos", tree(0) + tree(0), "a.conllu")
    assert "the word (column 2) is empty" in fault("pos", ROW.format(1, "", 0), "a.conllu")
    assert "a.conllu:1: expected at least 4 columns" in fault("pos", "1\ta\tb\n", "a.conllu", compat=True)
    assert "a.conllx:1: expected at least 5 columns" in fault("pos", "1\ta\tb\tc\n", "a.conllx", compat=True)
    assert "expected the word's number in column 1, found '1-2'" in fault("pos", "1-2\ta\tb\tc\td\n", "a.conllx")
