"""Keeping pruned weights at exactly zero through any optimizer step. No fairseq import; its wrappers are recognised.

At a pruning the weight, its fp32 master copy and every optimizer state of its shape are set to zero. From then on only
the gradient is masked: g = m = w = 0 is a fixed point of every optimizer that works weight by weight, also under
weight decay, and the gradient norm that is clipped and logged leaves pruned weights out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from probing_bridge.pruning.masks import Mask


class Optimizer(Protocol):
    """What is used of a fairseq optimizer, whatever its precision."""

    @property
    def optimizer(self) -> Any:
        """The torch optimizer; of fairseq's composite optimizer one that has several."""

    def state_dict(self) -> dict[str, Any]:
        """The torch optimizer's state."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores it."""


@runtime_checkable
class HalfPrecision(Optimizer, Protocol):
    """fairseq's FP16Optimizer, which steps fp32 copies of the model's parameters.

    Attributes:
        fp16_params: The model's parameters.
        fp32_params: Their copies: one for each, or one flat tensor a device.
    """

    fp16_params: list[nn.Parameter]
    fp32_params: list[nn.Parameter] | dict[Any, nn.Parameter]


class GradientMasks:
    """Multiplies gradients by the mask: float masks and one fused call (bool masks take three times as long)."""

    def __init__(self, mask: Mask, parameters: Mapping[str, nn.Parameter]) -> None:
        """Builds the float masks.

        Args:
            mask: The mask of the level.
            parameters: The prunable parameters by name.
        """
        self._masked = [
            (parameters[name], kept.to(parameters[name].device, parameters[name].dtype))
            for name, kept in mask.kept.items()
            if not bool(kept.all())
        ]

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Sets the gradients of pruned weights to zero; parameters without a gradient are left alone."""
        pairs = [(weight.grad, kept) for weight, kept in self._masked if weight.grad is not None]
        if pairs:
            torch._foreach_mul_([grad for grad, _ in pairs], [kept for _, kept in pairs])

    @torch.no_grad()
    def mask_weights(self) -> None:
        """Sets pruned weights to zero."""
        if self._masked:
            torch._foreach_mul_([weight for weight, _ in self._masked], [kept for _, kept in self._masked])


@torch.no_grad()
def zero_pruned(mask: Mask, parameters: Mapping[str, nn.Parameter], optimizer: Optimizer) -> None:
    """Zeroes pruned weights, their fp32 masters and every optimizer state tensor of the same shape.

    Args:
        mask: The mask of the new level.
        parameters: The prunable parameters by name.
        optimizer: A fairseq optimizer, in any precision.
    """
    mask.zero_(dict(parameters))
    pruned = {id(parameters[name]): ~kept for name, kept in mask.kept.items()}
    for stepped, gone in _stepped_parameters(optimizer, pruned):
        stepped.masked_fill_(gone, 0.0)
        for inner in inner_optimizers(optimizer):
            for state in inner.state.get(stepped, {}).values():
                if torch.is_tensor(state) and state.shape == stepped.shape:
                    # in fairseq's memory-efficient precisions that of a checkpoint stays on the CPU until it is used
                    state.masked_fill_(gone.to(state.device), 0.0)


def inner_optimizers(optimizer: Optimizer) -> list[torch.optim.Optimizer]:
    """The torch optimizers behind a fairseq optimizer; more than one for fairseq's composite optimizer."""
    inner = optimizer.optimizer
    several = getattr(inner, "optimizers", None)
    return [one.optimizer for one in several.values()] if several else [inner]


@torch.no_grad()
def copy_to_masters(optimizer: Optimizer) -> None:
    """Copies the weights of a half-precision model into the fp32 masters, if the optimizer has such."""
    for master, weights in _masters(optimizer):
        master.copy_(torch.cat([weight.reshape(-1).float() for weight in weights]).view_as(master))


def _masters(optimizer: Optimizer) -> Iterator[tuple[Tensor, list[nn.Parameter]]]:
    """The fp32 masters of fairseq's FP16Optimizer, each with the model's parameters it holds, in order."""
    if not isinstance(optimizer, HalfPrecision):
        return
    masters = optimizer.fp32_params
    if isinstance(masters, dict):  # flat: one tensor a device
        for device, flat in masters.items():
            yield flat.data, [p for p in optimizer.fp16_params if len(masters) == 1 or p.device.index == device]
    else:
        for master, weight in zip(masters, optimizer.fp16_params, strict=True):
            yield master.data, [weight]


def _stepped_parameters(optimizer: Optimizer, pruned: Mapping[int, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The tensors that the torch optimizer steps, each with True where it holds a pruned weight."""
    if not isinstance(optimizer, HalfPrecision):
        for group in (group for inner in inner_optimizers(optimizer) for group in inner.param_groups):
            yield from ((p, pruned[id(p)].to(p.device)) for p in group["params"] if id(p) in pruned)
        return
    masters = optimizer.fp32_params
    tensors = masters.values() if isinstance(masters, dict) else masters
    for tensor, (_, weights) in zip(tensors, _masters(optimizer), strict=True):
        gone = [pruned.get(id(weight), torch.zeros_like(weight, dtype=torch.bool)) for weight in weights]
        yield tensor, torch.cat([part.reshape(-1) for part in gone]).view_as(tensor).to(tensor.device)
