"""What a job measures: a task, a kind of probe, a seed and a set of layers of one model, from items to predictions.

`score` is the probe on the test split, `control` the same on random labels of the words, for selectivity, `mdl` the
description length of the training labels; a baseline needs no features. PyTorch is imported when a job begins, so that
the list of measures comes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from probing_bridge.formats.representations import sentence_text
from probing_bridge.probes.baselines import predict_baseline
from probing_bridge.probes.control import control_task, memorised
from probing_bridge.probes.items import InstanceLike, Items, build_items
from probing_bridge.probes.metrics import METRICS, Predictions, score
from probing_bridge.probes.problem import Problem, Recipe

if TYPE_CHECKING:
    from probing_bridge.probes.features import Features

SPLITS = ("train", "dev", "test")
RAW, STANDARDISED = "raw", "standardised"
GAIN = "gain"  # score less that of layer 0
SELECTIVITY = "selectivity"  # score less control
CEILING = "control_ceiling"  # what memorising the training split of the control task would score
# Of (..., 2) sums over sentences, the bits of the online code and of the uniform one.
CODE_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mdl_bits": lambda sums: sums[..., 0],
    "mdl_compression": lambda sums: sums[..., 1] / np.where(sums[..., 0] > 0, sums[..., 0], np.nan),
}


@dataclass(frozen=True)
class TaskSpec:
    """A task of a suite before its files are read.

    Attributes:
        name: Its key.
        metric: The metric that selects the epoch and is reported, a key of METRICS.
        data_hash: Of its files and how they are read.
        batch_size: Instances per batch.
        patience: Epochs without a better development score.
        liu2019: Whether to be like the original to its faults (`compat: liu2019`): words whose features sum to zero
            and pairs (0, 0) do not count, features are as they come, and Adam is that of PyTorch 1.0.
    """

    name: str
    metric: str
    data_hash: str
    batch_size: int = 80
    patience: int = 3
    liu2019: bool = False

    @property
    def features(self) -> str:
        """What probes are given: features as they come (RAW), or standardised over the words of the training items."""
        return RAW if self.liu2019 else STANDARDISED

    def recipe(self, recipe: Recipe) -> Recipe:
        """A recipe with what is this task's own."""
        return replace(recipe, batch_size=self.batch_size, patience=self.patience, adam_of_torch_1_0=self.liu2019)


@dataclass(frozen=True)
class TaskData:
    """A task of a suite, read and ready.

    Attributes:
        spec: What the suite says.
        splits: train, dev, test: the sentences.
        labels: The label vocabulary in the order of its numbers; None for a regression.
    """

    spec: TaskSpec
    splits: dict[str, Sequence[InstanceLike]]
    labels: tuple[str, ...] | None

    @property
    def vocabulary(self) -> dict[str, int] | None:
        """Label -> number."""
        return None if self.labels is None else {label: number for number, label in enumerate(self.labels)}

    @property
    def sentences(self) -> list[Sequence[str]]:
        """The words of every sentence of every split."""
        return [instance.tokens for split in SPLITS for instance in self.splits[split]]


@dataclass(frozen=True)
class Outcome:
    """What a job found out about one layer (or the mix, or a baseline).

    Attributes:
        n_items: Items that were scored or coded.
        best_epoch: 0-based; None where nothing was trained, or more than one probe.
        dev_score: What that epoch scored on the development split; None likewise.
        predictions: On the test split, which the measure's metric scores; None where there are none.
        values: Name in the tables -> a value that was measured outright.
        code: (n_sentences, 2) float64 bits of the labels of each training sentence, in the online code and in the
            uniform one, which CODE_SCORES scores; None where nothing was coded.
        offsets: (n_sentences + 1,) the items of each of these sentences.
    """

    n_items: int
    best_epoch: int | None = None
    dev_score: float | None = None
    predictions: Predictions | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    code: np.ndarray | None = None
    offsets: np.ndarray | None = None


def lay_out(
    data: TaskData, splits: dict[str, Sequence[InstanceLike]], features: Features, mix: bool
) -> dict[str, Items]:
    """The items of all splits.

    Args:
        data: The task.
        splits: Its sentences, or those of its control task.
        features: That cover them.
        mix: Whether the features will be mixed; zero sums of single layers mean nothing then.

    Returns:
        Split -> items.
    """
    items = {
        split: build_items(splits[split], data.vocabulary, features.starts, zero_pairs_count=not data.spec.liu2019)
        for split in SPLITS
    }
    if data.spec.liu2019 and not mix and splits["train"][0].indices is None:
        items = {split: _without_zero_sums(some, features) for split, some in items.items()}
    return items


def _without_zero_sums(items: Items, features: Features) -> Items:
    """Items of words whose features sum to exactly zero do not count, layer by layer.

    The original tells padding by it (`get_text_mask_from_representations` in contexteval/common/util.py).
    """
    sums = np.stack([layer.sum(dim=-1).cpu().numpy() for layer in features.values])  # (layers, words)
    return replace(items, counted=sums[:, items.rows[:, 0]] != 0)


