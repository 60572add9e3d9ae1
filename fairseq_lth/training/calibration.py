"""Scores that see data: each weight times what a few batches of the training set say of it.

The first process computes that, with a float32 copy of the model without dropout, and the others get its result: every
process ranks the same bits, and the batches do not depend on how many there are.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from fairseq import utils
from fairseq.data import data_utils
from fairseq.modules import MultiheadAttention
from torch import Tensor, nn

from fairseq_lth.errors import RunRefused
from fairseq_lth.training.processes import copy_from_first, own_rank
from fairseq_lth.training.settings import Dataset

logger = logging.getLogger(__name__)


class Calibration:
    """Batches of the training set, the same ones for every level."""

    def __init__(self, dataset: Any, settings: Dataset, positions: Any, n_batches: int, seed: int) -> None:
        """Draws them among the batches that one process would train on.

        Args:
            dataset: fairseq's training set.
            settings: Its flags, which say how large a batch is.
            positions: The longest source and target that the model takes, as fairseq's trainer resolves them.
            n_batches: How many.
            seed: Of the draw.

        Raises:
            RunRefused: The training set has fewer batches.
        """
        key = hashlib.sha256(f"{seed}/calibration".encode()).digest()[:4]
        with data_utils.numpy_seed(int.from_bytes(key, "little")):
            indices, _ = dataset.filter_indices_by_size(dataset.ordered_indices(), positions)
            batches = dataset.batch_by_size(
                indices, settings.max_tokens, settings.batch_size, settings.required_batch_size_multiple
            )
            if n_batches > len(batches):
                raise RunRefused(f"--imp-calibration-batches {n_batches}: the training set has only {len(batches)}")
            self._batches = [batches[number] for number in np.random.permutation(len(batches))[:n_batches]]
        self._dataset = dataset
        logger.info("%d calibration batches with %d sentence pairs", n_batches, sum(map(len, self._batches)))

    def batches(self, device: torch.device) -> Iterator[dict[str, Any]]:
        """The batches as fairseq's model and criterion take them."""
        return self._collated(self._batches, device)

    def sentences(self, device: torch.device) -> Iterator[dict[str, Any]]:
        """The sentence pairs of the batches one by one, so that nothing is padded."""
        return self._collated(([number] for batch in self._batches for number in batch), device)

    def _collated(self, batches: Iterable[Any], device: torch.device) -> Iterator[dict[str, Any]]:
        for batch in batches:
            sample = self._dataset.collater([self._dataset[number] for number in batch])
            yield utils.apply_to_sample(lambda tensor: tensor.to(device), sample)


def input_norms(model: nn.Module, samples: Iterable[dict[str, Any]]) -> dict[str, Tensor]:
    """The L2 norm over all tokens of each input feature of each linear layer (Sun et al. 2024, Section 3).

    A bias is a weight whose input is 1 at every token, so its norm is the square root of their number.

    Args:
        model: As `without_dropout` returns it.
        samples: Unpadded batches.

    Returns:
        Parameter name -> `(n_inputs,)` float32 of a weight, `()` of a bias, for all linear layers that ran.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    sums: dict[str, Tensor] = {}

    def add(module: nn.Linear, inputs: tuple[Tensor]) -> None:
        vectors = inputs[0].flatten(0, -2).double()
        sums_here = ((module.weight, vectors.square().sum(dim=0)), (module.bias, vectors.new_tensor(len(vectors))))
        for parameter, added in sums_here:
            if parameter is not None:
                name = names[id(parameter)]
                sums[name] = sums[name] + added if name in sums else added

    handles = [module.register_forward_pre_hook(add) for module in model.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for sample in samples:
            model(**sample["net_input"])
    for handle in handles:
        handle.remove()
    return {name: total.sqrt().float() for name, total in sums.items()}


def gradients(model: nn.Module, criterion: Any, samples: Iterable[dict[str, Any]]) -> dict[str, Tensor]:
    """The gradient of the loss summed over the tokens of all batches, in float32.

    Args:
        model: As `without_dropout` returns it; gets the gradients.
        criterion: fairseq's criterion.
        samples: Batches.

    Returns:
        Parameter name -> gradient of its shape, for all parameters that the loss depends on.
    """
    for sample in samples:
        criterion(model, sample)[0].backward()
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def weighed(
    data: str, parameters: Mapping[str, Tensor], model: nn.Module, criterion: Any, calibration: Calibration
) -> dict[str, Tensor]:
    """Each weight times its factor: the norm of its input, or its gradient.

    Args:
        data: `data` of the criterion of pruning.
        parameters: The prunable parameters by name.
        model: The model in training, which is left as it is.
        criterion: fairseq's criterion.
        calibration: The batches.

    Returns:
        Parameter name -> float32 of its shape, the same bits on every process; 0 where the loss does not depend on it.
    """
    products = {name: torch.zeros_like(weight, dtype=torch.float32) for name, weight in parameters.items()}
    if own_rank() == 0:
        device = next(iter(products.values())).device
        with torch.random.fork_rng(devices=[]):  # layers that might be dropped draw, even where none is
            if data == "input_norms":
                factors = input_norms(without_dropout(model), calibration.sentences(device))
            else:
                factors = gradients(without_dropout(model), criterion, calibration.batches(device))
        for name in products.keys() & factors.keys():
            products[name].copy_(parameters[name].detach().float() * factors[name])
    copy_from_first(products.values())
    return products


def require_inputs(parameters: Mapping[str, Tensor], model: nn.Module, calibration: Calibration) -> None:
    """Checks on one sentence pair that every weight has an input whose norm can be taken.

    Raises:
        RunRefused: One is not of a linear layer.
    """
    device = next(iter(parameters.values())).device
    with torch.random.fork_rng(devices=[]):
        known = input_norms(without_dropout(model), [next(calibration.sentences(device))])
    for name in parameters:
        if name not in known:
            raise RunRefused(f"--imp-score wanda: {name} is not of a linear layer, so its weights have no input")


def without_dropout(model: nn.Module) -> nn.Module:
    """A float32 copy of a model, without dropout, in which all projections of attention run as modules.

    torch's fused attention takes their weights and runs none of them.
    """
    still = copy.deepcopy(model).float().eval()
    for module in still.modules():
        if isinstance(module, MultiheadAttention):
            module.skip_embed_dim_check = True  # fairseq's own attention, of the same values
    return still
