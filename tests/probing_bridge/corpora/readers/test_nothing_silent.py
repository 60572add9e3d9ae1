"""Kinds of input that public bug reports name: each gives the right words and labels, or one line with its place."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from probing_bridge.corpora.readers.words import unescaped
from probing_bridge.corpora.tasks import read_instances
from probing_bridge.errors import InputError

TEXT = st.text(
    st.characters(blacklist_categories=["Cc", "Cs", "Z"], blacklist_characters="_\\#()<>~|\ufeff"), min_size=1
)
SEPARATORS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\u00a0", "\u3000"]
BLANK_CELLS = ["_", "", " ", "  "]


def examples(usual: int) -> settings:
    """So many examples, and more in proportion with another profile of hypothesis."""
    return settings(max_examples=usual * settings().max_examples // 100, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cases")


def found(folder, task, text, name, *, compat=False):
    """The words and labels of each sentence."""
    path = folder / name
    path.write_bytes(text.encode())
    return [(list(one.tokens), list(one.labels)) for one in read_instances(task, path, compat=compat)]


def refused(folder, task, text, name, *, compat=False):
    """Line and message of the refusal."""
    with pytest.raises(InputError) as caught:
        found(folder, task, text, name, compat=compat)
    message = str(caught.value)
    assert "\n" not in message
    at = re.search(re.escape(name) + r":(\d+): (.*)", message)
    assert at is not None, message
    return int(at[1]), at[2]


def conllu_rows(n_words):
    """A flat tree: word 1 is the root."""
    return [
        [str(i), f"w{i}", "l", "NOUN", "NN", "_", str(min(i - 1, 1)), "dep" if i > 1 else "root", "_", "_"]
        for i in range(1, n_words + 1)
    ]


def lines(rows, separator="\t"):
    return "".join(separator.join(row) + "\n" for row in rows)


LABELLED = [
    ("pos", "a.conllu", 3, "UPOS (column 4)"),
    ("pos", "a.conllx", 4, "POS (column 5)"),
    ("syn_arc_classification", "a.conllu", 7, "DEPREL (column 8)"),
    ("syn_arc_prediction", "a.conllu", 6, "expected a head from 0 to"),
]


class TestNotAnnotated:
    @examples(20)
    @given(
        place=st.sampled_from(LABELLED),
        cell=st.sampled_from(BLANK_CELLS),
        before=st.integers(0, 2),
        word=st.integers(0, 3),
        compat=st.booleans(),
    )
    def test_conll(self, folder, place, cell, before, word, compat):
        assume(cell != "  " or not compat)  # there two blanks are a separator
        task, name, column, message = place
        rows = conllu_rows(4)
        rows[word][column] = cell
        text = (lines(conllu_rows(4)) + "\n") * before + lines(rows)
        line, told = refused(folder, task, text, name, compat=compat)
        assert line == 5 * before + word + 1 and message in told

    def test_a_multiword_line_has_no_tag_in_the_original(self, folder):
        text = "1-2\tzum\t_\t_\t_\t_\t_\t_\t_\t_\n" + lines(conllu_rows(2))
        assert found(folder, "pos", text, "a.conllu", compat=True) == [(["zum", "w1", "w2"], ["_", "NOUN", "NOUN"])]

    @pytest.mark.parametrize(
        ("task", "text", "name", "line"),
        [
            ("ccg", "Ann\tNP\nran\t_\n", "a.tsv", 2),
            ("ccg", "(<L _ NN NN Ann NP>)\n", "a.auto", 1),
            ("parent", "(S (N a))\n(S (_ (N a)))\n", "a.ptb", 2),
            ("chunk", "Ann NNP B-_\n", "a.txt", 1),
            ("ner", "Ann NNP I-NP I-_\n", "a.txt", 1),
            ("ner", "Ann NNP I-NP _\n", "a.txt", 1),
            ("ged", "Ann\tc\nran\t\n", "a.tsv", 2),
            ("conj", "Ann\t_\n", "a.tsv", 1),
            ("st", "Ann\t_\n", "a.tsv", 1),
        ],
    )
    def test_other_formats(self, folder, task, text, name, line):
        assert refused(folder, task, text, name)[0] == line

    def test_a_role_without_a_function(self, folder, corpora):
        text = corpora.CONLLULEX.replace("p.Time\tp.Locus", "p.Time\t_")
        assert refused(folder, "ps_fxn", text, "a.conllulex")[0] == 5
        assert found(folder, "ps_role", text, "a.conllulex")[0][1] == ["p.SocialRel", "p.Time"]
        text = corpora.STREUSLE.replace('"p.Time", "ss2": "p.Locus"', '"p.Time", "ss2": null')
        assert "word 4 of swes has p.Time but no 'ss2'" in refused(folder, "ps_fxn", text, "a.json")[1]


def withheld(words):
    """One sentence of words in every format that has a text of its own, with its name and task."""
    columns = conllu_rows(len(words))
    for row, word in zip(columns, words, strict=True):
        row[1] = row[2] = word
    conll2012 = [["d", "0", str(i), word, *["-"] * 7, "-"] for i, word in enumerate(words)]
    sdp = [[str(i), word, word, "NN", "-", "+", "v", *["_"] * i, "A"] for i, word in enumerate(words, 1)]
    sdp = [row[:7] + (["A"] * len(words)) for row in sdp]
    return [
        ("pos", "a.conllu", lines(columns)),
        ("pos", "a.conllx", lines(columns)),
        ("syn_arc_classification", "a.conllu", lines(columns)),
        ("parent", "a.ptb", "(S " + " ".join(f"(N {word})" for word in words) + ")\n"),
        ("ccg", "a.auto", "(<T N 0 9> " + " ".join(f"(<L N N N {word} N>)" for word in words) + " )\n"),
        ("ccg", "a.tsv", lines([word, "N/N"] for word in words)),
        ("chunk", "a.txt", lines(([word, "NN", "B-NP"] for word in words), " ")),
        ("ner", "a.txt", lines(([word, "NN", "B-NP", "O"] for word in words), " ")),
        ("ged", "a.tsv", lines([word, "c"] for word in words)),
        ("coref", "a.gold_conll", lines(conll2012, " ") + "\n"),
        ("sem_arc_classification", "a.sdp", lines(sdp)),
    ]


class TestWithheldWords:
    @examples(8)
    @given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=6), compat=st.booleans())
    def test_underscores(self, folder, lengths, compat):
        masked = ["_" * length for length in lengths]
        for masks in (["_"] * len(lengths), masked, [*masked, "."]):
            for task, name, text in withheld(masks):
                line, told = refused(folder, task, text, name, compat=compat)
                assert 1 <= line <= len(lengths) and "withheld" in told and "licensed text" in told

    def test_skeletons(self, folder):
        for task, name, text in withheld(["[WORD]", "[WORD]", "."]):
            assert "[WORD]" in refused(folder, task, text, name)[1]

    def test_words_withheld_here_and_there(self, folder):
        rows = conllu_rows(3)
        rows[1][1] = "_"
        for task, name in (("pos", "a.conllu"), ("syn_arc_classification", "a.conllu")):
            assert refused(folder, task, lines(rows), name) == (
                2,
                "the word (column 2) is withheld: NOUN '_'; fill it in from the licensed text",
            )

    def test_underscores_of_real_text(self, folder):
        """As in English Web Treebank: a drawn line alone, single underscores as punctuation."""
        alone, inside = conllu_rows(1), conllu_rows(3)
        alone[0][1], alone[0][3] = "_" * 50, "SYM"
        inside[1][1], inside[1][3] = "_", "PUNCT"
        for name, row in (("a.txt", "{} NN B-NP\n"), ("a.txt", "{} NN B-NP O\n")):
            for words in (["^", "_", "^"], ["_", "a", "_"]):
                task = "ner" if "O" in row else "chunk"
                assert found(folder, task, "".join(map(row.format, words)), name)[0][0] == words
        assert [words for words, _ in found(folder, "pos", lines(alone) + "\n" + lines(inside), "a.conllu")] == [
            ["_" * 50],
            ["w1", "_", "w3"],
        ]

    def test_json(self, folder):
        text = '{"s": {"sentence": ["_", "_"], "predicate_indices": [1], "labels": [1.0]}}'
        assert refused(folder, "ef", text, "a.json") == (
            1,
            "sentence 's': the words are withheld (underscores): fill them in from the licensed text",
        )


class TestTags:
    @examples(30)
    @given(
        tag=st.sampled_from(
            ["I-O", "B-O", "I-o", "B-I-PER", "I-B-X", "B-", "I-", "E-PER", "S-PER", "L-X", "U-X", "O-X", "i-PER"]
        ),
        before=st.integers(0, 3),
    )
    def test_impossible(self, folder, tag, before):
        for task, row in (("ner", "a NN X {}\n"), ("chunk", "a NN {}\n")):
            line, told = refused(folder, task, row.format("B-A") * before + row.format(tag), "a.txt")
            assert line == before + 1 and f"found {tag!r}" in told

    @pytest.mark.parametrize("tag", ["B-ORG", "I-OTHER", "B-creative-work", "I-E-mail", "B-Ö"])
    def test_possible(self, folder, tag):
        assert found(folder, "ner", f"a NN X {tag}\n", "a.txt") == [(["a"], [tag])]
        assert found(folder, "chunk", f"a NN {tag}\n", "a.txt") == [(["a"], [tag])]

    @pytest.mark.parametrize(
        "header", ["word\tcategory", "Token\tSupertag", "form\tccg_cat", "WORDS\tTAG", "token\tSEM"]
    )
    def test_lines_that_name_the_columns(self, folder, header):
        for task, row in (("ccg", "Ann\tN/N\n"), ("st", "Ann\tPER\n"), ("ged", "Ann\tc\n"), ("conj", "Ann\tB\n")):
            for before in (0, 2):
                line, told = refused(folder, task, row * before + header + "\n" + row, "a.tsv")
                assert line == before + 1 and "names the columns" in told

    def test_words_that_look_like_names_of_columns(self, folder):
        assert found(folder, "ccg", "word\tN\nof\tN\\N\n", "a.tsv") == [(["word", "of"], ["N", "N\\N"])]


class TestJoinedFiles:
    @examples(25)
    @given(data=st.data())
    def test_marks_change_nothing(self, folder, corpora, data):
        """Byte-order marks at starts of lines, of columns and of words."""
        name, task, text = corpora.CORPORA[data.draw(st.sampled_from(sorted(corpora.CORPORA)))]
        starts = [0, *(match.end() for match in re.finditer(r"[\n\t]", text))]
        places = data.draw(st.sets(st.sampled_from(starts), min_size=1))
        marked = "".join(("\ufeff" if i in places else "") + letter for i, letter in enumerate(text))
        for compat in (False, True):
            assert found(folder, task, marked, name, compat=compat) == found(folder, task, text, name, compat=compat)

    def test_document_marks_behind_them(self, folder):
        part = "\ufeff-DOCSTART- -X- -X- O\n\nAnna NNP I-NP I-PER\n"
        assert found(folder, "ner", part * 2, "a.txt") == [(["Anna"], ["I-PER"])] * 2

    def test_in_a_text_of_json(self, folder):
        text = '{"s": {"sentence": ["\\ufeffGo", "!"], "predicate_indices": [1], "labels": [1.0]}}'
        assert found(folder, "ef", text, "a.json") == [(["Go", "!"], [1.0])]

    def test_a_word_of_nothing_else(self, folder):
        assert refused(folder, "ged", "a\tc\n\ufeff\tc\n", "a.tsv") == (2, "the word (column 1) is empty")


def documents(*sentences, marks=False):
    """CoNLL-2012 rows of (document, part, [word numbers]); each word is a mention of cluster 0 or 1, or of none."""
    text = ""
    for document, part, numbers in sentences:
        rows = [[document, part, str(n), w, *["-"] * 7, m] for n, (w, m) in zip(numbers, MENTIONS, strict=False)]
        text += (
            f"#begin document ({document}); part {part}\n" * marks + lines(rows, " ") + "\n" + "#end document\n" * marks
        )
    return text


MENTIONS = [("Ann", "(0)"), ("her", "(0)"), ("Bo", "(1)"), ("him", "(1)")]


class TestDocuments:
    @given(
        places=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["0", "1"])), min_size=1, max_size=6).filter(
            lambda places: all(one != two for one, two in pairwise(places))
        )
    )
    @examples(20)
    def test_without_marks_are_cut_where_the_columns_change(self, folder, places):
        sentences = [(document, part, range(4)) for document, part in places]
        marked = found(folder, "coref", documents(*sentences, marks=True), "a.gold_conll")
        assert len(marked) == len(places)
        assert found(folder, "coref", documents(*sentences), "a.gold_conll") == marked

    def test_sentences_of_one_document_stay_together(self, folder):
        (one,) = found(folder, "coref", documents(("a", "0", range(4)), ("a", "0", range(4))), "a.gold_conll")
        assert one[0] == ["Ann", "her", "Bo", "him"] * 2

    def test_another_document_inside_of_marks(self, folder):
        text = "#begin document (a); part 000\n" + documents(("a", "0", range(4)), ("b", "0", range(4)))
        line, told = refused(folder, "coref", text + "#end document\n", "a.gold_conll")
        assert line == 7 and "`#end document` is missing" in told

    @pytest.mark.parametrize("numbers", [(0, 1, 2, 0), (0, 1, 1, 2), (0, 2, 3, 4), (1, 2, 3, 4), (0, 1, 2, 1)])
    def test_word_numbers(self, folder, numbers):
        line, told = refused(folder, "coref", documents(("a", "0", numbers)), "a.gold_conll")
        at = next(i for i, number in enumerate(numbers) if number != i)
        assert line == at + 1 and f"expected word number {at} in column 3, found {numbers[at]}" in told

    def test_word_numbers_of_conllx(self, folder):
        text = lines(conllu_rows(2)) + lines(conllu_rows(2))
        assert refused(folder, "pos", text, "a.conllx")[0] == 3

    def test_a_document_that_changes_inside_of_a_sentence(self, folder):
        text = documents(("a", "0", range(4))).replace("a 0 2", "b 0 2").replace("a 0 3", "b 0 3")
        assert refused(folder, "coref", text, "a.gold_conll")[0] == 3


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("n_predicates", [1, 2, 3])
def test_sdp_2014_has_no_frame(n_predicates, compat, folder):
    rows = [
        [str(i), f"w{i}", "w", "NN", "-", "+" if i <= n_predicates else "-", *["ARG1"] * n_predicates]
        for i in range(1, 4)
    ]
    line, told = refused(folder, "sem_arc_classification", "#1\n" + lines(rows), "a.sdp", compat=compat)
    assert line == 2 and "SDP 2014 has no frame" in told
    with_frames = [[*row[:6], "_", *row[6:]] for row in rows]
    (one,) = found(folder, "sem_arc_classification", lines(with_frames), "a.sdp", compat=compat)
    assert len(one[1]) == 3 * n_predicates


@examples(20)
@given(roots=st.sets(st.integers(0, 4), min_size=2))
def test_more_than_one_root(roots, folder):
    rows = conllu_rows(5)
    for i, row in enumerate(rows):
        row[6] = "0" if i in roots else str(min(roots) + 1)
    line, told = refused(folder, "syn_arc_classification", lines(rows), "a.conllu")
    second = sorted(roots)[1] + 1
    assert line == second and f"word {second} is a second root" in told
    if len(roots) < 5:
        (one,) = found(folder, "syn_arc_classification", lines(rows), "a.conllu", compat=True)
        assert len(one[1]) == 5 - len(roots)


ESCAPES = {
    "-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}", "-LSB-": "[", "-RSB-": "]", "\\*": "*", "1\\/2": "1/2",
    "and\\/or": "and/or", "\\*\\*": "**", "\\/\\*": "/*", "w": "w", "``": "``", "-LRB-x": "-LRB-x",
}  # fmt: skip


class TestEscapes:
    @examples(20)
    @given(pairs=st.lists(st.sampled_from(sorted(ESCAPES.items())), min_size=1, max_size=6))
    def test_one_rule_for_all_formats(self, folder, pairs):
        for task, name, text in withheld([escaped for escaped, _ in pairs]):
            if task in ("coref", "syn_arc_classification"):  # no items; words as in the others
                continue
            assert found(folder, task, text, name)[0][0] == [plain for _, plain in pairs], name

    def test_coreference_and_json(self, folder, corpora):
        text = documents(("a", "0", range(4))).replace("her", "she\\/her").replace("Bo", "-LRB-")
        assert found(folder, "coref", text, "a.gold_conll")[0][0] == ["Ann", "she/her", "(", "him"]
        text = corpora.IT_HAPPENED.replace('"Ann"', '"-LRB-"')
        assert found(folder, "ef", text, "a.json")[0][0][0] == "("

    @given(word=TEXT)
    def test_other_words_stay(self, word):
        assume(word not in ESCAPES)
        assert unescaped(word) == word


class TestDerivations:
    @examples(60)
    @given(words=st.lists(st.text("<>LTN()/-:3a", min_size=1, max_size=5), min_size=1, max_size=4))
    def test_any_bracket_in_a_word(self, folder, words):
        leaves = " ".join(f"(<L N/N NN NN {word} (N/N)_1>)" for word in words)
        (one,) = found(folder, "ccg", f"ID=x\n(<T N 0 {len(words)}> {leaves} )\n", "a.auto")
        assert one == (words, ["N/N"] * len(words))


# A format, its task, and a line with a place for a character inside of its first word.
INSIDE = [
    ("ner", "a.txt", "w{}x NNP I-NP I-LOC\n"),
    ("chunk", "a.txt", "w{}x NNP B-NP\n"),
    ("ged", "a.tsv", "w{}x\tc\n"),
    ("st", "a.tsv", "w{}x\tCON\n"),
    ("ccg", "a.tsv", "w{}x\tN/N\n"),
    ("ccg", "a.auto", "(<L N/N NN NN w{}x N/N>)\n"),
    ("parent", "a.ptb", "(S (N w{}x))\n"),
    ("pos", "a.conllx", "1\tw{}x\t_\tNOUN\tNN\n"),
    ("pos", "a.conllu", "1\tw{}x\tw\tNOUN\tNN\t_\t0\troot\t_\t_\n"),
]


@pytest.mark.parametrize(("task", "name", "row"), INSIDE)
class TestSeparators:
    def test_only_blanks_and_tabs_end_a_column_and_only_line_feeds_a_line(self, task, name, row, folder):
        for separator in SEPARATORS:
            assert found(folder, task, row.format(separator), name)[0][0] == [f"w{separator}x"]

    def test_carriage_returns_inside_of_a_line(self, task, name, row, folder):
        for before in (0, 3):
            text = (row.format("") + "\n") * before + row.format("\r")
            line, told = refused(folder, task, text, name)
            assert line == 2 * before + 1 and "a carriage return inside of a line" in told

    def test_windows_line_ends(self, task, name, row, folder):
        text = row.format("") * (1 if "conll" in name else 3)
        assert found(folder, task, text.replace("\n", "\r\n"), name) == found(folder, task, text, name)


class TestNoItem:
    @pytest.mark.parametrize(
        ("task", "text", "name", "reason"),
        [
            ("coref", "d 0 0 a - - - - - - - -\n", "a.gold_conll", "the last column is - in every line"),
            ("coref", "d 0 0 a - - - - - - - (0)\n", "a.gold_conll", "two clusters with mentions of one word"),
            ("syn_arc_classification", lines(conllu_rows(1)), "a.conllu", "every word has head 0"),
            ("sem_arc_prediction", "1\ta\ta\tNN\t-\t-\t_\n", "a.sdp", "every argument column is _"),
            ("parent", "(S (-NONE- *))\n", "a.ptb", "there is no word"),
            ("st", "~\tNIL\n", "a.tsv", "no form holds a word"),
            ("ner", "-DOCSTART- -X- O O\n", "a.txt", "there are only -DOCSTART- lines"),
            ("ccg", "ID=1\n", "a.auto", "no line is a derivation"),
            ("ef", "{}", "a.json", "none of 0 has predicate_indices"),
            ("ps_role", "[]", "a.json", "no single word has a supersense p.*"),
            ("pos", "# text = a\n", "a.conllu", "only comments and blank lines"),
            ("syn_arc_prediction", "# text = a\n\n", "a.conllu", "only comments and blank lines"),
        ],
    )
    def test_the_reason_is_said(self, task, text, name, reason, folder):
        path = folder / name
        path.write_text(text)
        with pytest.raises(InputError, match=re.escape(reason)):
            read_instances(task, path)
