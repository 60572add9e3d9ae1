"""Minimum description length of the labels given the features, by the online code.

After Voita & Titov (2020, Section 2.2.2, eq. 3). The training data is cut into blocks that grow by about two; a probe
trained on all blocks before a block says how many bits its labels cost, and the first block costs log2 K per label.
Compression is the length of the uniform code of all labels divided by this. The number says how easily a property is
extracted, not only whether.
"""

from __future__ import annotations

import itertools
import random

import numpy as np
import torch

from probing_bridge.probes.items import Items
from probing_bridge.probes.problem import Problem
from probing_bridge.probes.training import Probes, restore, train

# Where the blocks end, as shares of the training instances (footnote 4 there, with 3.125 % for its 3.2 %).
BLOCK_ENDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0)


def block_ends(n_instances: int) -> list[int]:
    """Where the blocks end.

    Args:
        n_instances: Training instances.

    Returns:
        Growing instance numbers, the last one n_instances; shares that would give an empty block are left out.
    """
    return sorted({max(1, round(share * n_instances)) for share in BLOCK_ENDS})


def online_codelength(problem: Problem, train_items: Items, dev_items: Items) -> np.ndarray:
    """Bits that the training labels cost, for every layer.

    Args:
        problem: What the probes are asked; no regression. The recipe's seed also shuffles the instances before they
            are cut into blocks.
        train_items: The training split.
        dev_items: For early stopping.

    Returns:
        (n_probes,) float64 bits.
    """
    order = list(range(train_items.n_instances))
    random.Random(problem.recipe.shuffle_seed).shuffle(order)
    shuffled = train_items.select(np.array(order))
    ends = block_ends(shuffled.n_instances)
    bits = np.full(problem.n_probes, float(shuffled.offsets[ends[0]]) * np.log2(problem.n_outputs))
    for first, last in itertools.pairwise(ends):
        trained = train(problem, shuffled.select(np.arange(first)), dev_items)
        bits += code_bits(restore(problem, trained), shuffled.select(np.arange(first, last)))
    return bits


def code_bits(probes: Probes, items: Items) -> np.ndarray:
    """-sum log2 p(label | features) over items.

    Args:
        probes: Trained.
        items: The block.

    Returns:
        (n_probes,) float64.
    """
    bits = np.zeros(len(probes.model.parameters))
    for part, scores in probes.scores(items.rows):
        logs = torch.log_softmax(scores.double(), dim=-1)
        index = torch.from_numpy(items.targets[part]).to(logs.device).expand(len(logs), -1)[..., None]
        bits -= logs.gather(-1, index).sum(dim=(1, 2)).cpu().numpy() / np.log(2)
    return bits


def compression(n_items: int, n_classes: int, bits: float) -> float:
    """How many times shorter the code is than the uniform one.

    Args:
        n_items: Training items.
        n_classes: K.
        bits: The online code.

    Returns:
        n log2 K / bits; 1 is no compression. nan for a single class, which needs no bits.
    """
    return n_items * float(np.log2(n_classes)) / bits if bits > 0 else float("nan")
