"""What a probe sees of one sentence: its words, and the items to predict with their labels.

Readers make instances, probes and the `sentences` command consume them. An item is a word, a chosen word or a pair
of words; Liu et al. (2019) call these tagging, selective tagging and pairwise tagging.
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Instance:
    """One sentence, or one document of the coreference task.

    Attributes:
        tokens: The words.
        labels: One per item, in item order; real numbers for a regression.
        indices: None if every word is an item; else the 0-based position of each item, or its (child, parent).
        sentence_starts: Where the sentences of a document begin; empty for a single sentence.
    """

    tokens: tuple[str, ...]
    labels: tuple[str, ...] | tuple[float, ...]
    indices: tuple[int, ...] | tuple[Pair, ...] | None
    sentence_starts: tuple[int, ...] = ()
