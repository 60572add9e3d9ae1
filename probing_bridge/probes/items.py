"""What a probe learns from: the items of one split as flat arrays that point into the features.

An item is one prediction: a word (taggers, selected words, regression) or a pair of words (child, parent). Batches
are instances (sentences, or documents for coreference), as in Liu et al. (2019); the loss averages over the items
of an instance first and over the instances of the batch then (`loss_average` in contexteval/models/tagger.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from probing_bridge.formats.representations import sentence_text

TINY = 1e-13  # in the denominators of the loss, as in the original


class InstanceLike(Protocol):
    """One sentence as the readers give it."""

    @property
    def tokens(self) -> Sequence[str]:
        """The words."""

    @property
    def labels(self) -> Sequence[str] | Sequence[float]:
        """One per item."""

    @property
    def indices(self) -> Sequence[int] | Sequence[Sequence[int]] | None:
        """None: each word is an item; else positions, or [child, parent] positions."""


@dataclass(frozen=True)
class Items:
    """The items of one split.

    Attributes:
        rows: (n_items, 1 or 2) int64 rows of the features: the word, or child and parent.
        targets: (n_items,) int64 label numbers, or float32 values of a regression.
        offsets: (n_instances + 1,) int64: the items of each instance.
        counted: (n_items,) or (n_layers, n_items) bool: whether an item counts for loss and metrics; None: all do.
    """

    rows: np.ndarray
    targets: np.ndarray
    offsets: np.ndarray
    counted: np.ndarray | None = None

    @property
    def n_instances(self) -> int:
        """How many instances there are."""
        return len(self.offsets) - 1

    def __len__(self) -> int:
        """How many items there are."""
        return len(self.targets)

    @property
    def is_regression(self) -> bool:
        """Whether the targets are real numbers."""
        return self.targets.dtype.kind == "f"

    def select(self, instances: np.ndarray) -> Items:
        """Takes some instances, in the order given.

        Args:
            instances: (k,) int64 instance numbers.

        Returns:
            Their items.
        """
        chosen, offsets = _items_of(self.offsets, instances)
        counted = None if self.counted is None else self.counted[..., chosen]
        return Items(self.rows[chosen], self.targets[chosen], offsets, counted)

    def loss_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """The share of each item in the mean of its instance, and which instances have any item that counts.

        Returns:
            (1 or n_layers, n_items) float32 and (1 or n_layers, n_instances) bool.
        """
        counted = np.ones((1, len(self)), bool) if self.counted is None else np.atleast_2d(self.counted)
        sums = np.concatenate([np.zeros((len(counted), 1), np.int64), np.cumsum(counted, axis=1)], axis=1)
        per_instance = sums[:, self.offsets[1:]] - sums[:, self.offsets[:-1]]  # (layers, instances)
        lengths = np.repeat(per_instance, np.diff(self.offsets), axis=1)  # (layers, items)
        return (counted / (lengths + TINY)).astype(np.float32), per_instance > 0


@dataclass(frozen=True)
class Batch:
    """The items of one batch of instances.

    Attributes:
        rows: (n, 1 or 2) rows of the features.
        targets: (n,) label numbers or values.
        weights: (1 or n_layers, n) float32 share of each item in the loss of the batch.
    """

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def build_items(
    instances: Sequence[InstanceLike],
    vocabulary: dict[str, int] | None,
    starts: dict[str, int],
    *,
    zero_pairs_count: bool,
) -> Items:
    """Lays out the items of a split.

    Args:
        instances: From the readers; each has at least one item.
        vocabulary: Label -> number; None for a regression.
        starts: Sentence text -> first row of the features.
        zero_pairs_count: Whether a pair (0, 0) counts; in the original it is padding (pairwise_tagger.py).

    Returns:
        The items.
    """
    positions: list[np.ndarray] = []
    for instance in instances:
        where = np.arange(len(instance.tokens)) if instance.indices is None else np.asarray(instance.indices, np.int64)
        positions.append(where.reshape(len(where), -1))
    lengths = np.array([len(where) for where in positions], np.int64)
    first = np.array([starts[sentence_text(instance.tokens)] for instance in instances], np.int64)
    flat = np.concatenate(positions) if positions else np.zeros((0, 1), np.int64)
    labels = [label for instance in instances for label in instance.labels]
    targets = (
        np.array(labels, np.float32)
        if vocabulary is None
        else np.array([vocabulary[str(label)] for label in labels], np.int64)
    )
    counted = None if zero_pairs_count or flat.shape[1] == 1 else (flat != 0).sum(axis=1) > 0
    return Items(flat + np.repeat(first, lengths)[:, None], targets, np.concatenate([[0], np.cumsum(lengths)]), counted)


def _items_of(offsets: np.ndarray, instances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The item numbers of instances in a given order, and where each of them begins among these."""
    lengths = (offsets[1:] - offsets[:-1])[instances]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return np.repeat(offsets[:-1][instances] - ends[:-1], lengths) + np.arange(ends[-1]), ends


def batches(items: Items, order: Sequence[int], batch_size: int) -> Iterator[Batch]:
    """Cuts the instances, in a given order, into consecutive batches; the last one may be smaller.

    Args:
        items: A split.
        order: Instance numbers in the order of this epoch.
        batch_size: Instances per batch.

    Yields:
        The batches; one without any item that counts is left out.
    """
    instances = np.asarray(order, np.int64)
    chosen, ends = _items_of(items.offsets, instances)
    rows, targets = items.rows[chosen], items.targets[chosen]
    in_instance, nonempty = items.loss_weights()
    in_instance, nonempty = in_instance[:, chosen], nonempty[:, instances]
    for first in range(0, len(instances), batch_size):
        last = min(first + batch_size, len(instances))
        part = slice(ends[first], ends[last])
        if items.is_regression:  # a plain mean over the items of the batch
            weights = np.full((1, part.stop - part.start), 1 / max(part.stop - part.start, 1), np.float32)
        else:
            n_nonempty = nonempty[:, first:last].sum(axis=1, keepdims=True)
            weights = in_instance[:, part] / (n_nonempty + TINY).astype(np.float32)
        yield Batch(rows[part], targets[part], weights)
