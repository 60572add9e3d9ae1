"""The command on dumps: numbers, tables, stopping and going on, shards, jobs, bad input."""

import itertools
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from probing_bridge import run
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.tables import read_table
from probing_bridge.similarity.measures.registry import MEASURES
from probing_bridge.similarity.run import cuts
from probing_bridge.similarity.run import tile as runner

TABLE_NAMES = ("similarity", "neurons", "heads", "spectrum")


def similarity(dumps: list[Path], output: Path, *options: str) -> int:
    return run.main(["similarity", "--dumps", *map(str, dumps), "--output", str(output), *options])


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {
        name: read_table(folder / f"{name}.csv", name).drop(columns="command", errors="ignore") for name in TABLE_NAMES
    }


def visible_pairs(lengths: np.ndarray) -> np.ndarray:
    """Which rows of decoder self-attention are free: keys up to the query, of queries after the first."""
    return np.concatenate([(np.tri(n, dtype=bool) & (np.arange(n)[:, None] > 0)).ravel() for n in lengths])


def cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = (z.astype(np.float64) - z.astype(np.float64).mean(axis=0) for z in (x, y))
    return np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """One level a tile and files for products, as at full scale."""
    monkeypatch.setattr(cuts, "STORE_BYTES", 1.0)


def test_every_score_is_that_of_the_arrays(make_dumps: Callable[..., Any], tmp_path: Path) -> None:
    maker = make_dumps()
    levels = [maker.level(k) for k in range(3)]
    assert similarity([level.path for level in levels], tmp_path / "results") == 0
    found = tables(tmp_path / "results")
    rows = found["similarity"]
    assert rows["score"].notna().all()
    whole = rows[rows["group"] == ""]
    pairs = whole[whole["measure"].isin(["linear_cka", "attention_cka"]) & (whole["variant"] != "debiased")]
    assert len(pairs) == 2 * 9**2 + 2 * 3 * 6**2
    visible = visible_pairs(maker.lengths["target"])
    for row in pairs.itertuples():
        arrays = "states" if row.measure == "linear_cka" else "attention"
        x = getattr(levels[row.level_a], arrays)[row.component, row.layer_a]
        y = getattr(levels[row.level_b], arrays)[row.component, row.layer_b]
        if (row.component, row.variant) == ("decoder_self", "visible"):
            x, y = x[visible], y[visible]
        assert row.score == pytest.approx(cka(x, y), abs=1e-7)
        assert row.n == len(x) and row.low <= row.score <= row.high
        assert (row.hash_a, row.hash_b) == (f"hash{row.level_a}", f"hash{row.level_b}")
    neuron = whole[whole["measure"] == "neuron_similarity"]
    for row in neuron.iloc[::7].itertuples():
        x = levels[row.level_a].states[row.component, row.layer_a].astype(float)
        y = levels[row.level_b].states[row.component, row.layer_b].astype(float)
        assert row.score == pytest.approx(np.corrcoef(x.T, y.T)[:12, 12:].max(axis=1).mean(), abs=5e-6)


