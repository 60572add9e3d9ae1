"""Probe models with their gradients written out: linear or with hidden layers, for all layers of a model at once.

The probe of Liu et al. (2019) is one affine map of a word's features x, or of [x; y; x*y] for a pair (child x,
parent y). As its inputs are frozen, the gradient is one more matrix product. Autograd takes up to 1.2 times as long
(`autograd` of benchmarks/probes.py). Every model keeps its parameters in one (n_probes, n_parameters) array, so that
one optimizer call moves them all.

Scores have items last, (n_probes, n_outputs, n): products with few classes are faster so than with classes last, even
where those are padded (docs/LOG.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import torch

from probing_bridge.probes.problem import PROBES, Problem

# float32 numbers in a line of the cache; products of weights that begin elsewhere take up to 1.5 times as long
_LINE = 16


class Model(Protocol):
    """What training needs of a set of probes with the same shape.

    Attributes:
        parameters: (n_probes, n_parameters) float32.
        gradient: The same shape; `backward` adds to it.
    """

    parameters: torch.Tensor
    gradient: torch.Tensor

    def forward(self, words: Sequence[torch.Tensor]) -> torch.Tensor:
        """Scores.

        Args:
            words: One or two (n_probes, n, d) arrays: the word, or child and parent.

        Returns:
            (n_probes, n_outputs, n) scores.
        """

    def backward(self, gradient: torch.Tensor) -> None:
        """Adds to `self.gradient`, given the loss's gradient by the scores of the last `forward`."""

    def keep(self, probes: Sequence[int]) -> None:
        """Goes on with only these probes."""


