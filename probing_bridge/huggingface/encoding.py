"""`encode --hf`: one vector a word and layer of a Hugging Face model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from probing_bridge.capture.encoding import Encoder, Output, Sentences, SourceTexts, write_encoded
from probing_bridge.capture.windows import Window
from probing_bridge.errors import InputError
from probing_bridge.formats.files import file_hash
from probing_bridge.huggingface.folder import kind_of, open_model, open_tokenizer, symbol
from probing_bridge.huggingface.layers import Stack, find_stacks, run
from probing_bridge.huggingface.levels import Level, origin_of
from probing_bridge.huggingface.words import segmenter_of

UNLIMITED = 1 << 20  # pieces; what is larger is a tokenizer's word for no limit


@dataclass(frozen=True)
class EncodeRequest:
    """What `encode --hf` is asked for.

    Attributes:
        folder: The model.
        sentences: The file of words.
        side: source, or target: words of the decoder under teacher forcing.
        source: Of the words of a target, a file with the source of each line; None: every source is empty.
        output: The file of word representations, and how it is written.
        level: Which level of a series it is.
        languages: Codes of the languages by side; empty where they are not given.
        pooling: How pieces become a word: mean, first or last.
        max_tokens: Pieces in a batch, padding included.
        allow_unknown: Take sentences of which the model knows fewer than half of the pieces.
        cpu: Use the CPU even if there is a GPU.
    """

    folder: Path
    sentences: Path
    output: Output
    level: Level
    languages: dict[str, str]
    side: str = "source"
    source: Path | None = None
    pooling: str = "mean"
    max_tokens: int = 1000
    allow_unknown: bool = False
    cpu: bool = False


def encode(request: EncodeRequest) -> None:
    """Encodes the sentences of a file, in its order, each different one once.

    Raises:
        BridgeError: A model, tokenizer or sentence that cannot be used; nothing is written then.
    """
    texts = Sentences(request.sentences)
    model = open_model(request.folder, with_head=False, cpu=request.cpu)
    is_decoded = request.side == "target"
    if is_decoded and (kind := kind_of(model.config)) != "encoder_decoder":
        what = {"encoder": "an encoder", "decoder": "a decoder alone"}[kind]
        raise InputError(f"is {what}: it has no target side; leave --side out", request.folder)
    tokenizer = open_tokenizer(request.folder, model.config, request.side, request.languages)
    encoder = HuggingFaceEncoder(model, tokenizer, request.side, request.pooling, request.max_tokens)
    segmenter = segmenter_of(tokenizer)
    if is_decoded:
        segmenter = segmenter_of(tokenizer, symbol(model, "decoder_start_token_id", request.folder))
        reader = open_tokenizer(request.folder, model.config, "source", request.languages)
        texts.sources = SourceTexts(request.source, segmenter_of(reader), positions(model, reader))
    origin = origin_of(
        request.folder,
        request.level,
        request.languages,
        component="decoder" if is_decoded else "",
        sentence_hash=file_hash(request.sentences),
        pooling=request.pooling,
    )
    write_encoded(texts, request.output, segmenter, encoder, origin, request.folder, request.allow_unknown)


def padded(ids: Sequence[Sequence[int]], device: torch.device, pad: int | None) -> tuple[Tensor, Tensor]:
    """Ids and mask of sequences, padded on the right.

    Returns:
        (n_sentences, n_positions) int64, and the same with 1 where a piece is.
    """
    rows = [torch.tensor(one, dtype=torch.int64) for one in ids]
    tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=float(pad or 0))
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(one) for one in rows], batch_first=True)
    return tokens.to(device), mask.to(device)


def positions(model: Any, tokenizer: Any) -> int:
    """The largest number of pieces that a model takes, with those before and after the words."""
    config, limits = model.config, [int(min(tokenizer.model_max_length, UNLIMITED))]
    if isinstance(most := getattr(config, "max_position_embeddings", None), int):
        table = next((one for name, one in model.named_modules() if name.endswith("position_embeddings")), None)
        # where the table has a row for padding, as RoBERTa's, positions begin behind it
        begin = table.padding_idx + 1 if type(table) is nn.Embedding and table.padding_idx is not None else 0
        limits.append(most - begin)
    return min(limits)


class HuggingFaceEncoder(Encoder):
    """The encoder of a model, or its decoder: of the words of a target, or where it has nothing else."""

    stack: Stack

    def __init__(self, model: Any, tokenizer: Any, side: str, pooling: str, max_tokens: int) -> None:
        """Takes a model.

        Args:
            model: Of open_model.
            tokenizer: Its tokenizer.
            side: Whose words are encoded: source or target.
            pooling: How pieces become a word: mean, first or last.
            max_tokens: Pieces in a batch, padding included.

        Raises:
            LayersError: Layers that cannot be recorded.
        """
        super().__init__(pooling, max_tokens)
        stacks = find_stacks(model)
        self.stack = (
            stacks["decoder"] if side == "target" or (len(stacks) == 1 and "decoder" in stacks) else stacks["encoder"]
        )
        self._is_decoded = side == "target"
        self._model = model.get_encoder() if len(stacks) > 1 and not self._is_decoded else model
        self._device, self._pad = model.device, model.config.pad_token_id
        self.layers, self.dim, self.limit = self.stack.names, self.stack.dim, positions(model, tokenizer)

    def run(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        """See Encoder."""
        ids, mask = padded([window.ids for window in windows], self._device, self._pad)
        layers: dict[str, Tensor] = {}

        def keep(name: str, states: Tensor) -> None:
            layers[name] = states[mask.bool()]

        with self.stack.listen(keep):
            if self._is_decoded:
                run(self._model, padded([window.source for window in windows], self._device, self._pad), (ids, mask))
            else:
                run(self._model, (ids, mask))
        return layers
