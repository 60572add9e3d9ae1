"""Made-up text to try the recipe with: pairs of German-like and English-like sentences, and a treebank of the first.

    python smoke.py --languages de en --output DIR

DIR has pairs.LANGUAGE, 300 sentences each, and corpora/{train,dev,test}.conllu in the first language. They come from
a grammar of one rule, so their tags and trees can be written down; both languages have the same order of words.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import folder_beside

PAIRS = 300
SENTENCES = {"train": 60, "dev": 20, "test": 20}
WORDS = {
    "DET": {"der": "the", "ein": "a", "dieser": "this", "jeder": "every"},
    "ADJ": {"alte": "old", "rote": "red", "kleine": "small", "müde": "tired", "grüne": "green", "stille": "quiet"},
    "NOUN": {
        "Hund": "dog", "Baum": "tree", "Junge": "boy", "Fluss": "river", "Wald": "forest", "Vogel": "bird",
        "Nachbar": "neighbour", "Schlüssel": "key",
    },
    "VERB": {"sieht": "sees", "malt": "paints", "findet": "finds", "sucht": "looks for", "kennt": "knows"},
    "ADP": {"neben": "near", "hinter": "behind"},
}  # fmt: skip
PHRASE = [("DET", 2, "det"), ("ADJ", 1, "amod"), ("NOUN", 0, None)]  # tag, how far behind the head is, relation

Word = tuple[str, int, str]  # tag, number of the head (0: none), relation


def main() -> int:
    """Writes the files; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--languages", nargs=2, required=True, metavar=("SOURCE", "TARGET"), help="as in de en")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    draw = random.Random(1)
    try:
        with folder_beside(arguments.output) as folder:
            sentences = [drawn(draw) for _ in range(PAIRS)]
            for language, side in zip(arguments.languages, (0, 1), strict=True):
                lines = (" ".join([*(words[side] for words in sentence), "."]) for sentence, _ in sentences)
                text = "".join(f"{line[0].upper()}{line[1:]}\n" for line in lines)
                (folder / f"pairs.{language}").write_text(text, encoding="utf-8")
            (folder / "corpora").mkdir()
            for split, count in SENTENCES.items():
                text = "".join(conllu(*drawn(draw)) for _ in range(count))
                (folder / f"corpora/{split}.conllu").write_text(text, encoding="utf-8")
    except (BridgeError, OSError) as error:
        print(f"smoke: {error}", file=sys.stderr)
        return 2
    return 0


def drawn(draw: random.Random) -> tuple[list[tuple[str, str]], list[Word]]:
    """A sentence: subject, verb, object and perhaps a place; its words in both languages, and their syntax."""
    verb = 4
    syntax: list[Word] = [*phrase(1, verb, "nsubj"), ("VERB", 0, "root"), *phrase(5, verb, "obj")]
    if draw.random() < 0.5:
        syntax += [("ADP", 11, "case"), *phrase(9, verb, "obl")]
    return [draw.choice(sorted(WORDS[tag].items())) for tag, _, _ in syntax], syntax


def phrase(start: int, head: int, relation: str) -> list[Word]:
    """Determiner, adjective and noun, from word number `start` on; the noun hangs on `head`."""
    return [
        (tag, start + place + behind if behind else head, inner or relation)
        for place, (tag, behind, inner) in enumerate(PHRASE)
    ]


def conllu(words: list[tuple[str, str]], syntax: list[Word]) -> str:
    """The sentence in its first language as a CoNLL-U block."""
    rows = [(word, *columns) for (word, _), columns in zip(words, syntax, strict=True)] + [(".", "PUNCT", 4, "punct")]
    lines = [
        f"{number}\t{word}\t{word}\t{tag}\t_\t_\t{head}\t{relation}\t_\t_"
        for number, (word, tag, head, relation) in enumerate(rows, 1)
    ]
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    sys.exit(main())
