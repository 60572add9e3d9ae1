"""One job of the grid: a task, a kind of probe, a seed and a set of layers of one model, from items to predictions.

What is measured: `score` (the probe on the test split), `control` (the same on random labels of the words, for
selectivity) and `mdl` (the description length of the training labels). `baseline` needs no features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from probing_bridge.probes.baselines import predict_baseline
from probing_bridge.probes.control import control_task
from probing_bridge.probes.features import Features
from probing_bridge.probes.items import InstanceLike, Items, build_items
from probing_bridge.probes.mdl import compression, online_codelength
from probing_bridge.probes.metrics import Predictions
from probing_bridge.probes.training import Probes, Recipe, dev_scorer, restore, train

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class TaskSpec:
    """A task of a suite before its files are read.

    Attributes:
        task: Its key.
        metric: The metric that selects the epoch and is reported, a key of METRICS.
        data_hash: Of its files and how they are read.
        batch_size: Instances per batch.
        patience: Epochs without a better development score.
        liu2019: Whether to be like the original to its faults (`compat: liu2019`): words whose features sum to zero
            and pairs (0, 0) do not count, and Adam is that of PyTorch 1.0.
    """

    task: str
    metric: str
    data_hash: str
    batch_size: int = 80
    patience: int = 3
    liu2019: bool = False

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
        best_epoch: 0-based; None where nothing was trained.
        predictions: On the test split; None for mdl.
        bits: The online code, in bits; None but for mdl.
        compression: Of the online code; None but for mdl.
        n_items: Items that were coded; for predictions, that were scored.
    """

    best_epoch: int | None
    predictions: Predictions | None
    bits: float | None
    compression: float | None
    n_items: int


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


def _train_and_predict(data: TaskData, items: dict[str, Items], features: Features, recipe: Recipe) -> list[Outcome]:
    n_words, n_outputs = items["train"].rows.shape[1], 1 if data.labels is None else len(data.labels)
    probes = Probes(features, recipe, n_words, n_outputs)

    trained = train(probes, items["train"], dev_scorer(probes, items["dev"], data.spec.metric, data.labels), recipe)
    tested = restore(features, recipe, n_words, n_outputs, trained).predict(items["test"], data.labels, top3=True)
    return [
        Outcome(one.best_epoch, predictions, None, None, predictions.n_items)
        for one, predictions in zip(trained, tested, strict=True)
    ]


def _measure_score(data: TaskData, features: Features, recipe: Recipe) -> list[Outcome]:
    return _train_and_predict(data, lay_out(data, data.splits, features, recipe.mix), features, recipe)


def control_metric(metric: str) -> str:
    """The metric of the control task of a task with this metric: accuracy over items, or r."""
    return "pearson" if metric == "pearson" else "accuracy"


def _measure_control(data: TaskData, features: Features, recipe: Recipe) -> list[Outcome]:
    control = replace(data, spec=replace(data.spec, metric=control_metric(data.spec.metric)))
    splits = control_task(data.splits, recipe.seed)
    return _train_and_predict(control, lay_out(data, dict(splits), features, recipe.mix), features, recipe)


def _measure_mdl(data: TaskData, features: Features, recipe: Recipe) -> list[Outcome]:
    assert data.labels is not None
    items, n_classes = lay_out(data, data.splits, features, recipe.mix), len(data.labels)
    bits = online_codelength(features, recipe, n_classes, items["train"], items["dev"], data.spec.metric, data.labels)
    n = len(items["train"])
    return [Outcome(None, None, float(b), compression(n, n_classes, float(b)), n) for b in bits]


MEASURES: dict[str, Callable[[TaskData, Features, Recipe], list[Outcome]]] = {
    "score": _measure_score,
    "control": _measure_control,
    "mdl": _measure_mdl,
}


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
    starts = {" ".join(instance.tokens): 0 for instance in test}
    items = build_items(test, data.vocabulary, starts, zero_pairs_count=True)
    return Outcome(None, Predictions(items.targets, predicted, items.offsets, data.labels), None, None, len(items))
