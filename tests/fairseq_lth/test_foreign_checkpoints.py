"""Checkpoints that lth_imp did not write as they are: averaged, wrapped, and of fairseq before 0.11."""

from pathlib import Path

import pytest
import torch
from fairseq import checkpoint_utils, options
from omegaconf import DictConfig
from random_models import SMALL, save_level

from fairseq_lth.levels.checkpoints import CheckpointError, level_record, read_checkpoint


def average(inputs: list[Path], output: Path) -> Path:
    """What fairseq's scripts/average_checkpoints.py writes: the first input, with the mean of all models."""
    states = [torch.load(path, weights_only=True) for path in inputs]
    names = states[0]["model"]
    mean = {name: sum(state["model"][name].float() for state in states) / len(states) for name in names}
    torch.save({**states[0], "model": mean}, output)
    return output


@pytest.mark.parametrize("inputs", [(0, 1), (1, 0), (1, 2), (2, 1)])
def test_a_mean_of_levels_is_of_no_level(dense, tmp_path, inputs):
    mean = average([dense / f"checkpoint_lth{level}.pt" for level in inputs], tmp_path / "mean.pt")
    with pytest.raises(CheckpointError, match=r"mean\.pt: .*(pruned weight\(s\) that are not zero|was not saved with)"):
        level_record(mean)


def test_a_mean_of_exported_levels_has_a_sparsity_and_no_level(dense, tmp_path):
    from fairseq_lth.levels.export import export_plain

    for level in (1, 2):
        export_plain(dense / f"checkpoint_lth{level}.pt", tmp_path / f"{level}.pt")
    record = level_record(average([tmp_path / "1.pt", tmp_path / "2.pt"], tmp_path / "mean.pt"))
    assert (record.experiment, record.level) == ("", None)
    assert record.sparsity == pytest.approx(level_record(tmp_path / "1.pt").sparsity)


def same_model(path: Path, expected: dict[str, torch.Tensor]) -> bool:
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)])
    loaded = model.state_dict()
    return loaded.keys() == expected.keys() and all(torch.equal(loaded[name], expected[name]) for name in expected)


@pytest.mark.parametrize("prefix", ["module.", "module.module."])
def test_the_prefix_of_a_wrapper_is_no_part_of_a_name(corpus, tmp_path, prefix):
    plain = torch.load(save_level(tmp_path / "plain.pt", corpus), weights_only=True)
    wrapped = {f"{prefix}{name}": tensor for name, tensor in plain["model"].items()}
    torch.save({**plain, "model": wrapped}, tmp_path / "wrapped.pt")
    assert read_checkpoint(tmp_path / "wrapped.pt")["model"].keys() == plain["model"].keys()
    assert same_model(tmp_path / "wrapped.pt", plain["model"])


def legacy(path: Path, corpus: Path, arguments: object) -> dict[str, torch.Tensor]:
    """A checkpoint as fairseq 0.10 wrote it: one configuration of all flags, `args`."""
    plain = torch.load(save_level(path, corpus), weights_only=True)
    torch.save({**plain, "cfg": None, "args": arguments}, path)
    return plain["model"]


def test_arguments_of_fairseq_0_10_load_where_they_are_a_namespace(corpus, tmp_path):
    argv = [str(corpus), "-s", "en", "-t", "de", *SMALL.split()]
    arguments = options.parse_args_and_arch(options.get_training_parser(), argv)
    assert same_model(tmp_path / "old.pt", legacy(tmp_path / "old.pt", corpus, arguments))


def test_a_configuration_of_omegaconf_is_refused_with_the_way_out(corpus, tmp_path):
    legacy(tmp_path / "old.pt", corpus, DictConfig({"task": "translation", "arch": "transformer"}))
    with pytest.raises(CheckpointError) as refused:
        read_checkpoint(tmp_path / "old.pt")
    assert "holds omegaconf.dictconfig.DictConfig, which is not loaded for safety" in str(refused.value)
    assert "OmegaConf.to_container" in str(refused.value) and "\n" not in str(refused.value)
