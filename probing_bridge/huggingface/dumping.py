"""`dump --hf`: every layer of every token of a Hugging Face model, every head's attention, and what it would say next.

The file is that of `fairseq-validate --dump-activations`. Texts are cut as the model's tokenizer cuts them, its own
symbols included; the decoder of an encoder-decoder model reads the target shifted by one (teacher forcing). A model
without one has one text: an encoder's is the source of the dump, that of a decoder alone its target.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probing_bridge.capture.outputs import output_of
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.activations.layout import ATTENTION_KINDS, SIDES
from probing_bridge.formats.activations.writer import ActivationWriter
from probing_bridge.formats.text import plain_lines
from probing_bridge.formats.words import FILLER
from probing_bridge.huggingface.encoding import padded, positions
from probing_bridge.huggingface.folder import kind_of, n_symbols, open_model, open_tokenizer, symbol
from probing_bridge.huggingface.layers import LayersError, Stack, find_stacks, run, run_on_two
from probing_bridge.huggingface.levels import Level, origin_of
from probing_bridge.huggingface.words import with_specials

logger = logging.getLogger("dump")
# Where transformers' output has the attention of a kind; of a model with one stack it is `attentions`.
_NAMES = {
    "encoder_self": "encoder_attentions",
    "decoder_self": "decoder_attentions",
    "encoder_decoder": "cross_attentions",
}


@dataclass(frozen=True)
class DumpRequest:
    """What `dump --hf` is asked for.

    Attributes:
        folder: The model.
        source: The text that the model reads, a sentence a line.
        target: Its translations, for an encoder-decoder model.
        output: The dump.
        level: Which level of a series it is.
        languages: Codes of the languages by side; empty where they are not given.
        n_best: Best tokens at each target position; 0: no output distributions.
        max_tokens: Tokens of a side in a batch, padding included.
        cpu: Use the CPU even if there is a GPU.
    """

    folder: Path
    source: Path
    target: Path | None
    output: Path
    level: Level
    languages: dict[str, str]
    n_best: int = 0
    max_tokens: int = 1000
    cpu: bool = False


def dump(request: DumpRequest) -> None:
    """Writes the dump.

    Raises:
        BridgeError: A model, tokenizer or text that cannot be used; nothing is written then.
    """
    model = open_model(request.folder, with_head=request.n_best > 0, cpu=request.cpu)
    texts = _texts(request, model)
    kind, stacks = kind_of(model.config), find_stacks(model)
    if request.n_best and not 1 <= request.n_best <= n_symbols(model.config, "target"):
        raise BridgeError(f"--dump-output {request.n_best}: the model has {n_symbols(model.config, 'target')} symbols")
    if request.n_best and kind == "encoder":
        raise InputError("is an encoder: it says nothing of a next token; leave --dump-output out", request.folder)
    given, labels = dict(texts), texts["target"]
    if kind == "encoder_decoder":
        start = symbol(model, "decoder_start_token_id", request.folder)
        given["target"] = [[start, *own[:-1]] for own in labels]
    elif request.n_best:
        end = symbol(model, "eos_token_id", request.folder)
        labels = [[*own[1:], end] for own in labels]
    lengths = {side: np.array([len(own) for own in ids], dtype=np.int64) for side, ids in given.items()}
    attention = _attention(model, stacks)
    symbols = {side: _symbols(request, model, side) if lengths[side].any() else [] for side in given}
    writer = ActivationWriter(
        request.output,
        lengths,
        {component: dict.fromkeys(stack.names, stack.dim) for component, stack in stacks.items()},
        attention,
        symbols,
        {side: [0] * len(own) for side, own in symbols.items()},
        origin_of(request.folder, request.level, request.languages, subset=request.source.stem),
        n_best=request.n_best,
    )
    with writer:
        for side, ids in given.items():
            writer.write_tokens(side, range(len(ids)), np.array(list(chain.from_iterable(ids)), dtype=np.int32))
        for numbers in _batches(lengths, request.max_tokens):
            _Batch(model, given, labels, numbers).write(writer, stacks, attention, request.n_best)
    logger.info(
        "%s: %d sentences, %d tokens", request.output, len(lengths["source"]), sum(map(np.sum, lengths.values()))
    )


def _texts(request: DumpRequest, model: Any) -> dict[str, list[list[int]]]:
    """The ids of each sentence by side, with the model's own symbols; none where it has no such side."""
    kind = kind_of(model.config)
    if (request.target is not None) != (kind == "encoder_decoder"):
        what = (
            f"is {'an encoder' if kind == 'encoder' else 'a decoder alone'}: it has no target side; leave --target out"
        )
        raise InputError(what if request.target is not None else "translates: give --target too", request.folder)
    files = {"source": request.source, "target": request.target}
    ids = {side: _ids(request, model, side, path) if path else [] for side, path in files.items()}
    if kind != "encoder_decoder":
        empty: list[list[int]] = [[] for _ in ids["source"]]
        return (
            {"source": ids["source"], "target": empty}
            if kind == "encoder"
            else {"source": empty, "target": ids["source"]}
        )
    n_lines = {side: len(own) for side, own in ids.items()}
    if n_lines["source"] != n_lines["target"]:
        raise InputError(f"has {n_lines['target']} lines, {request.source} {n_lines['source']}", str(request.target))
    return ids


