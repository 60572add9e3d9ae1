"""The output distributions of a model at each target position: the K best tokens, the gold one, the least probable.

The softmax is the model's own, in float32 also where the model computes in fp16, and runs once more over some rows at
a time: nothing of the size of the vocabulary is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from probing_bridge.formats.activations.output import DATASETS, Output

ROWS = 512  # positions at once


def output_of(log_softmax: Callable[[Tensor], Tensor], scores: Tensor, gold: Tensor, n_best: int) -> Output:
    """What a dump stores of some positions.

    Args:
        log_softmax: The model's own, of (n, n_symbols).
        scores: (n, n_symbols), before the softmax.
        gold: (n,) ids of the tokens that should come.
        n_best: Best tokens wanted.

    Returns:
        The output distributions.
    """
    chunks = [_chunk(log_softmax, *part, n_best) for part in zip(scores.split(ROWS), gold.split(ROWS), strict=True)]
    return Output.joined([Output(**dict(zip(DATASETS, chunk, strict=True))) for chunk in chunks])


def _chunk(log_softmax: Callable[[Tensor], Tensor], scores: Tensor, gold: Tensor, n_best: int) -> list[Any]:
    """The values of some rows, in the order of DATASETS."""
    logs = log_softmax(scores).float()
    own = logs.gather(1, gold[:, None])
    best, tokens = logs.topk(n_best, dim=1)
    ranks = 1 + (logs > own).sum(dim=1)
    values = [tokens.int(), best, gold.int(), own[:, 0], ranks.int(), logs.amin(dim=1), scores.float().logsumexp(dim=1)]
    return [value.cpu().numpy() for value in values]
