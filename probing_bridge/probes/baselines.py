"""Baselines that see no features: the most frequent training label, of all items or of the word.

The latter is the original's, contexteval/models/word_conditional_majority_tagger.py and its two siblings.

A probe says something about features only where it beats them. The label of an unknown word, or ordered pair of
words, is the most frequent of all. For a regression the mean takes the place of the most frequent label.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from probing_bridge.probes.items import InstanceLike

Key = Callable[[InstanceLike, int], Hashable]


def item_word(instance: InstanceLike, item: int) -> str | tuple[str, str]:
    """The word of an item, or its ordered pair (child, parent) of words.

    Args:
        instance: A sentence.
        item: Which of its items.

    Returns:
        The word or the words.
    """
    if instance.indices is None:
        return instance.tokens[item]
    where = instance.indices[item]
    if isinstance(where, int | np.integer):
        return instance.tokens[where]
    child, parent = where
    return instance.tokens[child], instance.tokens[parent]


def _any(instance: InstanceLike, item: int) -> None:
    """One key for all items."""


BASELINES: dict[str, Key] = {"majority": _any, "word_majority": item_word}


def predict_baseline(
    kind: str, train: Sequence[InstanceLike], test: Sequence[InstanceLike], vocabulary: dict[str, int] | None
) -> np.ndarray:
    """Answers every item of the test split.

    Args:
        kind: A key of BASELINES.
        train: Where labels are counted.
        test: What is answered.
        vocabulary: Label -> number; None for a regression.

    Returns:
        (n_items,) label numbers (of equally frequent labels the lower number), or float32 values.
    """
    key = BASELINES[kind]
    seen: dict[Hashable, list[int | float]] = defaultdict(list)
    for instance in train:
        for item, label in enumerate(map(str, instance.labels)):  # repr round-trips floats
            seen[key(instance, item)].append(float(label) if vocabulary is None else vocabulary[label])
    everything = [label for labels in seen.values() for label in labels]

    def answer(labels: list[int | float]) -> int | float:
        if vocabulary is None:
            return float(np.mean(labels))
        return min(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0]))[0]

    answers, default = {word: answer(labels) for word, labels in seen.items()}, answer(everything)
    keys = (key(instance, item) for instance in test for item in range(len(instance.labels)))
    return np.array([answers.get(word, default) for word in keys], np.float32 if vocabulary is None else np.int64)
