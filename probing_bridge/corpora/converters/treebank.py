"""Trees of the Penn Treebank and OntoNotes as they are published: over several lines, with empty elements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from probing_bridge.corpora.readers.source import Source

TOKEN = re.compile(r"[()]|[^\s()]+")
MARKS = re.compile("[-=|]")  # before function tags and indices
EMPTY_ELEMENT = "-NONE-"
COMMENTS = (";", "<", "*")
MOST_BRACKETS = 200  # in each other: trees are walked by recursion, and the deepest of a treebank has some forty


@dataclass
class Node:
    """A bracket: a part of speech with its word, or a phrase with its children.

    Attributes:
        label: As in the file, function tags and indices with it.
        line: 1-based, where it opens.
        word: Of a part of speech; empty for a phrase.
        children: Of a phrase.
    """

    label: str
    line: int
    word: str = ""
    children: list[Node] = field(default_factory=list)

    @cached_property
    def category(self) -> str:
        """The label without function tags and indices (`-LRB-` stays)."""
        return self.label if self.label.startswith("-") else MARKS.split(self.label, maxsplit=1)[0]

    @property
    def functions(self) -> list[str]:
        """What the label has after its category."""
        return [] if self.label.startswith("-") else MARKS.split(self.label)[1:]

    def leaves(self) -> Iterator[Node]:
        """Its parts of speech, from left to right."""
        if self.word:
            yield self
        for child in self.children:
            yield from child.leaves()

    def text(self) -> str:
        """The tree in one line."""
        return f"({self.label} {self.word or ' '.join(child.text() for child in self.children)})"


def read_trees(source: Source) -> Iterator[Node]:
    """The trees of a file, wherever their lines end.

    Args:
        source: The file.

    Yields:
        Each tree; an outermost bracket without a label stays.

    Raises:
        InputError: Brackets that are not balanced or nested too deeply, or that hold neither one word nor brackets.
    """
    stack: list[Node] = []
    for number, line in enumerate(source.lines(), 1):
        if not stack and line.startswith(COMMENTS):
            continue
        for token in TOKEN.findall(line):
            if token == "(":
                stack.append(Node("", number))
                if len(stack) > MOST_BRACKETS:
                    raise source.fault(f"more than {MOST_BRACKETS} brackets in each other", number)
                if len(stack) > 1:
                    stack[-2].children.append(stack[-1])
            elif not stack:
                raise source.fault(f"expected a tree in brackets, found {token[:20]!r}", number)
            elif token == ")":
                node = stack.pop()
                if bool(node.word) == bool(node.children):
                    raise source.fault(f"({node.label} ...) needs one word, or brackets inside", node.line)
                if not stack:
                    yield node
            elif not stack[-1].label and not stack[-1].children:
                stack[-1].label = token
            elif stack[-1].word or stack[-1].children:
                raise source.fault(f"({stack[-1].label} ...) has {token[:20]!r} beside other content", number)
            else:
                stack[-1].word = token
    if stack:
        raise source.fault("the brackets are not balanced: this tree does not end", stack[0].line)


def without(node: Node, *labels: str) -> Node | None:
    """A tree without some brackets, and without those that hold nothing then.

    Args:
        node: The tree; it stays as it is.
        labels: Categories that go, with all that is in them.

    Returns:
        The rest; None if there is none.
    """
    if node.category in labels:
        return None
    if node.word:
        return node
    children = [child for child in (without(child, *labels) for child in node.children) if child is not None]
    return Node(node.label, node.line, children=children) if children else None
