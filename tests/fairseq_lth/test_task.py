"""The task inside fairseq: refusals before anything is written, criteria, hydra, records, loading."""

import csv
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from paths import PLUGIN

from fairseq_lth.config import ImpConfig
from fairseq_lth.criterion import PREFIX
from fairseq_lth.errors import RunRefused
from fairseq_lth.levels.checkpoints import (
    CheckpointError,
    imp_state,
    level_record,
    read_checkpoint,
    require_loadable,
)
from fairseq_lth.training.pruning_flags import rewind_epochs

REFUSED = {
    "--imp-rewind-epoch 2": "--imp-rewind-epoch 2: must be 0 or more and less than --max-epoch 2",
    "--imp-rate 1.0": "--imp-rate 1.0: must be 0 or more and below 1",
    "--source-lang fr --target-lang de": "--source-lang fr --target-lang de: no such language pair; ",
    "--imp-rate -0.5": "--imp-rate -0.5: must be 0 or more and below 1",
    "--imp-iterations -1": "--imp-iterations -1: must be 0 to 1000",
    "--imp-masks-from=": "--imp-masks-from: an empty value: is a variable of the shell not set?",
    f"--imp-seed {2**63}": f"--imp-seed {2**63}: must be a whole number of 64 bits",
    "--imp-iterations 1001": "--imp-iterations 1001: must be 0 to 1000",
    "--imp-rewind-epoch 1,0,1": "--imp-rewind-epoch has 3 numbers for --imp-iterations 2",
    "--save-interval 3": "--save-interval 3: nothing would be saved at the end of epoch 1",
    "--save-interval 0": "--save-interval 0: must be 1 or more",
    "--best-checkpoint-metric bleu": "--best-checkpoint-metric bleu: BLEU is not measured; give --eval-bleu too",
    "--patience 2": "--patience cannot be combined",
    "--valid-subset valid,train": "--valid-subset valid,train cannot be combined",
    "--max-update 50": "--max-update cannot be combined",
    "--stop-min-lr 0.0": "--stop-min-lr 0.0 cannot be combined",
    "--stop-time-hours 0.5": "--stop-time-hours 0.5 cannot be combined",
    "--update-freq 1,3 --imp-rewind-epoch 1,0": "--update-freq 1,3 cannot be combined with --task lth_imp: the epochs "
    "after --imp-rewind-epoch 0 need the same number",
    "--curriculum 2": "--curriculum 2 cannot be combined with --task lth_imp: fairseq does not rewind it",
    "--no-save": "--no-save cannot be combined",
    "--reset-dataloader": "--reset-dataloader cannot be combined",
    "--ddp-backend fully_sharded": "--ddp-backend fully_sharded cannot be combined",
    "--store-ema": "--store-ema cannot be combined",
    "--encoder-xformers-att-config {}": "--encoder-xformers-att-config cannot be combined",
    "--restore-file nowhere.pt": "nowhere.pt: no such file",
}


@pytest.mark.parametrize("extra", REFUSED)
def test_bad_flags_are_refused_in_one_line(refusal, flags, tmp_path, extra):
    error = refusal([*flags, *extra.split(), "--save-dir", tmp_path / "run"])
    assert error.startswith(f"fairseq_lth: error: {REFUSED[extra]}"), error
    assert not (tmp_path / "run").exists()


def test_data_in_several_folders_is_refused_since_each_epoch_takes_another(refusal, flags, tmp_path):
    error = refusal([f"{flags[0]}:{flags[0]}", *flags[1:], "--save-dir", tmp_path / "run"])
    assert "DATA in several folders" in error and "put all sentence pairs into one folder" in error


@pytest.mark.parametrize("extra", ["--update-freq 1,3", "--curriculum 1", "--stop-min-lr -1"])
def test_what_is_the_same_in_all_epochs_after_the_rewind_is_not_refused(plan, flags, tmp_path, extra):
    task, _ = plan([*flags, *extra.split(), "--save-dir", tmp_path / "run"])
    assert task.engine.schedule.total_epochs == 4