def test_neurons_heads_spectra_and_distributions(make_dumps: Callable[..., Any], tmp_path: Path) -> None:
    maker = make_dumps()
    draw = maker._draw

    def turned(made: Any, level: int) -> None:
        """Neurons and heads of level 4 are in another order: few best matches have their own index."""
        draw(made, level)
        for arrays in (made.states, made.attention) if level else ():
            for key, rows in arrays.items():
                arrays[key] = np.roll(rows, 1, axis=1)

    maker._draw = turned
    levels = [maker.level(k) for k in (0, 4)]
    assert similarity([level.path for level in levels], tmp_path, "--threshold", "0.9") == 0
    found = tables(tmp_path)
    rows = found["similarity"]
    own_share = {
        (row.component, row.variant, row.level_a, row.layer_a): row.score
        for row in rows[rows["measure"] == "own_index_share"].itertuples()
    }
    visible = visible_pairs(maker.lengths["target"])
    rows = rows[rows["level_b"].isna()]
    concentration = rows["measure"] == "attention_concentration"
    assert (rows["threshold"] == 0.9).eq(concentration).all() and rows["threshold"].notna().eq(concentration).all()
    scores = {(r.measure, r.variant, r.component, r.level_a, r.layer_a): (r.score, r.n) for r in rows.itertuples()}
    for name, column, arrays in (("neurons", "neuron", "states"), ("heads", "head", "attention")):
        table = found[name].assign(variant=found[name].get("variant", ""))
        for (component, variant, a, layer), part in table.groupby(["component", "variant", "level_a", "layer_a"]):
            x, y = (getattr(levels[k], arrays)[component, layer].astype(float) for k in ((0, 1) if a == 0 else (1, 0)))
            if (component, variant) == ("decoder_self", "visible"):
                x, y = x[visible], y[visible]
            r = np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :]
            np.testing.assert_array_equal(part[column], np.arange(len(r)))
            np.testing.assert_array_equal(part["best_match"], r.argmax(axis=1))
            np.testing.assert_allclose(part["correlation"], r.max(axis=1), atol=5e-6)
            np.testing.assert_allclose(part["own_correlation"], np.diag(r), atol=5e-6)
            assert (part["own_correlation"] < part["correlation"] - 0.01).mean() > 0.5
            share = own_share[component, variant, a, layer]
            assert share == (r.argmax(axis=1) == np.arange(len(r))).mean()
    for (component, level, layer, variant), part in found["spectrum"].groupby(
        ["component", "level", "layer", "variant"]
    ):
        x = levels[0 if level == 0 else 1].states[component, layer].astype(float)
        values = np.linalg.svd(x - x.mean(axis=0) * (variant == "centred"), compute_uv=False) ** 2
        shares = np.cumsum(values) / values.sum()
        np.testing.assert_allclose(part["cumulative_variance"], shares, atol=1e-6)
        assert scores["spectrum_k80", variant, component, level, layer][0] == (shares < 0.8).sum() + 1
    lengths = maker.lengths["target"]
    for layer in ("1", "2"):
        rows = levels[1].attention["decoder_self", layer]
        starts = np.cumsum(lengths**2) - lengths**2
        masses = [rows[a : a + n * n].reshape(n, n, -1) for n, a in zip(lengths, starts, strict=True)]
        for variant, first in (("all", 0), ("visible", 1)):  # query
            largest = np.concatenate([mass[first:].max(axis=1) for mass in masses])
            entropies = np.concatenate([scipy.stats.entropy(mass[first:], axis=1) for mass in masses])
            share, n = scores["attention_concentration", variant, "decoder_self", 4, layer]
            assert share == pytest.approx((largest > 0.9).mean(), abs=1e-12)
            assert n == 3 * (lengths - first).sum()
            entropy, _ = scores["attention_entropy", variant, "decoder_self", 4, layer]
            assert entropy == pytest.approx(entropies.mean(), abs=1e-6)


def test_shards_give_the_same_tables(make_dumps: Callable[..., Any], tmp_path: Path, small_tiles: None) -> None:
    small = {"n_sentences": 20, "n_layers": 1, "components": ("encoder", "decoder_self"), "width": 8}
    whole, parts = make_dumps(**small), make_dumps(folder="shards", **small)
    one = [whole.level(k).path for k in range(2)]
    two = [parts.level(k, shards=2).path for k in range(2)]
    assert not two[0].exists()
    options = ["--measures", "procrustes", "linear_predictivity", "rsa"]
    assert similarity(one, tmp_path / "one", *options) == 0
    assert similarity(two, tmp_path / "two", *options) == 0
    shards = tables(tmp_path / "two")
    for name, table in tables(tmp_path / "one").items():
        pd.testing.assert_frame_equal(table, shards[name], check_exact=True)


