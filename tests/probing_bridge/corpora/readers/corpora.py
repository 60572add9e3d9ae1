"""A small correct file of every format, with the instances it stands for; the examples of the readers' documents."""

CONLLX = (
    "# a comment\n1\tOtters\t_\tNOUN\tNNS\t_\t2\tSUB\n2\tnap\t_\tVERB\tVBP\n3\t#\t_\tSYM\t#\n\n1\tYes\t_\tINTJ\tUH\n"
)
CONLLU = """\
# text = Ann sang .
1	Ann	Ann	PROPN	NNP	_	2	nsubj	_	_
2	sang	sing	VERB	VBD	_	0	root	_	_
3	.	.	PUNCT	.	_	2	punct	_	_
"""
CONLLU_EXTRA = """\
1-2	don't	_	_	_	_	_	_	_	_
1	do	do	AUX	VB	_	3	aux	_	_
2	n't	not	PART	RB	_	3	advmod	_	_
3	nap	nap	VERB	VB	_	0	root	_	_
3.1	nap	nap	VERB	VB	_	_	_	_	_
"""
CCGBANK = """\
ID=zoo_0001.1 PARSER=GOLD NUMPARSE=1
(<T S[dcl] 0 2> (<T NP 0 1> (<L N NNS NNS Otters N>) ) (<L S[dcl]\\NP VBP VBP nap S[dcl]\\NP_1>) )
"""
CCG_COLUMNS = "Otters\tN\nnap\tS[dcl]\\NP\n"
TREES = "# comment\n(TOP (S (NP-SBJ (NNS Otters)) (VP (VBP nap)) (. .)))\n"
CONLL2000 = "Otters NNS B-NP\nnap VBP B-VP\nthe DT B-NP\nriver NN I-NP\n. . O\n"
CONLL2003 = """\
-DOCSTART- -X- O O

Ann NNP I-NP I-PER
Bee NNP I-NP B-PER
in IN I-PP O
New NNP I-NP I-LOC
York NNP I-NP I-LOC
"""
FCE = "I\tc\ngo\ti\nyesterday\tc\n"
CONJUNCTS = "cats\tB\nand\tO\nold\tB\ndogs\tI\nnap\tO\n"
SEMTAGS = "New~York\tGPE\nnever\tNOT\n~\tNIL\nDec 25\tDOM\n.\tNIL\n"
STREUSLE = """\
[{"sent_id": "a", "toks": [{"word": "My"}, {"word": "otter"}, {"word": "naps"}, {"word": "at"}, {"word": "noon"}],
  "swes": {"1": {"ss": "p.SocialRel", "ss2": "p.Gestalt"}, "2": {"ss": "n.ANIMAL", "ss2": null},
           "4": {"ss": "p.Time", "ss2": "p.Locus"}}, "smwes": {}}]
"""
CONLLULEX = "# sent_id = a\n" + "".join(
    f"{number}\t{word}\t{word}\tX\tX\t_\t0\troot\t_\t_\t_\tP\t{word}\t{role}\t{function}\t_\t_\t_\tO\n"
    for number, (word, role, function) in enumerate(
        [
            ("My", "p.SocialRel", "p.Gestalt"),
            ("otter", "n.ANIMAL", "_"),
            ("naps", "_", "_"),
            ("at", "p.Time", "p.Locus"),
            ("noon", "_", "_"),
        ],
        1,
    )
)
IT_HAPPENED = """\
{"toy 1": {"sentence": ["Ann", "said", "she", "left"], "predicate_indices": [4, 2], "labels": [-1.5, 3.0]},
 "toy 2": {"sentence": ["No", "verbs"], "predicate_indices": [], "labels": []}}
"""
SDP_AUGMENTED = """\
#SDP 2015
#9001
1	Ann	Ann	NNP	2	nsubj	-	-	named:x-c	ARG1	_
2	wants	want	VBZ	0	root	+	+	v:e-i-h	_	_
3	to	to	TO	4	aux	-	-	_	_	_
4	swim	swim	VB	2	xcomp	-	+	v:e-i	ARG2	_
5	Ann	Ann	NNP	4	dobj	-	-	named:x-c	ARG1	ARG1
"""
SDP_OFFICIAL = "".join(
    "\t".join([*line.split("\t")[:4], *line.split("\t")[6:]]) if "\t" in line else line
    for line in SDP_AUGMENTED.splitlines(keepends=True)
)


def conll2012_row(number, word, coreference):
    return f"zoo/1   0   {number}   {word}   NN   *   -   -   -   spk   *   {coreference}\n"


def conll2012(*sentences):
    """A document part of sentences of (word, coreference) pairs."""
    blocks = ["".join(conll2012_row(i, *pair) for i, pair in enumerate(sentence)) + "\n" for sentence in sentences]
    return "#begin document (zoo/1); part 000\n" + "".join(blocks) + "#end document\n"


CONLL2012 = conll2012(
    [("Ann", "(0)"), ("met", "-"), ("Bob", "(1)"), ("/.", "-")],
    [("She", "(0)"), ("saw", "-"), ("him", "(1)"), ("and", "-"), ("her", "(0"), ("dog", "0)"), ("Ann", "(0)")],
    [("Bob", "(1)"), ("hid", "-")],
)

# Format -> (a file name that tells it to its task, the task, the text).
CORPORA = {
    "conllx": ("a.conllx", "pos", CONLLX),
    "conllu": ("a.conllu", "syn_arc_classification", CONLLU),
    "ccgbank": ("a.auto", "ccg", CCGBANK),
    "ccg-columns": ("a.tsv", "ccg", CCG_COLUMNS),
    "trees": ("a.trees", "parent", TREES),
    "conll2000": ("a.txt", "chunk", CONLL2000),
    "conll2003": ("a.txt", "ner", CONLL2003),
    "fce": ("a.tsv", "ged", FCE),
    "conjuncts": ("a.tsv", "conj", CONJUNCTS),
    "semtags": ("a.tsv", "st", SEMTAGS),
    "streusle": ("a.json", "ps_role", STREUSLE),
    "conllulex": ("a.conllulex", "ps_role", CONLLULEX),
    "it-happened": ("a.json", "ef", IT_HAPPENED),
    "sdp": ("a.sdp", "sem_arc_classification", SDP_AUGMENTED),
    "conll2012": ("a.gold_conll", "coref", CONLL2012),
}