@pytest.mark.parametrize("given", [1, [1], [1, 1], "1,1", "[1, 1]"])
def test_an_epoch_to_rewind_to_is_a_number_or_a_list(given):
    cfg = OmegaConf.merge(ImpConfig, {"imp_iterations": 2, "imp_rewind_epoch": given})
    assert rewind_epochs(cfg) == (1, 1)


@pytest.mark.parametrize("given", ["", "x", 1.5, True, "1;1", []])
def test_an_epoch_to_rewind_to_that_is_none_is_refused(given):
    cfg = OmegaConf.merge(ImpConfig, {"imp_iterations": 2, "imp_rewind_epoch": given})
    with pytest.raises(RunRefused, match=r"--imp-rewind-epoch .*: must be an epoch, or one for each pruning"):
        rewind_epochs(cfg)


def test_a_training_without_prunings_says_so(plan, flags, tmp_path, caplog):
    plan([*flags, "--save-dir", tmp_path / "pruned"])
    assert "nothing will be pruned" not in caplog.text
    plan([*flags, "--imp-iterations", "0", "--save-dir", tmp_path / "dense"])
    assert "--imp-iterations is 0: nothing will be pruned" in caplog.text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (2, "all 2 levels after level 0 are there: nothing is left to train"),
        (1, "all 1 levels after level 0 are there, and more, up to level 2: nothing is left to train"),
        (3, None),
    ],
)
def test_a_run_whose_levels_are_there_says_so(plan, flags, dense, tmp_path, caplog, asked, said):
    run = shutil.copytree(dense, tmp_path / "run")
    caplog.set_level("INFO")
    task, root = plan([*flags, "--imp-iterations", asked, "--save-dir", run])
    task.build_model(root.model)
    task.set_checkpoint_dict(imp_state(read_checkpoint(run / "checkpoint_last.pt")))
    assert said in caplog.text if said else "levels after" not in caplog.text


@pytest.mark.parametrize(("kept", "left_out"), [("-1", True), ("3", False)])
def test_checkpoints_of_epochs_are_kept_only_where_they_are_asked_for(plan, flags, tmp_path, kept, left_out):
    _, root = plan([*flags, "--keep-last-epochs", kept, "--save-dir", tmp_path / "run"])
    assert root.checkpoint.no_epoch_checkpoints is left_out


@pytest.mark.parametrize("extra", ["--imp-rate 1.0", "--restore-file nowhere.pt"])
def test_a_refused_training_ends_in_one_line_and_writes_nothing(train, flags, tmp_path, extra):
    error = train([*flags, *extra.split(), "--save-dir", tmp_path / "run"]).error()
    assert error.startswith(f"fairseq_lth: error: {REFUSED[extra]}"), error
    assert not (tmp_path / "run").exists()


def test_a_metric_that_is_not_measured_is_refused_with_those_that_are(train, flags, tmp_path):
    argv = [*flags, "--imp-iterations", "0", "--save-dir", tmp_path / "run"]
    error = train([*argv, "--best-checkpoint-metric", "nll-loss"]).error()
    assert error.startswith("fairseq_lth: error: --best-checkpoint-metric nll-loss: the validation measures ")
    assert "loss, nll_loss, ppl" in error and error.endswith(": give one of these") and "lth_" not in error
    train([*argv, "--best-checkpoint-metric", "nll_loss"]).succeed()


def test_a_missing_data_folder_is_refused(refusal, flags, tmp_path):
    error = refusal([str(tmp_path / "nowhere"), *flags[1:], "--save-dir", tmp_path / "run"])
    assert error.endswith("nowhere: no such data folder; make it with fairseq-preprocess")


