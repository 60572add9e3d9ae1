"""Controls: experiments that differ from pruning by magnitude in one thing only."""

import csv
import functools
import json

import pytest
import torch

from fairseq_lth.levels.checkpoints import imp_state, read_checkpoint
from probing_bridge.pruning.masks import Mask

WANDA = ["--imp-score", "wanda", "--imp-calibration-batches", "2"]


def rows(folder):
    with open(folder / "lth.csv", newline="") as file:
        return list(csv.DictReader(file))


@functools.cache
def kept(folder, level):
    return Mask.unpack(imp_state(read_checkpoint(folder / f"checkpoint_lth{level}.pt"))["mask"]).kept


@functools.cache
def weights(folder, level):
    return read_checkpoint(folder / f"checkpoint_lth{level}.pt")["model"]


@pytest.fixture
def branch(train, flags, dense, tmp_path):
    """Runs a branch from the dense level."""

    def run(name, *extra, **options):
        argv = [*flags, *extra, "--save-dir", tmp_path / name, "--restore-file", dense / "checkpoint_lth0.pt"]
        return tmp_path / name, train(argv, **options)

    return run


def test_a_rate_of_0_trains_the_levels_without_pruning(branch, dense, tmp_path):
    pruned, training = branch("pruned", "--imp-rate", "0.5", rates=tmp_path / "pruned.json")
    control, _ = branch("control", "--imp-rate", "0", rates=tmp_path / "control.json")
    for row in rows(pruned):
        assert float(row["lr_rise"]) == pytest.approx(float(row["lr"]) / float(row["lr_before"]) - 1, rel=1e-12)
        assert float(row["lr_rise"]) > 0.1
    assert f"({float(rows(pruned)[0]['lr_rise']):+.1%})" in training.output
    rates = [json.loads((tmp_path / f"{name}.json").read_text())["updates"] for name in ("pruned", "control")]
    assert rates[0] == rates[1] and {level for level, _ in rates[0]} == {1, 2}
    assert [(row["level"], row["pruned_weights"], row["score"]) for row in rows(control)] == [
        ("1", "0", "none"),
        ("2", "0", "none"),
    ]
    for level in (1, 2):
        assert all(bool(keep.all()) for keep in kept(control, level).values())
    columns = ("epoch", "updates", "lr", "lr_rise", "updates_after")
    assert [[row[c] for c in columns] for row in rows(control)] == [[row[c] for c in columns] for row in rows(pruned)]
    assert len({rows(folder)[0]["experiment"] for folder in (pruned, control, dense)}) == 3


@pytest.mark.slow
def test_a_killed_control_goes_on(branch, same_level):
    whole, _ = branch("whole", "--imp-rate", "0")
    killed, training = branch("killed", "--imp-rate", "0", die=("update", 6))
    assert training.status < 0
    branch("killed", "--imp-rate", "0")[1].succeed()
    for level in (1, 2):
        same_level(whole / f"checkpoint_lth{level}.pt", killed / f"checkpoint_lth{level}.pt")


def test_shuffle_loses_what_magnitude_would_lose_at_every_level(branch, dense):
    shuffled, _ = branch("shuffled", "--imp-score", "shuffle", "--imp-seed", "4")
    for level in (1, 2):
        before = weights(dense, 0) if level == 1 else weights(shuffled, 1)
        parent = None if level == 1 else kept(shuffled, 1)
        alive = {
            n: torch.ones_like(before[n], dtype=torch.bool) if parent is None else parent[n] for n in kept(dense, 1)
        }
        scores = torch.cat([before[name][keep].abs() for name, keep in alive.items()]).sort().values
        border = scores[round(0.3 * len(scores)) - 1]
        expected, drawn = {}, {}
        for name, keep in alive.items():
            module = name.rpartition(".")[0]
            survives = keep & (before[name].abs() > border)
            expected[module] = expected.get(module, 0) + int(survives.sum())
            drawn[module] = drawn.get(module, 0) + int(kept(shuffled, level)[name].sum())
        assert drawn == expected and len(set(drawn.values())) > 3
    assert any(bool((kept(shuffled, 1)[name] != keep).any()) for name, keep in kept(dense, 1).items())
    assert {(row["score"], row["seed"]) for row in rows(shuffled)} == {("shuffle", "4")}