def test_tiles_of_layers_give_the_rows_of_whole_levels(
    make_dumps: Callable[..., Any], tmp_path: Path, small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = make_dumps(n_sentences=20, n_layers=2, components=("encoder", "encoder_self"), width=8)
    dumps = [maker.level(k).path for k in range(2)]
    assert similarity(dumps, tmp_path / "levels") == 0
    computed: list[str] = []
    work = runner.TileRunner.run
    monkeypatch.setattr(
        runner.TileRunner, "run", lambda self, tile, *rest: computed.append(tile.name) or work(self, tile, *rest)
    )
    monkeypatch.setattr(cuts, "SCRATCH_BYTES", 4 * 20 * (2 * 8) ** 2)  # products of two layers
    assert similarity(dumps, tmp_path / "layers") == 0
    spans = ["0-0@0-1", "0-0@2-2", "1-1@0-1", "1-1@2-2"]
    across = [f"encoder.{a}.{b}" for a, b in itertools.combinations(spans, 2)]
    assert sorted(name for name in computed if name.startswith("encoder.")) == sorted(
        [f"encoder.{span}" for span in spans] + across
    )
    one, two = (tables(tmp_path / folder) for folder in ("levels", "layers"))
    for name in TABLE_NAMES:
        columns = [column for column, kind in one[name].dtypes.items() if kind.kind in "Oi"]
        rows = [table[name].sort_values(columns, ignore_index=True) for table in (one, two)]
        pd.testing.assert_frame_equal(*rows, rtol=0, atol=1e-9)


def test_a_stopped_run_goes_on(
    make_dumps: Callable[..., Any], tmp_path: Path, small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = make_dumps(n_sentences=20, n_layers=1, components=("encoder", "encoder_self"))
    dumps = [maker.level(k).path for k in range(3)]
    assert similarity(dumps, tmp_path / "whole") == 0
    done: list[str] = []
    work = runner.TileRunner.run

    def stop(self: runner.TileRunner, tile: Any, *rest: Any) -> None:
        if len(done) == 9:
            raise KeyboardInterrupt
        done.append(tile.name)
        work(self, tile, *rest)

    monkeypatch.setattr(runner.TileRunner, "run", stop)
    assert similarity(dumps, tmp_path / "stopped") == 130
    assert not (tmp_path / "stopped" / "similarity.csv").exists()
    shutil.copytree(tmp_path / "stopped" / ".similarity", tmp_path / "left")
    again: list[str] = []
    monkeypatch.setattr(
        runner.TileRunner, "run", lambda self, tile, *rest: again.append(tile.name) or work(self, tile, *rest)
    )
    assert similarity(dumps, tmp_path / "stopped") == 0
    assert again and not set(done) & set(again)
    for name in TABLE_NAMES:
        one, two = (tables(tmp_path / folder)[name] for folder in ("whole", "stopped"))
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    again.clear()
    shutil.copytree(tmp_path / "left", tmp_path / "stopped" / ".similarity")  # killed before it was removed
    assert similarity(dumps, tmp_path / "stopped") == 0
    assert not again and not (tmp_path / "stopped" / ".similarity").exists()


def test_other_options_leave_the_finished_tiles_of_a_stopped_run(
    make_dumps: Callable[..., Any], tmp_path: Path, small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of the stopped run may still be at work on a cluster; its tiles never come among those of other options."""
    maker = make_dumps(n_sentences=12, n_layers=1, components=("encoder",))
    dumps = [maker.level(k).path for k in range(2)]
    work, asked = runner.TileRunner.run, list[str]()

    def one_tile(self: runner.TileRunner, tile: Any, *rest: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(tile.name)
        work(self, tile, *rest)

    monkeypatch.setattr(runner.TileRunner, "run", one_tile)
    for options, first in ((), "encoder.0-0"), (("--absolute",), "encoder.0-0"), ((), "encoder.1-1"):
        assert similarity(dumps, tmp_path / "results", *options) == 130
        assert asked.pop() == first
    kept = [path.parent.parent.name for path in (tmp_path / "results").glob(".similarity/*/tiles/encoder.0-0")]
    assert len(set(kept)) == 2
    monkeypatch.undo()
    assert similarity(dumps, tmp_path / "results") == 0
    assert not (tmp_path / "results" / ".similarity").exists()


@pytest.mark.parametrize("options", [(), ("--absolute",)])
def test_a_second_run_on_one_output_is_refused(
    make_dumps: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    """While a tile of the first is computed; nothing of the first is touched."""
    maker = make_dumps(n_sentences=12, n_layers=1, components=("encoder",))
    dumps = [maker.level(k).path for k in range(2)]
    output, refused = tmp_path / "results", []
    work = runner.TileRunner.run

    def second(self: runner.TileRunner, *rest: Any) -> None:
        before = sorted(output.rglob("*"))
        refused.append(similarity(dumps, output, *options))
        assert sorted(output.rglob("*")) == before
        work(self, *rest)

    monkeypatch.setattr(runner.TileRunner, "run", second)
    assert similarity(dumps, output) == 0
    assert set(refused) == {2}
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    who = rf"host \S+, process {os.getpid()}, since \d{{4}}-\d\d-\d\d [\d:]+"
    assert len(lines) == len(refused)
    for line in lines:
        assert re.search(rf"{re.escape(str(output))}: another `similarity` is at work here \({who}\): wait", line), line
    assert not list(output.glob(".similarity*lock"))


@pytest.mark.slow
def test_other_flags_add_what_is_missing_and_keep_the_rest(
    make_dumps: Callable[..., Any],
    tmp_path: Path,
    small_tiles: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A level, a measure and a kind of tags more; the tables are those of one run with all of it."""
    maker = make_dumps(n_sentences=12, n_layers=1, components=("encoder", "encoder_self"), n_best=4, width=5)
    dumps = [maker.level(k).path for k in range(3)]
    words = [sum(k == 0 or tokens[k - 1] not in (6, 10) for k in range(len(tokens) - 1))
             for tokens in maker.tokens["source"]]  # fmt: skip
    (tmp_path / "tags").write_text("".join(" ".join(["A"] * n) + "\n" for n in words))
    tags = ["--tags", f"pos={tmp_path / 'tags'}"]
    computed: list[str] = []
    work = runner.TileRunner.run
    monkeypatch.setattr(
        runner.TileRunner, "run", lambda self, tile, *rest: computed.append(tile.name) or work(self, tile, *rest)
    )
    output = tmp_path / "results"
    assert similarity(dumps[:2], output) == 0
    before = {name: set((output / f"{name}.csv").read_text().splitlines()) for name in (*TABLE_NAMES, "disagreements")}
    for given, options, tiles in (
        (dumps[:2], ["--measures", "svcca"], {"encoder.0-0", "encoder.1-1", "encoder.0-0.1-1"}),
        (dumps[:2], tags, {"groups.encoder.1"}),
        (dumps[:2], ["--measures", "linear_cka"], set()),
    ):
        computed.clear()
        assert similarity(given, output, *options) == 0
        assert set(computed) == tiles
    assert "already there, nothing to add" in capsys.readouterr().out
    computed.clear()
    assert similarity(dumps, output, *tags, "--measures", "svcca") == 0
    assert not {"output.0", "output.1", "encoder_self.0-0.1-1", "groups.encoder.1"} & set(computed)
    for name, rows in before.items():
        assert rows and rows <= set((output / f"{name}.csv").read_text().splitlines())
    assert similarity(dumps, tmp_path / "whole", *tags, "--measures", "svcca") == 0
    for name in TABLE_NAMES:
        key = list(TABLES[name].key)
        one, two = (tables(folder)[name].sort_values(key, ignore_index=True) for folder in (output, tmp_path / "whole"))
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    printed = capsys.readouterr().out
    assert all(re.search(rf"^{name} +encoder ", printed, re.M) for name in ("linear_cka", "neuron_similarity", "svcca"))


def test_rows_that_cannot_stand_beside_those_there_are_refused(
    make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = make_dumps(n_sentences=12, n_layers=1, components=("encoder", "encoder_self"))
    dumps = [maker.level(k).path for k in range(2)]
    output = tmp_path / "results"
    assert similarity(dumps, output) == 0
    before = {path: path.read_bytes() for path in output.iterdir()}
    other = make_dumps(folder="other", n_sentences=13, n_layers=1, components=("encoder", "encoder_self"))
    other.origin = Origin("another")
    for given, options, differs in (
        (dumps, ["--threshold", "0.5"], "--threshold: 0.95, now 0.5"),
        (dumps, ["--absolute"], "--absolute: not given, now given"),
        (dumps, ["--frequencies", "dictionary"], "--frequencies: dump, now dictionary"),
        ([other.level(k).path for k in range(2)], [], "experiment: made-up, now another; sentences: "),
    ):
        capsys.readouterr()
        assert similarity(given, output, *options) == 2
        (line,) = (line for line in capsys.readouterr().err.splitlines() if "error" in line)
        assert differs in line and line.endswith("give another --output"), line
    larger = make_dumps(folder="larger", n_sentences=12, n_layers=1, components=("encoder", "encoder_self"), n_best=4)
    assert similarity([larger.level(k).path for k in range(2)], output) == 2
    assert "(the dump of level 0: of checkpoint hash0, " in capsys.readouterr().err
    maker.level(1)  # the same dump made again
    assert similarity(dumps, output) == 0
    (output / ".similarity.json").unlink()
    assert similarity(dumps, output) == 2
    assert "is there, but not what it was made from" in capsys.readouterr().err
    assert all(path.read_bytes() == content for path, content in before.items() if path.exists())


@pytest.mark.parametrize("n_sentences", [1, 2, 12])
def test_few_sentences(
    make_dumps: Callable[..., Any], tmp_path: Path, recwarn: pytest.WarningsRecorder, n_sentences: int
) -> None:
    maker = make_dumps(n_sentences=n_sentences, n_layers=1, components=("encoder", "encoder_self"))
    dumps = [maker.level(k).path for k in range(2)]
    words = [sum(k == 0 or tokens[k - 1] not in (6, 10) for k in range(len(tokens) - 1))
             for tokens in maker.tokens["source"]]  # fmt: skip
    (tmp_path / "tags").write_text("".join(" ".join(["A"] * n) + "\n" for n in words))
    options = ["--pairs", "within", "dense", "--tags", f"pos={tmp_path / 'tags'}", f"st={tmp_path / 'tags'}"]
    enough = [name for name, measure in MEASURES.items() if n_sentences == 40 or not measure.tokens_per_neuron]
    options += ["--measures", *enough]
    assert similarity(dumps, tmp_path / "results", *options) == 0
    rows = tables(tmp_path / "results")["similarity"]
    assert rows["score"].notna().all()
    assert rows[["low", "high"]].notna().any(axis=None) == (n_sentences > 1)
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_too_few_tokens_for_a_measure_are_refused_before_the_work(
    make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = make_dumps(n_sentences=9, n_layers=1, components=("encoder", "encoder_self"))
    dumps = [maker.level(k).path for k in range(2)]
    n = maker.lengths["source"].sum()
    assert similarity(dumps, tmp_path / "results", "--measures", "rsa", "pwcca", "linear_predictivity") == 2
    assert not (tmp_path / "results").exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line or "--measures" in line]
    assert [line.partition("lth0.h5 ")[2] for line in lines] == [
        f"encoder: {n} tokens for 12 neurons, pwcca needs at least 120, 10 a neuron: more sentences are needed",
        f"encoder: {n} tokens for 12 neurons, linear_predictivity needs at least 60, "
        "5 a neuron: more sentences are needed",
    ]
    assert similarity(dumps, tmp_path / "results", "--measures", "rsa") == 0


@pytest.mark.slow
def test_jobs_of_submitit(make_dumps: Callable[..., Any], tmp_path: Path) -> None:
    maker = make_dumps(n_sentences=15, n_layers=1, components=("encoder",))  # one job in each of the two rounds
    dumps = [maker.level(k).path for k in range(2)]
    assert similarity(dumps, tmp_path / "here") == 0
    assert similarity(dumps, tmp_path / "jobs", "--executor", "submitit-local", "--cluster", "timeout_min=5") == 0
    for name in TABLE_NAMES:
        pd.testing.assert_frame_equal(
            tables(tmp_path / "here")[name], tables(tmp_path / "jobs")[name], check_exact=True
        )


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["within"], {(0, 0), (1, 1), (2, 2)}),
        (["dense"], {(0, 1), (0, 2), (1, 0), (2, 0)}),
        (["within", "dense"], {(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 0), (2, 0)}),
    ],
)
def test_only_the_pairs_asked_for(
    make_dumps: Callable[..., Any], tmp_path: Path, pairs: list[str], expected: set[tuple[int, int]], small_tiles: None
) -> None:
    maker = make_dumps(n_sentences=12, n_layers=1, components=("encoder", "encoder_self"))
    dumps = [maker.level(k).path for k in range(3)]
    assert similarity(dumps[::-1], tmp_path, "--pairs", *pairs) == 0
    rows = tables(tmp_path)["similarity"]
    rows = rows[(rows["group"] == "") & rows["level_b"].notna()]
    assert set(zip(rows["level_a"], rows["level_b"], strict=True)) == expected


def test_groups_and_tags(make_dumps: Callable[..., Any], tmp_path: Path) -> None:
    maker = make_dumps()
    levels = [maker.level(k) for k in range(2)]
    lines, tags = [], []
    for tokens in maker.tokens["source"]:  # words of made-up dumps: hou@@ and cat@@ join with what follows
        words = [k for k in range(len(tokens) - 1) if k == 0 or tokens[k - 1] not in (6, 10)]
        lines.append(" ".join("AB"[k % 2] for k in words))
        tags += ["AB"[max(word for word in words if word <= k) % 2] for k in range(len(tokens) - 1)] + [""]
    (tmp_path / "tags").write_text("\n".join(lines) + "\n")
    options = ["--frequencies", "dictionary", "--tags", f"pos={tmp_path / 'tags'}"]
    assert similarity([level.path for level in levels], tmp_path, *options) == 0
    rows = tables(tmp_path)["similarity"]
    grouped = rows[(rows["group"] != "") & (rows["variant"] == "biased")]
    assert set(grouped["group"]) == {"frequency:0-5", "frequency:5-25", "pos:A", "pos:B"}
    for row in grouped[grouped["component"] == "encoder"].itertuples():
        tokens = np.concatenate(maker.tokens["source"])
        inside = {"frequency:0-5": (tokens >= 4) & (tokens < 9), "frequency:5-25": tokens >= 9,
                  "pos:A": np.array(tags) == "A", "pos:B": np.array(tags) == "B"}[row.group]  # fmt: skip
        x, y = (levels[k].states["encoder", row.layer_a][inside] for k in (0, 1))
        assert row.score == pytest.approx(cka(x, y), abs=1e-7)
        assert (row.n, row.level_a, row.level_b, row.layer_b) == (inside.sum(), 0, 1, row.layer_a)


def test_constant_neurons_are_named_and_left_out(
    make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = make_dumps()
    draw = maker._draw

    def with_constant(made: Any, level: int) -> None:
        draw(made, level)
        made.states["decoder", "1"][:, 5] = 3.0

    maker._draw = with_constant
    assert similarity([maker.level(k).path for k in range(2)], tmp_path) == 0
    found = tables(tmp_path)
    assert found["similarity"]["score"].notna().all()
    neurons = found["neurons"]
    own = neurons[(neurons["component"] == "decoder") & (neurons["layer_a"] == "1")]
    assert len(own) == 22 and 5 not in set(own["neuron"]) | set(own["best_match"])
    assert "note: lth1.h5 decoder layer 1: 1 constant neurons left out: 5" in capsys.readouterr().err


def test_a_branch_with_the_level_it_came_from(make_dumps: Callable[..., Any], tmp_path: Path) -> None:
    maker = make_dumps(n_layers=1, components=("encoder", "decoder_self"))
    dense = maker.level(0).path
    own = maker.level(1).path
    assert similarity([dense, own], tmp_path / "own") == 0
    maker.folder = tmp_path
    maker.origin = Origin("random", parent="made-up/lth0")
    branch = maker.level(1).path
    assert similarity([dense, branch], tmp_path / "branch") == 0
    for name, table in tables(tmp_path / "branch").items():
        assert set(table["experiment"]) == {"random"}
        expected = tables(tmp_path / "own")[name].assign(experiment="random")
        pd.testing.assert_frame_equal(table, expected, check_exact=True)


def bad(maker: Any, case: str) -> list[Path]:
    first = maker.level(0).path
    if case == "sentences":
        maker.tokens["target"][3][0] ^= 1
    if case == "size":
        maker.width = 16
    if case == "layers":
        maker.n_layers = 3
    if case == "experiment":
        maker.origin = Origin("another")
    if case == "parent":
        maker.origin = Origin("random", parent="third/lth0")
    return [first, maker.level(0 if case == "level" else 1).path if case != "missing" else maker.folder / "none.h5"]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("sentences", "dumps of different sentences"),
        ("size", "encoder has layers 0, 1, 2 of 16, but in .* layers 0, 1, 2 of 12: another model size"),
        ("layers", "encoder has layers 0, 1, 2, 3 of 12, but .*another model size"),
        ("experiment", "is of experiment 'another', but .* of 'made-up'"),
        ("parent", r"is of experiment 'random' \(a branch of third/lth0\), but .* of 'made-up'"),
        ("level", "are both of level 0"),
        ("missing", "none.h5: no such file"),
    ],
)
def test_bad_dumps(
    make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str, message: str
) -> None:
    assert similarity(bad(make_dumps(), case), tmp_path / "results") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert not (tmp_path / "results").exists()


