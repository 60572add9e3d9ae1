"""Tiny made-up corpora in the layouts of the real ones, to run every script of the recipe in minutes.

    python smoke.py --output DIR --lines 160 20 20

DIR/wmt16_en_de.tar.gz is laid out as the preprocessed WMT16 corpus, four files beside it as those of statmt.org that
it was made from, DIR/corpora as the corpora of the 18 probing tasks that suite.yaml names. Sentences come from a
ten-line grammar, so every layer of annotation can be written down.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sacremoses import MosesTokenizer
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import folder_beside

GERMAN = {
    "the": "der", "a": "ein", "old": "alte", "well-known": "bekannte", "red": "rote", "dog": "Hund", "tree": "Baum",
    "boy": "Junge", "river": "Fluss", "sees": "sieht", "paints": "malt", "finds": "findet", "near": "neben",
    "behind": "hinter", "and": "und", "Anna": "Anna", "Bob": "Bob", "York": "York", ".": ".",
}  # fmt: skip
WORDS = {
    "DT": ["the", "a"], "JJ": ["old", "well-known", "red"], "NN": ["dog", "tree", "boy", "river"],
    "NNP": ["Anna", "Bob", "York"], "VBZ": ["sees", "paints", "finds"], "IN": ["near", "behind"],
}  # fmt: skip
CATEGORIES = {
    "DT": "NP[nb]/N", "JJ": "N/N", "NN": "N", "NNP": "NP", "VBZ": "(S[dcl]\\NP)/NP",
    "IN": "((S\\NP)\\(S\\NP))/NP", "CC": "conj", ".": ".",
}  # fmt: skip
SEMANTIC_TAGS = {
    "DT": "DEF",
    "JJ": "IST",
    "NN": "CON",
    "NNP": "PER",
    "VBZ": "ENS",
    "IN": "REL",
    "CC": "AND",
    ".": "NIL",
}
UNIVERSAL = {
    "DT": "DET",
    "JJ": "ADJ",
    "NN": "NOUN",
    "NNP": "PROPN",
    "VBZ": "VERB",
    "IN": "ADP",
    "CC": "CCONJ",
    ".": "PUNCT",
}
SIZES = {"train": 60, "dev": 20, "test": 20}
MERGES = 80


@dataclass
class Word:
    """One word with every layer of annotation; heads count from 1, 0 is the root."""

    form: str
    tag: str
    head: int = 0
    relation: str = "root"
    chunk: str = "O"
    conjunct: str = "O"


Sentence = list[Word]


def main() -> int:
    """Makes both corpora; prints one line on an error. Nothing is there under its final name before it is complete."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--lines", type=int, nargs=3, required=True, metavar="N", help="pairs of train, valid, test")
    arguments = parser.parse_args()
    draw = random.Random(1)
    try:
        with folder_beside(arguments.output) as beside:
            (beside / "corpora").mkdir()
            texts = plain_texts(draw, arguments.lines)
            write_archive(texts, beside / "wmt16_en_de.tar.gz")
            write_published(texts, beside)
            write_corpora(draw, beside / "corpora")
    except (BridgeError, OSError) as error:
        print(f"smoke: {error}", file=sys.stderr)
        return 2
    return 0


def plain_texts(draw: random.Random, lines: list[int]) -> dict[str, dict[str, list[str]]]:
    """The sentences of train, newstest2013 and newstest2014 in both languages."""
    texts: dict[str, dict[str, list[str]]] = {}
    for name, count in zip(("train", "newstest2013", "newstest2014"), lines, strict=True):
        english = [[word.form for word in sentence(draw)] for _ in range(count)]
        sides = {"en": english, "de": [[GERMAN[word] for word in words] for words in english]}
        texts[name] = {
            language: [" ".join(words[:-1]) + words[-1] for words in side] for language, side in sides.items()
        }
    return texts


