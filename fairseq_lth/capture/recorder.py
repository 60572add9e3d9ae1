"""Listens to what a Transformer computes in a forward pass, without changing any of it.

States come from forward hooks on the layers. Attention weights are computed once, from the queries and keys that the
model has projected anyway: decoder-to-encoder attention runs in fairseq's own code, whose dropout module sees the
weights of each head; self-attention runs in torch's fused code, where the projected queries and keys pass through
`scaled_dot_product_attention` but weights never appear, so softmax(QK) is computed from them. fairseq's
`need_head_weights` is no way to get them: the fused code averages over heads whatever is asked, and leaving it changes
the model's outputs in the last digit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from probing_bridge.errors import BridgeError

Layers = Mapping[str, Mapping[str, int]]
Sink = Callable[[str, str, Tensor], None]


class RecorderError(BridgeError):
    """A model whose layers or attention cannot be recorded."""


class Recorder:
    """Knows the layers of a fairseq Transformer and passes on what they compute.

    Attributes:
        states: Neurons of each layer by component: {"encoder": {"0": 512, ...}, "decoder": {...}}; 0 = embeddings,
            `norm` = the final norm of pre-norm models.
        attention: Heads of each layer by kind: {"encoder_self": {"1": 8, ...}, ...}.
    """

    def __init__(self, model: Any) -> None:
        """Looks at a model.

        Args:
            model: A fairseq encoder-decoder model with Transformer layers.

        Raises:
            RecorderError: Another kind of model, or an attention that has no weights to record.
        """
        self._stacks: dict[str, Any] = {}
        for component in ("encoder", "decoder"):
            stack = getattr(model, component, None)
            layers: Any = getattr(stack, "layers", ())
            if not len(layers) or not hasattr(layers[0], "self_attn"):
                raise RecorderError(f"the model ({type(model).__name__}) has no Transformer layers in its {component}")
            self._stacks[component] = stack
        self._attentions = dict(self._find_attentions())
        self.states = {component: self._dims(component) for component in self._stacks}
        self.attention: dict[str, dict[str, int]] = {}
        for (kind, layer), module in self._attentions.items():
            self.attention.setdefault(kind, {})[layer] = module.num_heads

    def _find_attentions(self) -> Iterator[tuple[tuple[str, str], Any]]:
        for component, stack in self._stacks.items():
            for number in range(len(stack.layers)):  # by index: iterating over layerdrop's list draws random numbers
                layer = stack.layers[number]
                for kind, attribute in ((f"{component}_self", "self_attn"), ("encoder_decoder", "encoder_attn")):
                    module = getattr(layer, attribute, None)
                    if module is None:
                        continue
                    if getattr(module, "use_xformers", False) or getattr(layer, "cross_self_attention", False):
                        raise RecorderError("xformers and --cross-self-attention have no weights that can be recorded")
                    yield (kind, str(number + 1)), module

    def _dims(self, component: str) -> dict[str, int]:
        stack = self._stacks[component]
        names = [str(number) for number in range(len(stack.layers) + 1)]
        names += ["norm"] if stack.layer_norm is not None else []
        return dict.fromkeys(names, self._attentions[f"{component}_self", "1"].embed_dim)

    @contextlib.contextmanager
    def listen(self, states: Layers, attention: Layers, on_states: Sink, on_attention: Sink) -> Iterator[None]:
        """Passes on what the forward pass inside the `with` block computes, layer by layer as it comes.

        Args:
            states: The layers wanted, in the form of the attribute `states`.
            attention: The layers wanted, in the form of the attribute `attention`.
            on_states: Called with component, layer and (n_positions, n_sentences, d).
            on_attention: Called with kind, layer and (n_sentences, n_heads, n_queries, n_keys) float32. Both include
                padded positions.
        """
        with contextlib.ExitStack() as hooks:
            for component, layers in states.items():
                for layer in layers:
                    hooks.callback(self._hook_states(component, layer, on_states).remove)
            inside: list[tuple[str, str]] = []  # the attention that is running
            for kind, layers in attention.items():
                for layer in layers:
                    for handle in self._hook_attention((kind, layer), inside, on_attention):
                        hooks.callback(handle.remove)
            if attention:
                hooks.enter_context(_watched_fused_attention(inside, on_attention))
            yield

    def _hook_states(self, component: str, layer: str, on_states: Sink) -> Any:
        stack = self._stacks[component]
        if layer == "0":
            return stack.layers[0].register_forward_pre_hook(
                lambda module, inputs: on_states(component, layer, inputs[0])
            )
        module = stack.layer_norm if layer == "norm" else stack.layers[int(layer) - 1]
        return module.register_forward_hook(
            lambda module, inputs, output: on_states(component, layer, output[0] if type(output) is tuple else output)
        )

    def _hook_attention(
        self, name: tuple[str, str], inside: list[tuple[str, str]], on_attention: Sink
    ) -> Iterator[Any]:
        module = self._attentions[name]
        heads = module.num_heads

        def entering(*_: Any) -> None:
            inside.append(name)

        def leaving(*_: Any) -> None:
            inside.clear()

        def weights(module: Any, inputs: tuple[Tensor], output: Tensor) -> None:
            given = inputs[0]
            on_attention(*name, given.view(-1, heads, *given.shape[1:]).float())

        yield module.register_forward_pre_hook(entering)
        yield module.register_forward_hook(leaving)
        yield module.dropout_module.register_forward_hook(weights)


@contextlib.contextmanager
def _watched_fused_attention(inside: list[tuple[str, str]], on_attention: Sink) -> Iterator[None]:
    """While the block runs, computes weights from the queries and keys of the fused attention that is `inside`."""
    fused = F.scaled_dot_product_attention

    def watched(
        query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *rest: Any, **named: Any
    ) -> Tensor:
        if inside:
            on_attention(*inside[-1], _weights(query, key, attn_mask))
        return fused(query, key, value, attn_mask, *rest, **named)

    with mock.patch.object(F, "scaled_dot_product_attention", watched):
        yield


def _weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(QK^T / sqrt(d) + mask), (n_sentences, n_heads, n_queries, n_keys) float32."""
    scores = torch.matmul(query * (1.0 / math.sqrt(query.shape[-1])), key.transpose(-2, -1))
    if mask is not None:
        scores += mask
    return scores.softmax(dim=-1, dtype=torch.float32)
