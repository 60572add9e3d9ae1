"""Attention between words: borders by the marks of the BPE, sums over attended and means over attending pieces."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fairseq_lth.capture.word_attention import WordBorders, pool_attention

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "c", "d"]
MARKS = {"subword_nmt": {"b": "b@@"}, "sentencepiece": {"c": "\u2581c"}, "byte_level": {"c": "\u0120c"}}


def borders(bpe):
    symbols = [MARKS[bpe].get(symbol, symbol) for symbol in SYMBOLS]
    dictionary = SimpleNamespace(symbols=symbols, nspecial=4, pad=lambda: 1, unk=lambda: 3)
    return symbols, WordBorders(bpe, dictionary)


@pytest.mark.parametrize(
    ("bpe", "symbols", "words"),
    [
        ("subword_nmt", "a b@@ b@@ d a </s>", [0, 1, 1, 1, 2, 3]),
        ("subword_nmt", "<pad> <pad> b@@ <unk> b@@ </s>", [-1, -1, 0, 0, 1, 2]),
        ("subword_nmt", "</s> a b@@ d <pad>", [0, 1, 2, 2, -1]),
        ("sentencepiece", "</s> \u2581c d d \u2581c a", [0, 1, 1, 1, 2, 2]),
        ("sentencepiece", "</s> d \u2581c <unk> d </s>", [0, 1, 2, 2, 2, 3]),  # an unknown piece cuts no word
        ("sentencepiece", "<unk> d \u2581c <unk>", [0, 0, 1, 1]),
        ("byte_level", "</s> d \u0120c <unk> d </s>", [0, 1, 2, 2, 2, 3]),
    ],
)
def test_which_pieces_make_a_word(bpe, symbols, words):
    known, borders_ = borders(bpe)
    ids = torch.tensor([[known.index(symbol) for symbol in symbols.split()]])
    assert borders_.words(ids).tolist() == [words]
    assert borders_.count(ids[ids != 1]) == max(words) + 1


def test_pooling_is_the_sum_over_keys_of_the_mean_over_queries():
    rng = np.random.default_rng(0)
    weights = rng.random((2, 3, 4, 5)).astype(np.float32)
    queries = np.array([[0, 1, 1, 2], [-1, 0, 0, 0]])
    keys = np.array([[0, 0, 1, 2, 2], [-1, -1, 0, 1, 1]])
    pooled = pool_attention(*map(torch.from_numpy, (weights, queries, keys))).numpy()
    assert pooled.shape == (2, 3, 3, 3)
    for sentence in range(2):
        for query in range(queries[sentence].max() + 1):
            for key in range(keys[sentence].max() + 1):
                block = weights[sentence][:, queries[sentence] == query][:, :, keys[sentence] == key]
                expected = block.sum(axis=2).mean(axis=1)
                np.testing.assert_allclose(pooled[sentence, :, query, key], expected, rtol=1e-5)
