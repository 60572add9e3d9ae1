"""Scores of probes, as Liu et al. (2019) compute them: statistics per sentence first, a score from their sum after.

Every metric is split in two: `statistics` counts something in each sentence, `score` turns summed counts into the
number. A whole split, a bootstrap sample of its sentences and the difference of two models are then the same sum
with other weights. Scores of a split: accuracy and top-3 accuracy over items, exact-match span F1 (chunking, NER,
conjuncts), precision, recall, F1 and F0.5 of one label (error detection), Pearson's r and mean absolute error
(event factuality).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from probing_bridge.probes.spans import find_spans, span_parts

TINY = 1e-13  # the original adds it to every denominator of a precision, recall or F


@dataclass(frozen=True)
class Predictions:
    """What a probe (or a baseline) answered on one split.

    Attributes:
        gold: (n_items,) label numbers, or float32 targets of a regression.
        predicted: (n_items,) of the same kind.
        offsets: (n_sentences + 1,) where each sentence's items begin and end.
        labels: The label vocabulary in the order of its numbers; None for a regression.
        top3: (n_items,) whether the gold label is among the three best; None where that is not known.
        counted: (n_items,) whether an item counts; None: all do (only `compat: liu2019` leaves some out).
    """

    gold: np.ndarray
    predicted: np.ndarray
    offsets: np.ndarray
    labels: tuple[str, ...] | None
    top3: np.ndarray | None = None
    counted: np.ndarray | None = None

    @property
    def n_sentences(self) -> int:
        """How many sentences there are."""
        return len(self.offsets) - 1

    @cached_property
    def mask(self) -> np.ndarray:
        """(n_items,) bool: which items count."""
        return np.ones(len(self.gold), bool) if self.counted is None else self.counted

    @property
    def n_items(self) -> int:
        """How many items count."""
        return int(self.mask.sum())


@dataclass(frozen=True)
class Metric:
    """A score of a split.

    Attributes:
        name: What the tables call it; of the items of a task, as `f1` of spans or of errors.
        statistics: Predictions -> (n_sentences, k) float64.
        score: Summed statistics (..., k) -> (...) scores; nan where the score is not defined.
        better: +1 when higher is better, -1 when lower is.
        bounds: Smallest and largest value.
        of_numbers: Whether it is of a regression, not of labels.
        beside: Keys of further metrics that the probes table shows for a task of this one.
        details: Keys of those that the probes_details table shows.
        check_labels: Raises a BridgeError for a vocabulary that it cannot be taken of.
    """

    name: str
    statistics: Callable[[Predictions], np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]
    better: int = 1
    bounds: tuple[float, float] = (0.0, 1.0)
    of_numbers: bool = False
    beside: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    check_labels: Callable[[Sequence[str]], object] = lambda labels: None


def _per_sentence(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(n_items, k) -> (n_sentences, k) sums, in float64."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    return sums[offsets[1:]] - sums[offsets[:-1]]


def _accuracy_statistics(predictions: Predictions) -> np.ndarray:
    right = (predictions.gold == predictions.predicted) & predictions.mask
    return _per_sentence(np.stack([right, predictions.mask], axis=1), predictions.offsets)


def _accuracy3_statistics(predictions: Predictions) -> np.ndarray:
    if predictions.top3 is None:
        raise ValueError("accuracy3 needs to know the three best labels of each item")
    right = predictions.top3 & predictions.mask
    return _per_sentence(np.stack([right, predictions.mask], axis=1), predictions.offsets)


def _ratio(sums: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]


def _precision(sums: np.ndarray) -> np.ndarray:
    """From (true positives, predicted, gold)."""
    return sums[..., 0] / (sums[..., 1] + TINY)


def _recall(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / (sums[..., 2] + TINY)


def _f_score(beta: float) -> Callable[[np.ndarray], np.ndarray]:
    def score(sums: np.ndarray) -> np.ndarray:
        precision, recall = _precision(sums), _recall(sums)
        return (1 + beta**2) * precision * recall / (beta**2 * precision + recall + TINY)

    return score


def _span_statistics(predictions: Predictions) -> np.ndarray:
    """(true positives, predicted spans, gold spans) of each sentence."""
    assert predictions.labels is not None
    offsets = predictions.offsets
    sentence = np.repeat(np.arange(predictions.n_sentences), np.diff(offsets))
    gold, predicted = predictions.gold, predictions.predicted
    if predictions.counted is not None:  # the original cuts as many last items as are masked anywhere
        counted = _per_sentence(predictions.counted[:, None], offsets)[:, 0]
        kept = np.arange(len(gold)) - offsets[sentence] < counted[sentence]
        gold, predicted, sentence = gold[kept], predicted[kept], sentence[kept]
    first = np.ones(len(gold), bool)
    first[1:] = sentence[1:] != sentence[:-1]
    found = [find_spans(tags, first, predictions.labels) for tags in (gold, predicted)]
    keys = [(spans[:, 0] * (len(gold) + 1) + spans[:, 1]) * len(predictions.labels) + spans[:, 2] for spans in found]
    right = found[0][np.isin(keys[0], keys[1], assume_unique=True)]
    return np.stack(
        [
            np.bincount(sentence[spans[:, 0]], minlength=predictions.n_sentences).astype(np.float64)
            for spans in (right, found[1], found[0])
        ],
        axis=1,
    )


def label_statistics(label: str) -> Callable[[Predictions], np.ndarray]:
    """Makes the statistics of one label: (true positives, predicted, gold) of each sentence.

    Args:
        label: A label; one that the vocabulary lacks counts nothing.

    Returns:
        The statistics function.
    """

    def statistics(predictions: Predictions) -> np.ndarray:
        assert predictions.labels is not None
        number = predictions.labels.index(label) if label in predictions.labels else -1
        gold, predicted = predictions.gold == number, predictions.predicted == number
        columns = np.stack([gold & predicted, predicted, gold], axis=1) & predictions.mask[:, None]
        return _per_sentence(columns, predictions.offsets)

    return statistics


def label_sums(predictions: Predictions) -> np.ndarray:
    """What `label_statistics` of each label sums to over all sentences, in one pass.

    Returns:
        (n_labels, 3) float64: true positives, predicted, gold.
    """
    gold, predicted = predictions.gold[predictions.mask], predictions.predicted[predictions.mask]
    columns = (gold[gold == predicted], predicted, gold)
    counts = [np.bincount(column, minlength=len(predictions.labels or ())) for column in columns]
    return np.stack(counts, axis=1).astype(np.float64)


def _pearson_statistics(predictions: Predictions) -> np.ndarray:
    """Item count, sums, sums of squares and of products; shifted by the means, so that nothing cancels."""
    gold, predicted = predictions.gold.astype(np.float64), predictions.predicted.astype(np.float64)
    if len(gold):
        gold, predicted = gold - gold.mean(), predicted - predicted.mean()
    columns = [np.ones_like(gold), gold, predicted, gold * gold, predicted * predicted, gold * predicted]
    return _per_sentence(np.stack(columns, axis=1), predictions.offsets)


def _pearson(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        var_x, var_y = xx - x * x / n, yy - y * y / n
        defined = (var_x > 1e-12 * xx) & (var_y > 1e-12 * yy)
        return np.where(defined, (xy - x * y / n) / np.sqrt(np.where(defined, var_x * var_y, 1.0)), np.nan)


def _error_statistics(predictions: Predictions) -> np.ndarray:
    errors = np.abs(predictions.gold.astype(np.float64) - predictions.predicted)
    return _per_sentence(np.stack([errors, np.ones_like(errors)], axis=1), predictions.offsets)


_ERROR_LABEL = label_statistics("i")
_OF_SPANS = ("span_precision", "span_recall", "accuracy", "accuracy3")
_OF_ERRORS = ("precision_i", "recall_i", "accuracy", "accuracy3")

METRICS: dict[str, Metric] = {
    "accuracy": Metric("accuracy", _accuracy_statistics, _ratio, details=("accuracy3",)),
    "accuracy3": Metric("accuracy3", _accuracy3_statistics, _ratio),
    "span_f1": Metric("f1", _span_statistics, _f_score(1.0), details=_OF_SPANS, check_labels=span_parts),
    "span_precision": Metric("span_precision", _span_statistics, _precision, check_labels=span_parts),
    "span_recall": Metric("span_recall", _span_statistics, _recall, check_labels=span_parts),
    "f1_i": Metric("f1", _ERROR_LABEL, _f_score(1.0), beside=("f0.5_i",), details=_OF_ERRORS),
    "f0.5_i": Metric("f0.5", _ERROR_LABEL, _f_score(0.5)),
    "precision_i": Metric("precision_i", _ERROR_LABEL, _precision),
    "recall_i": Metric("recall_i", _ERROR_LABEL, _recall),
    "pearson": Metric("pearson", _pearson_statistics, _pearson, bounds=(-1.0, 1.0), of_numbers=True, details=("mae",)),
    "mae": Metric("mae", _error_statistics, _ratio, better=-1, bounds=(0.0, np.inf), of_numbers=True),
}


def score(metric: str, predictions: Predictions) -> float:
    """Scores a split.

    Args:
        metric: A key of METRICS.
        predictions: Answers and gold.

    Returns:
        The score (a fraction, not percent); nan where it is not defined, as r of constant predictions.
    """
    chosen = METRICS[metric]
    return float(chosen.score(chosen.statistics(predictions).sum(axis=0)))
