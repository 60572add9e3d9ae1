"""Which weights may be pruned, how they are scored, and which of them go.

Movva & Zhao (2020, Section 3.2) rank all weights but embeddings together by magnitude and remove the smallest 20 % of
what is left; here LayerNorm is kept too, and biases are ranked with the weights. To add a criterion, write a function
of a weight and a stream of random bits and add one line to PRUNING_CRITERIA. A score that sees data is the magnitude of
a weight that the data have been multiplied into before (fairseq_lth/training/calibration.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from probing_bridge.pruning.masks import Mask, MaskError

_INFINITY = 0x7F800000  # the bits of float32 infinity; NaN is above


def magnitude(weight: Tensor, random: np.random.Philox) -> Tensor:
    """The absolute value of each weight (Han et al. 2015, Section 3): the smallest go first.

    Args:
        weight: `(n,)` float32, the kept weights of one parameter.
        random: Not used.

    Returns:
        `(n,)` float32 scores >= 0.
    """
    return weight.abs()


def random(weight: Tensor, random: np.random.Philox) -> Tensor:
    """Uniform scores in [0, 1): the baseline of Movva & Zhao (2020, Section 3.2).

    The raw bits are the same on every platform, device and numpy version.

    Args:
        weight: `(n,)` float32; only its length and device are used.
        random: The stream of this parameter, level and seed.

    Returns:
        `(n,)` float32 scores with 24 random bits each.
    """
    drawn = (random.random_raw(len(weight)) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return torch.from_numpy(drawn).to(weight.device)


@dataclass(frozen=True)
class Criterion:
    """What decides which weights go.

    Attributes:
        score: Scores of the kept weights of one parameter; the smallest go.
        is_drawn: Whether the seed counts: it draws the scores, or the batches that they look at.
        counts: The criterion that decides how many each module loses; empty where the scores do.
        data: What each weight is multiplied by before it is scored, `input_norms` or `gradients`; empty: by nothing.
    """

    score: Callable[[Tensor, np.random.Philox], Tensor]
    is_drawn: bool = False
    counts: str = ""
    data: str = ""


# shuffle: magnitude's sparsity of every module, other weights in it (Su et al. 2020, arXiv 2009.11094)
# wanda: |weight| times the norm of its input (Sun et al. 2024, Section 3). They rank within each output of a layer;
#     here the scope says what is ranked together, as for every score, so that it differs from magnitude in the score.
# gradient: |weight times gradient|, by how much the loss would change to the first order (Molchanov et al. 2019,
#     Section 3.1, whose squares have the same order; Lee et al. 2019, Section 4)
PRUNING_CRITERIA: dict[str, Criterion] = {
    "magnitude": Criterion(magnitude),
    "random": Criterion(random, is_drawn=True),
    "shuffle": Criterion(random, is_drawn=True, counts="magnitude"),
    "wanda": Criterion(magnitude, is_drawn=True, data="input_norms"),
    "gradient": Criterion(magnitude, is_drawn=True, data="gradients"),
}


def prunable_parameters(
    model: nn.Module, prune_embeddings: bool = False, keep_biases: bool = False
) -> dict[str, nn.Parameter]:
    """The parameters that pruning may touch, in the model's order.

    Args:
        model: Any module; a parameter that is shared is listed once, under its first name.
        prune_embeddings: Also prune embeddings and what is tied to them.
        keep_biases: Leave biases alone.

    Returns:
        Name -> parameter. Normalisation layers and frozen parameters are never in it.
    """
    left_out: set[int] = set()
    for module in model.modules():
        is_norm = "Norm" in type(module).__name__
        if is_norm or (isinstance(module, nn.Embedding) and not prune_embeddings):
            left_out.update(id(parameter) for parameter in module.parameters(recurse=False))
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and id(parameter) not in left_out
        and not (keep_biases and _is_bias(name.rsplit(".", 1)[-1]))
    }


def _is_bias(name: str) -> bool:
    """Whether a parameter of a module is a bias: `bias`, `in_proj_bias`, and `bias_ih_l0` and the like of an LSTM."""
    return name.endswith("bias") or name.startswith("bias_")


def prune(weights: dict[str, Tensor], mask: Mask, rate: float, score: str, scope: str, seed: int, level: int) -> Mask:
    """Chooses the weights to remove and returns the next mask.

    Exactly round(rate * remaining) weights go: of all prunable weights together (scope `global`), or of each module,
    weight and bias together (scope `layer`). A criterion with `counts` takes from each module as many as that other
    criterion would. Weights with equal scores go in the model's order. The result depends on nothing but the arguments,
    so every rank, machine and device chooses the same. The scores of one parameter at a time are in memory, on the
    device of its weights.

    Args:
        weights: The prunable parameters by name, any float dtype; under a criterion with `data` times their factors.
        mask: The mask of the level before.
        rate: The share of the remaining weights that goes, in [0, 1).
        score: A key of PRUNING_CRITERIA.
        scope: `global` or `layer`.
        seed: For scores that are random.
        level: The level that this pruning makes; part of the random stream.

    Returns:
        The mask of the new level.

    Raises:
        MaskError: A weight is NaN.
    """
    counts = PRUNING_CRITERIA[score].counts
    after = prune(weights, mask, rate, counts, scope, seed, level) if counts else None
    groups: dict[str, list[str]] = {}
    for name in mask.kept:
        groups.setdefault("" if scope == "global" and not counts else name.rpartition(".")[0], []).append(name)
    kept: dict[str, Tensor] = {}
    for names in groups.values():
        n_before = _n_kept(mask, names)
        n_pruned = round(rate * n_before) if after is None else n_before - _n_kept(after, names)
        scores = partial(_score_bits, weights, mask, score, seed, level)
        threshold, n_ties = _smallest(partial(map, scores, names), n_pruned)
        for name in names:
            of_one = scores(name)
            survives = of_one > threshold
            ties = (of_one == threshold).nonzero().view(-1)
            survives[ties[n_ties:]] = True
            n_ties -= min(n_ties, len(ties))
            kept[name] = _scatter(survives, mask.kept[name])
    return Mask({name: kept[name] for name in mask.kept})


def _n_kept(mask: Mask, names: Sequence[str]) -> int:
    return sum(int(mask.kept[name].count_nonzero()) for name in names)


def _score_bits(weights: dict[str, Tensor], mask: Mask, score: str, seed: int, level: int, name: str) -> Tensor:
    """Scores of the kept weights of one parameter as int32: non-negative floats are ordered like their bits."""
    values, kept = weights[name].detach().reshape(-1).float(), mask.kept[name]
    if not bool(kept.all()):
        values = _where(values, kept.to(values.device).reshape(-1))  # (n_kept,)
    key = hashlib.sha256(f"{seed}/{level}/{name}".encode()).digest()[:16]
    stream = np.random.Philox(key=int.from_bytes(key, "little"))
    bits = PRUNING_CRITERIA[score].score(values, stream).view(torch.int32)
    if bits.numel() and int(bits.max()) > _INFINITY:
        raise MaskError(f"{name} has a score that is not a number: training has diverged, nothing is pruned")
    return bits


def _where(values: Tensor, kept: Tensor) -> Tensor:
    """The values where a mask is True; on a CPU numpy selects twice as fast as torch."""
    if values.device.type == "cpu":
        return torch.from_numpy(values.numpy()[kept.numpy()])
    return values[kept]


def _scatter(survives: Tensor, kept: Tensor) -> Tensor:
    """The new mask of one parameter from what survives of its kept weights."""
    if len(survives) < kept.numel():
        before = kept.to(survives.device).reshape(-1)
        survives = before.masked_scatter(before, survives)
    return survives.view(kept.shape).to(kept.device)


def _smallest(parts: Callable[[], Iterable[Tensor]], n: int) -> tuple[int, int]:
    """Finds the n smallest values without sorting: a count of the upper 16 bits, then of the lower 16 in one bin.

    Args:
        parts: Gives tensors of int32 >= 0, one after the other, the same each time: only one is held.
        n: How many are wanted.

    Returns:
        A threshold and how many values equal to it belong to the n smallest; all below it do.
    """
    if n == 0:
        return -1, 0
    counts = np.zeros(1 << 16, np.int64)
    for part in parts():
        counts += _histogram(part >> 16)
    upper = int(np.searchsorted(np.cumsum(counts), n))
    n -= int(np.sum(counts[:upper]))
    counts[:] = 0
    for part in parts():
        counts += _histogram(_where(part, (part >> 16) == upper) & 0xFFFF)
    lower = int(np.searchsorted(np.cumsum(counts), n))
    n -= int(np.sum(counts[:lower]))
    return (upper << 16) | lower, n


def _histogram(values: Tensor) -> np.ndarray:
    """Counts of values below 2^16."""
    return torch.bincount(values, minlength=1 << 16).cpu().numpy()