def write_archive(texts: dict[str, dict[str, list[str]]], path: Path) -> None:
    """Writes the translation corpus as Google's archive has it: Moses tokens, BPE, plain references."""
    files = {f"newstest2014.{language}": lines for language, lines in texts["newstest2014"].items()}
    names = {"train": "train.tok.clean", "newstest2013": "newstest2013.tok", "newstest2014": "newstest2014.tok"}
    for text, name in names.items():
        for language, lines in texts[text].items():
            tokenizer = MosesTokenizer(lang=language)
            files[f"{name}.{language}"] = [tokenizer.tokenize(line, return_str=True) for line in lines]
    codes = io.StringIO()
    learn_bpe([line for language in ("de", "en") for line in files[f"train.tok.clean.{language}"]], codes, MERGES)
    files["bpe.32000"] = codes.getvalue().splitlines()
    bpe = BPE(io.StringIO(codes.getvalue()))
    for name in names.values():
        for language in ("en", "de"):
            files[f"{name}.bpe.32000.{language}"] = [bpe.process_line(line) for line in files[f"{name}.{language}"]]
    write_tar({name: "".join(f"{line}\n" for line in text) for name, text in sorted(files.items())}, path)


def write_published(texts: dict[str, dict[str, list[str]]], folder: Path) -> None:
    """Writes the same corpus as statmt.org has it; each training corpus ends with three pairs that cleaning drops."""
    third = len(texts["train"]["en"]) // 3
    bases = {
        "de-en.tgz": "europarl-v7.de-en",
        "training-parallel-commoncrawl.tgz": "commoncrawl.de-en",
        "training-parallel-nc-v11.tgz": "training-parallel-nc-v11/news-commentary-v11.de-en",
    }
    dropped = {
        "en": ["", "a " * 81, "one two three four five six seven eight nine ten"],
        "de": ["x", "b " * 79, "eins"],
    }
    for place, (archive, base) in enumerate(bases.items()):
        part = slice(place * third, None if place == 2 else (place + 1) * third)
        sides = {language: [*lines[part], *dropped[language]] for language, lines in texts["train"].items()}
        members = {f"{base}.{language}": "".join(f"{line}\n" for line in lines) for language, lines in sides.items()}
        write_tar({f"{base}.fr-en.en": "of another pair\n", **members}, folder / archive)
    dev = {
        f"dev/newstest2013.{language}": "".join(f"{line}\n" for line in texts["newstest2013"][language])
        for language in ("en", "de")
    }
    for language, kind in (("de", "src"), ("en", "ref")):
        segments = [
            f'<seg id="{number}">{line}</seg>' if number % 2 else f'<seg id="{number}"> {line}\n</seg>'
            for number, line in enumerate(texts["newstest2014"][language], 1)
        ]
        text = "\n".join([f'<{kind}set setid="newstest2014">', "<hl>", *segments, "</hl>", f"</{kind}set>", ""])
        dev[f"dev/newstest2014-deen-{kind}.{language}.sgm"] = text
    write_tar(dev, folder / "dev.tgz")


def write_tar(files: dict[str, str], path: Path) -> None:
    """Writes texts as the members of a gzipped tar archive."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def sentence(draw: random.Random) -> Sentence:
    """`NP verb NP [preposition NP [and NP]] .` as a dependency tree headed by its verb."""
    words: Sentence = []

    def phrase(conjunct: bool = False) -> int:
        """Adds a noun phrase; returns the position of its noun."""
        tags = draw.choice([["NNP"], ["DT", "NN"], ["DT", "JJ", "NN"]])
        first = len(words)
        head = first + len(tags)
        for number, tag in enumerate(tags):
            inside = "I" if number else "B"
            relation = {"DT": "det", "JJ": "amod"}.get(tag, "")
            mark = inside if conjunct else "O"
            words.append(Word(draw.choice(WORDS[tag]), tag, head, relation, f"{inside}-NP", mark))
        return head

    subject = phrase()
    words.append(Word(draw.choice(WORDS["VBZ"]), "VBZ", chunk="B-VP"))
    verb = len(words)
    tie(words, subject, verb, "nsubj")
    tie(words, phrase(), verb, "obj")
    if draw.random() < 0.8:
        words.append(Word(draw.choice(WORDS["IN"]), "IN", relation="case", chunk="B-PP"))
        preposition, coordinated = len(words), draw.random() < 0.7
        place = phrase(coordinated)
        words[preposition - 1].head = place
        tie(words, place, verb, "obl")
        if coordinated:
            words.append(Word("and", "CC", relation="cc"))
            coordinator = len(words)
            second = phrase(True)
            words[coordinator - 1].head = second
            tie(words, second, place, "conj")
    words.append(Word(".", ".", verb, "punct"))
    return words


def tie(words: Sentence, child: int, head: int, relation: str) -> None:
    """Makes the word at position `child` depend on `head`."""
    words[child - 1].head, words[child - 1].relation = head, relation


def write_corpora(draw: random.Random, folder: Path) -> None:
    """Writes the files of every probing task: the same toy sentences in each corpus's own format."""
    for split, count in SIZES.items():
        sentences = [sentence(draw) for _ in range(count)]
        for pattern, render in FILES.items():
            path = folder / pattern.format(split=split, ner=NER_SPLITS[split])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(sentences, draw), encoding="utf-8")


