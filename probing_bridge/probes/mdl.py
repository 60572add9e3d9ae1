"""Minimum description length of the labels given the features, by the online code.

After Voita & Titov (2020, Section 2.2.2, eq. 3). The training data is cut into blocks that grow by about two; a probe
trained on all blocks before a block says how many bits its labels cost, and the first block costs log2 K per label.
Compression is the length of the uniform code of all labels divided by this. The number says how easily a property is
extracted, not only whether; so each probe is trained until it has converged, however small its part of the data is,
by the regimen of their code (github.com/lena-voita/description-length-probing, control_tasks/control_tasks/regimen.py).
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import numpy as np
import torch

from probing_bridge.probes.items import Items, batches
from probing_bridge.probes.problem import Problem
from probing_bridge.probes.training import Probes

# Where the blocks end, as shares of the training instances (footnote 4 there, with 3.125 % for its 3.2 %).
BLOCK_ENDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0)
_NATS = 0.001  # by which a development loss has to be lower to count: `min_dev_loss - 0.001` there
_PATIENCE = 5  # rounds without such a loss, after which a probe has converged: `wait_without_improvement_for` 4
_ROUNDS = 1000  # at most; far more than any takes
_WIDTH = (
    1024  # inputs of their probes; steps of one rate move an answer by less where inputs are fewer, so it is larger
)
# A round is an epoch there. A part of few instances is cut into smaller batches and gone through until this many
# updates are done: else a probe on it would hardly have moved when it is called converged.
_UPDATES_OF_EPOCH = 20
_UPDATES_OF_ROUND = 40


def block_ends(n_instances: int) -> list[int]:
    """Where the blocks end.

    Args:
        n_instances: Training instances.

    Returns:
        Growing instance numbers, the last one n_instances; shares that would give an empty block are left out.
    """
    return sorted({max(1, round(share * n_instances)) for share in BLOCK_ENDS})


def online_codelength(problem: Problem, train_items: Items, dev_items: Items) -> np.ndarray:
    """Bits that the training labels cost, for every layer and sentence.

    Args:
        problem: What the probes are asked; no regression. The recipe's seed also shuffles the instances before they
            are cut into blocks.
        train_items: The training split.
        dev_items: Whose loss tells when a probe has converged.

    Returns:
        (n_probes, n_instances) float64 bits of the labels of each instance, in the order of `train_items`.
    """
    shuffled = list(range(train_items.n_instances))
    random.Random(problem.recipe.shuffle_seed).shuffle(shuffled)
    order, ends = np.array(shuffled), block_ends(train_items.n_instances)
    bits = np.zeros((problem.n_probes, len(order)))
    first = order[: ends[0]]
    bits[:, first] = uniform_bits(problem, train_items)[first]
    for start, end in itertools.pairwise(ends):
        probes = converge(problem, train_items.select(order[:start]), dev_items)
        bits[:, order[start:end]] = code_bits(probes, train_items.select(order[start:end]))
    return bits


@dataclass
class _Course:
    """How the training of one probe has gone."""

    parameters: torch.Tensor  # (n_parameters,) of its least development loss
    least: float  # that loss, nats a label
    counted: float  # the last one that was lower than the one before by _NATS
    waited: int = 0  # rounds since

    def after(self, loss: float, parameters: torch.Tensor) -> bool:
        """Takes the loss after a round; whether it is the least so far, else the parameters are again those of it."""
        if loss < self.counted - _NATS:
            self.counted, self.waited = loss, 0
        else:
            self.waited += 1
        if loss < self.least:
            self.least = loss
            self.parameters.copy_(parameters)
            return True
        parameters.copy_(self.parameters)
        return False


def converge(problem: Problem, train_items: Items, dev_items: Items) -> Probes:
    """Trains probes until their loss on the development split gets no lower.

    Adam; after a round whose loss is not the least so far a probe goes back to the weights of the least (in the code of
    Voita & Titov it goes on from where it is), and its rate is halved. When its loss was not lower by 0.001 nats in
    five rounds it has converged.

    Args:
        problem: What they are asked; the recipe's learning rate is for _WIDTH inputs.
        train_items: A part of the training split.
        dev_items: The development split.

    Returns:
        The probes, all of them, with the weights of their least losses.
    """
    probes = Probes(problem)
    losses = _mean_nats(probes, dev_items)
    courses = [_Course(row.clone(), loss, loss) for row, loss in zip(probes.model.parameters, losses, strict=True)]
    running = list(courses)
    rng, order = random.Random(problem.recipe.shuffle_seed), list(range(train_items.n_instances))
    batch_size = min(problem.recipe.batch_size, -(-len(order) // _UPDATES_OF_EPOCH))
    pace = _WIDTH / (problem.features.dim * (1 if problem.n_words == 1 else 3))
    probes.pace = probes.model.parameters.new_full((len(running), 1), pace)
    for _ in range(_ROUNDS):
        for _ in range(max(1, _UPDATES_OF_ROUND * batch_size // len(order))):
            rng.shuffle(order)
            for batch in batches(train_items, order, batch_size):
                probes.step(batch)
        losses = _mean_nats(probes, dev_items)
        for place, (course, loss) in enumerate(zip(running, losses, strict=True)):
            if not course.after(loss, probes.model.parameters[place]):
                probes.pace[place] /= 2
        going_on = [place for place, course in enumerate(running) if course.waited < _PATIENCE]
        if not going_on:
            break
        if len(going_on) < len(running):
            probes.keep(going_on)
            running = [running[place] for place in going_on]
    return Probes(problem, [course.parameters for course in courses])


def _mean_nats(probes: Probes, items: Items) -> list[float]:
    """The mean loss of a label, for each probe."""
    return (code_bits(probes, items).sum(axis=1) / len(items) * np.log(2)).tolist()


def code_bits(probes: Probes, items: Items) -> np.ndarray:
    """-sum log2 p(label | features) over the items of each instance.

    Args:
        probes: Trained.
        items: The block.

    Returns:
        (n_probes, n_instances) float64.
    """
    bits = np.zeros((len(probes.model.parameters), len(items) + 1))
    for part, scores in probes.scores(items.rows):
        logs = torch.log_softmax(scores.double(), dim=1)
        index = torch.from_numpy(items.targets[part]).to(logs.device).expand(len(logs), 1, -1)
        bits[:, 1:][:, part] = logs.gather(1, index)[:, 0].cpu().numpy() / -np.log(2)
    sums = bits.cumsum(axis=1)
    return sums[:, items.offsets[1:]] - sums[:, items.offsets[:-1]]


def uniform_bits(problem: Problem, items: Items) -> np.ndarray:
    """(n_instances,) float64 bits of each instance's labels in the uniform code, log2 K each."""
    return np.diff(items.offsets) * np.log2(problem.n_outputs)
