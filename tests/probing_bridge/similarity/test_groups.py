"""Groups of tokens and CKA over them."""

from pathlib import Path

import numpy as np
import pytest

from probing_bridge.errors import InputError
from probing_bridge.similarity import compare
from probing_bridge.similarity.run.dumps import Component
from probing_bridge.similarity.run.frequencies import are_placeholders
from probing_bridge.similarity.run.group_tile import fewest_tokens, group_scores
from probing_bridge.similarity.run.groups import frequency_groups, gram_cka, tag_groups
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
    for name, n, scores in group_scores(array_layer("x", x), array_layer("y", y), groups, component, NumpyGemm()):
        assert n == len(groups[name])
        found[name] = scores
    assert found["tiny"] == "tiny: 5 tokens are too few for CKA, which needs 10"
    for name in ("few", "many"):
        biased, debiased = found[name]
        rows = groups[name]
        assert biased.value == pytest.approx(compare(x[rows], y[rows]), abs=1e-7)  # type: ignore[union-attr]
        assert debiased.value == pytest.approx(compare(x[rows], y[rows], "linear_cka", "debiased"), abs=1e-6)  # type: ignore[union-attr]
        assert biased.low < biased.value < biased.high  # type: ignore[union-attr]
        assert debiased.low < debiased.value < debiased.high  # type: ignore[union-attr]
    same = np.tile(x[:1], (2000, 1))
    ((_, _, reason),) = group_scores(
        array_layer("x", same), array_layer("y", y), {"few": groups["few"]}, component, NumpyGemm()
    )
    assert "no variance" in reason


def test_groups_of_one_population_score_the_same_however_few_their_tokens() -> None:
    """Biased, they would score 0.96 with 10 tokens and 0.4 with 4000."""
    random = np.random.default_rng(5)
    width, n_tokens = 32, 16000
    latent = random.standard_normal((n_tokens, width)) * np.arange(1, width + 1) ** -0.3
    x = latent.astype(np.float32)
    y = (latent @ random.standard_normal((width, width)) / 5 + 0.5 * random.standard_normal(x.shape)).astype(np.float32)
    groups = {}
    for n in (10, 20, 40, 100, 400, 4000):
        for k in range(max(2, 1500 // n)):
            groups[f"{n}:{k}"] = np.sort(random.choice(n_tokens, n, replace=False))
    component = Component("encoder", "encoder", ("1",), width, np.arange(0, n_tokens + 1, 10))
    means = dict[str, dict[str, list[float]]]()
    for name, _, scores in group_scores(array_layer("x", x), array_layer("y", y), groups, component, NumpyGemm()):
        for score in scores:
            means.setdefault(score.variant, {}).setdefault(name.split(":")[0], []).append(score.value)  # type: ignore[union-attr]
    debiased = {size: np.mean(values) for size, values in means["debiased"].items()}
    biased = {size: np.mean(values) for size, values in means["biased"].items()}
    whole = compare(x, y, "linear_cka", "debiased")
    assert max(abs(value - whole) for value in debiased.values()) < 0.03, debiased
    assert biased["10"] > 0.85 and biased["10"] - whole > 0.3


def test_the_smallest_group_follows_from_the_width() -> None:
    assert [fewest_tokens(width) for width in (8, 40, 128, 130, 1024)] == [10, 10, 32, 33, 256]
