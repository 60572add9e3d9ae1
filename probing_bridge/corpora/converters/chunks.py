"""Chunks from trees by the rules of the CoNLL-2000 shared task (Tjong Kim Sang & Buchholz 2000, Section 2).

A chunk reaches from the beginning of a phrase to its head; what comes behind the head has chunks of its own. The
published sets were made by Buchholz' chunklink, whose special cases are not all here: an approximation of it.
"""

from __future__ import annotations

from probing_bridge.corpora.converters.treebank import Node

KINDS = {
    "NP": "NP", "WHNP": "NP", "NX": "NP", "NML": "NP", "QP": "NP", "NAC": "NP", "VP": "VP", "PP": "PP", "WHPP": "PP",
    "ADVP": "ADVP", "WHADVP": "ADVP", "ADJP": "ADJP", "WHADJP": "ADJP", "SBAR": "SBAR", "PRT": "PRT", "INTJ": "INTJ",
    "CONJP": "CONJP", "LST": "LST",
}  # fmt: skip
WHOLE = {"PRT", "INTJ", "CONJP", "LST"}
# A phrase of one of these before the head belongs to the chunk; any other has chunks of its own.
ABSORBED = {
    "NP": {"ADJP", "QP", "NX", "NML", "NAC", "UCP", "ADVP", "NP"},
    "ADJP": {"ADVP", "QP", "ADJP"},
    "ADVP": {"ADVP", "QP"},
    "PP": {"ADVP", "QP"},
    "SBAR": {"ADVP"},
}
NOMINAL = ("NN", "PRP", "EX", "CD", "DT", "JJ", "WP", "WDT", "VB", "$", "#", "FW", "PDT", "SYM")
NOMINAL_PHRASES = {"QP", "NX", "NML", "NAC"}
VERBS = ("VB", "MD", "TO")
OUTSIDE = {",", ".", ":", "``", "''", "-LRB-", "-RRB-", "CC"}
NEGATIONS = {"not", "n't"}

Tags = dict[int, str]  # by the identity of a leaf


def chunk_tags(tree: Node) -> list[str]:
    """The chunk tags of a sentence in BIO.

    Args:
        tree: Its tree, without empty elements.

    Returns:
        `O`, `B-TYPE` or `I-TYPE` for each word.
    """
    tags: Tags = {}
    _phrase(tree, tags)
    return [tags.get(id(leaf), "O") for leaf in tree.leaves()]


def _span(leaves: list[Node], kind: str, tags: Tags) -> None:
    """One chunk of some words; quotes, brackets and the like at its beginning stay outside."""
    while leaves and leaves[0].label in OUTSIDE:
        leaves = leaves[1:]
    for place, leaf in enumerate(leaves):
        tags[id(leaf)] = f"{'I' if place else 'B'}-{kind}"


def _phrase(node: Node, tags: Tags) -> None:
    """The chunks of a phrase and of what is in it."""
    kind = KINDS.get(node.category, "")
    if kind in WHOLE:
        _span(list(node.leaves()), kind, tags)
    elif kind == "VP":
        _Verbs(tags).take(node)
    else:
        head = _head(node, kind) if kind else -1
        if head >= 0:
            _up_to_head(node.children[: head + 1], kind, tags)
        for child in node.children[head + 1 :]:
            _phrase(child, tags)


def _head(node: Node, kind: str) -> int:
    """The place of the child that ends the chunk; -1 if the phrase has none of its own, as in coordinations."""
    words = [place for place, child in enumerate(node.children) if child.word and child.label not in OUTSIDE]
    if kind in ("PP", "SBAR"):  # the first words in a row: because of, such as
        last = words[0] if words else -1
        while last + 1 in words:
            last += 1
        return last
    if kind == "NP":
        nominal = [
            place
            for place, child in enumerate(node.children)
            if (place in words and child.label.startswith(NOMINAL)) or child.category in NOMINAL_PHRASES
        ]
        if nominal or any(child.category == "NP" for child in node.children):
            words = nominal
    return words[-1] if words else -1


def _up_to_head(children: list[Node], kind: str, tags: Tags) -> None:
    """The chunk of a phrase; the 's of a possessive begins a chunk (Eastern Airlines | 's creditors)."""
    run: list[Node] = []
    for child in children:
        leaves = list(child.leaves())
        if kind == "NP" and child.children and leaves[-1].label == "POS" and len(leaves) > 1:
            _span(run, kind, tags)
            _phrase(Node(child.label, child.line, children=child.children[:-1]), tags)
            run = leaves[-1:]
        elif child.word or child.category in ABSORBED[kind]:
            run += leaves
        else:
            _span(run, kind, tags)
            _phrase(child, tags)
            run = []
    _span(run, kind, tags)


class _Verbs:
    """The chunk of a verb phrase: its verbs and those of the verb phrases in it, with the adverbs between."""

    def __init__(self, tags: Tags) -> None:
        self._tags = tags
        self._run: list[Node] = []
        self._pending: list[Node] = []  # adverbs and coordinators that belong to the chunk if a verb follows

    def take(self, node: Node) -> None:
        """Goes through a verb phrase from left to right and ends with its chunk."""
        self._through(node)
        self._end()

    def _through(self, node: Node) -> None:
        for child in node.children:
            if child.word and child.label.startswith(VERBS):
                self._run += [leaf for pending in self._pending for leaf in pending.leaves()] + [child]
                self._pending = []
            elif child.word in NEGATIONS and self._run and not self._pending:
                self._run.append(child)
            elif child.category == "ADVP" or child.label in ("RB", "CC"):
                self._pending.append(child)
            elif self._run and (child.category == "VP" or _is_infinitive(child)):
                self._through(child if child.category == "VP" else child.children[0])
            else:
                self._end()
                _phrase(child, self._tags)

    def _end(self) -> None:
        _span(self._run, "VP", self._tags)
        for pending in self._pending:
            if pending.label == "RB":
                _span([pending], "ADVP", self._tags)
            else:
                _phrase(pending, self._tags)
        self._run, self._pending = [], []


def _is_infinitive(node: Node) -> bool:
    """Whether it is a clause of nothing but a verb phrase with to: wants | to go is one chunk."""
    return (
        node.category == "S"
        and [child.category for child in node.children] == ["VP"]
        and next(node.leaves()).label == "TO"
    )