def test_every_fault_is_told_at_once(
    make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = make_dumps()
    good, again = maker.level(0).path, maker.level(2).path
    maker.width = 16
    maker.origin = Origin("another")
    other = maker.level(1).path
    dumps = [good, other, again, again, tmp_path / "none.h5", tmp_path / "nor.h5"]
    assert similarity(dumps, tmp_path / "results", "--threshold", "7") == 2
    faults = capsys.readouterr().err.splitlines()
    expected = [
        "--threshold 7",
        "none.h5: no such file",
        "nor.h5: no such file",
        "are both of level 2",
        "encoder has .* of 16, but .*; decoder has",
        "is of experiment 'another'",
    ]
    assert len(faults) == len(expected)
    for message in expected:
        assert sum(bool(re.search(message, fault)) for fault in faults) == 1, message
    (tmp_path / "short").write_text("A\n")
    tags = ["--tags", f"pos={tmp_path / 'none'}", f"st={tmp_path / 'short'}", "--pairs", "dense"]
    assert similarity([again], tmp_path / "results", *tags) == 2
    faults = capsys.readouterr().err.splitlines()
    assert len(faults) == 3 and "level 0" in faults[0] and "none" in faults[1] and "short" in faults[2]
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "1.5"], "--threshold 1.5"),
        (["--tags", "pos=none.txt"], "none.txt: cannot be read"),
        (["--pairs", "dense"], "needs a dump of level 0; the lowest level given is 1"),
    ],
)
def test_bad_options(
    make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    dumps = [make_dumps().level(k).path for k in (1, 2)]
    assert similarity(dumps, tmp_path / "results", *options) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1 and message in lines[0], lines
    assert not (tmp_path / "results" / "similarity.csv").exists()


def test_activations_that_are_not_finite(make_dumps: Callable[..., Any], tmp_path: Path) -> None:
    assert set(TABLE_NAMES) <= set(TABLES)
    maker = make_dumps()
    path = maker.level(0).path
    other = maker.level(1)
    raw = bytearray(other.path.read_bytes())
    row = other.states["encoder", "1"][7].tobytes()
    place = raw.index(row)
    raw[place : place + 4] = np.float32(np.nan).tobytes()
    other.path.write_bytes(raw)
    assert similarity([path, other.path], tmp_path / "results") == 2
    assert not (tmp_path / "results" / "similarity.csv").exists()
