"""What a fairseq model gives out: its scores, its softmax, and which models have none over the whole dictionary."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from fairseq_lth.errors import RunRefused


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


def normalised(model: Any, scores: Tensor) -> Tensor:
    """Log probabilities by the model's own softmax: (n, n_symbols) of the scores before it."""
    return model.get_normalized_probs((scores, None), log_probs=True)
