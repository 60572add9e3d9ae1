"""The layers of a model and what they compute, by hooks: embeddings, every layer's own output, the final norm.

A pre-norm model's `hidden_states[-1]` is the output of its final norm, and what its last layer computed is not in the
tuple at all; so states are taken from the layers. Which norm is the final one is seen in a forward pass of two pieces.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from probing_bridge.errors import BridgeError
from probing_bridge.huggingface.folder import kind_of, n_symbols

_COUNTS = {
    "encoder": ("encoder_layers", "num_layers", "num_hidden_layers"),
    "decoder": ("decoder_layers", "num_decoder_layers", "num_layers", "num_hidden_layers"),
}


class LayersError(BridgeError):
    """A model whose layers or attention cannot be recorded."""


@dataclass(frozen=True)
class Stack:
    """The layers of a model's encoder or decoder.

    Attributes:
        component: encoder or decoder.
        layers: The modules.
        norm: The final norm of a pre-norm model.
        time_first: Whether states inside are (n_positions, n_sentences, d).
        dim: Neurons of a layer.
    """

    component: str
    layers: tuple[nn.Module, ...]
    norm: nn.Module | None
    time_first: bool
    dim: int

    @property
    def names(self) -> list[str]:
        """Names of the layers: 0, 1, .., and norm."""
        return [*map(str, range(len(self.layers) + 1)), *([] if self.norm is None else ["norm"])]

    @contextlib.contextmanager
    def listen(self, on_states: Callable[[str, Tensor], None]) -> Iterator[None]:
        """Passes on what the forward pass inside the `with` block computes.

        Args:
            on_states: Called with the name of a layer and (n_sentences, n_positions, d), padded positions included.
        """

        def give(name: str, states: Tensor) -> None:
            on_states(name, states.transpose(0, 1) if self.time_first else states)

        with contextlib.ExitStack() as hooks:
            hooks.callback(
                self.layers[0]
                .register_forward_pre_hook(lambda _, given, named: give("0", _states(given, named)), with_kwargs=True)
                .remove
            )
            modules = list(enumerate(self.layers, start=1))
            for name, module in [*((str(number), layer) for number, layer in modules), ("norm", self.norm)]:
                if module is not None:
                    hooks.callback(
                        module.register_forward_hook(lambda _, given, out, name=name: give(name, _first(out))).remove
                    )
            yield


def _states(given: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    return given[0] if given else named["hidden_states"]


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple | list) else output


def run(model: Any, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor] | None = None, **named: Any) -> Any:
    """Runs a model over ids and masks of a batch, each (n_sentences, n_positions); under teacher forcing with a target.

    Args:
        model: The model, or only its encoder.
        source: Ids and mask of what is read; of a decoder alone, its own text.
        target: Ids and mask of what the decoder of an encoder-decoder model is given.
        named: More of the model's own arguments.

    Returns:
        transformers' output.
    """
    given = {"input_ids": source[0], "attention_mask": source[1], **named}
    if target is not None:
        given |= {"decoder_input_ids": target[0], "decoder_attention_mask": target[1]}
    if "use_cache" in _takes(model):
        given["use_cache"] = False
    return model(**given, return_dict=True)


def _takes(model: Any) -> Mapping[str, Any]:
    """The arguments of a model."""
    return inspect.signature(model.forward).parameters


@torch.inference_mode()
def run_on_two(model: Any, **named: Any) -> Any:
    """Runs a model over a sentence of two pieces, to see what it is like; as `run`."""
    most = min(n_symbols(model.config, side) for side in ("source", "target"))
    ids = torch.tensor([[4, 5]], device=model.device).clamp(max=most - 1)
    both = ids, torch.ones_like(ids)
    return run(model, both, both if kind_of(model.config) == "encoder_decoder" else None, **named)


def find_stacks(model: Any) -> dict[str, Stack]:
    """The encoder's and the decoder's layers of a model, those that it has.

    Raises:
        LayersError: Layers that are not found, that are shared, or that run in another order.
    """
    kind = kind_of(model.config)
    if "attention_mask" not in _takes(model):
        raise LayersError(f"the model ({type(model).__name__}) takes no attention mask: it has no attention")
    if kind == "encoder_decoder":
        roots = {"encoder": model.get_encoder(), "decoder": model.get_decoder()}
    else:
        roots = {kind: model.base_model}
    layers = {component: _layers(root, component, model.config) for component, root in roots.items()}
    return {component: _tried(model, component, root, layers[component]) for component, root in roots.items()}


def _layers(root: nn.Module, component: str, config: Any) -> tuple[nn.Module, ...]:
    counts = (getattr(config, name, None) for name in _COUNTS[component])
    n_layers = next((count for count in counts if isinstance(count, int)), 0)
    for module in root.modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers > 0:
            return tuple(module)
    raise LayersError(
        f"the model ({type(root).__name__}) has {n_layers} layers by its configuration, but no list of as many: layers "
        "that are shared, and models that are no Transformers, cannot be recorded"
    )


def _tried(model: Any, component: str, root: nn.Module, layers: tuple[nn.Module, ...]) -> Stack:
    """A stack, with what two pieces show of it."""
    inside = {id(module) for layer in layers for module in layer.modules()}
    norms = [one for one in root.modules() if "Norm" in type(one).__name__ and id(one) not in inside]
    called: list[nn.Module] = []
    shapes: list[torch.Size] = []
    with contextlib.ExitStack() as hooks:
        for module in (*layers, *norms):
            hooks.callback(module.register_forward_hook(lambda one, given, out: called.append(one)).remove)
        hooks.callback(layers[0].register_forward_hook(lambda _, given, out: shapes.append(_first(out).shape)).remove)
        run_on_two(model)
    order = [one for one in called if id(one) in {id(layer) for layer in layers}]
    if [id(one) for one in order] != [id(one) for one in layers] or shapes[0][:2].numel() != 2:
        raise LayersError(f"the layers of the model ({type(root).__name__}) are not run once each, one after the other")
    after = called[max(place for place, one in enumerate(called) if one is layers[-1]) + 1 :]
    return Stack(component, layers, after[0] if after else None, shapes[0][0] == 2, int(shapes[0][-1]))
