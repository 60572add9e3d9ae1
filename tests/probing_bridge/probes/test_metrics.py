"""Metrics against scikit-learn, seqeval, scipy, and against slow loops written from the original's decoders."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import f1_score, fbeta_score, precision_score, recall_score

from probing_bridge.errors import BridgeError
from probing_bridge.probes.intervals import Resampled, over_seeds, resample, resampled, resampled_score
from probing_bridge.probes.metrics import METRICS, Predictions, label_statistics, label_sums, score
from probing_bridge.probes.spans import find_spans

SPAN_LABELS = ("O", "B-X", "I-X", "B-Y", "I-Y")


def sentences_of(values: list[list[int]], labels: tuple[str, ...], answers: list[list[int]]) -> Predictions:
    offsets = np.cumsum([0, *map(len, values)])
    flat = (np.array(list(itertools.chain(*rows)), np.int64) for rows in (values, answers))
    return Predictions(*flat, offsets, labels)


def slow_spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """`iob1_tags_to_spans` of AllenNLP 0.7, item by item."""
    spans, start = [], None
    for i, tag in enumerate([*tags, "O"]):
        before = tags[i - 1] if i else "O"
        kind, kind_before = tag[2:], before[2:]
        starts = (
            tag[0] == "B" or (tag[0] == "I" and before == "O") or (tag != "O" and before != "O" and kind != kind_before)
        )
        if start is not None and (tag == "O" or starts):
            spans.append((start, i - 1, kind_before))
            start = None
        if starts:
            start = i
    return set(spans)


tag_lists = st.lists(st.lists(st.sampled_from(range(5)), min_size=1, max_size=7), min_size=1, max_size=6)


@given(tag_lists)
def test_spans_follow_the_letter(sentences: list[list[int]]) -> None:
    flat = np.array(list(itertools.chain(*sentences)))
    offsets = np.cumsum([0, *map(len, sentences)])
    first = np.isin(np.arange(len(flat)), offsets[:-1])
    found = {(int(a), int(b), int(kind)) for a, b, kind in find_spans(flat, first, SPAN_LABELS)}
    kinds = ["", "X", "Y"]
    expected = {
        (start + offsets[i], end + offsets[i], kinds.index(kind))
        for i, sentence in enumerate(sentences)
        for start, end, kind in slow_spans([SPAN_LABELS[tag] for tag in sentence])
    }
    assert found == expected


@given(tag_lists, st.randoms(use_true_random=False))
def test_span_scores_follow_the_letter(sentences: list[list[int]], rng: object) -> None:
    answers = [[tag if rng.random() < 0.6 else rng.randrange(5) for tag in sentence] for sentence in sentences]  # type: ignore[attr-defined]
    counts = np.zeros(3)
    for gold, answer in zip(sentences, answers, strict=True):
        spans = [slow_spans([SPAN_LABELS[tag] for tag in tags]) for tags in (gold, answer)]
        counts += [len(spans[0] & spans[1]), len(spans[1]), len(spans[0])]
    p, r = counts[0] / (counts[1] + 1e-13), counts[0] / (counts[2] + 1e-13)
    predictions = sentences_of(sentences, SPAN_LABELS, answers)
    assert score("span_precision", predictions) == pytest.approx(p, abs=1e-12)
    assert score("span_recall", predictions) == pytest.approx(r, abs=1e-12)
    assert score("span_f1", predictions) == pytest.approx(2 * p * r / (p + r + 1e-13), abs=1e-12)


def test_spans_agree_with_seqeval_on_well_formed_tags() -> None:
    from seqeval.metrics import f1_score as seqeval_f1

    rng = np.random.default_rng(0)

    def draw() -> list[int]:
        tags: list[int] = []
        for _ in range(12):
            options = [0, 1, 3] + ([tags[-1] + (tags[-1] % 2)] if tags and tags[-1] else [])
            tags.append(int(rng.choice(options)))
        return tags

    gold = [draw() for _ in range(40)]
    answers = [tags if rng.random() < 0.5 else draw() for tags in gold]
    expected = seqeval_f1(*([[SPAN_LABELS[tag] for tag in tags] for tags in side] for side in (gold, answers)))
    assert 0.2 < expected < 1 and score("span_f1", sentences_of(gold, SPAN_LABELS, answers)) == pytest.approx(expected)


def test_bare_span_labels_and_others() -> None:
    predictions = sentences_of([[1, 2, 0, 1]], ("O", "B", "I"), [[1, 2, 0, 0]])
    assert score("span_recall", predictions) == pytest.approx(0.5) and score(
        "span_precision", predictions
    ) == pytest.approx(1)
    with pytest.raises(BridgeError, match="'NP' is no span label"):
        score("span_f1", sentences_of([[0]], ("NP",), [[0]]))


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from((0, 1, 2)), min_size=1, max_size=5), min_size=1, max_size=6), st.randoms())
def test_label_scores_agree_with_scikit_learn(sentences: list[list[int]], rng: object) -> None:
    answers = [[rng.randrange(3) for _ in sentence] for sentence in sentences]  # type: ignore[attr-defined]
    predictions = sentences_of(sentences, ("c", "i", "x"), answers)
    gold, answered = predictions.gold == 1, predictions.predicted == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "precision_i": precision_score(gold, answered, zero_division=0),
            "recall_i": recall_score(gold, answered, zero_division=0),
            "f1_i": f1_score(gold, answered, zero_division=0),
            "f0.5_i": fbeta_score(gold, answered, beta=0.5, zero_division=0),
        }
    for name, value in expected.items():
        assert score(name, predictions) == pytest.approx(value, abs=1e-9)
        assert METRICS[name].score(label_sums(predictions)[1]) == pytest.approx(value, abs=1e-9)
    assert score("accuracy", predictions) == pytest.approx((predictions.gold == predictions.predicted).mean())


def test_a_label_without_gold_items_scores_zero() -> None:
    predictions = sentences_of([[0, 0]], ("c", "i"), [[1, 0]])
    assert score("f1_i", predictions) == score("recall_i", predictions) == 0.0
    assert label_statistics("absent")(predictions).sum() == 0


def regression(gold: np.ndarray, predicted: np.ndarray, n_sentences: int = 4) -> Predictions:
    offsets = np.linspace(0, len(gold), n_sentences + 1).astype(int)
    return Predictions(gold.astype(np.float32), predicted.astype(np.float32), offsets, None)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_pearson_agrees_with_scipy(shift: float) -> None:
    rng = np.random.default_rng(0)
    gold = rng.normal(size=400)
    predictions = regression(gold, 0.3 * gold + rng.normal(size=400) + shift, 37)
    expected = pearsonr(predictions.gold.astype(float), predictions.predicted.astype(float)).statistic
    assert score("pearson", predictions) == pytest.approx(expected, abs=1e-9)
    assert score("mae", predictions) == pytest.approx(
        np.abs(predictions.gold.astype(float) - predictions.predicted).mean()
    )


def test_pearson_of_constants_is_undefined() -> None:
    for value in (0.0, 1.0, 0.1, 1e6):
        assert np.isnan(score("pearson", regression(np.arange(8.0), np.full(8, value))))
    assert score("pearson", regression(np.arange(8.0), np.full(8, 1000) + np.arange(8) * 0.01)) == pytest.approx(
        1, abs=1e-4
    )


def test_masked_items_as_in_the_original() -> None:
    """The masked item leaves accuracy; from spans the last item of its sentence is cut instead, as in the original."""
    counted = np.array([True, False, True, True, True])
    plain = sentences_of([[0, 1, 2], [1, 2]], ("O", "B-X", "I-X"), [[0, 0, 2], [1, 2]])
    masked = Predictions(plain.gold, plain.predicted, plain.offsets, plain.labels, None, counted)
    assert score("accuracy", plain) == 0.8 and score("accuracy", masked) == 1.0
    assert masked.n_items == 4
    # gold spans of the cut sentence [O B-X]: one, missed; of the other: one, found; the I-X answered alone is cut
    assert score("span_recall", masked) == pytest.approx(0.5) and score("span_precision", masked) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ["accuracy", "f1_i", "f0.5_i"])
def test_interval_is_that_of_resampled_sentences(metric: str) -> None:
    rng = np.random.default_rng(3)
    gold = [list(rng.integers(0, 2, rng.integers(1, 9))) for _ in range(60)]
    answers = [[int(tag) if rng.random() < 0.7 else 1 - int(tag) for tag in tags] for tags in gold]
    predictions = sentences_of(gold, ("c", "i"), answers)
    samples = resample(60)
    assert samples.shape == (1000, 60) and (samples.sum(axis=1) == 60).all()
    slow = []
    for sample in samples:
        chosen = [i for i, times in enumerate(sample) for _ in range(int(times))]
        slow.append(score(metric, sentences_of([gold[i] for i in chosen], ("c", "i"), [answers[i] for i in chosen])))
    low, high = resampled_score(metric, predictions, samples).interval
    assert (low, high) == pytest.approx(tuple(np.percentile(slow, [2.5, 97.5])))
    assert low < score(metric, predictions) < high


def test_paired_difference() -> None:
    rng = np.random.default_rng(4)
    gold = [list(rng.integers(0, 3, 8)) for _ in range(100)]
    worse = [[int(tag) if rng.random() < 0.6 else 0 for tag in tags] for tags in gold]
    better = [
        [int(tag) if rng.random() < 0.5 else int(answer) for tag, answer in zip(*pair, strict=True)]
        for pair in zip(gold, worse, strict=True)
    ]
    a, b = (sentences_of(gold, ("x", "y", "z"), answers) for answers in (worse, better))
    samples = resample(100)
    one, other = (resampled_score("accuracy", some, samples) for some in (a, b))
    difference, (low, high) = other - one, (other - one).interval
    assert difference.value == pytest.approx(score("accuracy", b) - score("accuracy", a))
    assert 0 < low < difference.value < high and difference.p == pytest.approx(2 / 1001)
    spread = [some.interval for some in (one, other)]
    assert high - low < sum(top - bottom for bottom, top in spread)  # pairing narrows it
    same = one - one
    assert (same.value, same.interval, same.p) == (0.0, (0.0, 0.0), 1.0)
    fewer = sentences_of(gold[:50], ("x", "y", "z"), gold[:50])
    with pytest.raises(ValueError, match="items"):
        one - resampled_score("accuracy", fewer, resample(50))
    many = resampled_score("accuracy", b, resample(100, 4000)) - resampled_score("accuracy", a, resample(100, 4000))
    assert many.p == pytest.approx(2 / 4001)
    np.testing.assert_array_equal(many.sampled[:1000], difference.sampled)  # more samples go on where fewer ended


def test_a_mean_over_seeds_is_as_unsure_as_sentences_and_seeds_together() -> None:
    """Its variance is that of the mean over sentences plus that between seeds, by formulas for normal scores."""
    rng = np.random.default_rng(0)
    offsets, samples = np.arange(201), resample(200, 20000)
    of_seeds = 0.3 * rng.normal(size=8)
    shared = rng.normal(size=200)

    def one(shift: float) -> Resampled:
        statistics = np.stack([shared + shift, np.ones(200)], axis=1)
        chosen = lambda sums: sums[..., 0] / sums[..., 1]  # noqa: E731
        return resampled(statistics, chosen, offsets, samples)

    mean = over_seeds([one(shift) for shift in of_seeds])
    expected = np.sqrt(shared.var() / 200 + of_seeds.var() / 8)
    assert mean.value == pytest.approx(shared.mean() + of_seeds.mean())
    assert mean.sampled.std() == pytest.approx(expected, rel=0.03)
    assert mean.interval == pytest.approx([mean.value - 1.96 * expected, mean.value + 1.96 * expected], abs=0.01)


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_is_best_for_the_truth(name: str) -> None:
    labels = ("O", "B-X", "I-X", "i", "c") if not name.startswith("span") else SPAN_LABELS
    gold = np.array([0, 1, 2, 3, 4, 1, 2, 0])
    if name in ("pearson", "mae"):
        right, wrong = regression(gold * 1.0, gold * 1.0), regression(gold * 1.0, -gold * 1.0)
    else:
        offsets, top3 = np.array([0, 3, 8]), np.ones(8, bool)
        right = Predictions(gold, gold, offsets, labels, top3)
        wrong = Predictions(gold, (gold + 1) % 5, offsets, labels, ~top3)
    assert METRICS[name].better * (score(name, right) - score(name, wrong)) > 0
