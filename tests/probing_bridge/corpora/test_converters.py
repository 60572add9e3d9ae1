"""`convert`: invented corpora in the layouts of the published ones, read back by the tasks' own readers."""

import gzip
import json
from itertools import islice
from pathlib import Path

import pytest

from probing_bridge.corpora.converters.penn import chunks
from probing_bridge.corpora.tasks import read_instances
from probing_bridge.run import main

TREEBANK = """
( (S
    (NP-SBJ-1 (NNP Ann) )
    (VP (VBZ wants)
      (S
        (NP-SBJ (-NONE- *-1) )
        (VP (TO to)
          (VP (VB feed)
            (NP
              (NP (PRP$ her) (NN sister) (POS 's) )
              (JJ old) (NNS otters) )
            (PP-LOC (IN near)
              (NP (-LRB- -LRB-) (DT the) (NN river) (-RRB- -RRB-) ))))))
    (. .) ))
( (NP (NNS Otters) ))
( (FRAG (NP (-NONE- *) )))
"""


@pytest.fixture
def convert(tmp_path, capsys):
    """Converts texts, given by name, or paths; returns the status, what was said in one line, and the output."""

    def run(format: str, *inputs: str | Path, **texts: str) -> tuple[int, str, Path]:
        for name, text in texts.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        files = [path if isinstance(path, Path) else tmp_path / path for path in inputs]
        output = tmp_path / "out" / "made"
        status = main(["convert", format, *map(str, files), "--output", str(output)])
        said = capsys.readouterr()
        assert (said.out + said.err).count("\n") == 1
        return status, said.out + said.err, output

    return run


class TestTreebank:
    def test_trees_without_empty_elements(self, convert):
        status, said, output = convert("ptb-trees", "a.mrg", a_mrg=TREEBANK)
        assert status == 0 and "2 sentences" in said
        first, second = output.read_text().splitlines()
        assert first.startswith("( (S (NP-SBJ-1 (NNP Ann)) (VP (VBZ wants) (S (VP (TO to)") and "NONE" not in first
        assert second == "( (NP (NNS Otters)))"
        sentence = read_instances("gparent", output, format="trees")[0]
        assert sentence.tokens == ("Ann", "wants", "to", "feed", "her", "sister", "'s", "old", "otters", "near",
                                   "(", "the", "river", ")", ".")  # fmt: skip
        assert sentence.labels[:4] == ("S", "S", "S", "VP") and sentence.labels[4] == "NP"

    def test_parts_of_speech(self, convert):
        _, _, output = convert("ptb-pos", "a.mrg", a_mrg=TREEBANK)
        sentence = read_instances("pos", output, format="conllx")[0]
        assert sentence.labels[:4] == ("NNP", "VBZ", "TO", "VB") and len(read_instances("pos", output)) == 2

    def test_chunks(self, convert):
        _, _, output = convert("ptb-chunks", "a.mrg", a_mrg=TREEBANK)
        sentence = read_instances("chunk", output)[0]
        assert " ".join(sentence.labels) == (
            "B-NP B-VP I-VP I-VP B-NP I-NP B-NP I-NP I-NP B-PP O B-NP I-NP O O"  # the 's begins a chunk
        )

    @pytest.mark.parametrize(
        ("tree", "tags"),
        [  # the example of the shared task's page, and those of its paper's rules
            ("(S (NP (PRP He)) (VP (VBZ reckons) (SBAR (S (NP (DT the) (JJ current) (NN account) (NN deficit))"
             " (VP (MD will) (VP (VB narrow) (PP (TO to) (NP (RB only) (QP (# #) (CD 1.8) (CD billion))))"
             " (PP (IN in) (NP (NNP September)))))))) (. .))",
             "B-NP B-VP B-NP I-NP I-NP I-NP B-VP I-VP B-PP B-NP I-NP I-NP I-NP B-PP B-NP O"),
            ("(VP (VBZ has) (RB n't) (VP (ADVP (RB really)) (VBN gone) (PRT (RP up))))", "B-VP I-VP I-VP I-VP B-PRT"),
            ("(SQ (VBZ does) (NP (NN anyone)) (VP (VB know)))", "O B-NP B-VP"),
            ("(NP (NP (NN food)) (CC and) (NP (NN drink)))", "B-NP O B-NP"),
            ("(NP (NN food) (CC and) (NN drink))", "B-NP I-NP I-NP"),
            ("(SBAR (RB even) (IN if) (S (NP (PRP it)) (VP (VBZ is) (ADJP (RB very) (JJ late)))))",
             "B-SBAR I-SBAR B-NP B-VP B-ADJP I-ADJP"),
            ("(PP (JJ such) (IN as) (NP (NNS otters)))", "B-PP I-PP B-NP"),
            ("(VP (VBD left) (ADVP (NP (DT a) (NN year)) (RB ago)))", "B-VP B-NP I-NP B-ADVP"),
        ],
    )  # fmt: skip
    def test_rules_of_chunks(self, convert, tree, tags):
        _, _, output = convert("ptb-chunks", "a.mrg", a_mrg=tree)
        assert " ".join(line.split()[2] for line in output.read_text().splitlines() if line) == tags

    def test_chunks_are_those_that_others_made_of_the_same_trees(self, shared):
        """GUM's chunks were derived from its trees by rules of other hands."""
        folder = shared / "data" / "gum"
        with gzip.open(folder / "chunk_dev.txt.gz", "rt") as file:
            theirs = [line.split() for line in file if line.strip()]
        text = "".join(islice(chunks([folder / "gum_dev.ptb.gz"]), 300))
        ours = [line.split() for line in text.splitlines() if line]
        assert len(ours) > 4000 and all(a[1] == b[1] for a, b in zip(theirs, ours, strict=False))
        assert sum(a[2] == b[2] for a, b in zip(theirs, ours, strict=False)) / len(ours) > 0.95

    @pytest.mark.parametrize("format", ["ptb-trees", "ptb-chunks", "ptb-pos"])
    def test_deep_trees(self, convert, format):
        status, _, output = convert(format, "a.mrg", a_mrg=f"{'(NP ' * 199}(NN a){')' * 199}\n")
        assert status == 0 and output.stat().st_size

    def test_conjuncts(self, convert):
        extended = """( (S (NP-CCP (NP-COORD (JJ old) (NNS otters)) (CC-CC and) (NP-COORD (NP (NNS boys)) (PP (IN of)
 (NP-CCP (NP-COORD (NNP Ann)) (CC or) (NP-COORD (NNP Bob)))))) (VP (VBP nap) (NP (-NONE- *T*))) (. .)))
( (S (NP (NNS Otters)) (VP (VBP nap))))
"""
        status, said, output = convert("ptb-conjuncts", "PTB.ext", PTB_ext=extended)
        assert status == 0 and "1 sentences" in said
        assert output.read_text() == (
            "old\tB\notters\tI\nand\tO\nboys\tB\nof\tI\nAnn\tB\nor\tI\nBob\tB\nnap\tO\n.\tO\n\n"
        )
        status, said, _ = convert("ptb-conjuncts", "a.mrg", a_mrg=TREEBANK)
        assert status == 2 and "give PTB.ext, not the treebank itself" in said

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("( (S (NN a))\n", "a.mrg:1: the brackets are not balanced: this tree does not end"),
            ("( (S (NN a b)))\n", "a.mrg:1: (NN ...) has 'b' beside other content"),
            ("( (S (NN a)))\nword\n", "a.mrg:2: expected a tree in brackets, found 'word'"),
            ("( (S (NN a)\n  (NP )))\n", "a.mrg:2: (NP ...) needs one word, or brackets inside"),
            ("( (S (-NONE- *)))\n", "a.mrg: nothing in it could be converted"),
            (f"\n{'(S ' * 400}(NN a){')' * 400}\n", "a.mrg:2: more than 200 brackets in each other"),
        ],
    )
    def test_what_is_no_treebank_is_refused_with_its_line(self, convert, text, fault):
        status, said, output = convert("ptb-trees", "a.mrg", a_mrg=text)
        assert status == 2 and fault in said and not output.exists()


