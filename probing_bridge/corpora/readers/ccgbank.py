"""CCGbank AUTO: one derivation a line; each leaf gives a word and its category (Hockenmaier & Steedman 2007)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.formats import columns_of
from probing_bridge.corpora.readers.source import Source
from probing_bridge.corpora.readers.words import not_annotated

# A word may have any bracket in it: ->, <3, :). What follows the bar is a leaf of other than five fields.
LEAF = re.compile(r"<L ([^ \t]+(?:[ \t]+[^ \t]+){4}|.*?)>(?=[ \t]*\))")
BRANCH = re.compile("<T [^>]*>")
LEAF_OF_THE_ORIGINAL = re.compile("<L (.*?)>")
FIELDS = ("category", "POS", "POS", "word", "predicate-argument category")


def read_categories(source: Source) -> Iterator[Instance]:
    """Supertags. Lines that begin with ID= are left out, in compat all that do not begin with a derivation.

    Args:
        source: An AUTO file.

    Yields:
        Every word with its category.

    Raises:
        InputError: A leaf without five fields, a category that is not annotated, withheld words, no derivation, or (not
            in compat) unbalanced brackets or a line of another kind.
    """
    found = False
    for number, line in enumerate(source.lines(), 1):
        if not line.startswith("(<"):
            if not source.compat and line.strip(" \t") and not line.startswith("ID="):
                raise source.fault("expected a derivation `(<...` or a line `ID=...`", number)
            continue
        if source.compat:
            leaves = [leaf.split() for leaf in LEAF_OF_THE_ORIGINAL.findall(line)]
        else:
            leaves = [columns_of(leaf) for leaf in LEAF.findall(line)]
        for leaf in leaves:
            if len(leaf) != len(FIELDS) if not source.compat else len(leaf) < len(FIELDS):
                raise source.fault(f"expected 5 fields in a leaf ({', '.join(FIELDS)}), found {len(leaf)}", number)
        if not leaves:
            raise source.fault("the derivation has no leaf <L ...>", number)
        if not source.compat and not _is_balanced(BRANCH.sub("", LEAF.sub("", line))):
            raise source.fault("the brackets are not balanced, or there is text between nodes", number)
        categories = tuple(leaf[0] for leaf in leaves)
        if (at := not_annotated(categories)) is not None:
            raise source.blank_label("the category (field 1)", categories[at], number)
        yield Instance(source.words([leaf[3] for leaf in leaves], number), categories, None)
        found = True
    if not found:
        raise source.fault("no sentence has an item: no line is a derivation `(<...`")


def _is_balanced(brackets: str) -> bool:
    """Whether a text is one tree of round brackets and blanks."""
    depth = 0
    text = brackets.strip(" \t")
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1, " ": 0, "\t": 0}.get(character, -len(text))
        if depth < 0 or (depth == 0 and position < len(text) - 1):
            return False
    return depth == 0
