"""Training all layers of a level at once against one plain PyTorch loop per probe, side by side.

`python -m benchmarks.probes` times both in turns in the same process (CPU time, medians), on the same batches of the
recipe (80 instances), and compares the weights after 200 updates. The plain loops are what one would write: features of
the batch's sentences sliced and concatenated (`flat`), or padded to the longest sentence as AllenNLP does
(`padded`); nn.Linear, cross-entropy, autograd, torch.optim.Adam. `autograd` is the engine itself, all layers at once,
with the gradients of the same model taken by autograd in place of the written-out ones. `products` are the two matrix
products of an update and nothing else, which each of the others makes as well: flat / products is what an engine could
reach that does nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from probing_bridge.probes.features import Features
from probing_bridge.probes.items import Batch, Items, batches
from probing_bridge.probes.models import Stack, combine
from probing_bridge.probes.problem import Problem, Recipe
from probing_bridge.probes.training import Probes, loss_and_gradient

N_UPDATES = 200  # after which weights are compared
N_TIMED = 20  # updates per timing


@dataclass(frozen=True)
class Case:
    """One family at the size of a real task."""

    name: str
    mean_words: float
    items_per_word: float  # 0: one item per instance, as batches of 80 shuffled items
    n_words: int  # 1, or 2 for pairs
    n_classes: int


CASES = (
    Case("80 items, 45 classes", 1, 1, 1, 45),
    Case("tagging, 80 sentences, 17 classes", 16.3, 1, 1, 17),
    Case("tagging, 80 sentences, 45 classes", 16.3, 1, 1, 45),
    Case("pairs, 80 sentences, 2 classes", 16.3, 1.88, 2, 2),
    Case("pairs, 80 sentences, 50 classes", 16.3, 0.94, 2, 50),
    Case("regression, 80 sentences", 16.3, 0.15, 1, 1),
)


def make(case: Case, n_instances: int, n_layers: int, dim: int) -> tuple[Features, Items]:
    """Random features and items."""
    rng = np.random.default_rng(0)
    lengths = np.maximum(1, rng.lognormal(np.log(max(case.mean_words, 1)) - 0.3, 0.8, n_instances).astype(int))
    if case.mean_words == 1:
        lengths[:] = 1
    starts = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.standard_normal((n_layers, int(starts[-1]), dim), np.float32)
    counts = np.maximum(1, np.round(lengths * case.items_per_word).astype(int))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    instance = np.repeat(np.arange(n_instances), counts)
    rows = starts[instance][:, None] + (rng.random((len(instance), case.n_words)) * lengths[instance][:, None]).astype(
        int
    )
    if case.items_per_word == 1 and case.n_words == 1:
        rows = np.arange(starts[-1])[:, None]
    targets = (
        rng.integers(0, case.n_classes, len(rows)) if case.n_classes > 1 else rng.normal(size=len(rows)).astype("f")
    )
    return Features(torch.from_numpy(values), [str(layer) for layer in range(n_layers)], {}), Items(
        rows, targets, offsets
    )


def problem(features: Features, case: Case) -> Problem:
    """What the probes are asked."""
    labels = None if case.n_classes == 1 else tuple(map(str, range(case.n_classes)))
    return Problem(features, Recipe(), case.n_words, "pearson" if labels is None else "accuracy", labels)


def epoch_order(n_instances: int) -> Iterator[list[int]]:
    rng, order = random.Random(13370), list(range(n_instances))
    while True:
        rng.shuffle(order)
        yield list(order)


class PlainLoop:
    """One probe on one layer, as one would write it."""

    def __init__(self, features: Features, items: Items, case: Case, layer: int, padded: bool) -> None:
        """Starts at the recipe's weights."""
        self.values, self.items, self.padded = features.values[layer], items, padded
        n_in = features.dim * (3 if case.n_words == 2 else 1)
        torch.manual_seed(133)
        self.model = torch.nn.Linear(n_in, case.n_classes)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.001)
        self.rows, self.targets = torch.from_numpy(items.rows), torch.from_numpy(items.targets)

    def inputs(self, rows: torch.Tensor) -> torch.Tensor:
        """Features of the items of one instance."""
        x = self.values[rows[:, 0]]
        if rows.shape[1] == 1:
            return x
        y = self.values[rows[:, 1]]
        return torch.cat([x, y, x * y], dim=1)

    def update(self, instances: list[int]) -> None:
        """One update."""
        self.optimizer.zero_grad()
        spans = [(int(self.items.offsets[i]), int(self.items.offsets[i + 1])) for i in instances]
        inputs = [self.inputs(self.rows[a:b]) for a, b in spans]
        targets = [self.targets[a:b] for a, b in spans]
        if self.items.is_regression:
            loss = torch.nn.functional.smooth_l1_loss(self.model(torch.cat(inputs))[:, 0], torch.cat(targets))
        elif self.padded:
            logits = self.model(torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True))
            gold = torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100)
            nll = torch.nn.functional.cross_entropy(logits.transpose(1, 2), gold, reduction="none")
            loss = (nll.sum(1) / (gold >= 0).sum(1)).mean()
        else:
            nll = torch.nn.functional.cross_entropy(self.model(torch.cat(inputs)), torch.cat(targets), reduction="none")
            weights = torch.cat([torch.full((b - a,), 1 / ((b - a) * len(spans))) for a, b in spans])
            loss = (nll * weights).sum()
        loss.backward()
        self.optimizer.step()


