"""Bracketed trees, one a line: the phrases above each word (constituency_ancestor_prediction.py).

By default the outermost bracket goes if it is "", TOP, VROOT, ROOT or S1, whatever it holds stays; function tags and
indices are cut off (NP-SBJ=2 is NP), empty elements (-NONE-) are left out. The original (compat) strips only "", TOP
and VROOT, keeps only the first child of such a root, takes labels as they are, and of the escapes of leaves turns back
those of brackets only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from sys import intern

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.source import Source
from probing_bridge.corpora.readers.words import BRACKETS, not_annotated

TOKEN = re.compile(r"\([ \t]*([^ \t()]*)|(\))|([^ \t()]+)")
TOKEN_OF_THE_ORIGINAL = re.compile(r"\(\s*([^\s()]*)|(\))|([^\s()]+)")
FUNCTION = re.compile(r"(?<=.)[-=].*")
ROOTS_OF_THE_ORIGINAL = {"", "TOP", "VROOT"}
ROOTS = ROOTS_OF_THE_ORIGINAL | {"ROOT", "S1"}
EMPTY_ELEMENT = "-NONE-"
NO_ANCESTOR = "None"
LEVELS = 3

Words = tuple[int, tuple[str, ...], tuple[tuple[str, ...], ...]]  # line, words, their ancestors level by level


@dataclass(slots=True)
class Node:
    """A bracket of a tree, its words, and whether it has brackets inside."""

    label: str
    parent: Node | None
    words: list[str] = field(default_factory=list)
    has_children: bool = False


def read_ancestors(source: Source, level: int) -> Iterator[Instance]:
    """The label of the bracket `level` steps above the part of speech of each word.

    Args:
        source: A file of trees; lines that begin with # are comments.
        level: 1 for the parent, 2 for the grandparent, 3 for the great-grandparent.

    Yields:
        Every word with the label, `None` where the tree is not that high.

    Raises:
        InputError: Unbalanced brackets, words that do not each have a bracket of their own or are withheld, a label
            that is not annotated, or no word at all.
    """
    found = False
    for number, words, ancestors in source.once(_read_words):
        labels = ancestors[level - 1]
        if (at := not_annotated(labels)) is not None:
            raise source.blank_label("the label of a bracket", labels[at], number)
        yield Instance(words, labels, None)
        found = True
    if not found:
        raise source.nothing(f"there is no word, only comments and {EMPTY_ELEMENT}")


read_parents = partial(read_ancestors, level=1)
read_grandparents = partial(read_ancestors, level=2)
read_great_grandparents = partial(read_ancestors, level=3)


def _read_words(source: Source) -> Iterator[Words]:
    """The words of each tree that has any."""
    for number, line in enumerate(source.lines(), 1):
        if line.startswith("#") or not line.strip(" \t"):
            continue
        nodes = _parse(source, number, line)
        if not nodes:  # to the original, any white space makes a blank line
            continue
        tokens, ancestors = (_of_the_original if source.compat else _words)(source, number, nodes)
        if tokens:
            words = source.words(tokens, number)
            if source.compat:
                words = tuple(BRACKETS.get(word, word) for word in words)
            yield number, words, tuple(zip(*ancestors, strict=True))


def _parse(source: Source, number: int, line: str) -> list[Node]:
    """The brackets of a line in the order in which they open."""
    if line.count("(") > line.count(")"):
        raise source.fault("the brackets are not balanced: the tree does not end; expected one tree a line", number)
    nodes: list[Node] = []
    current: Node | None = None
    for token in (TOKEN_OF_THE_ORIGINAL if source.compat else TOKEN).finditer(line):
        label, close, word = token.groups()
        if nodes and current is None:
            raise source.fault(f"expected one tree a line, found {token.group()[:20]!r} after it", number)
        if label is not None:
            if current is not None:
                current.has_children = True
            current = Node(label, current)
            nodes.append(current)
        elif current is None:
            raise source.fault(f"expected a tree in brackets, found {token.group()[:20]!r}", number)
        elif close:
            current = current.parent
        else:
            current.words.append(word)
    return nodes


def _words(source: Source, number: int, nodes: list[Node]) -> tuple[list[str], list[list[str]]]:
    """Words and their ancestors, every word under a bracket of its own."""
    tokens, ancestors = [], []
    root = nodes[0] if nodes[0].label in ROOTS else None
    for node in nodes:
        if node.has_children and node.words:
            raise source.fault(f"({node.label} ...) mixes words and brackets; expected (POS word) each", number)
        if node.has_children:
            if not node.label and node is not root:
                raise source.fault("a bracket inside of the tree has no label", number)
            continue
        if len(node.words) != 1:
            raise source.fault(f"({node.label} ...) has {len(node.words)} words; expected (POS word) each", number)
        if node.label != EMPTY_ELEMENT:
            tokens.append(node.words[0])
            ancestors.append([intern(FUNCTION.sub("", label)) for label in _ancestors(node, root)])
    return tokens, ancestors


def _of_the_original(source: Source, number: int, nodes: list[Node]) -> tuple[list[str], list[list[str]]]:
    """Words and ancestors as the original takes them: these from brackets without brackets, those from anywhere."""
    root = None
    if nodes[0].label in ROOTS_OF_THE_ORIGINAL and len(nodes) > 1:
        root = nodes[0]
        children = [position for position, node in enumerate(nodes) if node.parent is root]
        nodes = nodes[1 : children[1] if len(children) > 1 else None]
    tokens = [word for node in nodes for word in node.words]
    ancestors = [_ancestors(node, root) for node in nodes if not node.has_children]
    if len(tokens) != len(ancestors):
        found = f"found {len(tokens)} words but {len(ancestors)} parts of speech"
        raise source.fault(f"expected each word in a bracket (POS word) of its own, {found}", number)
    return tokens, ancestors


def _ancestors(node: Node, root: Node | None) -> list[str]:
    """The labels one, two and three steps up, below a stripped root."""
    labels: list[str] = []
    above: Node | None = node
    for _ in range(LEVELS):
        above = above.parent if above is not None else None
        labels.append(NO_ANCESTOR if above is None or above is root else above.label)
    return labels
