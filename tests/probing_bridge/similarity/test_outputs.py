"""Output distributions through the command: scores, groups, intervals, disagreements, shards, what does not fit."""

from collections.abc import Callable
from contextlib import redirect_stdout
from copy import copy
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from probing_bridge import run
from probing_bridge.formats.activations.reader import open_dump
from probing_bridge.formats.tables import read_table
from probing_bridge.similarity.run import output_tile


def similarity(dumps: list[Path], output: Path, *pairs: str) -> int:
    return run.main(
        [
            "similarity",
            "--dumps",
            *map(str, dumps),
            "--output",
            str(output),
            "--frequencies",
            "dictionary",
            "--pairs",
            *(pairs or ("within", "dense")),
        ]
    )


@dataclass(frozen=True)
class Compared:
    """Three levels, compared once for all tests."""

    maker: Any
    levels: list[Any]
    folder: Path
    printed: str


@pytest.fixture(scope="module")
def compared(output_dumps: Any, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    levels = [output_dumps.level(k) for k in range(3)]
    folder = tmp_path_factory.mktemp("compared")
    with redirect_stdout(StringIO()) as printed:
        assert similarity([level.path for level in levels], folder) == 0
    return Compared(output_dumps, levels, folder, printed.getvalue())


def outputs(folder: Path) -> pd.DataFrame:
    rows = read_table(folder / "similarity.csv", "similarity")
    return rows[rows["component"] == "output"]


def one(rows: pd.DataFrame, measure: str, level: int, variant: str = "", group: str = "") -> Any:
    level_column = "level_a" if rows[rows["measure"] == measure]["level_b"].isna().all() else "level_b"
    keep = (rows["measure"] == measure) & (rows[level_column] == level)
    found = rows[keep & (rows["variant"] == variant) & (rows["group"] == group)]
    assert len(found) == 1
    return next(found.itertuples())


def exact_js(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    p, q = np.exp(p), np.exp(q)
    middle = (p + q) / 2
    return ((p * np.log2(p / middle)).sum(axis=1) + (q * np.log2(q / middle)).sum(axis=1)) / 2


def test_scores_are_those_of_the_full_distributions_by_level_position_and_frequency(compared: Compared) -> None:
    small, levels, rows = compared.maker, compared.levels, outputs(compared.folder)
    position = np.concatenate([np.arange(n) for n in small.lengths["target"]])
    rank = small.gold - 4  # four special symbols stand before
    groups = {
        "": np.ones(len(rank), bool), "position:0-1": position == 0, "position:2-4": (position >= 2) & (position < 4),
        "position:4-8": position >= 4, "frequency:0-5": (rank >= 0) & (rank < 5), "frequency:5-25": rank >= 5,
    }  # fmt: skip
    for k, level in enumerate(levels):
        divergence = exact_js(levels[0].logs, level.logs)
        agree = levels[0].logs.argmax(axis=1) == level.logs.argmax(axis=1)
        ranks = 1 + (level.logs > np.take_along_axis(level.logs, small.gold[:, None], axis=1)).sum(axis=1)
        for group, inside in groups.items():
            low, high = (one(rows, "js_divergence", k, variant, group) for variant in ("lower", "upper"))
            assert low.score - 1e-5 <= divergence[inside].mean() <= high.score + 1e-5
            assert low.low <= low.score <= low.high and low.n == inside.sum()
            assert one(rows, "best_token_agreement", k, group=group).score == pytest.approx(agree[inside].mean())
            assert one(rows, "gold_rank", k, group=group).score == pytest.approx(ranks[inside].mean())
            assert one(rows, "gold_reciprocal_rank", k, group=group).score == pytest.approx((1 / ranks)[inside].mean())
        if k:
            assert 0 < low.score < high.score < low.score + 0.3
            assert f"LTH{k} {one(rows, 'js_divergence', k, 'lower').score:.3f} to" in compared.printed
    assert (rows.loc[(rows["level_a"] == 0) & (rows["level_b"] == 0), "score"].isin([0.0, 1.0])).all()
    assert one(rows, "js_divergence", 0, "upper").score == 0 and one(rows, "kl_divergence", 0, "upper").score == 0
    assert (rows["level_b"].isna() | (rows["level_a"] == 0)).all()


def test_intervals_are_those_of_a_block_bootstrap_over_sentences(compared: Compared) -> None:
    small, levels = compared.maker, compared.levels
    row = one(outputs(compared.folder), "best_token_agreement", 2)
    agree = levels[0].logs.argmax(axis=1) == levels[2].logs.argmax(axis=1)
    ends = np.cumsum(small.lengths["target"])
    means, sizes = [], []
    for part in np.array_split(np.arange(60), 20):
        inside = slice(ends[part[0]] - small.lengths["target"][part[0]], ends[part[-1]])
        means.append(agree[inside].sum())
        sizes.append(len(agree[inside]))
    random = np.random.default_rng(5)
    picks = random.integers(0, 20, (4000, 20))
    error = (np.array(means)[picks].sum(axis=1) / np.array(sizes)[picks].sum(axis=1)).std()
    assert (row.high - row.low) / 2 == pytest.approx(2.093 * error * np.sqrt(20 / 19), rel=0.25)


def test_the_sentences_and_tokens_that_differ_most_are_named(compared: Compared) -> None:
    small, levels = compared.maker, [compared.levels[0], compared.levels[2]]
    names = symbols(compared)
    rows = read_table(compared.folder / "disagreements.csv", "disagreements")
    assert set(rows["level_b"]) == {1, 2}
    rows = rows[rows["level_b"] == 2]
    assert rows["position"].isna().sum() == output_tile.WORST
    divergence = exact_js(levels[0].logs, levels[1].logs)
    starts = np.concatenate([[0], np.cumsum(small.lengths["target"])])
    for row in rows.itertuples():
        first, last = starts[row.sentence], starts[row.sentence + 1]
        place = slice(first, last) if pd.isna(row.position) else slice(first + row.position, first + row.position + 1)
        assert row.divergence_low - 1e-5 <= divergence[place].mean() <= row.divergence_high + 1e-5
        assert row.target.split() == [names[k] for k in small.gold[first : last - 1]]
        if not pd.isna(row.position):
            at = place.start
            assert (row.gold, row.best_a) == (names[small.gold[at]], names[levels[0].logs[at].argmax()])
            assert row.best_b == names[levels[1].logs[at].argmax()]
            assert row.probability_b == pytest.approx(np.exp(levels[1].logs[at, small.gold[at]]), abs=1e-6)
    tokens = rows[rows["position"].notna()]
    worst = np.sort(divergence)[-20:].mean()
    assert tokens["divergence_low"].is_monotonic_decreasing and tokens["divergence_high"].mean() > worst - 0.1


def symbols(compared: Compared) -> list[str]:
    with open_dump(compared.levels[0].path) as dump:
        return dump.symbols("target")


def test_shards_and_small_chunks_give_the_same_rows(
    compared: Compared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = copy(compared.maker)
    maker.folder = tmp_path
    levels = [maker.level(k, shards=2) for k in range(3)]
    monkeypatch.setattr(output_tile, "_VALUES", 50)
    assert similarity([level.path for level in levels], tmp_path / "two") == 0
    for name in ("similarity", "disagreements"):
        frames = [read_table(folder / f"{name}.csv", name) for folder in (compared.folder, tmp_path / "two")]
        frames = [frame.drop(columns="command", errors="ignore") for frame in frames]
        pd.testing.assert_frame_equal(*frames, rtol=1e-12)


def test_dumps_of_other_output_are_refused_and_without_level_0_nothing_is_compared(
    compared: Compared, make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_dumps(folder="other", components=("decoder",), width=4, n_layers=1, n_sentences=60)
    path = other.level(1).path
    assert similarity([compared.levels[0].path, path], tmp_path / "r") == 2
    assert "has 0 best tokens of the output at each position, but" in capsys.readouterr().err
    assert similarity([level.path for level in compared.levels[1:]], tmp_path / "r", "all") == 0
    assert set(outputs(tmp_path / "r")["measure"]) == {"gold_rank", "gold_reciprocal_rank", "calibration_error"}
    assert not len(read_table(tmp_path / "r" / "disagreements.csv", "disagreements"))