def blocks(sentences: Iterable[Sentence], line: Callable[[int, Word], str], before: str = "") -> str:
    """One line a word, an empty line after each sentence."""
    return "".join(
        before + "".join(f"{line(number, word)}\n" for number, word in enumerate(words, 1)) + "\n"
        for words in sentences
    )


def conllx(sentences: list[Sentence], _: random.Random) -> str:
    """PTB tags in CoNLL-X."""
    return blocks(sentences, lambda n, w: f"{n}\t{w.form}\t_\t{w.tag}\t{w.tag}\t_\t{w.head}\t{w.relation}\t_\t_")


def conllu(sentences: list[Sentence], _: random.Random) -> str:
    """Universal dependencies in CoNLL-U."""
    return blocks(
        sentences, lambda n, w: f"{n}\t{w.form}\t_\t{UNIVERSAL[w.tag]}\t{w.tag}\t_\t{w.head}\t{w.relation}\t_\t_"
    )


def auto(sentences: list[Sentence], _: random.Random) -> str:
    """CCGbank AUTO: an ID line and a flat derivation a sentence."""
    lines = []
    for number, words in enumerate(sentences, 1):
        leaves = " ".join(f"(<L {CATEGORIES[w.tag]} {w.tag} {w.tag} {w.form} {CATEGORIES[w.tag]}>)" for w in words)
        lines.append(f"ID=wsj_0000.{number} PARSER=GOLD NUMPARSE=1\n(<T S[dcl] 0 {len(words)}> {leaves} )\n")
    return "".join(lines)


def trees(sentences: list[Sentence], _: random.Random) -> str:
    """One bracketed tree a line: each chunk a phrase, everything from the verb on in a VP."""
    lines = []
    for words in sentences:
        parts: list[str] = []
        for word in words[:-1]:
            leaf = f"({word.tag} {word.form})"
            if word.chunk.startswith("I"):
                parts[-1] = f"{parts[-1][:-1]} {leaf})"
            elif word.chunk == "B-NP":
                parts.append(f"(NP {leaf})")
            else:
                parts.append(leaf)
        lines.append(f"(TOP (S {parts[0]} (VP {' '.join(parts[1:])}) (. .)))\n")
    return "".join(lines)


def chunks(sentences: list[Sentence], _: random.Random) -> str:
    """CoNLL-2000: word, tag, chunk."""
    return blocks(sentences, lambda n, w: f"{w.form} {w.tag} {w.chunk}")


def entities(sentences: list[Sentence], _: random.Random) -> str:
    """CoNLL-2003 with IOB1 labels."""
    kinds = {"Anna": "I-PER", "Bob": "I-PER", "York": "I-LOC"}
    document = "-DOCSTART- -X- -X- O\n\n"
    return document + blocks(sentences, lambda n, w: f"{w.form} {w.tag} {w.chunk} {kinds.get(w.form, 'O')}")


def errors(sentences: list[Sentence], draw: random.Random) -> str:
    """FCE error detection: some words lose their last letter."""

    def line(_: int, word: Word) -> str:
        wrong = len(word.form) > 2 and draw.random() < 0.15
        return f"{word.form[:-1]}\ti" if wrong else f"{word.form}\tc"

    return blocks(sentences, line)


def conjuncts(sentences: list[Sentence], _: random.Random) -> str:
    """Conjuncts as bare B, I, O; sentences without one are left out."""
    return blocks(
        (words for words in sentences if any(w.tag == "CC" for w in words)), lambda n, w: f"{w.form}\t{w.conjunct}"
    )


def semantic_tags(sentences: list[Sentence], _: random.Random) -> str:
    """Universal semantic tags: form, tag."""
    return blocks(sentences, lambda n, w: f"{w.form}\t{SEMANTIC_TAGS[w.tag]}")


