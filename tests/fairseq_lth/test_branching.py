"""Experiments that start from a level of another one, and the three rewind modes themselves."""

import csv

import pytest
import torch
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig

from fairseq_lth.errors import RunRefused
from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import imp_state, level_record, read_checkpoint
from fairseq_lth.training.rewind import fetch_rewind_points, load_rewind_point, rewind_weights


def rows(folder):
    with open(folder / "lth.csv", newline="") as file:
        return list(csv.DictReader(file))


def modules(folder):
    return (folder / "lth_modules.csv").read_text().splitlines()


@pytest.mark.parametrize("mode", ["weights", pytest.param("lr", marks=pytest.mark.slow)])
def test_a_branch_equals_a_training_from_the_start(train, flags, dense, same_level, tmp_path, mode):
    other = ["--imp-score", "random", "--imp-seed", "9", "--imp-rewind", mode]
    if mode == "weights":
        other += ["--imp-rewind-epoch", "0,1"]
    train([*flags, *other, "--save-dir", tmp_path / "whole"]).succeed()
    branch = [*flags, *other, "--save-dir", tmp_path / "branch", "--restore-file", dense / "checkpoint_lth0.pt"]
    killed = train(branch, die=("update", 4))
    assert killed.status < 0
    train(branch).succeed()
    for level in (1, 2):
        same_level(*(tmp_path / run / f"checkpoint_lth{level}.pt" for run in ("whole", "branch")))
    assert [row["parent"] for row in rows(tmp_path / "branch")] == [f"{rows(dense)[0]['experiment']}/lth0"] * 2
    assert level_record(tmp_path / "branch" / "checkpoint_lth1.pt").parent == f"{rows(dense)[0]['experiment']}/lth0"
    assert rows(tmp_path / "branch")[0]["experiment"] != rows(tmp_path / "whole")[0]["experiment"]
    assert rows(dense)[1]["mask_hash"] != rows(tmp_path / "whole")[1]["mask_hash"]


def test_weight_rewinding_goes_back_to_the_weights_of_epoch_r(train, flags, dense, tmp_path):
    branch = [*flags, "--imp-rewind", "weights", "--imp-iterations", "1", "--lr", "1e-30", "--save-dir", tmp_path]
    train([*branch, "--restore-file", dense / "checkpoint_lth0.pt"]).succeed()
    rewound, then = (read_checkpoint(path) for path in (tmp_path / "checkpoint_lth1.pt", dense / "checkpoint1.pt"))
    kept = read_checkpoint(dense / "checkpoint_lth1.pt")["model"]
    moved = 0
    for name, weight in rewound["model"].items():
        if "layers" in name and "norm" not in name:
            alive = kept[name].ne(0)  # magnitudes are ranked before the rewind: the same mask as with lr rewinding
            assert torch.equal(weight.ne(0), alive & then["model"][name].ne(0))
            moved += int((weight != then["model"][name])[alive].sum())
    assert moved == 0, "at a learning rate of 1e-30 the kept weights must still be those of epoch 1"


@pytest.mark.parametrize("epoch", [0, 1])
def test_only_points_of_its_own_dense_training_are_rewound_to(dense, tmp_path, epoch):
    """A point of another experiment has the same shapes, and its weights would be taken without a word."""
    experiment = imp_state(read_checkpoint(dense / "checkpoint_lth2.pt"))["dense"]
    assert experiment == rows(dense)[0]["experiment"]
    fetch_rewind_points(dense, tmp_path, [epoch], experiment)
    point = load_rewind_point(tmp_path, epoch, experiment)
    assert point["model"].keys() == read_checkpoint(dense / "checkpoint_lth0.pt")["model"].keys()
    for refused in (
        lambda: load_rewind_point(tmp_path, epoch, "f" * 16),
        lambda: fetch_rewind_points(dense, tmp_path / "other", [epoch], "f" * 16),
    ):
        with pytest.raises(RunRefused, match=f"is of experiment {experiment}, and the dense training is of ffff"):
            refused()


