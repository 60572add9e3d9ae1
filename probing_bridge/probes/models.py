"""Probe models with their gradients written out: linear and one hidden layer, for all layers of a model at once.

The probe of Liu et al. (2019) is one affine map of a word's features x, or of [x; y; x*y] for a pair (child x,
parent y). As its inputs are frozen, the gradient is one more matrix product, and autograd has nothing to add. Every
model keeps its parameters in one (n_probes, n_parameters) array, so that one optimizer call moves them all.

Classes are padded to a multiple of 16, which the matrix products like; the bias of a class that is only padding is
so low that its probability is exactly 0, and so is its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

HIDDEN = 1024
_NEVER = -1e30  # bias of a padding class: softmax gives exactly 0


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
            (n_probes, n, n_outputs padded) scores.
        """

    def backward(self, gradient: torch.Tensor) -> None:
        """Adds to `self.gradient`, given the loss's gradient by the scores of the last `forward`."""

    def keep(self, probes: Sequence[int]) -> None:
        """Goes on with only these probes."""


def padded(n_outputs: int) -> int:
    """The number of outputs that is really computed: a multiple of 16, or 1 for a regression."""
    return 1 if n_outputs == 1 else -(-n_outputs // 16) * 16


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


def _pad(affine: torch.Tensor) -> torch.Tensor:
    """Adds outputs that are never chosen: (n_out, n_in + 1) -> (padded n_out, n_in + 1)."""
    extra = torch.zeros(padded(len(affine)) - len(affine), affine.shape[1])
    extra[:, -1] = _NEVER
    return torch.cat([affine, extra])


class _Affine:
    """A view of some parameters as the weights of an affine map, with those of the gradient."""

    def __init__(self, parameters: torch.Tensor, gradient: torch.Tensor, first: int, n_in: int, n_out: int) -> None:
        end = first + n_in * n_out
        shape = (len(parameters), n_out, n_in)
        self.weight, self.bias = parameters[:, first:end].view(shape), parameters[:, None, end : end + n_out]
        self.weight_gradient = gradient[:, first:end].view(shape)
        self.bias_gradient = gradient[:, None, end : end + n_out]

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        scores = self.bias
        for part, weight in zip(inputs, self.weight.chunk(len(inputs), dim=2), strict=True):
            scores = torch.baddbmm(scores, part, weight.transpose(1, 2))
        return scores

    def backward(self, inputs: Sequence[torch.Tensor], gradient: torch.Tensor) -> None:
        turned = gradient.transpose(1, 2)
        for part, total in zip(inputs, self.weight_gradient.chunk(len(inputs), dim=2), strict=True):
            total.baddbmm_(turned, part)
        self.bias_gradient.add_(gradient.sum(dim=1, keepdim=True))

    def input_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        return torch.bmm(gradient, self.weight)


def _flatten(affines: Sequence[torch.Tensor]) -> torch.Tensor:
    """Weights, then bias, of each affine map in turn, as one row."""
    return torch.cat([part.reshape(-1) for affine in affines for part in (affine[:, :-1], affine[:, -1])])


class Linear:
    """Linear probes: scores = W input + b."""

    def __init__(self, affines: Sequence[torch.Tensor], n_probes: int, like: torch.Tensor) -> None:
        """Starts all probes at the same weights.

        Args:
            affines: One (n_out, n_in + 1) array of `initial_affine`.
            n_probes: How many probes.
            like: A tensor of the device and type wanted.
        """
        affine = _pad(affines[0])
        self._n_out, self._n_in = affine.shape[0], affine.shape[1] - 1
        self.parameters = _flatten([affine]).to(like).repeat(n_probes, 1)
        self._bind()

    def _bind(self) -> None:
        self.gradient = torch.zeros_like(self.parameters)
        self._out = _Affine(self.parameters, self.gradient, 0, self._n_in, self._n_out)
        self._inputs: list[torch.Tensor] = []

    def keep(self, probes: Sequence[int]) -> None:
        """Goes on with only these probes."""
        self.parameters = self.parameters[list(probes)]
        self._bind()

    def forward(self, words: Sequence[torch.Tensor]) -> torch.Tensor:
        """Scores (n_probes, n, n_out)."""
        self._inputs = combine(words)
        return self._out.forward(self._inputs)

    def backward(self, gradient: torch.Tensor) -> None:
        """Adds the gradient of the weights."""
        self._out.backward(self._inputs, gradient)

    def input_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        """The loss's gradient by the inputs of the last `forward`, (n_probes, n, n_in)."""
        return self._out.input_gradient(gradient)


class Mlp:
    """Probes with one hidden layer of 1024 rectified units and no dropout."""

    def __init__(self, affines: Sequence[torch.Tensor], n_probes: int, like: torch.Tensor) -> None:
        """Starts all probes at the same weights.

        Args:
            affines: (1024, n_in + 1) and (n_out, 1025) arrays of `initial_affine`.
            n_probes: How many probes.
            like: A tensor of the device and type wanted.
        """
        hidden, out = affines[0], _pad(affines[1])
        self._sizes = (hidden.shape[1] - 1, hidden.shape[0], out.shape[0])
        self.parameters = _flatten([hidden, out]).to(like).repeat(n_probes, 1)
        self._bind()

    def _bind(self) -> None:
        self.gradient = torch.zeros_like(self.parameters)
        n_in, n_hidden, n_out = self._sizes
        self._hidden = _Affine(self.parameters, self.gradient, 0, n_in, n_hidden)
        self._out = _Affine(self.parameters, self.gradient, (n_in + 1) * n_hidden, n_hidden, n_out)
        self._inputs: list[torch.Tensor] = []
        self._active: torch.Tensor | None = None

    def keep(self, probes: Sequence[int]) -> None:
        """Goes on with only these probes."""
        self.parameters = self.parameters[list(probes)]
        self._bind()

    def forward(self, words: Sequence[torch.Tensor]) -> torch.Tensor:
        """Scores (n_probes, n, n_out)."""
        self._inputs = combine(words)
        self._active = self._hidden.forward(self._inputs).relu_()
        return self._out.forward([self._active])

    def _hidden_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        assert self._active is not None
        return self._out.input_gradient(gradient).mul_(self._active > 0)

    def backward(self, gradient: torch.Tensor) -> None:
        """Adds the gradient of the weights."""
        assert self._active is not None
        self._out.backward([self._active], gradient)
        self._hidden.backward(self._inputs, self._hidden_gradient(gradient))

    def input_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        """The loss's gradient by the inputs of the last `forward`, (n_probes, n, n_in)."""
        return self._hidden.input_gradient(self._hidden_gradient(gradient))


MODELS: dict[str, type[Linear] | type[Mlp]] = {"linear": Linear, "mlp": Mlp}


class Mix:
    """One probe on a learned mix of all layers, gamma * sum_k softmax(w)_k x_k, trained with the probe.

    w starts at 0 and gamma at 1 (ELMo's scalar mix, Peters et al. 2018, equation 1).
    """

    def __init__(self, inner: Linear | Mlp, n_layers: int) -> None:
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
        """Scores (1, n, n_out) from (n_layers, n, d) features."""
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


def new_model(kind: str, dim: int, n_words: int, n_outputs: int, n_probes: int, seed: int, like: torch.Tensor) -> Model:
    """Makes probes with the initial weights of the original: `torch.nn.Linear` under a torch seed.

    Args:
        kind: A key of MODELS.
        dim: Features per word.
        n_words: 1 (words) or 2 (pairs).
        n_outputs: Classes, or 1 for a regression.
        n_probes: How many, all equal at the start.
        seed: Torch's seed (133 in the recipe).
        like: A tensor of the device and type wanted.

    Returns:
        The probes.
    """
    n_in = dim if n_words == 1 else 3 * dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "mlp":
            affines = [initial_affine(n_in, HIDDEN), initial_affine(HIDDEN, n_outputs)]
        else:
            affines = [initial_affine(n_in, n_outputs)]
    return MODELS[kind](affines, n_probes, like)