class TestItHappened:
    TABLE = (
        "Split\tAnnotator.ID\tDisplay.Position\tSentence.ID\tPred.Token\tPred.Lemma\tIs.Predicate\tIs.Understandable\t"
        "Happened\tConfidence\tKeep\n"
        "train\t3\t1\ten-ud-train.conllu 2\t4\tleave\ttrue\ttrue\tfalse\t2\tTrue\n"
        "train\t4\t1\ten-ud-train.conllu 2\t2\tsay\ttrue\ttrue\ttrue\t4\tTrue\n"
        "train\t5\t1\ten-ud-train.conllu 2\t2\tsay\ttrue\ttrue\ttrue\t1\tTrue\n"
        "train\t6\t1\ten-ud-train.conllu 2\t2\tsay\ttrue\ttrue\tfalse\t4\tFalse\n"
        "train\t7\t1\ten-ud-train.conllu 1\t1\tbe\tfalse\ttrue\tna\tna\tTrue\n"
        "dev\t7\t1\ten-ud-dev.conllu 1\t1\tgo\ttrue\ttrue\ttrue\t4\tTrue\n"
    )
    TREEBANK = "".join(
        "".join(f"{n}\t{word}\t_\tX\t_\t_\t0\troot\t_\t_\n" for n, word in enumerate(words.split(), 1)) + "\n"
        for words in ('"Yes"', "Ann said she left")
    )

    def make(self, convert, table=TABLE, treebank=TREEBANK):
        return convert("it-happened", "t.tsv", "en-ud-train.conllu", t_tsv=table, **{"en-ud-train_conllu": treebank})

    def test_means_of_what_the_table_keeps(self, convert):
        status, said, output = self.make(convert)
        assert status == 0 and "1 sentences" in said
        assert json.loads(output.read_text()) == {
            "en-ud-train.conllu 2": {
                "sentence": ["Ann", "said", "she", "left"],
                "predicate_indices": [2, 4],
                "labels": [0.75 * (4 + 1) / 2, -0.75 * 2],
            }
        }
        (sentence,) = read_instances("ef", output, format="it-happened")
        assert sentence.indices == (1, 3) and sentence.labels == (1.875, -1.5)

    @pytest.mark.parametrize(
        ("old", "new", "fault"),
        [
            ("Happened", "Past", "t.tsv:1: has no column Happened"),
            ("\ttrue\t4\tTrue\ntrain\t5", "\tmaybe\t4\tTrue\ntrain\t5", "t.tsv:3: expected true or false"),
            ("train\t5\t1\t", "train\t5\t", "t.tsv:4: expected 11 columns, found 10"),
            ("conllu 2\t4", "conllu 2\t5", "en-ud-train.conllu 2 has no word 5: give version 1.2"),
            ("en-ud-train", "en-ud-other", "has no judgement of en-ud-train.conllu"),
            ("\tleave\ttrue", f"\t{'a' * 200_000}\ttrue\ttrue", "t.tsv:2: expected 11 columns, found 12"),
        ],
    )  # fmt: skip
    def test_another_table_is_refused(self, convert, old, new, fault):
        status, said, output = self.make(convert, self.TABLE.replace(old, new))
        assert status == 2 and fault in said and not output.exists()