def test_a_checkpoint_of_another_model_is_refused(plan, flags, dense, tmp_path):
    argv = [*flags, "--encoder-ffn-embed-dim", "24", "--imp-score", "random", "--save-dir", tmp_path / "run"]
    task, root = plan([*argv, "--restore-file", dense / "checkpoint_lth0.pt"])
    expected = (
        r"checkpoint_lth0\.pt is of another model: encoder\.layers\.0\.fc1\.weight is \(16, 8\) in it, \(24, 8\) here"
    )
    with pytest.raises(RunRefused, match=expected):
        task.build_model(root.model)


def test_a_mask_of_other_prunable_weights_is_refused(plan, flags, dense, tmp_path):
    level = dense / "checkpoint_lth1.pt"
    argv = [*flags, "--imp-keep-biases", "--imp-iterations", "3", "--save-dir", tmp_path / "run"]
    task, root = plan([*argv, "--restore-file", level])
    task.build_model(root.model)
    with pytest.raises(RunRefused, match=r"checkpoint_lth1\.pt: its mask and the model differ in .* --imp-keep-biases"):
        task.set_checkpoint_dict(imp_state(read_checkpoint(level)))


def test_records_of_each_level(dense):
    with open(dense / "lth.csv", newline="") as file:
        levels = list(csv.DictReader(file))
    n, pruned = int(levels[0]["prunable_weights"]), 0
    for k, row in enumerate(levels):
        assert int(row["level"]) == k and int(row["pruned_weights"]) == pruned
        assert float(row["sparsity"]) == pruned / int(row["weights"]) and float(row["sparsity_prunable"]) == pruned / n
        assert level_record(dense / row["checkpoint"]).checkpoint_hash == row["checkpoint_hash"]
        pruned += round(0.3 * (n - pruned))
    dense_updates = int(levels[0]["updates"])
    assert [row["updates_before"] for row in levels] == ["", str(dense_updates), str(dense_updates)]
    assert [row["updates_after"] for row in levels] == ["", str(dense_updates // 2), str(dense_updates // 2)]
    assert levels[0]["lr"] == levels[0]["lr_before"] == ""  # the dense level has no rewind
    assert float(levels[1]["lr"]) == pytest.approx(0.01 * (3 / (dense_updates // 2)) ** 0.5)
    with open(dense / "lth_modules.csv", newline="") as file:
        modules = list(csv.DictReader(file))
    for row in levels:
        of_level = [module for module in modules if module["level"] == row["level"]]
        assert sum(int(module["pruned"]) for module in of_level) == int(row["pruned_weights"])
        assert sum(int(module["weights"]) for module in of_level) == n
    assert all(float(m["module_sparsity"]) == int(m["pruned"]) / int(m["weights"]) for m in modules)
    places = {(m["component"], m["layer"], m["kind"], m["projection"]) for m in modules}
    assert {
        ("encoder", "1", "self_attn", "q"),
        ("decoder", "1", "encoder_decoder", "out"),
        ("decoder", "1", "fc", "fc2"),
    } <= (places)


def test_masked_criteria_train_as_their_base(train, refusal, flags, dense, same_level, tmp_path):
    at = flags.index("--criterion")
    argv = [*flags[:at], "--criterion", "magnitude_mask", "--base-criterion", *flags[at + 1 :]]
    training = train([*argv, "--save-dir", tmp_path / "run"]).succeed()
    for level in range(3):
        same_level(tmp_path / "run" / f"checkpoint_lth{level}.pt", dense / f"checkpoint_lth{level}.pt")
    assert "criterion: MaskedLabelSmoothedCrossEntropyCriterion" in training.output
    wrong = [*argv[: argv.index("label_smoothed_cross_entropy")], "cross_entropy", *flags[at + 2 :]]
    error = refusal([*wrong, "--save-dir", tmp_path / "wrong"])
    assert error.endswith("--label-smoothing is not a flag of --base-criterion cross_entropy")
    unread = [*flags[:at], "--criterion", "nat_loss", *flags[at + 2 :], "--save-dir", tmp_path / "unread"]
    assert "could not be read again: its criterion is 'nat_loss'" in refusal(unread)


def test_a_masked_criterion_never_sees_an_unmasked_weight(train, dense, corpus):
    """The loss of a level whose pruned weights are spoilt is that of the level itself."""
    from types import SimpleNamespace

    from fairseq import checkpoint_utils
    from fairseq.criterions import CRITERION_REGISTRY

    from fairseq_lth.training.zeros import GradientMasks
    from probing_bridge.pruning.criteria import prunable_parameters
    from probing_bridge.pruning.masks import Mask

    level = str(dense / "checkpoint_lth2.pt")
    (model,), _, task = checkpoint_utils.load_model_ensemble_and_task([level], arg_overrides={"data": str(corpus)})
    model.eval()
    task.load_dataset("valid")
    sample = task.dataset("valid").collater([task.dataset("valid")[i] for i in range(4)])
    criterion = CRITERION_REGISTRY[PREFIX + "cross_entropy"](task, sentence_avg=False)
    expected = float(criterion(model, sample)[0])
    mask = Mask.unpack(imp_state(read_checkpoint(level))["mask"])
    weights = prunable_parameters(model)
    with torch.no_grad():
        for name, kept in mask.kept.items():
            weights[name][~kept] = 3.0
    assert float(criterion(model, sample)[0]) != expected
    gradients = GradientMasks(mask, weights)
    task.engine = SimpleNamespace(mask_weights=gradients.mask_weights)
    assert float(criterion(model, sample)[0]) == expected


def test_hydra_trains_in_bf16(train, corpus, tmp_path):
    overrides = f"""
        --config-dir {PLUGIN}/hydra --config-name lth_imp
        task.data={corpus} task.imp_iterations=1 task.imp_rewind_epoch=1 task.imp_rate=0.3 optimization.max_epoch=2
        model._name=transformer model.share_all_embeddings=false
        +model.encoder_layers=1 +model.decoder_layers=1 +model.encoder_embed_dim=8 +model.decoder_embed_dim=8
        +model.encoder_ffn_embed_dim=16 +model.decoder_ffn_embed_dim=16 +model.encoder_attention_heads=2
        +model.decoder_attention_heads=2 lr_scheduler.warmup_updates=3 optimization.lr=[0.01] dataset.max_tokens=150
        dataset.num_workers=0 common.fp16=false common.cpu=true common.bf16=true common.user_dir={PLUGIN}
        checkpoint.save_dir={tmp_path / "run"}
    """
    train(overrides.split(), command="hydra_train", check=True).succeed()
    weights = read_checkpoint(tmp_path / "run" / "checkpoint_lth1.pt")["model"]
    fc1 = weights["encoder.layers.0.fc1.weight"]
    assert torch.equal(fc1, fc1.bfloat16().float())  # fairseq saves half precision as float32
    assert level_record(tmp_path / "run" / "checkpoint_lth1.pt").level == 1


def generate_from(level, corpus):
    flags = ["--user-dir", PLUGIN, "--gen-subset", "test", "--task", "translation", "--cpu", "--batch-size", "3"]
    return [corpus, *flags, "--num-workers", "0", "--path", level]


def test_levels_load_in_plain_generate(train, dense, corpus):
    """Also with the translation task, and safe loading on."""
    training = train(generate_from(dense / "checkpoint_lth2.pt", corpus), command="generate").succeed()
    assert "Generate test with beam=5" in training.output


@pytest.mark.slow
def test_levels_load_in_plain_generate_as_a_user_calls_it(dense, corpus):
    """In its own process, whose fairseq is imported before the plugin."""
    command = [Path(sys.executable).with_name("fairseq-generate"), *generate_from(dense / "checkpoint_lth2.pt", corpus)]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 0 and "Generate test with beam=5" in result.stdout, result.stderr[-2000:]


@pytest.fixture(scope="session")
def unusable(dense, tmp_path_factory):
    """Files that are no checkpoints, with what is said about each."""
    folder = tmp_path_factory.mktemp("unusable")
    whole = (dense / "checkpoint_lth2.pt").read_bytes()
    (folder / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "text.pt").write_text("not a checkpoint\n")
    torch.save({"weight": torch.ones(2)}, folder / "foreign.pt")
    return folder, {
        "cut.pt": "cannot be read; it is cut short or no checkpoint",
        "text.pt": "cannot be read; it is cut short or no checkpoint",
        "foreign.pt": "is not a fairseq checkpoint (no model in it)",
        "nowhere.pt": "no such file",
        str(
            dense / "checkpoint_rewind0.pt"
        ): "has weights but no configuration (cfg), so fairseq cannot build its model",
    }


def test_each_file_that_cannot_be_used_is_named(refusal, flags, unusable, tmp_path):
    folder, said = unusable
    for path, reason in said.items():
        with pytest.raises(CheckpointError) as refused:
            require_loadable(folder / path)
        assert str(refused.value) == f"{folder / path}: {reason}"
    for path in ("cut.pt", "text.pt", "foreign.pt"):
        error = refusal([*flags, "--save-dir", tmp_path / "run", "--restore-file", folder / path])
        assert error == f"fairseq_lth: error: {folder / path}: {said[path]}"


@pytest.mark.parametrize(
    ("command", "task"), [("generate", "translation"), ("validate", "lth_imp"), ("train", "translation")]
)
def test_fairseq_names_a_file_that_cannot_be_used_in_one_line(train, flags, unusable, tmp_path, command, task):
    """Also where the task is fairseq's own, which knows nothing of it."""
    path = unusable[0] / "cut.pt"
    common = [flags[0], "--user-dir", PLUGIN, "--task", task, "--cpu", "--batch-size", "3", "--path", path]
    if command == "train":
        common = [*flags[: flags.index("--max-epoch")], "--task", task, "--restore-file", path]
        common += ["--save-dir", tmp_path / "run"]
    error = train(common, command=command).error()
    assert error == f"fairseq_lth: error: {path}: {unusable[1]['cut.pt']}"


class Foreign:
    """A class that no checkpoint should hold."""


def test_an_unexpected_global_is_refused_with_its_name(tmp_path):
    torch.save({"model": {}, "x": Foreign()}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match=r"foreign\.pt: holds \S*Foreign, which is not loaded for safety"):
        read_checkpoint(tmp_path / "foreign.pt")


@given(content=st.binary(max_size=60) | st.text("abc.0(}]Ktqu\n", max_size=20).map(str.encode))
def test_any_bytes_that_are_no_checkpoint_are_refused(content):
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        with pytest.raises(CheckpointError):
            read_checkpoint(file.name)


def test_checkpoints_of_eval_bleu_load(tmp_path):
    meters = {"counts": np.array([1, 2]), "sum": np.float64(2.5), "n": np.int64(3)}
    torch.save({"model": {"a": torch.ones(2)}, "meters": meters}, tmp_path / "meters.pt")
    assert read_checkpoint(tmp_path / "meters.pt")["meters"]["sum"] == 2.5


def test_checkpoints_of_old_torch_load(tmp_path):
    torch.save({"model": {"a": torch.ones(2)}}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert read_checkpoint(tmp_path / "old.pt")["model"]["a"].tolist() == [1, 1]


def test_plain_checkpoints_have_a_record(tmp_path):
    weight = torch.tensor([0.0, 1.0, 0.0, 2.0])
    torch.save(
        {"model": {"a": weight, "tied": weight, "b": torch.ones(4), "version": torch.tensor([3])}}, tmp_path / "p.pt"
    )
    record = level_record(tmp_path / "p.pt")
    assert (record.experiment, record.level, record.sparsity, record.checkpoint) == ("", None, 0.25, "p.pt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pt: "):
        read_checkpoint(tmp_path / "x.pt")
    buffer = io.BytesIO()
    torch.save([1, 2], buffer)
    (tmp_path / "x.pt").write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match="not a fairseq checkpoint"):
        read_checkpoint(tmp_path / "x.pt")
