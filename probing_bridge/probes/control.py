"""Control tasks: labels that only depend on the word, drawn at random (Hewitt & Liang 2019, Section 2).

A probe that learns them has memorised words. Selectivity is the accuracy on the task less that on its control task
(their Section 1); for a regression, r takes the place of accuracy. Of pairs (child, parent) the child's word decides:
where pairs are classified, about the label of the pair; where arcs are predicted, about which word the child is
attached to, itself, the first or the last of the sentence (their control of dependency edges, Section 2.2).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from probing_bridge.probes.baselines import item_word
from probing_bridge.probes.items import InstanceLike

ARC, NO_ARC = "1", "0"  # what the readers of arc prediction and of coreference call pairs


@dataclass(frozen=True)
class ControlInstance:
    """A sentence with control labels; see the readers' Instance."""

    tokens: Sequence[str]
    labels: Sequence[str] | Sequence[float]
    indices: Sequence[int] | Sequence[Sequence[int]] | None


Splits = dict[str, list[ControlInstance]]


def control_task(splits: dict[str, Sequence[InstanceLike]], seed: int) -> Splits:
    """Replaces the labels of all splits by random labels of their words, or the arcs by random arcs.

    Args:
        splits: `train` first, then `dev` and `test`.
        seed: Of the draw.

    Returns:
        As many items of the same words (where arcs are predicted, of the same children) in each sentence, with other
        labels.
    """
    rng = random.Random(seed)
    labels = [label for instance in splits["train"] for label in instance.labels]
    pairs = any(isinstance(item_word(one, 0), tuple) for one in splits["train"][:1])
    make = _arcs(rng) if pairs and set(labels) <= {ARC, NO_ARC} else _labels(rng, labels)
    return {split: [make(instance) for instance in instances] for split, instances in splits.items()}


def deciding_word(instance: InstanceLike, item: int) -> str:
    """The word whose control label an item has: of a pair its child."""
    word = item_word(instance, item)
    return word if isinstance(word, str) else word[0]


def _labels(rng: random.Random, pool: Sequence[str | float]) -> Callable[[InstanceLike], ControlInstance]:
    """Each word has one label in all splits, drawn from the labels of the training items."""
    drawn: dict[str, str | float] = {}

    def label(instance: InstanceLike, item: int) -> str | float:
        word = deciding_word(instance, item)
        if word not in drawn:
            drawn[word] = rng.choice(pool)
        return drawn[word]

    def make(one: InstanceLike) -> ControlInstance:
        labels = [label(one, item) for item in range(len(one.labels))]
        return ControlInstance(one.tokens, labels, one.indices)  # type: ignore[arg-type]

    return make


def _arcs(rng: random.Random) -> Callable[[InstanceLike], ControlInstance]:
    """Each word is attached to itself, the first or the last word; what is no arc leads to some other word."""
    drawn: dict[str, int] = {}

    def make(one: InstanceLike) -> ControlInstance:
        n, pairs, labels = len(one.tokens), [], []
        for item, label in enumerate(one.labels):
            word, child = deciding_word(one, item), one.indices[item][0]  # type: ignore[index]
            if word not in drawn:
                drawn[word] = rng.randrange(3)
            parent = (child, 0, n - 1)[drawn[word]]
            if label == NO_ARC and n > 1:
                other = rng.randrange(n - 1)
                parent = other + (other >= parent)
            pairs.append((child, parent))
            labels.append(label if n > 1 else ARC)  # a word alone can only be attached to itself
        return ControlInstance(one.tokens, labels, pairs)  # type: ignore[arg-type]

    return make


def memorised(control: Splits, vocabulary: dict[str, int] | None) -> np.ndarray:
    """What a probe answers on the test split that has memorised all of the training split and nothing else.

    Args:
        control: What `control_task` returned.
        vocabulary: Label -> number; None for a regression.

    Returns:
        (n_items,) the right label (a number, or a float32 value) where the deciding word is one of the training
        split, else its most frequent label (a regression: its mean).
    """
    seen: set[Hashable] = set()
    labels: list[str | float] = []
    for instance in control["train"]:
        seen |= {deciding_word(instance, item) for item in range(len(instance.labels))}
        labels += instance.labels
    default = float(np.mean(labels)) if vocabulary is None else Counter(labels).most_common(1)[0][0]  # type: ignore[arg-type]
    answers = [
        label if deciding_word(instance, item) in seen else default
        for instance in control["test"]
        for item, label in enumerate(instance.labels)
    ]
    if vocabulary is None:
        return np.array(answers, np.float32)
    return np.array([vocabulary[str(answer)] for answer in answers], np.int64)
