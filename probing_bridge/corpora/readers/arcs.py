"""Arcs between words, syntactic or semantic: which pairs are classified, and which pairs are not arcs.

Classification keeps the gold arcs with their labels. Prediction asks of gold arcs (label 1) and of as many drawn pairs
(label 0) which of them are arcs (Liu et al. 2019, task list of their code). The draw is that of the original, bit for
bit (dependency_arc_prediction.py): one generator per file, seed 0, one draw from the candidates after each arc.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

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
        # In the order of a Python set, as in the original: ascending but for words with very many heads.
        candidates = {child: list(set(range(len(instance.tokens))) - taken) for child, taken in heads.items()}
        items: list[Pair] = []
        labels: list[str] = []
        for pair in pairs:
            items.append(pair)
            labels.append("1")
            if others := candidates[pair[0]]:
                items.append((pair[0], rng.choice(others)))
                labels.append("0")
        yield Instance(instance.tokens, tuple(labels), tuple(items))