def streusle(sentences: list[Sentence], draw: random.Random) -> str:
    """STREUSLE's JSON with the supersenses of prepositions."""
    documents = []
    for words in sentences:
        senses = {
            str(n): {"ss": "p.Locus" if w.form == "near" else draw.choice(["p.Locus", "p.Time"]), "ss2": "p.Locus"}
            if n % 2
            else {"ss": "p.Time", "ss2": "p.Time"}
            for n, w in enumerate(words, 1)
            if w.tag == "IN"
        }
        documents.append(
            {"toks": [{"#": n, "word": w.form} for n, w in enumerate(words, 1)], "swes": senses, "smwes": {}}
        )
    return json.dumps(documents)


def factuality(sentences: list[Sentence], draw: random.Random) -> str:
    """It-Happened: the verb of each sentence, how certain it is that it happened."""
    return json.dumps(
        {
            f"toy {number}": {
                "sentence": [word.form for word in words],
                "predicate_indices": [n for n, word in enumerate(words, 1) if word.tag == "VBZ"],
                "labels": [(3.0 if words[0].tag == "NNP" else -1.5) + draw.choice([-0.75, 0.0])],
            }
            for number, words in enumerate(sentences)
        }
    )


def semantic_arcs(sentences: list[Sentence], _: random.Random) -> str:
    """SDP with the two columns of a syntactic head that Liu et al. (2019) add."""
    names = {"nsubj": "ARG1", "obj": "ARG2", "obl": "loc", "conj": "_and_c", "det": "BV", "amod": "ARG1"}
    text = ["#SDP 2015\n"]
    for number, words in enumerate(sentences, 1):
        arcs = {  # (child, predicate): determiners and adjectives are predicates over their noun
            (w.head, n) if w.tag in ("DT", "JJ") else (n, w.head): names[w.relation]
            for n, w in enumerate(words, 1)
            if w.relation in names
        }
        predicates = sorted({parent for _, parent in arcs})
        text.append(f"#{number:05}\n")
        for n, w in enumerate(words, 1):
            top, predicate = ("+" if test else "-" for test in (w.head == 0, n in predicates))
            columns = [n, w.form, w.form, w.tag, w.head, w.relation, top, predicate, "_"]
            columns += [arcs.get((n, parent), "_") for parent in predicates]
            text.append("\t".join(map(str, columns)) + "\n")
        text.append("\n")
    return "".join(text)


def coreference(sentences: list[Sentence], _: random.Random) -> str:
    """CoNLL-2012: documents of four sentences about two people who are named and then meant by a pronoun."""
    text = []
    for number in range(len(sentences) // 2):
        people = [("Anna", "She", "her"), ("Bob", "He", "him")]
        if number % 2:
            people.reverse()
        clauses = [(0, 0, 1, 0), (0, 1, 1, 2), (1, 1, 0, 2), (1, 0, 0, 0)]
        text.append(f"#begin document (toy/{number:04}); part 000\n")
        for subject, subject_form, other, other_form in clauses:
            verb = sentences[number]
            row = [
                (people[subject][subject_form], "NNP", f"({subject})", "(TOP(S(NP*)"),
                (next(w.form for w in verb if w.tag == "VBZ"), "VBZ", "-", "(VP*"),
                (people[other][other_form], "NNP", f"({other})", "(NP*))"),
                (".", ".", "-", "*))"),
            ]
            for place, (form, tag, mention, bit) in enumerate(row):
                columns = [f"toy/{number:04}", 0, place, form, tag, bit, "-", "-", "-", "-", "*", mention]
                text.append("   ".join(map(str, columns)) + "\n")
            text.append("\n")
        text.append("#end document\n")
    return "".join(text)


NER_SPLITS = {"train": "train", "dev": "testa", "test": "testb"}
# File names as in suite.yaml.
FILES: dict[str, Callable[[list[Sentence], random.Random], str]] = {
    "ptb/wsj.{split}.conllx": conllx,
    "ptb/wsj.{split}.trees": trees,
    "ptb/wsj.{split}.conllu": conllu,
    "ccgbank/{split}.auto": auto,
    "conll2000/{split}.txt": chunks,
    "conll2003/eng.{ner}": entities,
    "fce/fce-public.{split}.tsv": errors,
    "conjuncts/conjunct_id.{split}.tsv": conjuncts,
    "semtags/semtag_{split}.conll": semantic_tags,
    "streusle/streusle.ud_{split}.json": streusle,
    "factuality/it-happened_{split}.json": factuality,
    "sdp/english_dm_augmented_{split}.sdp": semantic_arcs,
    "ontonotes/{split}.english.v4_gold_conll": coreference,
}


if __name__ == "__main__":
    sys.exit(main())