class AutogradStack:
    """A linear Stack of the engine whose backward pass is autograd's; weights are leaves of their own."""

    def __init__(self, stack: Stack) -> None:
        """Takes the weights of a stack."""
        affine = stack.affines[0]
        self.weight, self.bias = affine.weight.clone().requires_grad_(), affine.bias.clone().requires_grad_()

    def forward(self, words: Sequence[torch.Tensor]) -> torch.Tensor:
        """Scores; those returned are cut off, so that no gradient is taken of the loss itself."""
        inputs, scores = combine(words), self.bias[..., None]
        for part, weight in zip(inputs, self.weight.chunk(len(inputs), dim=2), strict=True):
            scores = torch.baddbmm(scores, weight, part.transpose(1, 2))
        self._scores = scores
        return scores.detach()

    def backward(self, gradient: torch.Tensor) -> None:
        """Adds the gradient of the weights."""
        self._scores.backward(gradient)


class AutogradProbes(Probes):
    """The engine with autograd in the place of the written-out gradients."""

    def __init__(self, problem: Problem) -> None:
        """Starts at the same weights."""
        super().__init__(problem)
        self._stack = AutogradStack(cast(Stack, self.model))
        self._adam = torch.optim.Adam(
            [self._stack.weight, self._stack.bias], lr=problem.recipe.learning_rate, fused=True
        )

    def step(self, batch: Batch) -> torch.Tensor:
        """One update; as the engine's but for the backward pass."""
        self._adam.zero_grad()
        targets, weights = torch.from_numpy(batch.targets), self._weights(batch.weights)
        losses = torch.zeros(len(self.active))
        for first in range(0, len(targets), self._chunk):
            part = slice(first, first + self._chunk)
            scores = self._stack.forward(self._words(batch.rows[part]))
            loss, gradient = loss_and_gradient(scores, targets[part], weights[:, part])
            losses += loss
            self._stack.backward(gradient)
        self._adam.step()
        return losses


def plain_run(loop: PlainLoop, n_updates: int) -> None:
    orders = epoch_order(loop.items.n_instances)
    parts = (order[first : first + 80] for order in orders for first in range(0, len(order), 80))
    for instances in itertools.islice(parts, n_updates):
        loop.update(instances)


def all_batches(items: Items) -> Iterator[Batch]:
    for order in epoch_order(items.n_instances):
        yield from batches(items, order, 80)


def engine_run(probes: Probes, items: Items, n_updates: int) -> None:
    for batch in itertools.islice(all_batches(items), n_updates):
        probes.step(batch)


