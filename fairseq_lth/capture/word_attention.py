"""Attention between words from attention between pieces: summed over attended pieces, averaged over attending ones.

So does Clark et al. (2019, Section 4.1): what a word attends to still sums to 1. Pieces are put together by the marks
of the BPE; EOS is a word of its own.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from probing_bridge.formats.words import JOINS, require_bpe


class WordBorders:
    """Which pieces of a side make a word."""

    def __init__(self, bpe: str, dictionary: Any) -> None:
        """Looks at every symbol once.

        Args:
            bpe: A key of JOINS.
            dictionary: fairseq's dictionary.

        Raises:
            WordsError: The pieces of the dictionary have other marks.
        """
        require_bpe(bpe, dictionary.symbols)
        joins = torch.tensor([JOINS[bpe](symbol) for symbol in dictionary.symbols])
        self._next, self._previous = joins[:, 0], joins[:, 1]
        self._special = torch.arange(len(joins)) < dictionary.nspecial  # <s>, <pad>, </s>, <unk>
        self._special[dictionary.unk()] = False
        self._pad = dictionary.pad()

    def words(self, ids: Tensor) -> Tensor:
        """The word of each piece, counted from 0 in every sentence; -1 for padding.

        Args:
            ids: (n_sentences, n_positions), padded on either side.

        Returns:
            (n_sentences, n_positions) int64.
        """
        next_, previous, special = (table.to(ids.device) for table in (self._next, self._previous, self._special))
        before = F.pad(ids, (1, 0), value=self._pad)[:, :-1]
        joined = (next_[before] | previous[ids]) & ~special[ids] & ~special[before]
        real = ids.ne(self._pad)
        return torch.where(real, (real & ~joined).cumsum(dim=1) - 1, -1)

    def count(self, ids: Tensor) -> int:
        """Words of one sentence, (n,) without padding."""
        return int(self.words(ids[None]).max()) + 1


def pool_attention(weights: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    """Attention between words.

    Args:
        weights: (n_sentences, n_heads, n_queries, n_keys), attention between pieces.
        queries: (n_sentences, n_queries), the word of each piece, -1 for padding.
        keys: (n_sentences, n_keys), the same.

    Returns:
        (n_sentences, n_heads, query words, key words), zero where a sentence has fewer words.
    """
    attending, attended = _membership(queries), _membership(keys)
    attending = attending / attending.sum(dim=1, keepdim=True).clamp(min=1)
    return attending.transpose(1, 2)[:, None] @ weights.nan_to_num() @ attended[:, None]


def _membership(words: Tensor) -> Tensor:
    """(n_sentences, n_positions, n_words), 1 where a position belongs to a word."""
    return F.one_hot(words + 1)[:, :, 1:].float()
