"""Control tasks: labels that only depend on the word, drawn at random (Hewitt & Liang 2019, Section 2).

A probe that learns them has memorised words. Selectivity is the accuracy on the task less that on its control task
(their Section 1); for a regression, r takes the place of accuracy. An item's type is its word, or its ordered pair of
words; each type has one label in all splits, drawn from the labels of the training items.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from probing_bridge.probes.baselines import item_word
from probing_bridge.probes.items import InstanceLike


@dataclass(frozen=True)
class ControlInstance:
    """A sentence with control labels; see the readers' Instance."""

    tokens: Sequence[str]
    labels: Sequence[str] | Sequence[float]
    indices: Sequence[int] | Sequence[Sequence[int]] | None


def control_task(splits: dict[str, Sequence[InstanceLike]], seed: int) -> dict[str, list[ControlInstance]]:
    """Replaces the labels of all splits by random labels of their words.

    Args:
        splits: `train` first, then `dev` and `test`.
        seed: Of the draw.

    Returns:
        The same items with other labels.
    """
    rng = random.Random(seed)
    pool = [label for instance in splits["train"] for label in instance.labels]
    drawn: dict[Hashable, str | float] = {}

    def label(instance: InstanceLike, item: int) -> str | float:
        word = item_word(instance, item)
        if word not in drawn:
            drawn[word] = rng.choice(pool)
        return drawn[word]

    return {
        split: [
            ControlInstance(one.tokens, [label(one, item) for item in range(len(one.labels))], one.indices)  # type: ignore[arg-type]
            for one in instances
        ]
        for split, instances in splits.items()
    }
