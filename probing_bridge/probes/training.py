"""The training recipe of Liu et al. (2019, their experiment_configs/), for all layers of a model at once.

Adam (0.001) on batches of 80 instances, at most 50 epochs, early stopping on the development score, weights of the
best epoch. Layers share the batches, as they would with the same seeds one by one; a layer that has stopped drops
out of the work. Batches are gathered, multiplied and forgotten chunk by chunk, so that memory stays bounded however
many pairs a document has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from probing_bridge.probes.items import Batch, Items, batches
from probing_bridge.probes.metrics import Predictions, score
from probing_bridge.probes.models import new_model
from probing_bridge.probes.problem import Problem

# Inputs that are held at a time, in numbers over all layers: 3 MB, which stay in a cache between the two products.
_CHUNK_NUMBERS = 3 * 2**18
_CHUNK_NUMBERS_OF_A_DEVICE = 2**26  # 256 MB: a device wants few large products


@dataclass
class Trained:
    """One probe after training.

    Attributes:
        parameters: (n_parameters,) weights of the best epoch.
        best_epoch: 0-based.
        dev_scores: The development score of every epoch.
        losses: The mean training loss of every epoch.
    """

    parameters: torch.Tensor
    best_epoch: int = 0
    dev_scores: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @property
    def dev_score(self) -> float:
        """The development score of the best epoch."""
        return self.dev_scores[self.best_epoch]


class Probes:
    """A set of probes on features: gathers their inputs, and moves them by Adam.

    Attributes:
        problem: What they are asked.
        active: Positions of the layers whose probes are still trained.
        model: Their weights.
        pace: (n_active, 1) the share of Adam's step that each probe takes; None: all take it whole.
    """

    def __init__(self, problem: Problem, parameters: Sequence[torch.Tensor] = ()) -> None:
        """Makes the probes.

        Args:
            problem: What they are asked.
            parameters: (n_parameters,) weights of each; their initial weights if empty.
        """
        features = problem.features
        self.problem = problem
        self.active = list(range(len(features.layers)))
        self._chunk = self._chunk_rows()
        shape = (problem.n_words, len(self.active), self._chunk, features.dim)
        self._buffers = torch.empty(shape, dtype=features.values.dtype, device=features.device)
        self.model = new_model(problem, self._buffers)
        for row, trained in zip(self.model.parameters, parameters, strict=False):
            row.copy_(trained)
        self.pace: torch.Tensor | None = None
        self._n_updates = 0
        self._start_optimizer({})

    def _chunk_rows(self) -> int:
        """Items that are multiplied at a time: enough that the weights, read each time, do not outweigh them."""
        features, n_words = self.problem.features, self.problem.n_words
        n_parts = 1 if n_words == 1 else 3  # what `combine` makes
        numbers = _CHUNK_NUMBERS if features.device.type == "cpu" else _CHUNK_NUMBERS_OF_A_DEVICE
        return max(numbers // (features.dim * len(self.active) * n_parts), 4 * self.problem.n_outputs, 64)

    def _start_optimizer(self, state: dict[str, torch.Tensor]) -> None:
        parameters = self.model.parameters
        self._optimizer = torch.optim.Adam([parameters], lr=self.problem.recipe.learning_rate, fused=True)
        parameters.grad = self.model.gradient
        if state:
            self._optimizer.state[parameters] = state

    def keep(self, probes: Sequence[int]) -> None:
        """Goes on with only these of the active probes; their optimizer state goes with them.

        Args:
            probes: Positions in `self.active`, ascending.
        """
        state = self._optimizer.state[self.model.parameters]
        kept = {name: value if value.dim() == 0 else value[list(probes)] for name, value in state.items()}
        self.model.keep(probes)
        self.pace = None if self.pace is None else self.pace[list(probes)]
        self.active = [self.active[probe] for probe in probes]
        self._start_optimizer(kept)

    def _words(self, rows: np.ndarray) -> list[torch.Tensor]:
        columns = map(torch.from_numpy, rows.T.copy())
        gather = self.problem.features.gather
        return [gather(rows, self.active, out) for rows, out in zip(columns, self._buffers, strict=True)]

    def _weights(self, weights: np.ndarray) -> torch.Tensor:
        """(1, n) weights as they are; (n_layers, n) ones of the active probes."""
        return torch.from_numpy(weights if len(weights) == 1 else weights[self.active]).to(self._buffers.device)

    def step(self, batch: Batch) -> torch.Tensor:
        """One update of all active probes.

        Args:
            batch: The items.

        Returns:
            (n_active,) losses before the update.
        """
        self.model.gradient.zero_()
        targets, weights = torch.from_numpy(batch.targets).to(self._buffers.device), self._weights(batch.weights)
        losses = self.model.parameters.new_zeros(len(self.model.parameters))
        for first in range(0, len(targets), self._chunk):
            part = slice(first, first + self._chunk)
            scores = self.model.forward(self._words(batch.rows[part]))
            loss, gradient = loss_and_gradient(scores, targets[part], weights[:, part])
            losses += loss
            self.model.backward(gradient)
        self._n_updates += 1
        if self.problem.recipe.adam_of_torch_1_0:
            self._optimizer.param_groups[0]["eps"] = 1e-8 / math.sqrt(1 - 0.999**self._n_updates)
        self._move()
        return losses

    def _move(self) -> None:
        if self.pace is None:
            self._optimizer.step()
            return
        before = self.model.parameters.clone()
        self._optimizer.step()
        self.model.parameters.sub_(before).mul_(self.pace).add_(before)

    def scores(self, rows: np.ndarray) -> Iterator[tuple[slice, torch.Tensor]]:
        """Scores of all items, chunk by chunk.

        Args:
            rows: (n_items, 1 or 2) rows of the features.

        Yields:
            Which items, and their (n_active, n_outputs, n) scores.
        """
        for first in range(0, len(rows), self._chunk):
            part = slice(first, min(first + self._chunk, len(rows)))
            yield part, self.model.forward(self._words(rows[part]))

    def predict(self, items: Items, *, top3: bool = False) -> list[Predictions]:
        """Answers all items.

        Args:
            items: A split.
            top3: Whether to find out if the gold label is among the three best (accuracy3).

        Returns:
            For each active probe, its answers.
        """
        n_probes, labels = len(self.model.parameters), self.problem.labels
        predicted = np.empty((n_probes, len(items)), items.targets.dtype)
        best3 = np.zeros((n_probes, len(items)), bool) if top3 else None
        for part, scores in self.scores(items.rows):
            if labels is None:
                predicted[:, part] = scores[:, 0].cpu().numpy()
                continue
            predicted[:, part] = scores.argmax(dim=1).cpu().numpy()
            if best3 is not None:
                best = scores.topk(min(3, self.problem.n_outputs), dim=1).indices.cpu().numpy()
                best3[:, part] = (best == items.targets[part]).any(axis=1)
        return [
            Predictions(
                items.targets,
                predicted[i],
                items.offsets,
                labels,
                None if best3 is None else best3[i],
                self._counted(items, i),
            )
            for i in range(n_probes)
        ]

    def _counted(self, items: Items, probe: int) -> np.ndarray | None:
        if items.counted is None or items.counted.ndim == 1:
            return items.counted
        return items.counted[self.active[probe]]


def loss_and_gradient(
    scores: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax cross-entropy, or the smooth-L1 of a regression, and its gradient by the scores.

    Args:
        scores: (n_probes, n_outputs, n).
        targets: (n,).
        weights: (1 or n_probes, n).

    Returns:
        (n_probes,) losses and the (n_probes, n_outputs, n) gradient.
    """
    if targets.is_floating_point():
        errors = scores[:, 0] - targets
        clipped = errors.clamp(-1, 1)
        loss = clipped * (errors - 0.5 * clipped)  # 0.5 e^2 within 1, |e| - 0.5 beyond
        return (loss * weights).sum(dim=1), (clipped * weights)[:, None]
    index = targets.expand(len(scores), 1, -1)
    gradient = torch.softmax(scores, dim=1)
    probabilities = gradient.gather(1, index)[:, 0].clamp_min(torch.finfo(gradient.dtype).tiny)
    loss = -(probabilities.log_() * weights).sum(dim=1)
    gradient.scatter_add_(1, index, gradient.new_full((1, 1, 1), -1.0).expand(index.shape))
    return loss, gradient.mul_(weights[:, None])