class TestSdp:
    FILE = "#SDP 2015\n" + "".join(
        f"#2{section}01001\n1\tOtters\totter\tNNS\t-\t-\t_\tARG1\n2\tnap\tnap\tVBP\t+\t+\tv:e-i\t_\n\n"
        for section in ("00", "19", "20")
    )

    def test_sections(self, convert):
        for format, names in (("sdp-train", ["#20001001", "#21901001"]), ("sdp-dev", ["#22001001"])):
            status, _, output = convert(format, "en.dm.sdp", en_dm_sdp=self.FILE)
            assert status == 0 and [line for line in output.read_text().splitlines() if line[:1] == "#"] == names
            assert len(read_instances("sem_arc_classification", output, format="sdp")) == len(names)

    def test_other_names_are_refused(self, convert):
        status, said, _ = convert("sdp-dev", "a.sdp", a_sdp=self.FILE.replace("#21901001", "#bn"))
        assert status == 2 and "a.sdp:6: expected a sentence's name #2SSDDIII, found '#bn'" in said
        status, said, _ = convert("sdp-dev", "a.sdp", a_sdp=self.FILE.replace("#220", "#221"))
        assert status == 2 and "has no sentence of sections 20 to 20" in said


class TestConll2012:
    @pytest.fixture
    def folders(self, tmp_path):
        """Skeletons of a split and OntoNotes, with an edited word and an empty element in the trees."""
        skeletons = tmp_path / "conll-2012/v4/data/train/data/english/annotations/bc/zoo/00"
        words = tmp_path / "ontonotes/data/files/data/english/annotations/bc/zoo/00"
        for folder in (skeletons, words):
            folder.mkdir(parents=True)
        (skeletons / "zoo_0001.v4_gold_skel").write_text(
            "#begin document (bc/zoo/00/zoo_0001); part 000\n"
            + "".join(
                f"bc/zoo/00/zoo_0001  0  {n}  [WORD]  NNP  *  -  -  -  -  *  {mention}\n" + ("\n" if n == 3 else "")
                for n, mention in ((0, "(0)"), (1, "-"), (2, "(1)"), (3, "-"), (0, "(0)"), (1, "-"), (2, "(1)"))
            )
            + "\n#end document\n"
        )
        (words / "zoo_0001.parse").write_text(
            "(TOP (S (EDITED (UH um))\n   (NP-SBJ (NNP Ann)) (VP (VBD saw) (NP (NNP Bob)) (NP (-NONE- *T*-1)))"
            " (. /.)))\n\n"
            "(TOP (S (NP-SBJ (PRP She))\n (VP (VBZ likes) (NP (PRP him)))))\n"
        )
        return tmp_path / "conll-2012/v4/data/train", tmp_path / "ontonotes/data/files/data"

    def test_words_take_their_places(self, convert, folders):
        status, said, output = convert("conll2012", *folders)
        assert status == 0 and "1 files" in said
        (document,) = read_instances("coref", output, format="conll2012")
        assert document.tokens == ("Ann", "saw", "Bob", ".", "She", "likes", "him")
        assert [pair for pair, label in zip(document.indices, document.labels, strict=True) if label == "1"] == [
            (4, 0), (6, 2)
        ]  # fmt: skip

    def test_other_trees_are_refused(self, convert, folders):
        trees = next(folders[1].rglob("*.parse"))
        trees.write_text(trees.read_text().replace("(VBZ likes)", ""))
        status, said, output = convert("conll2012", *folders)
        assert status == 2 and "zoo_0001.v4_gold_skel:7: sentence 2 has 3 words, and 2 in its tree" in said
        trees.unlink()
        status, said, _ = convert("conll2012", *folders)
        assert status == 2 and "zoo_0001.parse: cannot be read" in said
        status, said, _ = convert("conll2012", folders[1], folders[0])
        assert status == 2 and "give the folder of a split of CoNLL-2012" in said
        assert convert("conll2012", folders[0])[0] == 2 and not output.exists()
