"""Masks: which weights are kept (True) and which are pruned (False).

A mask belongs to the prunable parameters of a model, in the model's order. It is stored packed, one bit a weight, and
identified by a hash of names, shapes and bits, so that ranks, levels and files can be compared cheaply.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probing_bridge.errors import BridgeError


class MaskError(BridgeError):
    """A mask that does not fit the model, or a weight that is not zero where the mask says so."""


class Mask:
    """The kept weights of every prunable parameter.

    Attributes:
        kept: Parameter name -> bool tensor of the parameter's shape, True = kept; order = the model's.
    """

    def __init__(self, kept: Mapping[str, Tensor]) -> None:
        """Takes over the tensors; all of them must be bool."""
        self.kept = dict(kept)

    @classmethod
    def full(cls, parameters: Mapping[str, Tensor]) -> Mask:
        """The mask of level 0, which keeps everything.

        Args:
            parameters: The prunable parameters by name.
        """
        return cls({name: torch.ones_like(weight, dtype=torch.bool) for name, weight in parameters.items()})

    @property
    def n_weights(self) -> int:
        """The number of prunable weights."""
        return sum(kept.numel() for kept in self.kept.values())

    @property
    def n_pruned(self) -> int:
        """The number of pruned weights."""
        return self.n_weights - sum(int(kept.count_nonzero()) for kept in self.kept.values())

    @property
    def sparsity(self) -> float:
        """The share of prunable weights that are pruned, in [0, 1]; 0 for a model without prunable weights."""
        return self.n_pruned / self.n_weights if self.n_weights else 0.0

    def zero_(self, tensors: Mapping[str, Tensor]) -> None:
        """Sets the pruned entries of tensors to +0.0, in place.

        Args:
            tensors: Tensors by parameter name; names without a mask are left alone.
        """
        for name, tensor in tensors.items():
            if name in self.kept:
                tensor.masked_fill_(~self.kept[name].to(tensor.device), 0.0)

    def check_fits(self, tensors: Mapping[str, Tensor]) -> None:
        """Checks that there is a tensor of its shape for every parameter of the mask.

        Args:
            tensors: The weights by parameter name.

        Raises:
            MaskError: A parameter is missing or has another shape.
        """
        for name, kept in self.kept.items():
            weight = tensors.get(name)
            if weight is None:
                raise MaskError(f"the mask has {name}, which the model has not: it belongs to another model")
            if weight.shape != kept.shape:
                shapes = f"{tuple(kept.shape)} in the mask and {tuple(weight.shape)} in the model"
                raise MaskError(f"{name} is {shapes}: the mask belongs to another model")

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Checks that every pruned weight is exactly zero.

        Args:
            tensors: The weights by parameter name.

        Raises:
            MaskError: A parameter is missing or has another shape, or a pruned weight is not zero.
        """
        self.check_fits(tensors)
        for name, kept in self.kept.items():
            alive = int((tensors[name].ne(0) & ~kept.to(tensors[name].device)).count_nonzero())
            if alive:
                raise MaskError(f"{name} has {alive} pruned weight(s) that are not zero")

    def shrinks_to(self, later: Mask) -> bool:
        """Whether `later` keeps only weights that this mask keeps."""
        if self.kept.keys() != later.kept.keys():
            return False
        return not any(bool((late & ~self.kept[name]).any()) for name, late in later.kept.items())

    def hash(self) -> str:
        """Sha256 (hex) over names, shapes and bits: equal masks have equal hashes on every machine."""
        digest = hashlib.sha256()
        for name, kept in self.kept.items():
            digest.update(f"{name}{tuple(kept.shape)}".encode())
            digest.update(_pack(kept).tobytes())
        return digest.hexdigest()

    def pack(self) -> dict[str, Any]:
        """The form that is stored: names, shapes and one bit a weight (most significant first, padded to bytes)."""
        packed = [_pack(kept) for kept in self.kept.values()]
        bits = np.concatenate(packed) if packed else np.zeros(0, np.uint8)
        return {
            "names": list(self.kept),
            "shapes": [list(kept.shape) for kept in self.kept.values()],
            "bits": torch.from_numpy(bits),
        }

    @classmethod
    def unpack(cls, stored: Mapping[str, Any]) -> Mask:
        """Reads what `pack` stored.

        Raises:
            MaskError: The number of bytes does not fit the shapes.
        """
        bits = stored["bits"].numpy()
        sizes = [int(np.prod(shape, dtype=np.int64)) for shape in stored["shapes"]]
        expected = sum((size + 7) // 8 for size in sizes)
        if len(bits) != expected or len(stored["names"]) != len(sizes):
            raise MaskError(f"the stored mask has {len(bits)} bytes instead of {expected}: it is damaged")
        kept, position = {}, 0
        for name, shape, size in zip(stored["names"], stored["shapes"], sizes, strict=True):
            n_bytes = (size + 7) // 8
            flat = np.unpackbits(bits[position : position + n_bytes], count=size).view(np.bool_)
            kept[name] = torch.from_numpy(flat).view(*shape)
            position += n_bytes
        return cls(kept)


def _pack(kept: Tensor) -> np.ndarray:
    return np.packbits(kept.cpu().numpy().reshape(-1))