@pytest.mark.slow
def test_reinit_has_the_parents_masks_and_weights_drawn_anew(branch, dense, same_level, tmp_path):
    still = ("--imp-reinit", "--imp-rewind-epoch", "0", "--lr", "1e-30")
    drawn, _ = branch("drawn", *still)
    other, _ = branch("other", *still, "--imp-seed", "2")
    _, killed = branch("killed", *still, die=("update", 8))
    assert killed.status < 0
    branch("killed", *still)[1].succeed()
    for level in (1, 2):
        model, masks = weights(drawn, level), kept(dense, level)
        same_level(drawn / f"checkpoint_lth{level}.pt", tmp_path / "killed" / f"checkpoint_lth{level}.pt")
        for name, weight in model.items():
            if "norm" in name:  # as fairseq initialises it: at this rate no update moves it
                assert (weight - float(name.endswith("weight"))).abs().max() < 1e-25, name
            if name in masks:
                assert torch.equal(kept(drawn, level)[name], masks[name])
            if name in masks and name.endswith("weight"):
                for different in (weights(dense, level), weights(other, level), weights(drawn, 3 - level)):
                    both = weight.ne(0) & different[name].ne(0)
                    assert not bool((weight == different[name])[both].any()), name
    assert [row["rewind"] for row in rows(drawn)] == ["reinit", "reinit"]
    assert {row["masks_from"] for row in rows(drawn)} == {rows(dense)[0]["experiment"]}
    assert rows(drawn)[0]["experiment"] != rows(other)[0]["experiment"]


def test_masks_of_another_run_on_weights_of_another_seed(train, flags, dense, tmp_path):
    train([*flags, "--seed", "8", "--imp-masks-from", dense, "--save-dir", tmp_path / "run"]).succeed()
    for level in (1, 2):
        assert all(torch.equal(keep, kept(tmp_path / "run", level)[name]) for name, keep in kept(dense, level).items())
        own, theirs = weights(tmp_path / "run", level), weights(dense, level)
        assert not any(torch.equal(own[name], theirs[name]) for name in kept(dense, level) if name.endswith("weight"))
    assert {row["masks_from"] for row in rows(tmp_path / "run")} == {"", rows(dense)[0]["experiment"]}
    assert [row["mask_hash"] for row in rows(tmp_path / "run")][1:] == [row["mask_hash"] for row in rows(dense)][1:]


GRADIENT = ["--imp-score", "gradient", *WANDA[2:]]


@pytest.mark.slow
@pytest.mark.parametrize("score", [WANDA, GRADIENT])
def test_scores_that_see_data_choose_the_same_after_a_kill(branch, dense, same_level, tmp_path, score):
    whole, _ = branch("whole", *score)
    _, killed = branch("killed", *score, die=("update", 10))  # after the second pruning, of which nothing is saved yet
    assert killed.status < 0
    branch("killed", *score)[1].succeed()
    for level in (1, 2):
        same_level(whole / f"checkpoint_lth{level}.pt", tmp_path / "killed" / f"checkpoint_lth{level}.pt")
    assert {(row["score"], row["calibration_batches"], row["seed"]) for row in rows(whole)} == {(score[1], "2", "1")}
    assert [row["pruned_weights"] for row in rows(whole)] == [row["pruned_weights"] for row in rows(dense)][1:]
    other, _ = branch("other", *score, "--imp-seed", "2")
    assert len({rows(folder)[0]["mask_hash"] for folder in (whole, other, dense)}) == 3


@pytest.fixture(scope="module")
def half(train, flags, tmp_path_factory):
    """The flags of half precision, and a run with them."""
    folder = tmp_path_factory.mktemp("half")
    argv = [*flags, "--fp16", "--fp16-init-scale", "4"]
    train([*argv, "--save-dir", folder], fake_cuda=True).succeed()
    return argv, folder


