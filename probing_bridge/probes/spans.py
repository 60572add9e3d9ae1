"""Spans in label sequences: chunks, named entities, conjuncts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probing_bridge.errors import BridgeError


def span_parts(labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Splits span labels into prefix and type.

    Args:
        labels: `O`, `B`, `I`, `B-TYPE`, `I-TYPE`.

    Returns:
        (n_labels,) prefixes as one-letter strings, and (n_labels,) type numbers; the type of a bare `B` or `I` is
        the empty string.

    Raises:
        BridgeError: A label that is none of these.
    """
    for label in labels:
        if label != "O" and label not in ("B", "I") and label[:2] not in ("B-", "I-"):
            raise BridgeError(f"label {label!r} is no span label: expected O, B, I, B-TYPE or I-TYPE")
    kinds = sorted({label[2:] for label in labels})
    return np.array([label[0] for label in labels]), np.array([kinds.index(label[2:]) for label in labels], int)


def find_spans(tags: np.ndarray, first: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Finds the spans of label sequences; the BIO and IOB1 decoders of the original agree on these labels.

    A span starts at any B, and at an I that follows an O, a sentence start or a label of another type; it goes on
    with I of the same type (`bio_tags_to_spans` and `iob1_tags_to_spans` of AllenNLP 0.7, which the original calls).

    Args:
        tags: (n_items,) label numbers of all sentences, one after the other.
        first: (n_items,) bool, true at the first item of each sentence.
        labels: The vocabulary.

    Returns:
        (n_spans, 3) int64: first item, last item, type number; in order.
    """
    if not len(tags):
        return np.zeros((0, 3), np.int64)
    prefix, kind = span_parts(labels)
    begins, inside, kinds = (prefix == "B")[tags], (prefix != "O")[tags], kind[tags]
    goes_on = np.zeros(len(tags), bool)
    goes_on[1:] = inside[1:] & inside[:-1] & (kinds[1:] == kinds[:-1])
    goes_on &= ~begins & ~first
    starts = np.flatnonzero(inside & ~goes_on)
    last = np.flatnonzero(inside & ~np.append(goes_on[1:], False))
    return np.stack([starts, last, kinds[starts]], axis=1)
