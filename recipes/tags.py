"""Tags of the source words of a dump, for comparing levels over the tokens of one part of speech (Section 5.3).

    python recipes/tags.py --dump LTH0.h5 --suite suite.yaml --data DIR --task pos --output pos.txt

Each word gets its most frequent tag in the training data of a tagging task, first as it stands, then in lower case;
words that are not there are tagged `unknown`. So no tagger is needed, but the sentence around the word is not seen. One
line a sentence, as `similarity --tags` reads it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.suite import load_suite
from probing_bridge.errors import BridgeError
from probing_bridge.formats.activations.reader import Dump, open_dump
from probing_bridge.formats.files import written_beside
from probing_bridge.similarity.run.groups import SPECIAL

UNKNOWN = "unknown"
NO_WORDS = SPECIAL - {"<unk>"}  # an unknown piece is still a word


def main() -> int:
    """Writes the tags; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dump", type=Path, required=True, help="any level's dump: all have the same sentences")
    parser.add_argument("--suite", type=Path, required=True, help="the suite file")
    parser.add_argument("--data", type=Path, help="where its paths start (default: the file's folder)")
    parser.add_argument("--task", required=True, help="a task of the suite that tags every word: pos, st, ccg, ...")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    arguments = parser.parse_args()
    try:
        suite = load_suite(arguments.suite, arguments.data)
        if arguments.task not in suite.tasks:
            raise BridgeError(f"{arguments.suite} has no task {arguments.task!r}")
        lexicon = most_frequent_tags(suite.tasks[arguments.task].read("train"))
        with open_dump(arguments.dump) as dump:
            lines = [" ".join(tag(word, lexicon) for word in words) for words in source_words(dump)]
    except BridgeError as error:
        print(f"tags: {error}", file=sys.stderr)
        return 1
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(arguments.output) as beside:
        beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return 0


def most_frequent_tags(instances: Iterable[Instance]) -> dict[str, str]:
    """Word -> its most frequent tag, the first one seen if several are; also for words in lower case."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for instance in instances:
        for word, label in zip(instance.tokens, instance.labels, strict=True):
            for form in {word, word.lower()}:
                counts[form][str(label)] += 1
    return {word: tags.most_common(1)[0][0] for word, tags in counts.items()}


def tag(word: str, lexicon: dict[str, str]) -> str:
    """The tag of a word."""
    return lexicon.get(word) or lexicon.get(word.lower(), UNKNOWN)


def source_words(dump: Dump) -> Iterator[list[str]]:
    """The words of each source sentence, put together from their BPE pieces."""
    symbols, tokens, offsets = dump.symbols("source"), dump.tokens("source"), dump.offsets("source")
    for start, stop in pairwise(offsets.tolist()):
        pieces = [symbols[token] for token in tokens[start:stop]]
        text = " ".join(piece for piece in pieces if piece not in NO_WORDS)
        yield [word for word in text.replace("@@ ", "").removesuffix("@@").split(" ") if word]


if __name__ == "__main__":
    sys.exit(main())
