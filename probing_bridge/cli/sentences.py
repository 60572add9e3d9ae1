"""`sentences`: what to encode for a suite, each text once, sorted, in DIR/sentences.txt.

A line is what `fairseq_lth.encode` encodes as one: words with one space between. A line of several sentences (a
document of the coreference task) has a TAB instead of the space where a sentence ends: each sentence is encoded by
itself, the vectors are concatenated, and the line's key is all its words joined by single spaces. No word contains
white space, so splitting a line at spaces and tabs gives the words back.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.suite import SPLITS, Suite, add_suite_arguments, load_suite
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import written_beside

FILE_NAME = "sentences.txt"
LINE_BREAKS = re.compile("[ \t\n\r\x0b\x0c]")  # what `encode` takes for the end of a word or a line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `sentences`."""
    add_suite_arguments(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help=f"where {FILE_NAME} goes")


def run(arguments: argparse.Namespace) -> None:
    """Reads all files of the suite and writes what has to be encoded.

    Args:
        arguments: What add_arguments declares.

    Raises:
        BridgeError: A fault of the suite or of one of its files; nothing is written then.
    """
    suite = load_suite(arguments.suite, arguments.corpora)
    lines = sentence_lines(suite)
    path = arguments.output / FILE_NAME
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
        with written_beside(path) as beside:
            beside.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", path) from error
    words = sum(len(re.split("[ \t]", line)) for line in lines)
    print(f"{path}: {len(lines)} sentences and documents, {words} words, of {len(suite.tasks)} tasks")


def sentence_lines(suite: Suite) -> list[str]:
    """The lines to encode.

    Args:
        suite: A checked suite.

    Returns:
        Each different text once, sorted by its words. Where a text is a document in one task and a single sentence in
        another, the document's sentence ends are kept.

    Raises:
        BridgeError: A word that contains white space.
    """
    texts: dict[str, Instance] = {}
    for name, task in suite.tasks.items():
        for split in SPLITS:
            for instance in task.read(split):
                text = " ".join(instance.tokens)
                if text not in texts:
                    _check_words(instance.tokens, name, task.path(split))
                if text not in texts or (instance.sentence_starts and not texts[text].sentence_starts):
                    texts[text] = instance
    return [_line(instance) for instance in sorted(texts.values(), key=lambda one: one.tokens)]


def _check_words(tokens: Iterable[str], task: str, path: Path) -> None:
    for word in tokens:
        if not word or LINE_BREAKS.search(word):
            raise BridgeError(
                f"{path}: task {task}: the word {word!r} is empty or contains white space; put another "
                "character there, or leave the sentence out"
            )


def _line(instance: Instance) -> str:
    return "\t".join(" ".join(sentence) for sentence in _sentences(instance))


def _sentences(instance: Instance) -> Iterator[tuple[str, ...]]:
    starts = instance.sentence_starts or (0,)
    for first, last in zip(starts, (*starts[1:], len(instance.tokens)), strict=True):
        yield instance.tokens[first:last]
