"""One batch of a dump without its padding: real tokens, their states and their attention, in the order of sentences."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_lth.capture.output import normalised
from fairseq_lth.capture.word_attention import WordBorders, pool_attention
from fairseq_lth.errors import RunRefused
from probing_bridge.capture.outputs import output_of
from probing_bridge.formats.activations.reader import ATTENTION_KINDS, SIDES, ActivationWriter


class Batch:
    """One batch without its padding."""

    def __init__(
        self,
        sample: dict[str, Any],
        own: np.ndarray,
        lengths: dict[str, np.ndarray],
        pad: int,
        borders: dict[str, WordBorders],
    ) -> None:
        """Finds the real tokens of a batch.

        Args:
            sample: fairseq's batch.
            own: Corpus numbers of this process's sentences, ascending.
            lengths: Tokens of those sentences by side.
            pad: Id of the padding symbol.
            borders: Which pieces make a word, by side, if attention is between words; else empty.
        """
        ids = sample["id"].cpu().numpy()
        self._numbers = np.searchsorted(own, ids)
        tokens = {"source": sample["net_input"]["src_tokens"], "target": sample["net_input"]["prev_output_tokens"]}
        self._masks = {side: given.ne(pad) for side, given in tokens.items()}  # (n_sentences, n_positions)
        self._ids = {side: given[self._masks[side]] for side, given in tokens.items()}
        for side, mask in self._masks.items():
            wrong = mask.sum(dim=1).cpu().numpy() != lengths[side][self._numbers]
            if wrong.any():
                raise RunRefused(f"{side} sentence {ids[wrong][0]} holds the padding symbol as a word; take it out")
        self._positions = {side: self._flat(mask) for side, mask in self._masks.items()}
        self._gold = sample["target"][self._masks["target"]]
        self._words = {side: one.words(tokens[side]) for side, one in borders.items()}
        self._pairs: dict[str, Tensor | None] = {}

    @staticmethod
    def _flat(mask: Tensor) -> Tensor:
        """Where real tokens are in a (n_positions * n_sentences) array, sentence by sentence."""
        sentence, position = mask.nonzero(as_tuple=True)
        return position * len(mask) + sentence

    def write_tokens(self, writer: ActivationWriter) -> None:
        """Writes the token ids."""
        for side, ids in self._ids.items():
            writer.write_tokens(side, self._numbers, ids.cpu().numpy())

    def write_states(self, writer: ActivationWriter, component: str, layer: str, states: Tensor) -> None:
        """Writes one layer, (n_positions, n_sentences, d)."""
        rows = states.reshape(-1, states.shape[-1]).index_select(0, self._positions[SIDES[component]])
        writer.write_states(component, layer, self._numbers, rows.float().cpu().numpy())

    def write_attention(self, writer: ActivationWriter, kind: str, layer: str, weights: Tensor) -> None:
        """Writes one layer's weights, (n_sentences, n_heads, n_queries, n_keys)."""
        sides = ATTENTION_KINDS[kind]
        if self._words:
            weights = pool_attention(weights, *(self._words[side] for side in sides))
        if kind not in self._pairs:
            query, key = (self._units(side) for side in sides)
            both = query[:, :, None] & key[:, None, :]
            self._pairs[kind] = None if both.all() else both.reshape(-1).nonzero().squeeze(1)
        rows = weights.permute(0, 2, 3, 1).reshape(-1, weights.shape[1])
        pairs = self._pairs[kind]
        rows = rows if pairs is None else rows.index_select(0, pairs)
        writer.write_attention(kind, layer, self._numbers, rows.cpu().numpy())

    def write_output(self, writer: ActivationWriter, model: Any, n_best: int, scores: Tensor) -> None:
        """Writes the output distributions of a model's scores, (n_sentences, n_positions, n_symbols)."""
        writer.write_output(
            self._numbers, output_of(partial(normalised, model), scores[self._masks["target"]], self._gold, n_best)
        )

    def _units(self, side: str) -> Tensor:
        """Which tokens or words are real, (n_sentences, n_units)."""
        if not self._words:
            return self._masks[side]
        counts = self._words[side].amax(dim=1) + 1
        return torch.arange(int(counts.max()), device=counts.device) < counts[:, None]
