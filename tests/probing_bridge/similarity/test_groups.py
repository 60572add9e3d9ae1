"""Groups of tokens and CKA over them."""

from pathlib import Path

import numpy as np
import pytest

from probing_bridge.errors import InputError
from probing_bridge.similarity import compare
from probing_bridge.similarity.run.dumps import Component
from probing_bridge.similarity.run.group_tile import group_scores
from probing_bridge.similarity.run.groups import are_placeholders, frequency_groups, gram_cka, tag_groups
from probing_bridge.similarity.sums.gemm import NumpyGemm
from probing_bridge.similarity.sums.layers import array_layer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def test_frequency_ranks_leave_out_special_symbols() -> None:
    symbols = SPECIAL + [f"w{k}" for k in range(3000)]
    tokens, counts = np.array([4, 2, 9, 3, 8, 104, 28, 29, 2503, 2504, 3003, 504]), np.arange(3004, 0, -1)
    groups = frequency_groups(tokens, symbols, counts)
    assert {name: rows.tolist() for name, rows in groups.items()} == {
        "frequency:0-5": [0, 4], "frequency:5-25": [2, 6], "frequency:25-100": [7], "frequency:100-500": [5],
        "frequency:500-2500": [8, 11], "frequency:2500-": [9, 10],
    }  # fmt: skip


def test_ranks_are_those_of_the_counts_whatever_the_order_of_the_dictionary() -> None:
    random = np.random.default_rng(1)
    counts = random.integers(0, 900, 3004)
    tokens = random.integers(0, 3004, 5000)
    groups = frequency_groups(tokens, SPECIAL + [f"w{k}" for k in range(3000)], counts)
    by_count = sorted(range(4, 3004), key=lambda symbol: (-counts[symbol], symbol))
    expected = {row for row, token in enumerate(tokens) if token in set(by_count[100:500])}
    assert set(groups["frequency:100-500"].tolist()) == expected


def test_equal_counts_are_placeholders_whatever_special_symbols_and_fillers_have() -> None:
    symbols = [*SPECIAL, "a", "b", "madeupword0000"]
    assert are_placeholders(np.array([1, 1, 1, 1, 100, 100, 0]), symbols)
    assert not are_placeholders(np.array([1, 1, 1, 1, 100, 99, 0]), symbols)
    assert not are_placeholders(np.array([1, 1, 1, 1, 100]), symbols[:5])


def test_subwords_take_the_tag_of_their_word(tmp_path: Path) -> None:
    symbols = [*SPECIAL, "the", "hou@@", "ses", "burn"]
    tokens, offsets = np.array([4, 5, 6, 7, 2, 2, 3, 4, 2]), np.array([0, 5, 6, 9])
    path = tmp_path / "tags"
    path.write_text("DT NNS VBP\n\nXX DT\n")
    groups = tag_groups(path, "pos", tokens, symbols, offsets)
    expected = {"pos:DT": [0, 7], "pos:NNS": [1, 2], "pos:VBP": [3], "pos:XX": [6]}
    assert {name: rows.tolist() for name, rows in groups.items()} == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DT NNS\n\nXX DT\n", r"tags:1: 2 tags, but the sentence has 3 words"),
        ("DT NNS VBP\n\nXX DT DT\n", r"tags:3: 3 tags, but the sentence has 2 words"),
        ("DT NNS VBP\n\n", r"tags: 2 lines, but the dumps have 3 sentences"),
    ],
)
def test_tags_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    symbols = [*SPECIAL, "the", "hou@@", "ses", "burn"]
    path = tmp_path / "tags"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        tag_groups(path, "pos", np.array([4, 5, 6, 7, 2, 2, 3, 4, 2]), symbols, np.array([0, 5, 6, 9]))
    with pytest.raises(InputError, match="cannot be read"):
        tag_groups(tmp_path / "none", "pos", np.array([4]), symbols, np.array([0, 1]))


def test_grams_give_the_same_cka_as_products() -> None:
    random = np.random.default_rng(0)
    layers = [random.standard_normal((70, d)).astype(np.float32) + 40 for d in (50, 33, 90)]
    layers[1] += layers[0][:, :33]
    scores = gram_cka(layers)
    for i in range(3):
        for j in range(3):
            assert scores[i, j] == pytest.approx(compare(layers[i], layers[j]), abs=1e-7)


def test_groups_are_scored_on_their_own_rows_whichever_way_is_cheaper() -> None:
    random = np.random.default_rng(1)
    offsets = np.arange(0, 2001, 10)
    x = random.standard_normal((2000, 20)).astype(np.float32) + 5
    y = (x @ random.standard_normal((20, 20)) + 2 * random.standard_normal((2000, 20))).astype(np.float32)
    y[:, 3] = 1.5
    groups = {"few": np.arange(7, 1500, 49), "many": np.flatnonzero(np.arange(2000) % 4), "tiny": np.arange(5)}
    component = Component("encoder", "encoder", ("1",), 20, offsets)
    found = {}
    for name, n, scores in group_scores(array_layer("x", x), array_layer("y", y), groups, component, 300, NumpyGemm()):
        assert n == len(groups[name])
        found[name] = scores
    assert found["tiny"] == "tiny: 5 tokens are too few for a score"
    for name in ("few", "many"):
        biased, debiased = found[name]
        rows = groups[name]
        assert biased.value == pytest.approx(compare(x[rows], y[rows]), abs=1e-7)  # type: ignore[union-attr]
        assert debiased.value == pytest.approx(compare(x[rows], y[rows], "linear_cka", "debiased"), abs=1e-6)  # type: ignore[union-attr]
        assert biased.low < biased.value < biased.high  # type: ignore[union-attr]
    same = np.tile(x[:1], (2000, 1))
    ((_, _, reason),) = group_scores(
        array_layer("x", same), array_layer("y", y), {"few": groups["few"]}, component, 9, NumpyGemm()
    )
    assert "constant" in reason