def products_run(case: Case, items: Items, dim: int, n_layers: int, n_updates: int) -> None:
    """Scores and gradient of the weights, on inputs that lie there already."""
    sizes = [len(batch.targets) for batch in itertools.islice(all_batches(items), n_updates)]
    inputs = torch.ones(max(sizes), dim * (3 if case.n_words == 2 else 1))
    weight, gradient = torch.ones(case.n_classes, inputs.shape[1]), torch.empty(case.n_classes, inputs.shape[1])
    scores = [torch.empty(case.n_classes, size) for size in sizes]
    for size, out in zip(sizes, scores, strict=True):
        for _ in range(n_layers):
            torch.mm(weight, inputs[:size].T, out=out)
            torch.mm(out, inputs[:size], out=gradient)


def differences(probes: Probes, loops: list[PlainLoop]) -> torch.Tensor:
    """How much each weight differs between the two."""
    out = probes.model.affines[-1]  # type: ignore[attr-defined]
    parts = []
    for i, loop in enumerate(loops):
        parts.append((out.weight[i] - loop.model.weight.detach()).reshape(-1))
        parts.append(out.bias[i] - loop.model.bias.detach())
    return torch.cat(parts).abs()


def cpu_seconds(work: Callable[..., None], *arguments: object) -> float:
    start = time.process_time()
    work(*arguments)
    return time.process_time() - start


def measure(case: Case, n_layers: int, dim: int, repetitions: int) -> dict[str, object]:
    features, items = make(case, 2000 if case.mean_words > 1 else 20000, n_layers, dim)
    timed: dict[str, list[float]] = {"engine": [], "autograd": [], "flat": [], "padded": [], "products": []}
    for _ in range(repetitions):
        for name, kind_of_probes in (("engine", Probes), ("autograd", AutogradProbes)):
            timed[name].append(cpu_seconds(engine_run, kind_of_probes(problem(features, case)), items, N_TIMED))
        for kind in ("flat", "padded"):
            loops = [PlainLoop(features, items, case, layer, kind == "padded") for layer in range(n_layers)]
            timed[kind].append(sum(cpu_seconds(plain_run, loop, N_TIMED) for loop in loops))
        timed["products"].append(cpu_seconds(products_run, case, items, dim, n_layers, N_TIMED))
    some = Features(features.values[:2], ("0", "1"), {})
    probes = Probes(problem(some, case))
    engine_run(probes, items, N_UPDATES)
    loops = [PlainLoop(some, items, case, layer, padded=False) for layer in range(2)]
    for loop in loops:
        plain_run(loop, N_UPDATES)
    moved = differences(probes, loops)
    per_update = {kind: statistics.median(times) / N_TIMED / n_layers * 1e6 for kind, times in timed.items()}
    return {
        "case": case.name,
        **{f"{kind}_us": round(value, 1) for kind, value in per_update.items()},
        "ratio_autograd": round(per_update["autograd"] / per_update["engine"], 2),
        "ratio_flat": round(per_update["flat"] / per_update["engine"], 2),
        "ratio_padded": round(per_update["padded"] / per_update["engine"], 2),
        "limit_flat": round(per_update["flat"] / per_update["products"], 2),
        "max_weight_difference": float(f"{float(moved.max()):.1e}"),
        "weights_beyond_1e-6": f"{int((moved > 1e-6).sum())} of {len(moved)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    print(
        f"CPU us per update and probe, {arguments.layers} layers of {arguments.dim}, {torch.get_num_threads()} threads"
    )
    print(
        f"{'case':36} {'engine':>8} {'flat':>8} {'padded':>8} {'x autograd':>10} {'x flat':>7} {'x padded':>8} "
        f"{'limit':>6}  max dW"
    )
    results = []
    for case in CASES:
        row = measure(case, arguments.layers, arguments.dim, arguments.repetitions)
        results.append(row)
        print(
            f"{row['case']:36} {row['engine_us']:8} {row['flat_us']:8} {row['padded_us']:8} {row['ratio_autograd']:10} "
            f"{row['ratio_flat']:7} {row['ratio_padded']:8} {row['limit_flat']:6}  {row['max_weight_difference']} "
            f"({row['weights_beyond_1e-6']} > 1e-6)",
            flush=True,
        )
    print(json.dumps({"benchmark": "probes", "torch": torch.__version__, "results": results}))


if __name__ == "__main__":
    main()
