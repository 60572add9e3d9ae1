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

from probing_bridge.errors import BridgeError

TINY = 1e-13  # the original adds it to every denominator of a precision, recall or F
N_RESAMPLES = 1000


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
        statistics: Predictions -> (n_sentences, k) float64.
        score: Summed statistics (..., k) -> (...) scores; nan where the score is not defined.
        better: +1 when higher is better, -1 when lower is.
    """

    statistics: Callable[[Predictions], np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]
    better: int = 1


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

METRICS: dict[str, Metric] = {
    "accuracy": Metric(_accuracy_statistics, _ratio),
    "accuracy3": Metric(_accuracy3_statistics, _ratio),
    "span_f1_bio": Metric(_span_statistics, _f_score(1.0)),  # the two decoders differ in no label sequence
    "span_f1_iob1": Metric(_span_statistics, _f_score(1.0)),
    "span_precision": Metric(_span_statistics, _precision),
    "span_recall": Metric(_span_statistics, _recall),
    "f1_i": Metric(_ERROR_LABEL, _f_score(1.0)),
    "f0.5_i": Metric(_ERROR_LABEL, _f_score(0.5)),
    "precision_i": Metric(_ERROR_LABEL, _precision),
    "recall_i": Metric(_ERROR_LABEL, _recall),
    "pearson": Metric(_pearson_statistics, _pearson),
    "mae": Metric(_error_statistics, _ratio, better=-1),
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


def resample(n_sentences: int, seed: int = 0) -> np.ndarray:
    """Draws bootstrap samples of the sentences of a split.

    Args:
        n_sentences: How many there are.
        seed: Of the generator; the same seed and number give the same samples, so intervals of differences are paired.

    Returns:
        (1000, n_sentences) float64: how often each sentence is in each sample.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_sentences, np.full(n_sentences, 1 / n_sentences), size=N_RESAMPLES).astype(np.float64)


def interval(metric: str, predictions: Predictions, samples: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of a score, over sentences.

    Args:
        metric: A key of METRICS.
        predictions: Answers and gold.
        samples: (n_samples, n_sentences) from `resample`.

    Returns:
        Lower and upper bound; nan where no sample has a defined score.
    """
    chosen = METRICS[metric]
    return percentiles(chosen.score(samples @ chosen.statistics(predictions)))


def sampled_difference(metric: str, a: Predictions, b: Predictions, samples: np.ndarray) -> tuple[float, np.ndarray]:
    """The difference of two scores on the same sentences, whole and in every bootstrap sample of them.

    Args:
        metric: A key of METRICS.
        a: Answers of one probe.
        b: Answers of another, perhaps to other questions, but item for item about the same sentences.
        samples: (n_samples, n_sentences) from `resample`.

    Returns:
        score(b) - score(a), and the (up to n_samples,) sampled differences that are defined.

    Raises:
        ValueError: The two are not about the same items.
    """
    if not np.array_equal(a.offsets, b.offsets):
        raise ValueError("a paired comparison needs the same items on both sides")
    chosen = METRICS[metric]
    stats = [chosen.statistics(predictions) for predictions in (a, b)]
    difference = float(chosen.score(stats[1].sum(axis=0)) - chosen.score(stats[0].sum(axis=0)))
    sampled = chosen.score(samples @ stats[1]) - chosen.score(samples @ stats[0])
    return difference, sampled[np.isfinite(sampled)]


def paired_difference(
    metric: str, a: Predictions, b: Predictions, samples: np.ndarray
) -> tuple[float, float, float, float]:
    """How much better `b` is than `a` on the same items, with a paired bootstrap over sentences.

    Args:
        metric: A key of METRICS.
        a: Answers of one model.
        b: Answers of the other.
        samples: (n_samples, n_sentences) from `resample`.

    Returns:
        score(b) - score(a), its 95 % interval, and the two-sided p-value: twice the smaller share of samples whose
        difference is <= 0 or >= 0 (each with one added, so that it is never 0), at most 1.

    Raises:
        ValueError: The two are not about the same items with the same gold answers.
    """
    if not np.array_equal(a.gold, b.gold):
        raise ValueError("a paired comparison needs the same gold answers on both sides")
    difference, sampled = sampled_difference(metric, a, b, samples)
    low, high = percentiles(sampled)
    tail = min(int((sampled <= 0).sum()), int((sampled >= 0).sum()))
    return difference, low, high, min(1.0, 2 * (tail + 1) / (len(sampled) + 1))


def percentiles(scores: np.ndarray) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of bootstrap scores; nan where there are none.

    Args:
        scores: (n,) with undefined scores as nan.

    Returns:
        Lower and upper bound.
    """
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return float("nan"), float("nan")
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)
