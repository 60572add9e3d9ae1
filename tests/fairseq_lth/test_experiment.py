"""The identity of an experiment: every field that decides its numbers changes it, nothing else does."""

import shutil
from typing import Any, get_type_hints

import pytest
from omegaconf import OmegaConf

from fairseq_lth.training.experiment import differences, experiment_id
from fairseq_lth.training.settings import RunSettings

IDENTITY = {
    "common": "seed fp16 bf16 amp memory_efficient_fp16 memory_efficient_bf16 fp16_no_flatten_grads",
    "criterion": "_name label_smoothing report_accuracy ignore_prefix_size sentence_avg",
    "dataset": "max_tokens batch_size required_batch_size_multiple required_seq_len_multiple train_subset curriculum "
    "num_shards shard_id grouped_shuffling update_epoch_batch_itr update_ordered_indices_seed",
    "distributed_training": "distributed_world_size",
    "lr_scheduler": "_name warmup_updates warmup_init_lr lr",
    "model": "_name dropout attention_dropout activation_dropout activation_fn encoder_layers decoder_layers "
    "encoder_embed_dim decoder_embed_dim encoder_ffn_embed_dim decoder_ffn_embed_dim encoder_attention_heads "
    "decoder_attention_heads encoder_normalize_before decoder_normalize_before encoder_learned_pos "
    "decoder_learned_pos share_all_embeddings share_decoder_input_output_embed encoder_layerdrop decoder_layerdrop "
    "layernorm_embedding adaptive_softmax_cutoff no_token_positional_embeddings",
    "optimization": "max_epoch clip_norm sentence_avg lr skip_remainder_batch update_freq",
    "optimizer": "_name adam_betas adam_eps weight_decay use_old_adam fp16_adam_stats tpu lr",
    "task": "source_lang target_lang left_pad_source left_pad_target max_source_positions max_target_positions "
    "upsample_primary truncate_source num_batch_buckets imp_rate imp_rewind imp_rewind_epoch imp_score imp_scope "
    "imp_calibration_batches imp_prune_embeddings imp_keep_biases imp_reinit",
}
FIELDS = [(group, name) for group, names in IDENTITY.items() for name in names.split()]
OTHERS = {  # components that exist, since their own flags are looked up, and an epoch
    ("model", "_name"): "transformer_iwslt_de_en",
    ("task", "imp_rewind_epoch"): "2",
}


@pytest.fixture(scope="module")
def settings(configure, flags):
    """The whole configuration of a training, free of fairseq's types, so that any field may change."""
    cfg = configure([*flags, "-s", "en", "-t", "de"])
    parts = {name: part for name, part in cfg.items() if name != "model"}
    return OmegaConf.create(OmegaConf.to_container(OmegaConf.create(parts), resolve=True, enum_to_str=True)), cfg.model


class Root:
    """A configuration with one field changed."""

    def __init__(self, settings, group=None, name=None, value=None):
        plain, model = settings
        self._plain = plain.copy()
        self.model = type(model)(**vars(model))
        if group == "model":
            setattr(self.model, name, value)
        elif group is not None:
            self._plain[group][name] = value

    def __getattr__(self, group):
        return self._plain[group]

    def experiment(self, parent=""):
        return experiment_id(self.task, self, parent)