def _problem(data: TaskData, items: dict[str, Items], features: Features, recipe: Recipe) -> Problem:
    rows = items["train"].rows
    if data.spec.features == STANDARDISED:
        features = features.standardised(rows)
    return Problem(features, recipe, rows.shape[1], data.spec.metric, data.labels)


def _train_and_predict(data: TaskData, items: dict[str, Items], features: Features, recipe: Recipe) -> list[Outcome]:
    from probing_bridge.probes.training import Probes, train

    problem = _problem(data, items, features, recipe)
    trained = train(problem, items["train"], items["dev"])
    tested = Probes(problem, [one.parameters for one in trained]).predict(items["test"], top3=True)
    return [
        Outcome(predictions.n_items, one.best_epoch, one.dev_score, predictions)
        for one, predictions in zip(trained, tested, strict=True)
    ]


def _measure_score(data: TaskData, features: Features, recipe: Recipe) -> list[Outcome]:
    return _train_and_predict(data, lay_out(data, data.splits, features, recipe.mix), features, recipe)


def control_metric(metric: str) -> str:
    """The metric of the control task of a task with this metric: accuracy over items; a regression's own."""
    return metric if METRICS[metric].of_numbers else "accuracy"


def _measure_control(data: TaskData, features: Features, recipe: Recipe) -> list[Outcome]:
    control = replace(data, spec=replace(data.spec, metric=control_metric(data.spec.metric)))
    splits = control_task(data.splits, recipe.seed)
    items = lay_out(data, dict(splits), features, recipe.mix)
    test, answers = items["test"], memorised(splits, data.vocabulary)
    ceiling = score(control.spec.metric, Predictions(test.targets, answers, test.offsets, data.labels))
    outcomes = _train_and_predict(control, items, features, recipe)
    return [replace(outcome, values={CEILING: ceiling}) for outcome in outcomes]


def _measure_mdl(data: TaskData, features: Features, recipe: Recipe) -> list[Outcome]:
    from probing_bridge.probes.mdl import online_codelength, uniform_bits

    items = lay_out(data, data.splits, features, recipe.mix)
    problem, train_items = _problem(data, items, features, recipe), items["train"]
    uniform = uniform_bits(problem, train_items)
    return [
        Outcome(len(train_items), code=np.stack([bits, uniform], axis=1), offsets=train_items.offsets)
        for bits in online_codelength(problem, train_items, items["dev"])
    ]


@dataclass(frozen=True)
class Measure:
    """Something to find out about the layers of a model by a task.

    Attributes:
        title: What it is, for the help.
        run: Does a job: an outcome for each layer, or one for the mix.
        metric: The task's metric -> that of the predictions.
        suffix: Goes behind the kind of probe in the tables, to tell its scores from those of `score`.
        values: Names of the values that its outcomes have.
        details: Whether its predictions have rows in the probes_details table.
        of_numbers: Whether a regression has it too.
        trainings: About how many trainings on the whole training split it takes.
    """

    title: str
    run: Callable[[TaskData, Features, Recipe], list[Outcome]]
    metric: Callable[[str], str] = str
    suffix: str = ""
    values: tuple[str, ...] = ()
    details: bool = False
    of_numbers: bool = True
    trainings: float = 1.0


MEASURES: dict[str, Measure] = {
    "score": Measure("the probe's score on the test split", _measure_score, details=True),
    "control": Measure(
        "the same on a control task, for selectivity", _measure_control, control_metric, "_control", values=(CEILING,),
    ),
    "mdl": Measure(
        "the description length of the training labels", _measure_mdl, values=tuple(CODE_SCORES), of_numbers=False,
        trainings=4.0,  # on parts that are one split in all, each until it has converged
    ),
}  # fmt: skip


def side_metrics() -> frozenset[str]:
    """What the probes table calls the scores that stand beside a task's own one and are never a task's score."""
    beside = {METRICS[key].name for metric in METRICS.values() for key in metric.beside}
    return frozenset({GAIN, SELECTIVITY} | beside | {name for measure in MEASURES.values() for name in measure.values})


def measure_baseline(data: TaskData, kind: str) -> Outcome:
    """A baseline on the test split.

    Args:
        data: The task.
        kind: A key of BASELINES.

    Returns:
        Its predictions.
    """
    test = data.splits["test"]
    predicted = predict_baseline(kind, data.splits["train"], test, data.vocabulary)
    starts = {sentence_text(instance.tokens): 0 for instance in test}
    items = build_items(test, data.vocabulary, starts, zero_pairs_count=True)
    return Outcome(len(items), predictions=Predictions(items.targets, predicted, items.offsets, data.labels))
