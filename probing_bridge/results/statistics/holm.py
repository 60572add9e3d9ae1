"""Holm's correction of several tests (Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure)."""

from __future__ import annotations

from collections.abc import Sequence

ALPHA = 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being several.

    Args:
        p_values: p-values of one family of tests.

    Returns:
        Adjusted p-values in the same order: reject those below alpha.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def holm_confidences(p_values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The confidence of each test's interval with which it excludes no effect exactly where Holm rejects.

    The test of rank r (from 0) is held against alpha / (m - r); those after the first that is not rejected stay at its
    step.

    Args:
        p_values: p-values of one family of m tests.
        alpha: Of the family.

    Returns:
        Confidences in the same order, such as 0.99 for the smallest of five p-values.
    """
    confidences = [1 - alpha] * len(p_values)
    stopped_at = None
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        step = alpha / (len(p_values) - (rank if stopped_at is None else stopped_at))
        confidences[index] = 1 - step
        if stopped_at is None and p_values[index] >= step:
            stopped_at = rank
    return confidences
