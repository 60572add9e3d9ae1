"""The loss between two levels: at its ends that of the levels, between them that of the mixed weights."""

import logging
import shutil

import numpy as np
import pytest
import torch

from fairseq_lth.levels.__main__ import main
from fairseq_lth.levels.checkpoints import read_checkpoint
from fairseq_lth.levels.interpolation import barrier
from probing_bridge.formats.tables import read_table


@pytest.fixture(scope="module")
def line(dense, corpus, tmp_path_factory):
    """A run directory after an interpolation, and what was written."""
    folder = shutil.copytree(dense, tmp_path_factory.mktemp("line") / "run")
    argv = [str(folder), "--interpolate", "0", "2", "--points", "5", "--data", str(corpus), "--bleu", "subword_nmt"]
    assert main(argv) == 0
    return folder, read_table(folder / "interpolation_lth0_lth2.csv", "interpolation")


@pytest.fixture(scope="module")
def validated(flags, train):
    """The loss and the BLEU that fairseq-validate gives a checkpoint, with three and two digits."""

    def loss(path) -> tuple[float, float]:
        argv = [*flags[:3], "--task", "lth_imp", "--path", path, "--cpu", "--max-tokens", "150", "--num-workers", "0"]
        argv += ["--eval-bleu", "--eval-bleu-remove-bpe", "subword_nmt"]
        output = train([*argv, "--log-format", "simple"], command="validate").succeed().output
        said = next(text for text in output.splitlines() if "valid on" in text and "| loss " in text)
        return tuple(float(said.split(f"| {name} ")[1].split()[0]) for name in ("loss", "bleu"))

    return loss


def test_the_ends_are_the_levels(line, validated):
    folder, table = line
    for level, row in ((0, table.iloc[0]), (2, table.iloc[-1])):
        loss, bleu = validated(folder / f"checkpoint_lth{level}.pt")
        assert (row["loss"], row["bleu"]) == (pytest.approx(loss, abs=6e-4), bleu)
    assert table["bleu"].max() > 0
    assert table["alpha"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert (folder / "interpolation_lth0_lth2.png").read_bytes().startswith(b"\x89PNG")


def test_the_middle_is_the_mean_of_the_weights(line, validated, tmp_path):
    folder, table = line
    mixed, other = (read_checkpoint(folder / f"checkpoint_lth{level}.pt") for level in (0, 2))
    mixed["model"] = {name: (weight + other["model"][name]) / 2 for name, weight in mixed["model"].items()}
    torch.save({**mixed, "extra_state": {}}, tmp_path / "mixed.pt")
    assert table["loss"].iloc[2] == pytest.approx(validated(tmp_path / "mixed.pt")[0], abs=6e-4)


def test_a_level_and_itself_have_no_barrier(dense, corpus, tmp_path, capsys):
    folder = shutil.copytree(dense, tmp_path / "run")
    level = str(dense / "checkpoint_lth1.pt")
    assert main([str(folder), "--interpolate", "1", level, "--points", "3", "--data", str(corpus)]) == 0
    losses = read_table(folder / "interpolation_lth1_lth1.csv", "interpolation")["loss"]
    assert not logging.getLogger("matplotlib.font_manager").isEnabledFor(logging.DEBUG)  # fairseq asks for all of it
    assert np.ptp(losses) < 1e-5 and "barrier +0.0000" in capsys.readouterr().out


def test_the_barrier_is_measured_from_the_mean_of_the_ends():
    assert barrier([1.0, 4.0, 2.0]) == 2.5
    assert barrier([1.0, 1.2, 2.0]) == 0.5  # a line that rises all the way has half of its rise


def test_another_model_is_refused(train, flags, dense, corpus, tmp_path, capsys):
    train([*flags, "--encoder-ffn-embed-dim", "8", "--imp-iterations", "0", "--save-dir", tmp_path]).succeed()
    other = str(tmp_path / "checkpoint_lth0.pt")
    assert main([str(dense), "--data", str(corpus), "--interpolate", "0", other]) == 2
    assert f"{other}: is of another model than" in capsys.readouterr().err


def test_what_cannot_be_interpolated_is_one_line(dense, corpus, tmp_path, capsys):
    for words, message in (
        (["0", "7"], "checkpoint_lth7.pt: no such file"),
        (["0", str(dense / "checkpoint_rewind0.pt")], "was not written by --task lth_imp"),
        (["0", "1", "--points", "1"], "--points 1: expected 2, both ends, to 1000"),
        (["0", "1", "--points", str(10**30)], "expected 2, both ends, to 1000"),
        (["0", "1", "--data", str(tmp_path / "nowhere")], "no such data folder"),
    ):
        assert main([str(dense), "--data", str(corpus), "--interpolate", *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    for words in (
        ["--bleu", "none"],
        ["--data", "x"],
        ["--points", "3"],
        ["--interpolate", "0", "1"],
        ["--interpolate", "0", "1", "--data", "x", "--export", "y.pt"],
    ):
        with pytest.raises(SystemExit) as refused:
            main([str(dense), *words])
        assert refused.value.code == 2
