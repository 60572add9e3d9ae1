"""The plugin on a CUDA device: exact zeros in every precision, resume, branches, two processes, dumps, encodings.

`make test-gpu` runs these. What the device computes is held against the same command on the CPU, or against another run
on the device whose kernels are deterministic, as `start` makes them there.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from paths import PLUGIN
from precisions import PRECISIONS
from random_models import VARIANTS, save_level

from fairseq_lth import encode
from fairseq_lth.levels.checkpoints import imp_state, read_checkpoint
from probing_bridge.formats.activations.reader import SIDES, open_dump
from probing_bridge.formats.representations import Representations
from probing_bridge.pruning.masks import Mask

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="session")
def on_gpu(gpu, flags):
    """The small experiment of the other tests, on the device; dropout draws there by other numbers."""
    return [flag for flag in flags if flag != "--cpu"]


@pytest.fixture(scope="session")
def whole(train, on_gpu, tmp_path_factory):
    """A finished run on the device; read only."""
    folder = tmp_path_factory.mktemp("on_gpu")
    train([*on_gpu, "--save-dir", folder], check=True).succeed()
    return folder


def masks(folder: Path, level: int) -> Mask:
    return Mask.unpack(imp_state(read_checkpoint(folder / f"checkpoint_lth{level}.pt"))["mask"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zeros_after_every_update_of_three_levels(train, on_gpu, tmp_path, precision):
    """Loss scaling with overflows, CUDA kernels and the flat buffer of one device exist only there."""
    train([*on_gpu, *PRECISIONS[precision], "--save-dir", tmp_path], check=True).succeed()
    levels = pd.read_csv(tmp_path / "lth.csv")
    assert levels["level"].tolist() == [0, 1, 2]
    for level in levels.itertuples():
        if level.level:
            model = read_checkpoint(tmp_path / f"checkpoint_lth{level.level}.pt")["model"]
            kept = masks(tmp_path, level.level).kept
            assert not any(model[name][~keep].ne(0).any() for name, keep in kept.items())
            share = sum(int((~keep).sum()) for keep in kept.values()) / sum(keep.numel() for keep in kept.values())
            assert share == pytest.approx(level.sparsity_prunable, abs=1e-9)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_are_rewound_and_stay_zero(train, on_gpu, tmp_path, precision):
    """Optimizer states come from a checkpoint on the CPU, in the middle of a training."""
    argv = [*on_gpu, *PRECISIONS[precision], "--imp-rewind", "weights", "--save-dir", tmp_path]
    train(argv, check=True).succeed()
    assert pd.read_csv(tmp_path / "lth.csv")["level"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_training_that_ends_at_the_boundary_of_a_level_goes_on(train, on_gpu, tmp_path, precision):
    """The level is pruned right after its checkpoint was loaded."""
    argv = [*on_gpu, *PRECISIONS[precision], "--save-dir", tmp_path]
    assert train(argv, die=("epoch", 3), check=True).status == -9
    assert pd.read_csv(tmp_path / "lth.csv")["level"].tolist() == [0]
    train(argv, check=True).succeed()
    assert pd.read_csv(tmp_path / "lth.csv")["level"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("mode", ["lr", "weights"])
def test_a_branch_is_pruned_after_loading(train, on_gpu, tmp_path, precision, mode):
    argv = [*on_gpu, *PRECISIONS[precision]]
    train([*argv, "--imp-iterations", "0", "--save-dir", tmp_path / "dense"]).succeed()
    dense = tmp_path / "dense" / "checkpoint_lth0.pt"
    branch = ("--imp-score", "random", "--imp-rewind", mode, "--restore-file", dense)
    train([*argv, *branch, "--save-dir", tmp_path / "branch"], check=True).succeed()
    assert pd.read_csv(tmp_path / "branch" / "lth.csv")["level"].tolist() == [1, 2]


@pytest.mark.parametrize("mode", ["lr", "weights"])
def test_a_training_that_was_stopped_goes_on_as_if_nothing_had_happened(train, on_gpu, same_level, tmp_path, mode):
    argv = [*on_gpu, "--imp-rewind", mode]
    train([*argv, "--save-dir", tmp_path / "whole"], deterministic=True).succeed()
    stopped = train([*argv, "--save-dir", tmp_path / "run"], die=("update", 19), signal="SIGTERM", deterministic=True)
    assert stopped.status == 143, stopped.output[-2000:]
    train([*argv, "--save-dir", tmp_path / "run"], deterministic=True).succeed()
    for level in range(3):
        same_level(tmp_path / "whole" / f"checkpoint_lth{level}.pt", tmp_path / "run" / f"checkpoint_lth{level}.pt")


def test_a_branch_begins_at_the_level_it_is_given(train, on_gpu, whole, tmp_path):
    branch = ("--imp-score", "random", "--imp-rewind", "weights", "--restore-file", whole / "checkpoint_lth0.pt")
    train([*on_gpu, *branch, "--save-dir", tmp_path], check=True).succeed()
    levels = pd.read_csv(tmp_path / "lth.csv")
    assert levels["level"].tolist() == [1, 2]
    own = pd.read_csv(whole / "lth.csv").set_index("level")["sparsity_prunable"]
    assert levels["sparsity_prunable"].tolist() == own[[1, 2]].tolist()
    assert any((masks(whole, 1).kept[name] != keep).any() for name, keep in masks(tmp_path, 1).kept.items())


def test_two_processes_on_one_device_have_the_masks_of_one(train, start, on_gpu, free_port, tmp_path):
    """Over gloo: NCCL has no two processes on a device. Sums come in another order than by --update-freq."""
    argv = [*on_gpu, "--dropout", "0"]
    train([*argv, "--update-freq", "2", "--save-dir", tmp_path / "one"], deterministic=True).succeed()
    argv += ["--distributed-no-spawn", "--distributed-world-size", "2", "--distributed-backend", "gloo"]
    argv += ["--distributed-init-method", f"tcp://127.0.0.1:{free_port()}", "--device-id", "0"]
    ranks = [
        start([*argv, "--distributed-rank", rank, "--save-dir", tmp_path / "two"], check=True, deterministic=True)
        for rank in (0, 1)
    ]
    for rank in ranks:
        rank.wait().succeed()
    for level in (1, 2):
        one, two = masks(tmp_path / "one", level).kept, masks(tmp_path / "two", level).kept
        same = sum(int((one[name] == two[name]).sum()) for name in one)
        assert same >= 0.99 * sum(keep.numel() for keep in one.values())


@pytest.fixture(scope="module")
def level(corpus, tmp_path_factory):
    """A model with random weights as a checkpoint."""
    return save_level(tmp_path_factory.mktemp("level") / "checkpoint_lth0.pt", corpus, VARIANTS["pre-norm"])


@pytest.mark.parametrize(("precision", "tolerance"), [((), 2e-5), (("--fp16",), 2e-2)])
def test_a_dump_holds_what_the_cpu_computes(start, on_gpu, level, corpus, tmp_path, precision, tolerance):
    argv = [corpus, "--user-dir", PLUGIN, "--task", "lth_imp", "--path", level, "--num-workers", "0"]
    argv += ["--valid-subset", "train", "--max-tokens", "400", "--dump-attention", "--dump-output", "3"]
    for name, device in (("cpu", ("--cpu",)), ("gpu", precision)):
        dumped = ("--dump-activations", tmp_path / f"{name}.h5")
        start([*argv, *device, *dumped], command="validate").wait().succeed()
    with open_dump(tmp_path / "cpu.h5") as cpu, open_dump(tmp_path / "gpu.h5") as gpu:
        assert cpu.components == gpu.components and cpu.attention_kinds == gpu.attention_kinds
        for component, layers in cpu.components.items():
            stop = int(cpu.offsets(SIDES[component])[-1])
            for layer in layers:
                one, other = (dump.read_states(component, layer, 0, stop) for dump in (cpu, gpu))
                np.testing.assert_allclose(other, one, atol=tolerance, rtol=tolerance, err_msg=f"{component} {layer}")
        for kind, layers in cpu.attention_kinds.items():
            stop = int(cpu.attention_offsets(kind)[-1])
            for layer in layers:
                one, other = (dump.read_attention(kind, layer, 0, stop) for dump in (cpu, gpu))
                np.testing.assert_allclose(other, one, atol=tolerance, err_msg=f"{kind} {layer}")


@pytest.mark.parametrize(("precision", "tolerance"), [((), 2e-5), (("--fp16",), 2e-2)])
def test_words_are_encoded_as_on_the_cpu(on_gpu, level, corpus, tmp_path, precision, tolerance):
    lines = tmp_path / "sentences.txt"
    lines.write_text("w1 w2 w3\nw39 w4\n" + " ".join(f"w{k}" for k in range(40)) + "\n")
    for name, device in (("cpu", ("--cpu",)), ("gpu", precision)):
        argv = ["--path", level, "--sentences", lines, "--output", tmp_path / f"{name}.hdf5", "--data", corpus, *device]
        assert encode.main(list(map(str, argv))) == 0
    with Representations(tmp_path / "cpu.hdf5") as cpu, Representations(tmp_path / "gpu.hdf5") as gpu:
        assert cpu.layers == gpu.layers
        for line in lines.read_text().splitlines():
            one, other = (file.read(tuple(line.split(" "))) for file in (cpu, gpu))
            np.testing.assert_allclose(other, one, atol=tolerance, rtol=tolerance)