def combine(words: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The input of a probe in parts: x, or x, y and x*y (`combination` in contexteval/models/pairwise_tagger.py).

    Args:
        words: One or two (n_probes, n, d) arrays.

    Returns:
        One or three (n_probes, n, d) arrays; side by side they are the input.
    """
    return list(words) if len(words) == 1 else [*words, words[0] * words[1]]


def initial_affine(n_in: int, n_out: int) -> torch.Tensor:
    """Weights and bias as `torch.nn.Linear` draws them from the current random state, weight first.

    Args:
        n_in: Inputs.
        n_out: Outputs.

    Returns:
        (n_out, n_in + 1): the bias is the last column.
    """
    layer = torch.nn.Linear(n_in, n_out)
    return torch.cat([layer.weight.detach(), layer.bias.detach()[:, None]], dim=1)


class _Affine:
    """A view of some parameters as the weights of an affine map, with those of the gradient."""

    def __init__(self, parameters: torch.Tensor, gradient: torch.Tensor, first: int, n_in: int, n_out: int) -> None:
        end = first + n_in * n_out
        shape = (len(parameters), n_out, n_in)
        self.weight, self.bias = parameters[:, first:end].view(shape), parameters[:, end : end + n_out]
        self.weight_gradient = gradient[:, first:end].view(shape)
        self.bias_gradient = gradient[:, end : end + n_out]

    def rectified(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """(n_probes, n, n_out) units of a hidden layer."""
        sums = self.bias[:, None]
        for part, weight in zip(inputs, self.weight.chunk(len(inputs), dim=2), strict=True):
            sums = torch.baddbmm(sums, part, weight.transpose(1, 2))
        return sums.relu_()

    def scores(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """(n_probes, n_out, n)."""
        sums = self.bias[..., None]
        for part, weight in zip(inputs, self.weight.chunk(len(inputs), dim=2), strict=True):
            sums = torch.baddbmm(sums, weight, part.transpose(1, 2))
        return sums

    def backward(self, inputs: Sequence[torch.Tensor], gradient: torch.Tensor) -> None:
        for part, total in zip(inputs, self.weight_gradient.chunk(len(inputs), dim=2), strict=True):
            total.baddbmm_(gradient, part)
        self.bias_gradient.add_(gradient.sum(dim=2))

    def input_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        """(n_probes, n, n_in), from the gradient by the (n_probes, n_out, n) outputs."""
        return torch.bmm(gradient.transpose(1, 2), self.weight)


def flatten(affines: Sequence[torch.Tensor]) -> torch.Tensor:
    """Weights, then bias, of each affine map in turn, as one row.

    Args:
        affines: (n_out, n_in + 1) arrays.

    Returns:
        (n_parameters,): zeros at the end fill a line of the cache, so that the row of each probe begins with one.
    """
    row = torch.cat([part.reshape(-1) for affine in affines for part in (affine[:, :-1], affine[:, -1])])
    return torch.nn.functional.pad(row, (0, -len(row) % _LINE))


class Stack:
    """Probes of one shape: affine maps, with rectified units between them and no dropout."""

    def __init__(self, affines: Sequence[torch.Tensor], n_probes: int, like: torch.Tensor) -> None:
        """Starts all probes at the same weights.

        Args:
            affines: (n_out, n_in + 1) arrays of `initial_affine`, from the input to the outputs.
            n_probes: How many probes.
            like: A tensor of the device and type wanted.
        """
        self._sizes = [(affine.shape[1] - 1, affine.shape[0]) for affine in affines]
        self.parameters = flatten(affines).to(like).repeat(n_probes, 1)
        self._bind()

    def _bind(self) -> None:
        self.gradient = torch.zeros_like(self.parameters)
        self.affines: list[_Affine] = []
        first = 0
        for n_in, n_out in self._sizes:
            self.affines.append(_Affine(self.parameters, self.gradient, first, n_in, n_out))
            first += (n_in + 1) * n_out
        self._inputs: list[list[torch.Tensor]] = []  # of each affine map, in parts

    def keep(self, probes: Sequence[int]) -> None:
        """Goes on with only these probes."""
        self.parameters = self.parameters[list(probes)]
        self._bind()

    def forward(self, words: Sequence[torch.Tensor]) -> torch.Tensor:
        """Scores (n_probes, n_out, n)."""
        self._inputs = [combine(words)]
        for affine in self.affines[:-1]:
            self._inputs.append([affine.rectified(self._inputs[-1])])
        return self.affines[-1].scores(self._inputs[-1])

    def backward(self, gradient: torch.Tensor) -> None:
        """Adds the gradient of the weights."""
        for place in reversed(range(len(self.affines))):
            self.affines[place].backward(self._inputs[place], gradient)
            if place:
                gradient = self._before(place, gradient)

    def _before(self, place: int, gradient: torch.Tensor) -> torch.Tensor:
        """The loss's gradient by the (n_probes, n_out, n) outputs of the affine map before."""
        return self.affines[place].input_gradient(gradient).mul_(self._inputs[place][0] > 0).transpose(1, 2)

    def input_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        """The loss's gradient by the inputs of the last `forward`, (n_probes, n, n_in)."""
        for place in reversed(range(1, len(self.affines))):
            gradient = self._before(place, gradient)
        return self.affines[0].input_gradient(gradient)


class Mix:
    """One probe on a learned mix of all layers, gamma * sum_k softmax(w)_k x_k, trained with the probe.

    w starts at 0 and gamma at 1 (ELMo's scalar mix, Peters et al. 2018, Section 3.2, eq. 1).
    """

    def __init__(self, inner: Stack, n_layers: int) -> None:
        """Puts the mix before a probe.

        Args:
            inner: One probe.
            n_layers: Layers to mix.
        """
        self._inner = inner
        self._n_layers = n_layers
        mix = inner.parameters.new_zeros(1, n_layers + 1)
        mix[:, -1] = 1.0  # gamma
        self.parameters = torch.cat([mix, inner.parameters], dim=1)
        self.gradient = torch.zeros_like(self.parameters)

    def keep(self, probes: Sequence[int]) -> None:
        """There is only one."""

    def forward(self, words: Sequence[torch.Tensor]) -> torch.Tensor:
        """Scores (1, n_out, n) from (n_layers, n, d) features."""
        self._inner.parameters.copy_(self.parameters[:, self._n_layers + 1 :])
        self._words = list(words)
        self._shares = torch.softmax(self.parameters[0, : self._n_layers], dim=0)
        self._sums = [torch.tensordot(self._shares, word, dims=1)[None] for word in words]
        self._mixed = [self.parameters[0, self._n_layers] * total for total in self._sums]
        return self._inner.forward(self._mixed)

    def backward(self, gradient: torch.Tensor) -> None:
        """Adds the gradient of the mix and of the probe."""
        self._inner.gradient.zero_()
        self._inner.backward(gradient)
        by_input = self._inner.input_gradient(gradient)
        if len(self._mixed) == 1:
            by_word = [by_input]
        else:
            by_x, by_y, by_product = by_input.chunk(3, dim=-1)
            x, y = self._mixed
            by_word = [by_x + by_product * y, by_y + by_product * x]
        gamma = self.parameters[0, self._n_layers]
        by_share = torch.zeros_like(self._shares)
        by_gamma = torch.zeros_like(gamma)
        for word, total, by in zip(self._words, self._sums, by_word, strict=True):
            by_share += gamma * torch.einsum("lnd,nd->l", word, by[0])
            by_gamma += (total * by).sum()
        self.gradient[0, : self._n_layers] += self._shares * (by_share - (self._shares * by_share).sum())
        self.gradient[0, self._n_layers] += by_gamma
        self.gradient[:, self._n_layers + 1 :] += self._inner.gradient


def new_model(problem: Problem, like: torch.Tensor) -> Model:
    """Makes probes with the initial weights of the original: `torch.nn.Linear` under a torch seed.

    Args:
        problem: What they are asked.
        like: A tensor of the device and type wanted.

    Returns:
        The probes, all equal at the start.
    """
    dim = problem.features.dim
    sizes = [dim if problem.n_words == 1 else 3 * dim, *PROBES[problem.recipe.probe], problem.n_outputs]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(problem.recipe.seed)
        affines = [initial_affine(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes)]
    stack = Stack(affines, problem.n_probes, like)
    return Mix(stack, len(problem.features.layers)) if problem.recipe.mix else stack
