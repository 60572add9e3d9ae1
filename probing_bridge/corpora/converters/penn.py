"""From the Wall Street Journal's trees to the files of the POS, constituency, chunk and conjunct tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from probing_bridge.corpora.converters.chunks import chunk_tags
from probing_bridge.corpora.converters.treebank import EMPTY_ELEMENT, Node, read_trees, without
from probing_bridge.corpora.readers.source import read_source
from probing_bridge.errors import InputError

CONJUNCT = "COORD"  # the function tag of a conjunct in PTB.ext


def trees(inputs: Sequence[Path]) -> Iterator[str]:
    """One tree a line, without empty elements; labels keep their function tags.

    Args:
        inputs: `wsj_*.mrg` in the order that is wanted.

    Yields:
        A line for each tree.

    Raises:
        InputError: A file that is no treebank.
    """
    for tree in _sentences(inputs):
        yield f"{tree.text()}\n"


def parts_of_speech(inputs: Sequence[Path]) -> Iterator[str]:
    """The words and tags of the trees in CoNLL-X.

    Args:
        inputs: As for trees.

    Yields:
        A block for each tree.

    Raises:
        InputError: A file that is no treebank.
    """
    for tree in _sentences(inputs):
        rows = [
            f"{number}\t{leaf.word}\t_\t{leaf.label}\t{leaf.label}\t_\t_\t_\t_\t_\n"
            for number, leaf in enumerate(tree.leaves(), 1)
        ]
        yield "".join([*rows, "\n"])


def chunks(inputs: Sequence[Path]) -> Iterator[str]:
    """Word, tag and chunk in the columns of CoNLL-2000.

    Args:
        inputs: As for trees.

    Yields:
        A block for each tree.

    Raises:
        InputError: A file that is no treebank.
    """
    for tree in _sentences(inputs):
        rows = [f"{leaf.word} {leaf.label} {tag}\n" for leaf, tag in zip(tree.leaves(), chunk_tags(tree), strict=True)]
        yield "".join([*rows, "\n"])


def conjuncts(inputs: Sequence[Path]) -> Iterator[str]:
    """The conjuncts of coordinations; of nested ones the innermost. Sentences without any are left out.

    Args:
        inputs: Trees with the coordination of Ficler & Goldberg (2016), a conjunct being a bracket `...-COORD`.

    Yields:
        A block for each sentence: word TAB B, I or O.

    Raises:
        InputError: A file that is no treebank, or one without any conjunct.
    """
    for path in inputs:
        found = False
        for tree in _sentences([path]):
            tags = _conjunct_tags(tree)
            if "B" in tags:
                found = True
                rows = [f"{leaf.word}\t{tag}\n" for leaf, tag in zip(tree.leaves(), tags, strict=True)]
                yield "".join([*rows, "\n"])
        if not found:
            raise InputError(f"no bracket is a conjunct (...-{CONJUNCT}): give PTB.ext, not the treebank itself", path)


def _conjunct_tags(node: Node, inside: bool = False) -> list[str]:
    """B, I or O for each word; a bracket inside overwrites what is around it."""
    own = CONJUNCT in node.functions
    if node.word:
        return ["B" if own else "I" if inside else "O"]
    tags = [tag for child in node.children for tag in _conjunct_tags(child, inside or own)]
    if own and tags[0] != "B":
        tags[0] = "B"
    return tags


def _sentences(inputs: Sequence[Path]) -> Iterator[Node]:
    for path in inputs:
        for tree in read_trees(read_source(path, "trees")):
            kept = without(tree, EMPTY_ELEMENT)
            if kept is not None:
                yield kept