def another(value):
    """A value that is not the given one, of its type where it has one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return 7 if value is None else [*value, 3]


@pytest.mark.parametrize(("group", "name"), FIELDS)
def test_each_field_of_the_identity_changes_it(settings, group, name):
    before = Root(settings)
    value = getattr(before.model, name) if group == "model" else getattr(before, group)[name]
    changed = Root(settings, group, name, OTHERS.get((group, name), another(value)))
    assert changed.experiment() != before.experiment()


def test_nothing_else_changes_it(settings):
    plain, _ = settings
    expected, checked = Root(settings).experiment(), 0
    for group, part in plain.items():
        if group in ("criterion", "lr_scheduler", "model", "optimizer") or not OmegaConf.is_config(part):
            continue
        for name, value in part.items():
            if (group, name) not in FIELDS and name not in ("data", "imp_masks_from"):
                assert Root(settings, group, name, another(value)).experiment() == expected, (group, name)
                checked += 1
    assert checked > 150


def test_the_model_counts_only_with_its_own_flags(settings):
    """fairseq hands a model without a dataclass every flag of the run."""
    expected = Root(settings).experiment()
    for name in ("save_dir", "log_interval", "num_workers", "imp_iterations", "user_dir", "data", "keep_last_epochs"):
        assert Root(settings, "model", name, "x").experiment() == expected, name


@pytest.mark.parametrize(
    ("name", "value"), [("imp_score", "random"), ("imp_score", "shuffle"), ("imp_score", "wanda"), ("imp_reinit", True)]
)
def test_the_seed_of_what_is_drawn_counts(settings, name, value):
    drawn, seeded = (Root(settings, "task", name, value) for _ in range(2))
    seeded.task.imp_seed = 9
    assert drawn.experiment() != seeded.experiment()


def test_the_run_whose_masks_are_used_counts_wherever_it_lies(settings, dense, tmp_path):
    used = Root(settings, "task", "imp_masks_from", str(dense)).experiment()
    assert used != Root(settings).experiment()
    (tmp_path / "checkpoint_lth2.pt").hardlink_to(dense / "checkpoint_lth2.pt")
    assert Root(settings, "task", "imp_masks_from", str(tmp_path)).experiment() == used


def test_the_parent_counts(settings):
    random = Root(settings, "task", "imp_score", "random")
    assert random.experiment("0123/lth0") not in (random.experiment(), random.experiment("0123/lth1"))


def test_an_effective_batch_may_be_split_over_processes(settings):
    four, split = Root(settings, "optimization", "update_freq", [4]), Root(settings, "optimization", "update_freq", [2])
    split.distributed_training.distributed_world_size = 2
    assert split.experiment() == four.experiment()


def test_one_rewind_epoch_for_all_prunings_may_be_written_out(settings):
    assert Root(settings, "task", "imp_rewind_epoch", [1, 1]).experiment() == Root(settings).experiment()


def test_data_count_by_content(settings, corpus, tmp_path):
    moved = shutil.copytree(corpus, tmp_path / "moved")
    expected = Root(settings).experiment()
    assert Root(settings, "task", "data", str(moved)).experiment() == expected
    for name in ("dict.en.txt", "train.en-de.de.idx", "train.en-de.en.bin"):
        spoilt = shutil.copytree(corpus, tmp_path / name)
        with open(spoilt / name, "ab") as file:
            file.write(b"x")
        assert Root(settings, "task", "data", str(spoilt)).experiment() != expected, name
    (moved / "valid.en-de.en.bin").unlink()
    assert Root(settings, "task", "data", str(moved)).experiment() == expected


def test_further_training_files_that_fairseq_takes_as_well_count(settings, refusal, flags, corpus, dense, tmp_path):
    """It trains on train, train1, train2, ... together."""
    more = shutil.copytree(corpus, tmp_path / "more")
    expected = Root(settings).experiment()
    for name in ("trainer.en-de.en.bin", "train-1.en-de.en.bin", "valid1.en-de.en.bin"):
        shutil.copy(corpus / "valid.en-de.en.bin", more / name)
    assert Root(settings, "task", "data", str(more)).experiment() == expected
    for file in corpus.glob("valid.en-de.*"):
        shutil.copy(file, more / file.name.replace("valid", "train1"))
    with_more = Root(settings, "task", "data", str(more)).experiment()
    assert with_more != expected
    with open(more / "train1.en-de.de.bin", "ab") as file:
        file.write(b"x")
    assert Root(settings, "task", "data", str(more)).experiment() not in (with_more, expected)
    error = refusal([str(more), *flags[1:], "--save-dir", shutil.copytree(dense, tmp_path / "run")])
    assert "(the same flags, but other data, dictionaries or masks)" in error


def test_another_corpus_of_equal_lengths_is_another_experiment(settings, corpus, tmp_path):
    other = shuffled(corpus, tmp_path / "other")
    for file in corpus.iterdir():
        assert (other / file.name).stat().st_size == file.stat().st_size
        assert (other / file.name).read_bytes() == file.read_bytes() or file.name == "train.en-de.de.bin"
    assert Root(settings, "task", "data", str(other)).experiment() != Root(settings).experiment()


def test_a_run_does_not_go_on_with_another_corpus(refusal, flags, corpus, dense, tmp_path):
    other = shuffled(corpus, tmp_path / "other")
    run = shutil.copytree(dense, tmp_path / "run")
    error = refusal([str(other), *flags[1:], "--save-dir", run])
    assert str(run) in error and "(the same flags, but other data, dictionaries or masks)" in error


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("--imp-rate 0.4", "(--imp-rate 0.3 there, 0.4 here)"),
        ("--imp-iterations 3 --max-epoch 5", "(--max-epoch 2 there, 5 here)"),
        ("--imp-rewind-epoch 0", "(--imp-rewind-epoch [1] there, [0] here)"),
        ("--lr 0.02 --seed 6", "(--lr [0.01] there, [0.02] here; --seed 5 there, 6 here)"),
        ("--lr-scheduler fixed --warmup-updates 3", "(--lr-scheduler inverse_sqrt there, fixed here)"),
        ("--arch transformer_iwslt_de_en", "(--arch transformer there, transformer_iwslt_de_en here)"),
        (
            "--lr 0.02 --seed 6 --dropout 0.3 --clip-norm 1 --imp-rate 0.4 --warmup-updates 4",
            "; and 1 more): use the same settings to continue it, or another --save-dir",
        ),
        ("--restore-file {dense}/checkpoint_lth0.pt --imp-score random", "(branched from no level there, "),
    ],
)
def test_a_save_dir_of_another_experiment_names_what_differs(refusal, flags, dense, tmp_path, extra, expected):
    run = shutil.copytree(dense, tmp_path / "run")
    error = refusal([*flags, *extra.format(dense=dense).split(), "--save-dir", run])
    assert str(run) in error and "is of another experiment" in error and expected in error, error


def test_a_configuration_that_cannot_be_compared_is_said(configure, flags):
    root = configure([*flags, "-s", "en", "-t", "de"])
    for saved in (None, {}, {"task": 3}, {"task": {"imp_iterations": 0}}):
        (said,) = differences(root.task, root, saved, [0, None])
        assert said.startswith("its configuration cannot be compared")


def shuffled(corpus, folder):
    """The same sentence lengths and dictionaries; the tokens of the target side in another order."""
    shutil.copytree(corpus, folder)
    tokens = (folder / "train.en-de.de.bin").read_bytes()
    (folder / "train.en-de.de.bin").write_bytes(tokens[4:] + tokens[:4])
    return folder


def test_an_optimizer_without_a_dataclass_counts_with_its_own_flags(configure, flags):
    at = flags.index("--adam-betas")
    common = ["adafactor" if flag == "adam" else flag for flag in [*flags[:at], *flags[at + 2 :]]]
    common += ["-s", "en", "-t", "de"]

    def experiment(*extra):
        cfg = configure([*common, *extra])
        return experiment_id(cfg.task, cfg, "")

    assert experiment("--save-dir", "x", "--log-interval", "7") == experiment()
    assert experiment("--clip-threshold", "0.3") != experiment()


def test_what_the_plugin_reads_of_the_configuration_is_there(configure, flags):
    """The types against which mypy checks the plugin are those of fairseq's own configuration."""
    root, checked = configure(flags), 0
    groups = {name: part for name, part in get_type_hints(RunSettings).items() if part is not Any}
    for name in get_type_hints(RunSettings):
        assert name in root, name
    for name, part in groups.items():
        for field in get_type_hints(part):
            assert field in root[name], (name, field)
            checked += 1
    assert checked > 40