def should_stop(dev_scores: Sequence[float], patience: int) -> bool:
    """Whether training ends after these development scores (higher is better); equal scores do not help.

    Args:
        dev_scores: One per epoch.
        patience: Epochs to wait for a better one.

    Returns:
        True when the best of the last `patience` is no better than the best of all before.
    """
    return len(dev_scores) > patience and max(dev_scores[-patience:]) <= max(dev_scores[:-patience])


def train(problem: Problem, train_items: Items, dev_items: Items) -> list[Trained]:
    """Trains probes to their best epochs.

    Args:
        problem: What they are asked.
        train_items: The training split.
        dev_items: The development split, scored after each epoch; a score that is not defined counts as worst.

    Returns:
        The probes in the order of the layers.
    """
    probes, recipe = Probes(problem), problem.recipe
    trained = [Trained(row.clone()) for row in probes.model.parameters]
    running = list(range(len(trained)))
    rng = random.Random(recipe.shuffle_seed)
    order = list(range(train_items.n_instances))
    for epoch in range(recipe.max_epochs):
        rng.shuffle(order)  # in place: permutations compound, as in the original
        losses = [probes.step(batch) for batch in batches(train_items, order, recipe.batch_size)]
        mean_losses = torch.stack(losses).mean(dim=0).tolist()
        scores = [score(problem.metric, predictions) for predictions in probes.predict(dev_items)]
        going_on = []
        for position, (probe, value) in enumerate(zip(running, scores, strict=True)):
            state, value = trained[probe], -np.inf if np.isnan(value) else value
            best = not state.dev_scores or value > max(state.dev_scores)
            state.dev_scores.append(value)
            state.losses.append(mean_losses[position])
            if should_stop(state.dev_scores, recipe.patience):
                continue
            going_on.append(position)
            if best:
                state.best_epoch = epoch
                state.parameters.copy_(probes.model.parameters[position])
        if not going_on:
            break
        if len(going_on) < len(running):
            probes.keep(going_on)
            running = [running[position] for position in going_on]
    return trained
