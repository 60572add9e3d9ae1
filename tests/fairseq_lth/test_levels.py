"""`python -m fairseq_lth.levels`: the table, what it notices, and what it exports."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fairseq_lth.levels.__main__ import main
from fairseq_lth.levels.checkpoints import imp_state, level_record, read_checkpoint
from fairseq_lth.levels.state import sample_hash
from probing_bridge.pruning.masks import Mask


@pytest.fixture
def run(dense, tmp_path) -> Path:
    """A copy of a finished run that may be spoilt."""
    return Path(shutil.copytree(dense, tmp_path / "run"))


def resign(checkpoint) -> None:
    """Makes the state one of the weights beside it, so that the checkpoint is not refused for them."""
    if (state := imp_state(checkpoint)) is not None:
        state["sample_hash"] = sample_hash(checkpoint["model"])


def change(path: Path, alter) -> None:
    checkpoint = torch.load(path, weights_only=True)
    alter(checkpoint)
    resign(checkpoint)
    path.unlink()  # the level is a hard link in some runs
    torch.save(checkpoint, path)


def a_weight(checkpoint, pruned: bool) -> tuple[torch.Tensor, int]:
    """A weight tensor and the flat index of a pruned or a kept weight in it."""
    name = "encoder.layers.0.fc1.weight"
    kept = Mask.unpack(imp_state(checkpoint)["mask"]).kept[name]
    wanted = ~kept if pruned else kept
    return checkpoint["model"][name].view(-1), int(wanted.view(-1).nonzero()[0])


def test_a_finished_run(dense, capsys):
    assert main([str(dense)]) == 0
    out = capsys.readouterr().out
    assert "All 3 levels are as they were written." in out
    assert out.splitlines()[2].split()[:5] == ["0", "2", "16", "-", "0.0000"]
    assert out.splitlines()[4].split()[:5] == ["2", "4", "32", "0.006124", "0.3471"]


@pytest.mark.parametrize("pruned", [True, False])
def test_a_changed_weight_is_noticed(run, capsys, pruned):
    def alter(checkpoint):
        weights, index = a_weight(checkpoint, pruned)
        weights[index] += 1.0

    change(run / "checkpoint_lth1.pt", alter)
    assert main([str(run)]) == 1
    changed, revived = "has been changed since it was written", "fc1.weight has 1 pruned weight(s) that are not zero"
    problems = [line for line in capsys.readouterr().err.splitlines() if "checkpoint_lth1.pt" in line]
    assert len(problems) == 1 and (revived if pruned else changed) in problems[0]


def test_a_truncated_level_is_noticed(run, capsys):
    level = run / "checkpoint_lth2.pt"
    whole = level.read_bytes()
    level.unlink()
    level.write_bytes(whole[: len(whole) // 2])
    assert main([str(run)]) == 1
    assert capsys.readouterr().err == f"{level}: cannot be read; it is cut short or no checkpoint\n"


def test_a_mask_that_grows_and_a_missing_level_are_noticed(run, capsys):
    shutil.copy(run / "checkpoint_lth1.pt", run / "checkpoint_lth2.pt.copy")
    (run / "checkpoint_lth2.pt").unlink()
    assert main([str(run)]) == 1
    assert capsys.readouterr().err == f"{run / 'checkpoint_lth2.pt'}: no such file\n"

    def forget(checkpoint):
        """One weight is pruned in place of another."""
        mask = Mask.unpack(imp_state(checkpoint)["mask"])
        (weights, kept), (_, pruned) = a_weight(checkpoint, pruned=False), a_weight(checkpoint, pruned=True)
        weights[kept] = 0.0
        flat = mask.kept["encoder.layers.0.fc1.weight"].view(-1)
        flat[kept], flat[pruned] = False, True
        imp_state(checkpoint)["mask"] = mask.pack()

    shutil.copy(run / "checkpoint_lth1.pt", run / "checkpoint_lth2.pt")
    change(run / "checkpoint_lth2.pt", forget)
    assert main([str(run)]) == 1
    problems = capsys.readouterr().err
    assert "keeps weights that checkpoint_lth1.pt has pruned" in problems and "is level 1" in problems


@pytest.mark.slow
def test_exports_are_the_level_without_the_plugin(dense, corpus, tmp_path, capsys):
    plain, compact, expanded = (tmp_path / name for name in ("plain.pt", "level.safetensors", "expanded.pt"))
    assert main([str(dense), "--level", "2", "--export", str(plain), "--compact", str(compact)]) == 0
    assert main([str(compact), "--export", str(expanded)]) == 0
    assert "dense kernels multiply by zeros" in capsys.readouterr().out
    level = read_checkpoint(dense / "checkpoint_lth2.pt")
    for path in (plain, expanded):
        exported = torch.load(path, weights_only=True)
        assert exported["model"].keys() == level["model"].keys()
        assert all(torch.equal(exported["model"][name], weight) for name, weight in level["model"].items())
        assert "imp_" not in str(exported["cfg"]) and exported["extra_state"].keys() == {"train_iterator"}
    generate = [Path(sys.executable).with_name("fairseq-generate"), corpus, "--path", expanded, "--gen-subset", "test"]
    generate += ["--cpu", "--num-workers", "0", "--batch-size", "3"]
    result = subprocess.run(list(map(str, generate)), capture_output=True, text=True)
    assert result.returncode == 0 and "Generate test with beam=5" in result.stdout, result.stderr[-2000:]
    record = level_record(expanded)
    assert (record.experiment, record.level) == ("", None)
    assert level_record(dense / "checkpoint_lth2.pt").sparsity == pytest.approx(0.34714, abs=1e-5)


class TestAverage:
    @pytest.fixture
    def epochs(self, dense, tmp_path) -> Path:
        """A folder with three checkpoints of epochs of the dense level, each of other weights, the oldest far off."""
        folder = tmp_path / "epochs"
        folder.mkdir()
        for epoch, factor in ((2, 100.0), (9, 1.0), (10, 2.0)):
            checkpoint = torch.load(dense / "checkpoint_lth0.pt", weights_only=True)
            for weight in {weight.data_ptr(): weight for weight in checkpoint["model"].values()}.values():
                weight.mul_(factor)
            resign(checkpoint)
            torch.save(checkpoint, folder / f"checkpoint{epoch}.pt")
        return folder

    def test_is_the_mean_and_no_level(self, dense, epochs, tmp_path, capsys):
        target = tmp_path / "mean.pt"
        assert main([str(epochs), "--average", "2", "--export", str(target)]) == 0
        assert "checkpoint9.pt, checkpoint10.pt; it is no level" in capsys.readouterr().out
        mean, level = (read_checkpoint(path)["model"] for path in (target, dense / "checkpoint_lth0.pt"))
        assert mean.keys() == level.keys()
        for name, weight in level.items():
            torch.testing.assert_close(mean[name], weight * 1.5, rtol=1e-6, atol=0)
        record = level_record(target)
        assert (record.experiment, record.level) == ("", None)

    def test_what_has_no_mean_is_refused(self, dense, epochs, tmp_path, capsys):
        shutil.copy(dense / "checkpoint_lth1.pt", epochs / "checkpoint11.pt")
        for count, message in (("5", "has 4 checkpoints of epochs, and --average asks for 5"),
                               ("2", "epochs of one level have a mean"), ("0", "expected at least 1")):  # fmt: skip
            assert main([str(epochs), "--average", count, "--export", str(tmp_path / "mean.pt")]) == 2
            error = capsys.readouterr().err
            assert message in error and error.count("\n") == 1
        change(epochs / "checkpoint11.pt", lambda checkpoint: checkpoint["extra_state"].pop("ImpTask"))
        assert main([str(epochs), "--average", "1", "--export", str(tmp_path / "mean.pt")]) == 2
        assert "was not written by --task lth_imp" in capsys.readouterr().err
        assert not (tmp_path / "mean.pt").exists()
        with pytest.raises(SystemExit):
            main([str(epochs), "--average", "2"])


def test_bad_input_is_named_in_one_line(dense, tmp_path, capsys):
    (tmp_path / "x.safetensors").write_bytes(b"no safetensors at all")
    torch.save({"model": {}}, tmp_path / "foreign.pt")
    for arguments, message in (
        ([tmp_path / "nowhere"], "no such folder"),
        ([tmp_path], "has no lth.csv"),
        ([tmp_path / "x.safetensors", "--export", tmp_path / "out.pt"], "cannot be read as a compact level"),
        ([dense, "--level", "7", "--export", tmp_path / "out.pt"], "checkpoint_lth7.pt: no such file"),
    ):
        assert main([str(argument) for argument in arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out.pt").exists()


@pytest.mark.parametrize("words", [("--export", "plain.pt"), ("--compact", "l.safetensors")])
def test_an_export_that_the_system_refuses_is_one_line(dense, tmp_path, capsys, words):
    """torch and safetensors write in C++ and Rust, and raise errors of their own."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limit[1]))
    try:
        assert main([str(dense), words[0], str(tmp_path / words[1])]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "could not be written (File too large)" in line
    assert not list(tmp_path.iterdir())