@pytest.mark.parametrize(
    ("epoch", "change"),
    [
        (1, lambda point: point | {"last_optimizer_state": None}),
        (1, lambda point: {name: part for name, part in point.items() if name != "last_optimizer_state"}),
        (1, lambda point: point | {"extra_state": {}}),
        (0, lambda point: point | {"last_optimizer_state": {"state": {}, "param_groups": []}}),
    ],
    ids=["its optimizer is nothing", "no optimizer", "not of the plugin", "an initialisation with an optimizer"],
)
def test_a_point_that_says_less_or_more_than_one_is_refused(dense, tmp_path, epoch, change):
    path = paths.rewind_checkpoint(tmp_path, epoch)
    torch.save(
        change(read_checkpoint(paths.rewind_checkpoint(dense, 0) if epoch == 0 else dense / "checkpoint1.pt")), path
    )
    with pytest.raises(RunRefused, match=f"{path}: is not the end of epoch {epoch} of a dense training") as refused:
        load_rewind_point(tmp_path, epoch, rows(dense)[0]["experiment"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "state", [{}, {"state": {}, "param_groups": []}, [1], "adam", {"state": 3, "param_groups": [1]}]
)
def test_an_optimizer_state_of_another_make_is_refused(state):
    model = torch.nn.Linear(2, 2)
    settings = FairseqAdamConfig(lr=[0.1], adam_betas="(0.9, 0.999)", tpu=False)
    optimizer = FairseqAdam(settings, list(model.parameters()))
    with pytest.raises(RunRefused, match="is not of this model and optimizer: "):
        rewind_weights({"model": model.state_dict(), "last_optimizer_state": state}, model, optimizer)


def test_a_branch_from_within_a_level_is_refused(refusal, flags, dense, tmp_path):
    flags = [*flags, "--imp-score", "random", "--save-dir", tmp_path / "run"]
    error = refusal([*flags, "--restore-file", dense / "checkpoint1.pt"])
    assert "can only branch from a finished level" in error
    assert not (tmp_path / "run").exists()


def test_a_branch_cannot_rewind_to_an_epoch_that_never_was(refusal, flags, dense, tmp_path):
    argv = [*flags, "--max-epoch", "5", "--imp-rewind-epoch", "4", "--save-dir", tmp_path / "run"]
    error = refusal([*argv, "--restore-file", dense / "checkpoint_lth0.pt"])
    assert "--imp-rewind-epoch 4: the dense training of" in error and error.endswith("ended with epoch 1")


def test_a_branch_goes_on_with_the_scheduler_of_its_parent(train, refusal, flags, dense, tmp_path):
    """Whose state it loads: rates and rewind points of another one would be taken for its own, or not be there."""
    plateau = [*flags, "--imp-iterations", "1", "--lr-scheduler", "reduce_lr_on_plateau"]
    train([*plateau, "--imp-iterations", "0", "--save-dir", tmp_path / "plateau"]).succeed()
    for argv, here, parent, there in (
        ([*flags, "--imp-iterations", "1"], "inverse_sqrt", tmp_path / "plateau", "reduce_lr_on_plateau"),
        (plateau, "reduce_lr_on_plateau", dense, "inverse_sqrt"),
    ):
        level = parent / "checkpoint_lth0.pt"
        error = refusal([*argv, "--imp-score", "random", "--restore-file", level, "--save-dir", tmp_path / "run"])
        expected = f"--lr-scheduler {here}: {level} was trained with {there}, and a branch goes on with its state"
        assert error == f"fairseq_lth: error: {expected}: give --lr-scheduler {there}"
    branch = ["--imp-score", "random", "--restore-file", tmp_path / "plateau" / "checkpoint_lth0.pt"]
    train([*plateau, *branch, "--save-dir", tmp_path / "branch"]).succeed()
    assert [row["level"] for row in rows(tmp_path / "branch")] == ["1"]


def test_a_branch_needs_more_prunings_than_its_level(refusal, flags, dense, tmp_path):
    flags = [*flags, "--imp-score", "random", "--save-dir", tmp_path / "run"]
    error = refusal([*flags, "--restore-file", dense / "checkpoint_lth2.pt"])
    assert error.endswith("--imp-iterations 2: the branch starts at level 2, so it must be more")


def test_the_save_dir_of_another_experiment_is_refused(refusal, flags, dense):
    before = {path: path.stat().st_mtime_ns for path in dense.iterdir()}
    error = refusal([*flags, "--imp-rate", "0.4", "--save-dir", dense])
    assert "of another experiment (--imp-rate 0.3 there, 0.4 here)" in error and "another --save-dir" in error
    assert {path: path.stat().st_mtime_ns for path in dense.iterdir()} == before


def test_a_finished_run_is_left_alone_and_can_be_continued(train, flags, dense, tmp_path):
    import shutil

    shutil.copytree(dense, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    train([*flags, "--save-dir", tmp_path / "run"]).succeed()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == before
    train([*flags, "--save-dir", tmp_path / "run", "--imp-iterations", "3"]).succeed()
    assert [row["level"] for row in rows(tmp_path / "run")] == ["0", "1", "2", "3"]
    assert rows(tmp_path / "run")[:3] == rows(dense)
    assert modules(tmp_path / "run")[: len(modules(dense))] == modules(dense)


def test_best_checkpoint_starts_anew_and_saving_options_work(train, flags, same_level, dense, tmp_path):
    options = ["--no-epoch-checkpoints", "--save-interval-updates", "3", "--keep-interval-updates", "1"]
    options += ["--keep-best-checkpoints", "1", "--tensorboard-logdir", tmp_path / "tb"]
    training = train([*flags, *options, "--save-dir", tmp_path / "run"]).succeed()
    for level in range(3):
        same_level(tmp_path / "run" / f"checkpoint_lth{level}.pt", dense / f"checkpoint_lth{level}.pt")
    assert len(list((tmp_path / "run").glob("checkpoint_lth0.best_loss_*.pt"))) == 1
    first_of_level = next(line for line in training.output.splitlines() if "valid on" in line and "lth_level 1" in line)
    assert "best_loss" not in first_of_level
    train_lines = [line for line in training.output.splitlines() if "| train | epoch" in line]
    assert "lth_level 2" in train_lines[-1] and "lth_sparsity_prunable 0.5" in train_lines[-1]
    assert list((tmp_path / "tb" / "train").iterdir())
