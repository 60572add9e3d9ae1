"""Chunks, errors, conjuncts, semantic tags, CCG columns and derivations, named entities."""

import pytest

from probing_bridge.corpora.readers.conll2003 import to_bioul


def test_examples(corpora, read):
    assert read("chunk", corpora.CONLL2000) == [("Otters nap the river .", ["B-NP", "B-VP", "B-NP", "I-NP", "O"], None)]
    assert read("ged", corpora.FCE, "a.tsv") == [("I go yesterday", ["c", "i", "c"], None)]
    assert read("conj", corpora.CONJUNCTS) == [("cats and old dogs nap", ["B", "O", "B", "I", "O"], None)]
    tags = ["GPE", "GPE", "NOT", "DOM", "DOM", "NIL"]
    assert read("st", corpora.SEMTAGS) == [("New York never Dec 25 .", tags, None)]
    expected = [("Otters nap", ["N", "S[dcl]\\NP"], None)]
    assert read("ccg", corpora.CCGBANK) == read("ccg", corpora.CCG_COLUMNS, "a.tsv") == expected
    assert read("ner", corpora.CONLL2003) == [("Ann Bee in New York", ["I-PER", "B-PER", "O", "I-LOC", "I-LOC"], None)]


def test_bioul(corpora, read):
    found = read("ner", corpora.CONLL2003, format="conll2003-bioul")
    assert found[0][1] == ["U-PER", "U-PER", "O", "B-LOC", "L-LOC"]
    assert to_bioul(["I-A", "I-A", "I-A", "I-B", "O", "B-A", "B-A", "I-A"]) == [
        "B-A", "I-A", "L-A", "U-B", "O", "U-A", "B-A", "L-A",
    ]  # fmt: skip


def test_two_spaces_shift_the_columns_of_the_original(read, fault):
    text = "the  DT B-NP\nriver NN I-NP\n"
    assert read("chunk", text, compat=True) == [("the river", ["DT", "I-NP"], None)]
    assert read("chunk", text) == [("the river", ["B-NP", "I-NP"], None)]


def test_a_sign_is_a_word_here(read):
    assert read("chunk", "# # O\nnap VBP B-VP\n") == [("# nap", ["O", "B-VP"], None)]
    assert read("ged", "#\tc\n# a\ti\n")[0][1] == ["c", "i"]


def test_blank_lines_of_every_kind_divide(read):
    assert [words for words, _, _ in read("conj", "\n\na\tB\n\n\n\n \t\nb\tO\n\n\n")] == ["a", "b"]


def test_a_form_of_nothing_but_tildes_has_no_word(read):
    assert read("st", "~~\tNIL\n\na~~b c\tCON\n") == [("a b c", ["CON"] * 3, None)]


def test_entities_are_divided_by_documents(read):
    text = "a\tNN O   O\n -DOCSTART- x\nb NN O I-X\n \t\nc NN O O"
    assert [one[:2] for one in read("ner", text)] == [("a", ["O"]), ("b", ["I-X"]), ("c", ["O"])]


def test_the_original_cuts_a_sentence_to_its_shortest_line(read, fault):
    text = "New York NNP I-NP I-LOC\nis VB O O\n"
    assert read("ner", text, compat=True) == [("New is", ["I-NP", "O"], None)]
    assert fault("ner", text).startswith("a.txt:1: expected 4 columns with white space between, found 5")
    assert fault("ner", "a b c\n", compat=True).startswith("a.txt:1: expected 4 columns")


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("chunk", "a DT B-NP\nb NN\n", "a.txt:2: expected 3 columns with a space between, found 2"),
        ("chunk", "a DT B-NP x\n", "a.txt:1: expected 3 columns with a space between, found 4"),
        ("chunk", "a DT NP\n", "a.txt:1: expected a chunk tag O, B-TYPE or I-TYPE, found 'NP'"),
        ("ner", "a NN O S-PER\n", "a.txt:1: expected an entity tag O, B-TYPE or I-TYPE, found 'S-PER'"),
        ("ged", "a c\n", "a.txt:1: expected 2 columns with a tab between, found 1"),
        ("ged", "a\tC\n", "a.txt:1: expected c or i, found 'C'"),
        ("conj", "a\tB\tx\n", "a.txt:1: expected 2 columns with a tab between, found 3"),
        ("conj", "a\tB-NP\n", "a.txt:1: expected B, I or O, found 'B-NP'"),
        ("st", "CON\totter\n", "a.txt:1: expected a semantic tag of three capitals, found 'otter'"),
        ("ged", "\tc\n", "a.txt:1: the word (column 1) is empty"),
    ],
)
def test_faults(task, text, message, fault):
    assert fault(task, text).startswith(message)


def test_the_original_takes_any_tag(read):
    assert read("ged", "a\tX\ty\n", compat=True) == [("a", ["X"], None)]
    assert read("st", "CON\totter\n", compat=True) == [("CON", ["otter"], None)]


def test_columns_behind_do_not_count_for_errors(read):
    assert read("ged", "a\ti\tX\n") == [("a", ["i"], None)]


class TestDerivations:
    def test_a_single_leaf(self, read):
        assert read("ccg", "(<L NP NN NN Quiet NP>)\n") == [("Quiet", ["NP"], None)]

    def test_other_lines(self, read, fault):
        text = "nonsense\n(<L NP NN NN Quiet NP>)\n"
        assert len(read("ccg", text, compat=True)) == 1
        assert fault("ccg", text).startswith("a.txt:1: expected a derivation")

    @pytest.mark.parametrize(
        "line", ["(<L NP NN NN Quiet>)", "(<L NP NN NN Very Quiet NP>)", "(<T NP 0 1> (<L NP NN Quiet NP>) )"]
    )
    def test_leaves_have_five_fields(self, line, fault):
        assert fault("ccg", line).startswith("a.txt:1: expected 5 fields in a leaf")

    @pytest.mark.parametrize("line", ["(<L N N N a N>)) (", "(<T N 0 1> (<L N N N a N>)", "(<L N N N a N>) x"])
    def test_brackets(self, line, fault):
        assert fault("ccg", line).startswith("a.txt:1: the brackets are not balanced")

    def test_without_leaves(self, fault):
        assert fault("ccg", "(<T NP 0 1> )").startswith("a.txt:1: the derivation has no leaf")