def _ids(request: DumpRequest, model: Any, side: str, path: Path) -> list[list[int]]:
    tokenizer = open_tokenizer(request.folder, model.config, side, request.languages)
    most, found = positions(model, tokenizer), []
    for number, line in enumerate(plain_lines(path), start=1):
        found.append(with_specials(tokenizer, line))
        if not line.strip() or not found[-1]:
            raise InputError("an empty line; a dump needs a sentence in each", path, number)
        if len(found[-1]) > most:
            raise InputError(
                f"has {len(found[-1])} tokens, more than the {most} of the model: take it out", path, number
            )
    return found


def _symbols(request: DumpRequest, model: Any, side: str) -> list[str]:
    """The tokenizer's symbols, and fillers up to the number that the model has."""
    tokenizer = open_tokenizer(request.folder, model.config, side, request.languages)
    known = {index: symbol for symbol, index in tokenizer.get_vocab().items()}
    known |= {index: symbol for symbol, index in getattr(tokenizer, "lang_token_to_id", {}).items()}  # of M2M100
    if model.config.model_type == "fsmt":
        known = {index: symbol for symbol, index in tokenizer.encoder.items()}
    return [known.get(index, f"{FILLER}{index}") for index in range(n_symbols(model.config, side))]


def _attention(model: Any, stacks: Mapping[str, Stack]) -> dict[str, dict[str, int]]:
    """Heads of each layer by kind, as two tokens show them.

    Raises:
        LayersError: The model does not give its attention.
    """
    output, heads = run_on_two(model, output_attentions=True), {}
    of_side = {SIDES[component]: stack for component, stack in stacks.items()}
    for kind, (query, key) in ATTENTION_KINDS.items():
        if query in of_side and key in of_side:
            weights = _weights(output, kind, len(stacks) > 1)
            if not weights or len(weights) != len(of_side[query].layers) or any(one is None for one in weights):
                raise LayersError(f"the model ({type(model).__name__}) gives no attention: it has no eager one")
            heads[kind] = {str(number): int(one.shape[1]) for number, one in enumerate(weights, start=1)}
    return heads


def _weights(output: Any, kind: str, is_translating: bool) -> Sequence[Tensor] | None:
    return getattr(output, _NAMES[kind] if is_translating else "attentions", None)


def _batches(lengths: Mapping[str, np.ndarray], max_tokens: int) -> Iterator[list[int]]:
    """Sentences of like length together."""
    longest = np.maximum(lengths["source"], lengths["target"])
    batch: list[int] = []
    for number in np.argsort(longest, kind="stable").tolist():
        if batch and (len(batch) + 1) * int(longest[number]) > max_tokens:
            yield batch
            batch = []
        batch.append(number)
    yield batch


class _Batch:
    """Some sentences, what the model computes of them, and where that goes."""

    def __init__(
        self, model: Any, given: Mapping[str, list[list[int]]], labels: list[list[int]], numbers: list[int]
    ) -> None:
        self._model, self._numbers = model, sorted(numbers)
        pad = model.config.pad_token_id
        sides = {side: [ids[number] for number in self._numbers] for side, ids in given.items()}
        self._sides = {side: padded(ids, model.device, pad) for side, ids in sides.items() if any(ids)}
        self._gold = torch.tensor(list(chain.from_iterable(labels[one] for one in self._numbers)), device=model.device)

    @torch.inference_mode()
    def write(
        self, writer: ActivationWriter, stacks: Mapping[str, Stack], attention: Mapping[str, Any], n_best: int
    ) -> None:
        """Runs the model and writes all of it."""
        both = list(self._sides.values())
        with contextlib.ExitStack() as listening:
            for component, stack in stacks.items():
                listening.enter_context(stack.listen(partial(self._states, writer, component)))
            output = run(self._model, both[0], both[1] if len(both) > 1 else None, output_attentions=True)
        for kind in attention:
            for number, weights in enumerate(_weights(output, kind, len(stacks) > 1) or (), start=1):
                self._attention(writer, kind, str(number), weights)
        if n_best:
            self._output(writer, output.logits, n_best)

    def _states(self, writer: ActivationWriter, component: str, layer: str, states: Tensor) -> None:
        rows = states[self._sides[SIDES[component]][1].bool()]
        writer.write_states(component, layer, self._numbers, rows.float().cpu().numpy())

    def _attention(self, writer: ActivationWriter, kind: str, layer: str, weights: Tensor) -> None:
        query, key = (self._sides[side][1].bool() for side in ATTENTION_KINDS[kind])
        rows = weights.permute(0, 2, 3, 1)[query[:, :, None] & key[:, None, :]]
        writer.write_attention(kind, layer, self._numbers, rows.float().cpu().numpy())

    def _output(self, writer: ActivationWriter, scores: Tensor, n_best: int) -> None:
        rows = scores[self._sides["target"][1].bool()]
        writer.write_output(self._numbers, output_of(partial(torch.log_softmax, dim=-1), rows, self._gold, n_best))
