"""The processes of one training, on one machine or several: what they must decide together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from fairseq_lth.errors import RunRefused

T = TypeVar("T")


@contextlib.contextmanager
def refused_together() -> Iterator[None]:
    """Ends every process if one of them refuses the run inside the `with` block, so that none waits for the others.

    Raises:
        RunRefused: This process is the first that refuses.
        SystemExit: Another one does, and says why; status 1.
    """
    refusal: RunRefused | None = None
    try:
        yield
    except RunRefused as error:
        refusal = error
    if any(earlier := gather(refusal is not None)):
        raise refusal if refusal is not None and earlier.index(True) == own_rank() else SystemExit(1)


def gather(value: T) -> list[T]:
    """The value of every process, by rank.

    Args:
        value: That of this one.
    """
    if not torch.distributed.is_initialized():
        return [value]
    values = [value] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrites tensors with those of the first process.

    Args:
        tensors: Of the same shapes and dtypes, in the same order, on every process.
    """
    if torch.distributed.is_initialized():
        for tensor in tensors:
            torch.distributed.broadcast(tensor, 0)


def own_rank() -> int:
    """The rank of this process; 0 of a training with one."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
