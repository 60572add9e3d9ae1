"""`sentences`: what to encode for a suite, each text once, sorted, in DIR/sentences.txt (formats.sentences)."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.suite import SPLITS, Suite, add_suite_arguments, load_suite
from probing_bridge.errors import BridgeError
from probing_bridge.formats.sentences import FILE_NAME, Text, unwritable_word, write_sentences


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
    texts = suite_texts(suite)
    path = arguments.output / FILE_NAME
    write_sentences(path, texts)
    words = sum(len(text.words) for text in texts)
    print(f"{path}: {len(texts)} sentences and documents, {words} words, of {len(suite.tasks)} tasks")


def suite_texts(suite: Suite) -> list[Text]:
    """The texts to encode.

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
    return [_text(instance) for instance in sorted(texts.values(), key=lambda one: one.tokens)]


def _check_words(tokens: Iterable[str], task: str, path: Path) -> None:
    if (word := unwritable_word(tokens)) is not None:
        raise BridgeError(
            f"{path}: task {task}: the word {word!r} is empty or contains white space; put another "
            "character there, or leave the sentence out"
        )


def _text(instance: Instance) -> Text:
    starts = instance.sentence_starts or (0,)
    ends = (*starts[1:], len(instance.tokens))
    return Text(tuple(tuple(instance.tokens[first:last]) for first, last in zip(starts, ends, strict=True)))
