"""Several runs as one study: what is put together, what is refused, and the mean over runs with its interval."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from scipy import stats

from probing_bridge.errors import BridgeError
from probing_bridge.figures import FIGURES
from probing_bridge.formats.columns import TABLES
from probing_bridge.results import probing
from probing_bridge.results.beside import STAGES
from probing_bridge.results.folder import read_results
from probing_bridge.results.levels import levels_data
from probing_bridge.results.naming import task_label
from probing_bridge.results.runs import mean_of_runs, read_runs, with_baseline, with_control

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def study(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Three small runs, the BLEU of random pruning from the LTH0 of each, and a control of each."""
    folder = tmp_path_factory.mktemp("study")
    runs = [
        synthetic.write_results(
            folder / f"seed{seed}", levels=3, tasks=3, layers=2, width=4, experiment=f"run-{seed}", seed=seed
        )
        for seed in SEEDS
    ]
    random = [
        synthetic.write_baseline(folder / f"random{seed}", levels=3, parent=f"run-{seed}", experiment=f"random-{seed}")
        for seed in SEEDS
    ]
    control = [
        synthetic.write_results(
            folder / f"control{seed}", levels=3, tasks=3, layers=2, width=4, experiment=f"control-{seed}",
            score="none", seed=seed + 10,
        )
        for seed in SEEDS
    ]  # fmt: skip
    return {"runs": runs, "random": random, "control": control}


