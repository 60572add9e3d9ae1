"""Every architecture that fairseq registers and the plugin supports: saved, then read by all that reads checkpoints."""

import importlib
import sys

import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.models import ARCH_MODEL_REGISTRY
from paths import PLUGIN
from random_models import save_level

from fairseq_lth import encode
from fairseq_lth.levels import gate
from fairseq_lth.levels.checkpoints import require_loadable
from probing_bridge.formats.activations.reader import ActivationFile
from probing_bridge.formats.representations import Representations

COMMON = "--optimizer adam --criterion cross_entropy --max-tokens 500 --cpu --encoder-embed-dim 8 --decoder-embed-dim 8"
LAYERS = "--encoder-layers 1 --decoder-layers 1"
TRANSFORMER = f"""{LAYERS} --encoder-ffn-embed-dim 16 --decoder-ffn-embed-dim 16 --encoder-attention-heads 2
    --decoder-attention-heads 2 --max-source-positions 64 --max-target-positions 64"""
# class of models -> flags that make any of its architectures small
SMALL = {
    "TransformerModel": TRANSFORMER,
    "TransformerAlignModel": f"{TRANSFORMER} --alignment-layer 0",
    "BARTModel": TRANSFORMER,
    "LightConvModel": f"""{TRANSFORMER} --encoder-kernel-size-list [3] --decoder-kernel-size-list [3]
        --encoder-conv-dim 8 --decoder-conv-dim 8""",
    "LSTMModel": f"{LAYERS} --encoder-hidden-size 8 --decoder-hidden-size 8 --decoder-out-embed-dim 8",
    "FConvModel": "--encoder-layers [(8,3)] --decoder-layers [(8,3)] --decoder-out-embed-dim 8",
}
WITHOUT_SELF_ATTENTION = {"LightConvModel", "LSTMModel", "FConvModel"}
SUPPORTED = sorted(name for name, model in ARCH_MODEL_REGISTRY.items() if model.__name__ in gate._MODELS)
ONE_EACH = {ARCH_MODEL_REGISTRY[name].__name__: name for name in reversed(SUPPORTED)}


@pytest.fixture(scope="module")
def joined(corpus, tmp_path_factory):
    """The corpus with one dictionary for both languages, which BART shares its embeddings over."""
    from fairseq import options
    from fairseq_cli.preprocess import main

    folder = tmp_path_factory.mktemp("joined")
    splits = [word for split in ("train", "valid", "test") for word in (f"--{split}pref", str(corpus.parent / split))]
    words = ["-s", "en", "-t", "de", "--destdir", str(folder), "--workers", "1", "--joined-dictionary", *splits]
    main(options.get_preprocessing_parser().parse_args(words))
    return folder


@pytest.fixture
def save(joined, tmp_path):
    """Saves a small random model of an architecture."""

    def save(name):
        small = f"{COMMON} {SMALL[ARCH_MODEL_REGISTRY[name].__name__]}"
        return save_level(tmp_path / "level.pt", joined, f"--arch {name}", small=small)

    return save


def test_no_class_of_models_is_forgotten():
    assert SMALL.keys() == gate._MODELS == ONE_EACH.keys()


def without_architecture(flags):
    """The small experiment's flags without those of its model, which others have not."""
    return flags[: flags.index("--arch")] + flags[flags.index("--task") :]


@pytest.mark.parametrize("name", ["fconv_self_att", "roberta_enc_dec", "cmlm_transformer"])
def test_others_are_refused_before_they_are_trained(refusal, flags, tmp_path, name):
    """Nothing could read their levels."""
    error = refusal([*without_architecture(flags), "--arch", name, "--save-dir", tmp_path / "run"])
    assert error.startswith(f"fairseq_lth: error: --arch {name}: no architecture that is supported here"), error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", SUPPORTED)
def test_all_that_are_supported_may_be_trained(plan, flags, tmp_path, name):
    task, _ = plan([*without_architecture(flags), "--arch", name, "--save-dir", tmp_path / "run"])
    assert task.engine is not None


@pytest.mark.parametrize("name", ONE_EACH.values())
def test_it_loads(name, save):
    path = save(name)
    expected = require_loadable(path)["model"]
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)])
    assert all(torch.equal(tensor, expected[key]) for key, tensor in model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("name", SUPPORTED)
def test_it_generates_dumps_and_encodes(name, save, corpus, joined, tmp_path, monkeypatch, capsys):
    path = save(name)
    words = tmp_path / "words.txt"
    words.write_text("w1 w2 w3\n")

    def run(command, flags):
        common = f"{joined} --user-dir {PLUGIN} --task lth_imp --path {path} --cpu --num-workers 0 --batch-size 4"
        monkeypatch.setattr(sys, "argv", [command, *common.split(), *flags.split()])
        importlib.import_module(f"fairseq_cli.{command}").cli_main()
        return capsys.readouterr().out

    out = run("generate", "--gen-subset test --beam 2 --max-len-b 5 --required-batch-size-multiple 1")
    assert sum(line.startswith("H-") for line in out.splitlines()) == 6, out
    to_encode = f"--path {path} --sentences {words} --output {tmp_path}/r.hdf5 --data {joined} --cpu".split()
    to_dump = f"--valid-subset valid --dump-activations {tmp_path}/dump.h5"
    if ARCH_MODEL_REGISTRY[name].__name__ in WITHOUT_SELF_ATTENTION:
        assert encode.main(to_encode) == 2
        assert "has no Transformer layers" in capsys.readouterr().err
        with pytest.raises(SystemExit, match="has no Transformer layers"):
            run("validate", to_dump)
        return
    assert encode.main(to_encode) == 0
    with Representations(tmp_path / "r.hdf5") as found:
        assert found.read(["w1", "w2", "w3"]).shape == (len(found.layers), 3, 8)
    run("validate", to_dump)
    with ActivationFile(tmp_path / "dump.h5") as found:
        assert found.components.keys() == {"encoder", "decoder"}
        assert found.read_states("encoder", "1", 0, 3).shape == (3, 8)
