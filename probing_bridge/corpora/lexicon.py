"""The stage `tags`: tags of a dump's source words, for comparing levels over the tokens of one part of speech.

Each word gets its most frequent tag in the training data of a tagging task, first as it stands, then in lower case;
words that are not there are tagged `unknown`. So no tagger is needed (Movva & Zhao 2020, Section 5.3, took one), but
the sentence around the word is not seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.suite import load_suite
from probing_bridge.corpora.tasks import TASKS
from probing_bridge.errors import InputError
from probing_bridge.formats.activations.reader import Dump, open_dump
from probing_bridge.formats.tags import write_tags
from probing_bridge.formats.words import NO_WORDS, bpe_of, words_of

UNKNOWN = "unknown"


def run(dump: Path, suite: Path, corpora: Path | None, task: str, output: Path) -> Counter[str]:
    """Writes the tags of the source words of a dump.

    Args:
        dump: Any level's: all have the same sentences.
        suite: The suite file.
        corpora: Where its paths start; its folder if None.
        task: A task of the suite that tags every word.
        output: The tag file.

    Returns:
        How many words have each tag.

    Raises:
        BridgeError: A fault of the suite, its file or the dump, or a task that does not tag every word.
    """
    tasks = load_suite(suite, corpora).tasks
    tagging = [name for name, known in tasks.items() if TASKS[known.task].family == "token"]
    if task not in tagging:
        raise InputError(f"has no task {task!r} that tags every word; it has {', '.join(tagging) or 'none'}", suite)
    lexicon = most_frequent_tags(tasks[task].read("train"))
    with open_dump(dump) as opened:
        sentences = [[tag(word, lexicon) for word in words] for words in source_words(opened)]
    write_tags(output, sentences)
    return Counter(each for tags in sentences for each in tags)


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
    bpe = bpe_of(symbols)
    for start, stop in pairwise(offsets.tolist()):
        pieces = [symbols[token] for token in tokens[start:stop]]
        yield words_of([piece for piece in pieces if piece not in NO_WORDS], bpe)
