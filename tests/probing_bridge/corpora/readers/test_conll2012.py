"""Coreference arcs."""

import pytest

from probing_bridge.corpora.tasks import read_instances

ARCS = {(4, 0), (10, 4), (6, 2), (11, 6)}
OTHERS = {4: {2}, 6: {0, 4}, 10: {2, 6}, 11: {0, 4, 10}}


def split(found):
    pairs = list(zip(found[2], found[1], strict=True))
    return {pair for pair, label in pairs if label == "1"}, [pair for pair, label in pairs if label == "0"]


@pytest.mark.parametrize("compat", [False, True])
def test_example(compat, corpora, read):
    (found,) = read("coref", corpora.CONLL2012, "a.gold_conll", compat=compat)
    assert found[0] == "Ann met Bob . She saw him and her dog Ann Bob hid"
    arcs, drawn = split(found)
    assert arcs == ARCS and sorted(child for child, _ in drawn) == [4, 6, 10, 11]
    assert all(other in OTHERS[child] for child, other in drawn)


def test_where_the_sentences_begin(corpora, tmp_path):
    (tmp_path / "a.v4_gold_conll").write_text(corpora.CONLL2012)
    assert read_instances("coref", tmp_path / "a.v4_gold_conll")[0].sentence_starts == (0, 4, 11)


def document(corpora, words, *clusters):
    """One sentence with mentions of one word."""
    marks = {position: [] for position in range(len(words))}
    for number, positions in enumerate(clusters):
        for position in positions:
            marks[position].append(f"({number})")
    return corpora.conll2012([(word, "|".join(marks[i]) or "-") for i, word in enumerate(words)])


def test_one_cluster_with_two_spellings_is_not_enough(corpora, fault):
    assert "no sentence has an item" in fault("coref", document(corpora, "abcd", [0, 1], [2]))
    assert "no sentence has an item" in fault("coref", document(corpora, "abcc", [0, 1], [2, 3]))


def test_singletons_can_be_drawn(corpora, read):
    (found,) = read("coref", document(corpora, "xabcd", [1, 2], [3, 4], [0]))
    _, drawn = split(found)
    assert drawn[0] == (2, 0) and drawn[1][0] == 4 and drawn[1][1] in (0, 1, 2)


def test_the_original_also_draws_the_same_spelling(corpora, read):
    words = ["he", "x", "Ann", "he"]  # "he" has two entities
    text = document(corpora, words, [0, 1], [2, 3])
    assert split(read("coref", text)[0])[1] == [(3, 1)]
    drawn = set()
    for repeat in range(1, 5):  # one generator: later documents draw other numbers
        for found in read("coref", text * repeat, compat=True):
            drawn.update(split(found)[1])
    assert drawn == {(3, 0), (3, 1)}


def test_clusters_that_share_a_span_are_one(corpora, read):
    merged = read("coref", document(corpora, "abcdefg", [0, 1], [1, 2], [5, 6]))
    assert merged == read("coref", document(corpora, "abcdefg", [0, 1, 2], [5, 6]))


def test_parts_are_documents_and_share_a_generator(corpora, read):
    part = document(corpora, "abcd", [0, 1], [2, 3])
    assert [one[0] for one in read("coref", part + part.replace("part 000", "part 001"))] == ["a b c d"] * 2


def test_line_separators_of_unicode(corpora, read, fault):
    text = document(corpora, "abcd", [0, 1], [2, 3])
    broken = text.replace("(1)\n", "(1)\u2028\n").replace("   c ", "   c\u00a0c ")
    (found,) = read("coref", broken, compat=True)
    assert found[0] == "a b c d" and found[2] == read("coref", text, compat=True)[0][2]
    inside = text.replace("   c ", "   c\u2028c ")
    assert read("coref", inside)[0][0] == "a b c\u2028c d"
    assert "expected at least 12 columns" in fault("coref", inside, compat=True)


def test_the_end_of_a_file_without_an_end_marker(corpora, read, fault):
    text = document(corpora, "abcd", [0, 1], [2, 3]).replace("\n#end document\n", "")
    assert len(read("coref", text)) == 1
    assert "no sentence has an item" in fault("coref", text, compat=True)  # the original loses the last sentence
    assert len(read("coref", text + "\n", compat=True)) == 1


def test_a_document_without_an_end(corpora, read, fault):
    text = document(corpora, "abcd", [0, 1], [2, 3])
    two = text.replace("#end document\n", "") + text
    assert fault("coref", two).startswith("a.txt:7: a document begins before `#end document`")
    assert read("coref", two, compat=True)[0][0] == "a b c d a b c d"


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("mark", ["7", "()", "(x)", "(7)|", "(7)(8)", "((7)", "(٧)", "x"])
def test_marks(mark, compat, corpora, fault):
    message = fault("coref", corpora.conll2012([("a", mark)]), compat=compat)
    assert message.startswith("a.txt:2: expected coreference as -, (7), (7 or 7) in the last column, found")


def test_mentions_begin_and_end_in_one_sentence(corpora, read, fault):
    closed = corpora.conll2012([("a", "(7")], [("b", "7)")])
    assert fault("coref", closed, compat=True).startswith("a.txt:4: mention '7)' closes but was not opened")
    assert fault("coref", closed).startswith("a.txt:2: a mention opens but is not closed in this sentence")
    left_open = corpora.conll2012([(w, m) for w, m in zip("abcd", ["(0)", "(0)", "(1)", "(1)|(9"], strict=True)])
    assert len(read("coref", left_open, compat=True)) == 1


def test_nested_mentions_close_the_last_opened(corpora, read):
    text = corpora.conll2012(
        [("a", "(0|(0"), ("b", "0)"), ("c", "0)"), ("d", "(0)"), ("e", "(0)"), ("f", "(1)"), ("g", "(1)")]
    )
    assert split(read("coref", text)[0])[0] == {(4, 3), (6, 5)}


def test_columns(corpora, fault):
    text = corpora.conll2012([("a", "(7)")])
    assert fault("coref", text.replace("   spk", "")).startswith("a.txt:2: expected at least 12 columns with blanks")
    assert "the part and the word's number" in fault("coref", text.replace("   0   0", "   x   0"))