@pytest.mark.slow
@pytest.mark.parametrize("control", [WANDA, GRADIENT, ["--imp-reinit"], ["--imp-masks-from", "RUN"]])
def test_controls_in_half_precision(train, half, tmp_path, control):
    """Zeros hold after every update, and masks that are given are kept."""
    argv, dense = half
    argv = [*argv, *(str(dense) if word == "RUN" else word for word in control), "--save-dir", tmp_path]
    train([*argv, "--restore-file", dense / "checkpoint_lth0.pt"], check=True, fake_cuda=True).succeed()
    for level in (1, 2):
        masks = kept(tmp_path, level), kept(dense, level)
        same = all(torch.equal(keep, masks[1][name]) for name, keep in masks[0].items())
        assert same == ("--imp-score" not in control)
        own, theirs = weights(tmp_path, level), weights(dense, level)
        assert same or sum(int(keep.sum()) for keep in masks[0].values()) == sum(
            int(m.sum()) for m in masks[1].values()
        )
        for name in (name for name in masks[0] if name.endswith("weight")):
            assert torch.equal(own[name], own[name].half().float()) and own[name].isfinite().all(), name
            assert "--imp-reinit" not in control or not torch.equal(own[name], theirs[name]), name


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--imp-rate", "0", "--imp-score", "random"], "nothing is pruned, so nothing is chosen"),
        (["--imp-rate", "0", "--imp-scope", "layer"], "nothing is pruned, so nothing is chosen"),
        (["--imp-rate", "0", "--imp-reinit"], "leave --imp-rate out"),
        (["--imp-score", "shuffle", "--imp-scope", "layer"], "use that"),
        (["--imp-reinit", "--imp-score", "random"], "the masks are chosen already"),
        (["--imp-reinit", "--imp-scope", "layer"], "the masks are chosen already"),
        (["--imp-reinit", "--imp-rewind", "weights"], "use --imp-rewind lr"),
        (["--imp-reinit", "--imp-rewind", "none"], "use --imp-rewind lr"),
        (["--imp-reinit", "--imp-iterations", "0"], "give --imp-iterations"),
        (["--imp-reinit"], "--imp-reinit needs masks: branch with --restore-file"),
        (["--imp-masks-from", "nowhere"], "--imp-masks-from nowhere: has no pruned levels"),
        (["--imp-masks-from", "DENSE", "--imp-score", "shuffle"], "the masks are chosen already"),
        (["--imp-masks-from", "DENSE", "--imp-iterations", "0"], "give --imp-iterations"),
        (["--imp-masks-from", "RUN"], "is the --save-dir of this run"),
        (["--imp-rate", "-0.1"], "must be 0 or more and below 1"),
        (["--imp-score", "wanda"], "say how many with --imp-calibration-batches"),
        (["--imp-calibration-batches", "2"], "--imp-score magnitude looks at no data: leave it out"),
        ([*WANDA, "--imp-calibration-batches", "0"], "must be 1 or more"),
        ([*WANDA, "--imp-prune-embeddings"], "not features whose norm could be taken"),
        ([*WANDA, "--num-batch-buckets", "2"], "the padding would count as words"),
        ([*WANDA, "--required-seq-len-multiple", "8"], "the padding would count as words"),
        ([*WANDA, "--imp-rate", "0"], "nothing is pruned, so nothing is chosen"),
        ([*WANDA, "--imp-masks-from", "DENSE"], "the masks are chosen already"),
    ],
)
def test_what_makes_no_sense_is_refused(refusal, flags, dense, tmp_path, extra, message):
    places = {"DENSE": str(dense), "RUN": str(tmp_path / "run")}
    extra = [places.get(word, word) for word in extra]
    assert message in refusal([*flags, *extra, "--save-dir", tmp_path / "run"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--imp-keep-biases"], "other --imp-prune-embeddings or --imp-keep-biases"),
        (["--encoder-ffn-embed-dim", "8"], "checkpoint_lth1.pt: "),
        (["--imp-iterations", "3"], "has no checkpoint_lth3.pt, whose mask level 3 is to have"),
    ],
)
def test_masks_that_do_not_fit_are_refused_before_training(train, flags, dense, tmp_path, extra, message):
    training = train([*flags, *extra, "--imp-masks-from", dense, "--save-dir", tmp_path / "run"])
    assert message in training.error()
    assert "begin training epoch" not in training.output and not list((tmp_path / "run").glob("*"))


def test_masks_that_keep_what_is_pruned_are_refused(train, flags, dense, branch, tmp_path):
    """A branch from level 1 of random pruning cannot go on with level 2 of magnitude pruning."""
    other, _ = branch("other", "--imp-score", "random")
    argv = [*flags, "--imp-masks-from", dense, "--save-dir", tmp_path / "run"]
    assert (
        "branch from a level of the same run" in train([*argv, "--restore-file", other / "checkpoint_lth1.pt"]).error()
    )


def test_more_calibration_batches_than_there_are_are_refused_before_training(train, flags, tmp_path):
    training = train([*flags, *WANDA[:3], "1000", "--save-dir", tmp_path / "run"])
    assert "--imp-calibration-batches 1000: the training set has only " in training.error()
    assert "begin training epoch" not in training.output
