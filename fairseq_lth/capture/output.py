"""The output distributions of a model at each target position: the K best tokens, the gold one, the least probable.

The softmax is the model's own, in float32 also where the model computes in fp16, and runs once more over some rows at
a time: nothing of the size of the vocabulary is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from fairseq_lth.errors import RunRefused
from probing_bridge.formats.activations.output import DATASETS, Output

ROWS = 512  # positions at once


def require_output(model: Any, n_symbols: int, n_best: int) -> None:
    """Refuses a model without one softmax over the target dictionary, and more tokens than that has.

    Args:
        model: The model.
        n_symbols: Symbols of the target dictionary.
        n_best: Best tokens wanted.

    Raises:
        RunRefused: What is wrong, in one line.
    """
    if not 1 <= n_best <= n_symbols:
        raise RunRefused(f"--dump-output {n_best}: expected 1 to {n_symbols}, the symbols of the target dictionary")
    if getattr(model.decoder, "adaptive_softmax", None) is not None:
        raise RunRefused("--dump-output: an adaptive softmax has no scores of all tokens; leave the flag out")


@contextlib.contextmanager
def listen_output(model: Any, on_output: Callable[[Any], None]) -> Iterator[None]:
    """Passes on what the forward pass inside the `with` block gives out: scores, (n_sentences, n_positions, n_symbols).

    Args:
        model: The model.
        on_output: Called with the scores.
    """
    handle = model.register_forward_hook(lambda module, inputs, output: on_output(output[0]))
    try:
        yield
    finally:
        handle.remove()


def output_of(model: Any, scores: Tensor, gold: Tensor, n_best: int) -> Output:
    """What a dump stores of some positions.

    Args:
        model: The model, for its softmax.
        scores: (n, n_symbols), before the softmax.
        gold: (n,) ids of the tokens that should come.
        n_best: Best tokens wanted.

    Returns:
        The output distributions.
    """
    chunks = [_chunk(model, *part, n_best) for part in zip(scores.split(ROWS), gold.split(ROWS), strict=True)]
    return Output.joined([Output(**dict(zip(DATASETS, chunk, strict=True))) for chunk in chunks])


def _chunk(model: Any, scores: Tensor, gold: Tensor, n_best: int) -> list[Any]:
    """The values of some rows, in the order of DATASETS."""
    logs = model.get_normalized_probs((scores, None), log_probs=True).float()
    own = logs.gather(1, gold[:, None])
    best, tokens = logs.topk(n_best, dim=1)
    ranks = 1 + (logs > own).sum(dim=1)
    values = [tokens.int(), best, gold.int(), own[:, 0], ranks.int(), logs.amin(dim=1), scores.float().logsumexp(dim=1)]
    return [value.cpu().numpy() for value in values]
