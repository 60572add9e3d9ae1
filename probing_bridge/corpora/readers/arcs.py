"""Arcs between words, syntactic or semantic: which pairs are classified, and which pairs are not arcs.

Classification keeps the gold arcs with their labels. Prediction asks of gold arcs (label 1) and of as many drawn pairs
(label 0) which of them are arcs (Liu et al. 2019, task list of their code). The draw is that of the original, bit for
bit (dependency_arc_prediction.py): one generator per file, seed 0, one draw from the candidates after each arc.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from probing_bridge.corpora.instances import Instance, Pair

Arc = tuple[int, int, str]  # child, parent, label


def arc_instance(tokens: Sequence[str], arcs: Sequence[Arc]) -> Instance:
    """An instance of arc classification.

    Args:
        tokens: The words.
        arcs: (child, parent, label), 0-based.

    Returns:
        Its pairs and labels.
    """
    pairs = tuple((child, parent) for child, parent, _ in arcs)
    return Instance(tuple(tokens), tuple(label for _, _, label in arcs), pairs)


class _Candidates(Sequence[int]):
    """The words of a sentence but some, in the order of `list(set(range(n)) - taken)`, which the original draws from.

    That order is ascending where fewer than a quarter are taken: CPython then copies the set of all words, whose table
    has a place for each, and takes words out. Such a list is never made, as there is one for every word of a sentence.
    """

    def __init__(self, n: int, taken: set[int]) -> None:
        self._taken = sorted(taken)
        self._listed = None if 4 * len(taken) < n else list(set(range(n)) - taken)
        self._length = n - len(taken) if self._listed is None else len(self._listed)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if self._listed is not None:
            return self._listed[index]
        word = range(self._length)[index]
        for taken in self._taken:
            word += taken <= word
        return word


def sample_negatives(instances: Iterable[Instance]) -> Iterator[Instance]:
    """Turns arc classification into arc prediction: after each arc (c, p) a pair (c, q) that is not an arc.

    q is drawn from all words but c and the heads of c; if there is none, no pair is added.

    Args:
        instances: The gold arcs of one file, in its order.

    Yields:
        The same sentences with labels "1" and "0".
    """
    rng = random.Random(0)
    for instance in instances:
        assert instance.indices is not None
        pairs: tuple[Pair, ...] = instance.indices  # type: ignore[assignment]
        heads: dict[int, set[int]] = {}
        for child, parent in pairs:
            heads.setdefault(child, {child}).add(parent)
        candidates = {child: _Candidates(len(instance.tokens), taken) for child, taken in heads.items()}
        items: list[Pair] = []
        labels: list[str] = []
        for pair in pairs:
            items.append(pair)
            labels.append("1")
            if len(others := candidates[pair[0]]):
                items.append((pair[0], rng.choice(others)))
                labels.append("0")
        yield Instance(instance.tokens, tuple(labels), tuple(items))