@pytest.fixture
def spoiled(study: dict[str, list[Path]], tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of run 2 with other values in one table."""

    def make(table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        folder = Path(shutil.copytree(study["runs"][1], tmp_path / "seed2"))
        path = folder / f"{table}.csv"
        change(pd.read_csv(path, keep_default_na=False, dtype=str)).to_csv(path, index=False)
        return folder

    return make


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(BridgeError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_rows_keep_the_number_of_their_run(study: dict[str, list[Path]]) -> None:
    results = read_runs(study["runs"])
    assert [run.name for run in results.runs] == ["seed1", "seed2", "seed3"]
    for number, folder in enumerate(study["runs"], 1):
        alone = read_results(folder)
        for name, table in alone.tables.items():
            of_run = results[name][results[name]["run"] == number].drop(columns="run").reset_index(drop=True)
            pd.testing.assert_frame_equal(of_run, table.drop(columns="run"), check_dtype=len(table) > 0)
        one = results.one_run(number)
        assert set(one["probes"]["run"]) == {number} and set(one["probes"]["experiment"]) == {f"run-{number}"}


@pytest.mark.slow
def test_every_frame_of_a_study_is_those_of_its_runs(study: dict[str, list[Path]]) -> None:
    together = with_control(read_runs(study["runs"]), study["control"])
    apart = [
        with_control(read_results(run), [control]) for run, control in zip(study["runs"], study["control"], strict=True)
    ]
    for name, exhibit in FIGURES.items():
        frame = exhibit.data(together)
        if "run" not in frame.columns:
            assert name in ("table_4_2_trends", "table_exams")  # one tests the mean over runs, one is of no run
            continue
        alone = pd.concat([exhibit.data(results).assign(run=run) for run, results in enumerate(apart, 1)])
        rows = [sorted(map(str, part[list(frame.columns)].itertuples(index=False))) for part in (frame, alone)]
        assert rows[0] == rows[1] and len(rows[0]), name


def test_the_mean_over_runs_and_its_interval(study: dict[str, list[Path]]) -> None:
    scores = probing.probe_scores(read_runs(study["runs"]), "linear")
    mean = mean_of_runs(scores, ["task", "level", "layer"]).set_index(["task", "level", "layer"])
    assert len(mean) == len(scores) / 3
    each = scores[(scores["task"] == "ccg") & (scores["level"] == 1) & (scores["layer"] == "2")]["score"]
    found = mean.loc[("ccg", 1, "2")]
    assert each.nunique() == 3
    low, high = stats.t.interval(0.95, 2, loc=each.mean(), scale=stats.sem(each))
    assert found[["score", "low", "high"]].tolist() == pytest.approx([each.mean(), low, high])
    one = scores[scores["run"] == 2]
    pd.testing.assert_frame_equal(mean_of_runs(one, ["task", "level", "layer"]), one)


def test_layers_that_differ_between_runs_stand_beside_each_other() -> None:
    frame = pd.DataFrame({"run": [1, 2, 3], "task": "pos", "layer": ["6", "5", "6"], "score": [0.1, 0.2, 0.3]})
    assert mean_of_runs(frame, ["task"])[["layer", "score"]].to_numpy().tolist() == [["5/6", pytest.approx(0.2)]]


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("lth", lambda t: t.assign(rate=t["rate"].where(t["level"] != "1", "0.3")), "level 1: rate is 0.3, and"),
        ("lth", lambda t: t.assign(rewind=t["rewind"].replace("lr", "weights")), "level 1: rewind is weights, and lr"),
        ("lth", lambda t: t.assign(updates="1011"), "lth.csv, level 0: updates is 1011, and 1000"),
        ("probes", lambda t: t.assign(data_hash=t["data_hash"] + "x"), "data_hash is ccgx, and ccg"),
        ("probes", lambda t: t[t["task"] != "ccg"], "probes.csv has no row of task ccg"),
        ("bleu", lambda t: t.assign(test_set="other"), "bleu.csv has no row of level 0, test_set newstest2014"),
        ("bleu", lambda t: t.assign(n="9"), "bleu.csv, level 0, test_set newstest2014, metric bleu: n is 9, and 3003"),
        ("similarity", lambda t: t.assign(sentence_hash="fade"), "sentence_hash is fade, and feed"),
        ("bleu", lambda t: t.assign(package_version="0.2.0"), "mixed package versions"),
    ],
)  # fmt: skip
def test_runs_that_differ_in_more_than_the_seed_are_refused(
    study: dict[str, list[Path]], spoiled: Callable[..., Path], table: str, change: Callable, message: str
) -> None:
    first, third = study["runs"][0], study["runs"][2]
    found = refusal(lambda: read_runs([first, spoiled(table, change), third]))
    assert message in found and "seed2: " in found


def test_updates_lost_to_an_overflow_are_no_difference(study: dict[str, list[Path]], spoiled) -> None:
    folder = spoiled("lth", lambda table: table.assign(updates="1009", seed="5", mask_hash="c0de"))
    assert len(read_runs([study["runs"][0], folder]).runs) == 2


def test_a_level_that_a_run_lacks_is_named(study: dict[str, list[Path]], tmp_path: Path) -> None:
    short = Path(shutil.copytree(study["runs"][1], tmp_path / "seed2"))
    for path in short.glob("*.csv"):
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
        levels = table[[name for name in ("level", "level_a", "level_b") if name in table.columns]]
        table[~levels.isin(["2", "2.0"]).any(axis=1)].to_csv(path, index=False)
    first = study["runs"][0]
    assert f"seed2: has no LTH2, which is in {first}: runs of one experiment" in refusal(
        lambda: read_runs([first, short])
    )
    assert f"has LTH2, which is not in {short}" in refusal(lambda: read_runs([short, first]))


def test_a_run_given_twice_is_refused(study: dict[str, list[Path]], spoiled) -> None:
    assert "is run run-1 once more" in refusal(lambda: read_runs([study["runs"][0], study["runs"][0]]))
    nameless = spoiled("bleu", lambda table: table.assign(experiment="run-1"))
    (nameless / "lth.csv").unlink()
    assert "mixed experiments" in refusal(lambda: read_runs([study["runs"][0], nameless]))


def test_baselines_and_controls_are_paired_run_by_run(study: dict[str, list[Path]], synthetic, tmp_path: Path) -> None:
    results = read_runs(study["runs"])
    paired = with_baseline(results, study["random"])
    rows = levels_data(paired)
    names = list(rows["experiment"].unique())
    assert names == ["magnitude pruning, LR rewinding", "random pruning, LR rewinding"]
    dense = rows[rows["level"] == 0].set_index(["experiment", "run"])["score"]
    assert dense[names[0]].tolist() == dense[names[1]].tolist() and dense[names[0]].nunique() == 3  # LTH0 of each run
    mixed = [study["random"][number] for number in (1, 0, 2)]
    assert "belongs to run 2, and stands here as run 1" in refusal(lambda: with_baseline(results, mixed))
    assert "2 runs beside 3 runs" in refusal(lambda: with_baseline(results, study["random"][:2]))
    control = with_control(results, study["random"])
    assert control.controls[0]["lth"]["run"].tolist() == [1, 1, 2, 2, 3, 3] and not control.baselines
    other = [
        synthetic.write_baseline(tmp_path / f"other{seed}", levels=3, parent=f"else-{seed}", experiment=f"other-{seed}")
        for seed in SEEDS
    ]
    assert "branched off else-1, so it is no control of run 1 (seed1)" in refusal(lambda: with_control(results, other))
    assert len(with_baseline(results, other).baselines) == 1


def test_captions_say_what_the_intervals_are_over(study: dict[str, list[Path]]) -> None:
    one, three = read_results(study["runs"][0]), read_runs(study["runs"])
    over = "intervals of 95 % are over runs, by t with 2 degrees of freedom."
    for name, several in (
        ("fig_4_neuron_similarity", f"Mean of 3 runs, each a thin line; {over}"),
        ("table_a2_linear_scores", f"Mean of 3 runs; {over}"),
        ("fig_1_linear_probes", "Mean of 3 runs."),
        ("table_disagreements", "Of 3 runs."),
    ):  # fmt: skip
        exhibit = FIGURES[name]
        single, many = (exhibit.describe(exhibit.data(results)) for results in (one, three))
        assert several in many and "checkpoints" not in many
        assert bool(exhibit.interval) == ("over sentences" in single and single.endswith("of these checkpoints."))


def test_probes_beside_a_control_are_paired_by_run(study: dict[str, list[Path]]) -> None:
    results = with_control(read_runs(study["runs"]), study["control"])
    exhibit = FIGURES["table_controls"]
    frame = exhibit.data(results)
    assert set(frame["level"]) == {2} and set(frame["experiment"]) == {"no pruning, LR rewinding"}
    tables = [[pd.read_csv(folder / "probes.csv") for folder in study[name]] for name in ("runs", "control")]
    shown = exhibit.show(frame).set_index("task")
    for task, layer in frame[["task", "layer"]].drop_duplicates().itertuples(index=False):
        own, other = (
            [
                table.query(f"task == '{task}' and level == 2 and layer == '{layer}' and probe == 'linear'")
                .query("metric in ('accuracy', 'f1', 'pearson')")["score"].mean()
                for table in of_runs
            ]
            for of_runs in tables
        )  # fmt: skip
        low, high = stats.ttest_rel(own, other).confidence_interval()
        change = sum(own) / 3 - sum(other) / 3
        cell = shown.loc[task_label(task), "LTH2 less no pruning, LR rewinding"]
        assert cell == f"{change:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "\u2212")
    alone = with_control(read_results(study["runs"][0]), study["control"][:1])
    one = exhibit.data(alone).iloc[0]
    first = frame[frame["run"] == 1].iloc[0]
    assert (one["difference"], one["low"], one["high"]) == (first["difference"], first["low"], first["high"])
    assert not len(exhibit.data(read_runs(study["runs"])))


def test_damage_beside_a_control_is_paired_by_run(study: dict[str, list[Path]], tmp_path: Path) -> None:
    controls, distances = [], []
    for number, (run, folder) in enumerate(zip(study["runs"], study["control"], strict=True)):
        controls.append(Path(shutil.copytree(folder, tmp_path / f"control{number}")))
        table = pd.read_csv(folder / "similarity.csv", keep_default_na=False, dtype=str)
        shared = table["measure"].isin(["linear_cka", "attention_cka"])
        less = (table.loc[shared, "score"].astype(float) * (0.9 - number / 50)).map(str)
        table.assign(score=table["score"].mask(shared, less)).to_csv(controls[-1] / "similarity.csv", index=False)
        distances.append([_distance(pd.read_csv(one / "similarity.csv")) for one in (run, controls[-1])])
    exhibit = FIGURES["table_damage"]
    shown = exhibit.show(exhibit.data(with_control(read_runs(study["runs"]), controls))).set_index("stage")
    assert list(shown.index) == list(STAGES)
    own, other = zip(*distances, strict=True)
    low, high = stats.ttest_rel(own, other).confidence_interval()
    change = sum(own) / 3 - sum(other) / 3
    cell = shown.loc["encoder self-attention", "more than no pruning, LR rewinding"]
    assert cell == f"{change:.3f} [{low:.3f}, {high:.3f}]".replace("-", "\u2212")
    bleu = [[pd.read_csv(folder / "bleu.csv")["score"] for folder in of] for of in (study["runs"], controls)]
    lost = [sum(scores[0] - scores[2] for scores in of) / 3 for of in bleu]
    assert shown.loc["translations", "LTH2, no pruning, LR rewinding"].startswith(f"{lost[1]:.3f} [")
    assert shown.loc["translations", "more than no pruning, LR rewinding"].startswith(
        f"{lost[0] - lost[1]:.3f} [".replace("-", "\u2212")
    )
    assert not len(exhibit.data(read_runs(study["runs"])))


def _distance(table: pd.DataFrame) -> float:
    """1 - the mean CKA of encoder self-attention of LTH0 and LTH2, over the layers."""
    rows = table[(table["measure"] == "attention_cka") & (table["component"] == "encoder_self")]
    rows = rows[(rows["variant"] == "visible") & rows["group"].isna() & (rows["layer_a"] == rows["layer_b"])]
    rows = rows[(rows["level_a"] == 0) & (rows["level_b"] == 2)]
    assert len(rows) == 2
    return float(1 - rows["score"].mean())


def test_levels_that_a_control_branched_off_are_not_compared(study: dict[str, list[Path]], tmp_path: Path) -> None:
    run, control = study["runs"][0], shutil.copytree(study["control"][0], tmp_path / "control")
    lth = pd.read_csv(control / "lth.csv").assign(parent="run-1/lth0")
    lth[lth["level"] > 0].to_csv(control / "lth.csv", index=False)
    probes = pd.read_csv(run / "probes.csv")
    probes[probes["level"] == 0].to_csv(control / "probes.csv", index=False)
    for name in set(TABLES) - {"lth", "probes"}:
        (control / f"{name}.csv").unlink(missing_ok=True)
    beside = with_control(read_results(run), [control])
    assert not len(FIGURES["table_controls"].data(beside))


def test_runs_are_thin_lines_behind_their_mean(study: dict[str, list[Path]]) -> None:
    exhibit = FIGURES["fig_bleu_sparsity"]
    axes = exhibit(exhibit.data(read_runs(study["runs"]))).axes[0]
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    scores = [read_results(folder)["bleu"]["score"].tolist() for folder in study["runs"]]
    assert [list(line.get_ydata()) for line in thin] == scores
    mean = next(line for line in axes.lines if line.get_label() == "magnitude pruning, LR rewinding")
    assert mean.get_ydata() == pytest.approx([sum(level) / 3 for level in zip(*scores, strict=True)])
    alone = exhibit(exhibit.data(read_results(study["runs"][0]))).axes[0]
    assert not [line for line in alone.lines if line.get_linewidth() < 1]
