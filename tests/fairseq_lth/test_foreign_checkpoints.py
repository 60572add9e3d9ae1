"""Checkpoints that lth_imp did not write as they are: averaged, wrapped, and of fairseq by itself, new and old."""

from pathlib import Path

import pytest
import torch
from fairseq import checkpoint_utils, options
from omegaconf import DictConfig
from paths import PLUGIN
from random_models import SMALL, save_level

from fairseq_lth import encode
from fairseq_lth.levels.checkpoints import CheckpointError, level_record, read_checkpoint
from probing_bridge.formats.activations.reader import ActivationFile
from probing_bridge.formats.representations import Representations


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


TINY = {
    "encoder_layers": 1, "encoder_embed_dim": 8, "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 2,
    "decoder_layers": 1, "decoder_embed_dim": 8, "decoder_ffn_embed_dim": 16, "decoder_attention_heads": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def by_fairseq_train(train, corpus, tmp_path_factory):
    """What fairseq-train writes without our user dir: the model's part is a namespace, BLEU is numpy's."""
    folder = tmp_path_factory.mktemp("train")
    small = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", value)]
    words = f"""{corpus} --task translation -s en -t de --arch transformer --optimizer adam --criterion cross_entropy
        --lr 0.01 --max-tokens 300 --max-epoch 1 --cpu --num-workers 0 --eval-bleu --best-checkpoint-metric bleu
        --maximize-best-checkpoint-metric --required-batch-size-multiple 1 --save-dir {folder}"""
    train([*words.split(), *small]).succeed()
    return folder / "checkpoint_best.pt"


@pytest.fixture(scope="module")
def by_hydra_train(train, corpus, tmp_path_factory):
    """What fairseq-hydra-train writes without our user dir: plain dictionaries all the way."""
    folder = tmp_path_factory.mktemp("hydra")
    words = f"""hydra.run.dir={folder} task=translation task.data={corpus} task.source_lang=en task.target_lang=de
        +model._name=transformer criterion=cross_entropy optimizer=adam lr_scheduler=fixed optimization.lr=[0.01]
        optimization.max_epoch=1 dataset.max_tokens=300 dataset.num_workers=0 common.cpu=true
        checkpoint.save_dir={folder}"""
    train(
        [*words.split(), *(f"+model.{name}={value}" for name, value in TINY.items())], command="hydra_train"
    ).succeed()
    return folder / "checkpoint_best.pt"


@pytest.fixture(scope="module")
def by_an_old_fairseq(by_fairseq_train, tmp_path_factory):
    """The first as fairseq before 0.11 kept its flags: `args`, and no `cfg`."""
    path = tmp_path_factory.mktemp("old") / "checkpoint_best.pt"
    trained = torch.load(by_fairseq_train, weights_only=True)
    torch.save({**trained, "cfg": None, "args": trained["cfg"]["model"]}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("writer", ["by_fairseq_train", "by_hydra_train", "by_an_old_fairseq"])
def test_what_fairseq_writes_without_the_plugin_is_read_by_everything(writer, request, corpus, tmp_path, train):
    path = request.getfixturevalue(writer)
    trained = torch.load(path, weights_only=True)
    assert "ImpTask" not in trained["extra_state"] and (trained["cfg"] is None) == (writer == "by_an_old_fairseq")
    assert same_model(path, trained["model"])
    assert level_record(path).level is None
    (tmp_path / "words.txt").write_text("w1 w2 w3\n")
    words = f"--path {path} --sentences {tmp_path}/words.txt --output {tmp_path}/r.hdf5 --data {corpus} --cpu"
    assert encode.main(words.split()) == 0
    with Representations(tmp_path / "r.hdf5") as found:
        assert found.layers == ("0", "1") and found.read(["w1", "w2", "w3"]).shape == (2, 3, 8)
    common = [corpus, "--user-dir", PLUGIN, "--task", "lth_imp", "--path", path, "--cpu", "--num-workers", 0]
    common += ["--batch-size", 4, "--required-batch-size-multiple", 1]
    refused = train([*common, "--dump-activations", tmp_path / "dump.h5"], command="validate").error()
    overrides = refused.split("--model-overrides ")[1].strip('"')
    train([*common, "--model-overrides", overrides], command="validate").succeed()
    with ActivationFile(tmp_path / "dump.h5") as found:
        assert found.read_states("decoder", "1", 0, 3).shape == (3, 8)
    generated = train([*common, "--gen-subset", "test", "--max-len-b", 5], command="generate").succeed()
    assert sum(line.startswith("H-") for line in generated.output.splitlines()) == 6
