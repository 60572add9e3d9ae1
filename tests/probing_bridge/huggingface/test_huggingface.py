"""Models of every family against what transformers computes by itself: states, attention, words, outputs."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", minversion="4.57", reason="models of Hugging Face: extra hf")
import tiny_models
import torch
import transformers
from safetensors.torch import load_file, save_file

from probing_bridge.formats.activations.reader import open_dump
from probing_bridge.formats.files import file_hash
from probing_bridge.formats.representations import Representations
from probing_bridge.formats.tables import read_table
from probing_bridge.formats.words import WordsError
from probing_bridge.huggingface.encoding import padded, positions
from probing_bridge.huggingface.folder import open_model, open_tokenizer
from probing_bridge.huggingface.layers import LayersError, find_stacks, run
from probing_bridge.huggingface.levels import masks_of
from probing_bridge.huggingface.words import segmenter_of, with_specials
from probing_bridge.pruning.criteria import prunable_parameters, prune
from probing_bridge.pruning.masks import Mask
from probing_bridge.run import main

SLOW = ("roberta", "t5", "marian")  # whose like are in the default run: gpt2, m2m, fsmt
FAMILIES = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in tiny_models.FAMILIES]
TRANSLATING = ("t5", "marian", "m2m", "fsmt")
TARGETED = [family for family in FAMILIES if family.values[0] in TRANSLATING]
PRE_NORM = ("gpt2", "t5", "m2m")
NONE = {"source": "", "target": ""}
LINES = ["understanding words", "the dog barks , standing", "it is what it was and is it words known well"]
TARGETS = ["UNDERSTANDING THE WORDS", "DOG", "IT IS WHAT IT WAS , KNOWN WELL"]


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def folder(family, folder_of):
    return folder_of(family)


def ids_of(folder, model, side, lines):
    return [with_specials(open_tokenizer(folder, model.config, side, NONE), line) for line in lines]


def inputs(folder, model, family):
    """A batch as dumps make it: the source, and the shifted target where there is one."""
    source = padded(ids_of(folder, model, "source", LINES), model.device, model.config.pad_token_id)
    if family not in TRANSLATING:
        return source, None
    start = model.config.decoder_start_token_id
    target = [[start, *ids[:-1]] for ids in ids_of(folder, model, "target", TARGETS)]
    return source, padded(target, model.device, model.config.pad_token_id)


@torch.inference_mode()
def test_states_are_the_models_own_and_the_last_layer_is_not_the_norm(folder, family):
    model = open_model(folder, with_head=True)
    source, target = inputs(folder, model, family)
    stacks, found = find_stacks(model), {}
    with (
        stacks[next(iter(stacks))].listen(lambda name, states: found.setdefault(("first", name), states)),
        list(stacks.values())[-1].listen(lambda name, states: found.setdefault(("last", name), states)),
    ):
        output = run(model, source, target, output_hidden_states=True)
    tuples = {"first": getattr(output, "encoder_hidden_states", None) or output.hidden_states}
    tuples["last"] = getattr(output, "decoder_hidden_states", None) or tuples["first"]
    for which, own in tuples.items():
        stack = stacks["encoder" if which == "first" and "encoder" in stacks else list(stacks)[-1]]
        assert (stack.norm is not None) == (family in PRE_NORM)
        assert stack.names[: len(own)] == [str(number) for number in range(len(own))]
        for name, states in zip(stack.names[:-1] if stack.norm else stack.names, own, strict=False):
            if stack.norm is None or int(name) < len(stack.layers):
                assert torch.equal(found[which, name], states), (which, name)
        last = found[which, str(len(stack.layers))]
        if stack.norm is not None:
            assert torch.equal(found[which, "norm"], own[-1]) and torch.equal(stack.norm(last), own[-1])
            assert not torch.allclose(last, own[-1], atol=0.1)


@torch.inference_mode()
def test_a_dump_holds_what_each_sentence_gives_by_itself(folder, family, tmp_path):
    """States, attention that sums to 1, and outputs, one sentence at a time without padding."""
    (tmp_path / "source.txt").write_text("\n".join(LINES) + "\n")
    (tmp_path / "target.txt").write_text("\n".join(TARGETS) + "\n")
    words = ["dump", "--hf", folder, "--source", tmp_path / "source.txt", "--output", tmp_path / "d.h5", "--level", "2"]
    words += ["--target", tmp_path / "target.txt"] if family in TRANSLATING else []
    words += [] if family in ("bert", "roberta") else ["--dump-output", "3"]
    assert main([str(word) for word in words]) == 0
    model = transformers.AutoModelForSeq2SeqLM if family in TRANSLATING else transformers.AutoModel
    model = transformers.AutoModelForCausalLM if family == "gpt2" else model
    model = model.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    source, target = inputs(folder, model, family)
    with open_dump(tmp_path / "d.h5") as dump:
        assert dump.origin.level == 2 and dump.origin.checkpoint == family
        for number in range(len(LINES)):
            both = [alone(side, number) for side in (source, target) if side]
            output = run(model, *both, output_hidden_states=True, output_attentions=True)
            check_sentence(dump, number, output, family)


def alone(side, number):
    """Ids and mask of one sentence of a batch, without padding."""
    length = int(side[1][number].sum())
    return tuple(part[number : number + 1, :length] for part in side)


def check_sentence(dump, number, output, family):
    parts = {"encoder": "encoder", "decoder": "decoder"} if family in TRANSLATING else {next(iter(dump.components)): ""}
    for component, prefix in parts.items():
        rows = dump.offsets("source" if component == "encoder" else "target")[number : number + 2]
        own = getattr(output, f"{prefix}_hidden_states" if prefix else "hidden_states")
        layers = dump.components[component]
        for name, states in zip([*layers[: len(own) - 1], layers[-1]], own, strict=True):
            np.testing.assert_allclose(dump.read_states(component, name, *rows), states[0], atol=1e-5)
    names = {"encoder_self": "encoder_attentions", "decoder_self": "decoder_attentions"}
    names["encoder_decoder"] = "cross_attentions"
    assert set(dump.attention_kinds) == (set(names) if family in TRANSLATING else {f"{next(iter(parts))}_self"})
    for kind, layers in dump.attention_kinds.items():
        rows = dump.attention_offsets(kind)[number : number + 2]
        for layer in layers:
            own = getattr(output, names[kind] if family in TRANSLATING else "attentions")[int(layer) - 1][0]
            ours = dump.read_attention(kind, layer, *rows).T.reshape(own.shape)  # (n_heads, n_queries, n_keys)
            np.testing.assert_allclose(ours, own, atol=1e-5)
            np.testing.assert_allclose(ours.sum(axis=-1), 1, atol=1e-5)
    if dump.n_best:
        ours = dump.read_output(*dump.offsets("target")[number : number + 2])
        logs = output.logits[0].log_softmax(-1)
        np.testing.assert_allclose(ours.log_probabilities, logs.topk(3).values, atol=1e-5)
        gold = torch.from_numpy(ours.gold.astype(np.int64))
        np.testing.assert_allclose(ours.gold_log_probability, logs.gather(1, gold[:, None])[:, 0], atol=1e-5)
        tokens = dump.tokens("target", *dump.offsets("target")[number : number + 2])
        assert ours.gold[:-1].tolist() == tokens[1:].tolist()  # what should come is the next token


SENTENCES = ["understanding the wordz dog", "it is , what 中文 it", "barks"]


def test_words_are_the_pieces_of_the_whole_sentence(folder, family):
    model = open_model(folder, with_head=False)
    for side in ("source", "target") if family in TRANSLATING else ("source",):
        tokenizer = open_tokenizer(folder, model.config, side, NONE)
        for line in SENTENCES:
            line = line.upper() if side == "target" and family != "fsmt" else line
            (window,) = segmenter_of(tokenizer).windows(line.split(), 99)
            assert window.ids == with_specials(tokenizer, line)
            owners = np.array(window.owners)
            assert owners[owners >= 0].tolist() == sorted(owners[owners >= 0].tolist())
            for number, word in enumerate(line.split()):
                ids = [piece for piece, own in zip(window.ids, owners, strict=True) if own == number]
                pieces = tokenizer.convert_ids_to_tokens(ids)
                if side == "source" and family == "fsmt":  # it names ids by the other side's dictionary
                    names = {index: symbol for symbol, index in tokenizer.encoder.items()}
                    pieces = [names[piece] for piece in ids]
                text = "".join(pieces)
                for mark in ("##", "▁", "Ġ", "</w>"):
                    text = text.replace(mark, "")
                if not {tokenizer.unk_token, "<unk>"} & set(pieces) and word.isascii():
                    assert text == (word.lower() if family == "bert" else word), (family, side)


def test_a_word_without_a_piece_is_unknown_and_a_symbols_name_is_text(folder_of):
    folder = folder_of("bert")
    tokenizer = open_tokenizer(folder, open_model(folder, with_head=False).config, "source", NONE)
    (window,) = segmenter_of(tokenizer).windows(["dog", "", "\u200d", "[MASK]", "[PAD]"], 99)
    unknown = tokenizer.unk_token_id
    assert [i for i, own in zip(window.ids, window.owners, strict=True) if own in (1, 2)] == [unknown, unknown]
    assert not {tokenizer.mask_token_id, tokenizer.pad_token_id} & set(window.ids)
    config = open_model(folder_of("gpt2"), with_head=False).config
    without = segmenter_of(open_tokenizer(folder_of("gpt2"), config, "source", NONE))
    with pytest.raises(WordsError, match="no piece of the word ''"):
        list(without.windows(["", "a"], 99))


def test_encoding_is_the_mean_of_a_words_pieces_whatever_the_batch(folder, family, tmp_path):
    """Long sentences go through in windows; short ones are compared with a pass by hand."""
    long = " ".join(f"dog it{number % 7}" for number in range(40))
    (tmp_path / "words.txt").write_text("\n".join([*SENTENCES[:2], long]) + "\n")
    files = []
    for max_tokens in ("1", "1000"):
        files.append(tmp_path / f"{max_tokens}.hdf5")
        words = ["encode", "--hf", folder, "--sentences", tmp_path / "words.txt", "--max-tokens", max_tokens]
        assert main([str(word) for word in [*words, "--output", files[-1], "--allow-unknown"]]) == 0
    model = open_model(folder, with_head=False)
    tokenizer = open_tokenizer(folder, model.config, "source", NONE)
    stack = next(iter(find_stacks(model).values()))
    with Representations(files[0]) as one, Representations(files[1]) as many:
        assert list(one.layers) == stack.names
        for line in (*SENTENCES[:2], long):
            np.testing.assert_allclose(one.read(line.split()), many.read(line.split()), atol=1e-5)
        for line in SENTENCES[:2]:
            (window,) = segmenter_of(tokenizer).windows(line.split(), positions(model, tokenizer))
            states = {}
            with torch.inference_mode(), stack.listen(states.__setitem__):
                ids = padded([window.ids], model.device, None)
                run(model.get_encoder() if family in TRANSLATING else model, ids)
            owners = np.array(window.owners)
            for place, name in enumerate(stack.names):
                means = [states[name][0].numpy()[owners == word].mean(axis=0) for word in range(len(line.split()))]
                np.testing.assert_allclose(many.read(line.split())[place], means, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_encoding_on_a_gpu_is_that_of_the_cpu(folder, tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(SENTENCES) + "\n")
    for name, device in (("gpu", ()), ("cpu", ("--cpu",))):
        words = ["encode", "--hf", folder, "--sentences", tmp_path / "words.txt", "--allow-unknown", *device]
        assert main([str(word) for word in [*words, "--output", tmp_path / f"{name}.hdf5"]]) == 0
    with Representations(tmp_path / "gpu.hdf5") as gpu, Representations(tmp_path / "cpu.hdf5") as cpu:
        for line in SENTENCES:
            np.testing.assert_allclose(gpu.read(line.split()), cpu.read(line.split()), atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("family", TARGETED)
def test_words_of_a_target_are_the_decoders_states_in_the_dump(folder_of, family, tmp_path):
    """Pooled by hand over the rows of the pieces, which come behind what the decoder begins with."""
    folder = folder_of(family)
    for name, lines in (("source.txt", LINES), ("target.txt", TARGETS)):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    words = ["--hf", folder, "--source", tmp_path / "source.txt", "--output"]
    target = tmp_path / "target.txt"
    assert main([str(word) for word in ["dump", *words, tmp_path / "d.h5", "--target", target]]) == 0
    side = ["--side", "target", "--sentences", target, "--allow-unknown"]
    assert main([str(word) for word in ["encode", *words, tmp_path / "r.hdf5", *side]]) == 0
    model = open_model(folder, with_head=False)
    tokenizer = open_tokenizer(folder, model.config, "target", NONE)
    with Representations(tmp_path / "r.hdf5") as read, open_dump(tmp_path / "d.h5") as dump:
        assert read.origin.component == "decoder" and list(read.layers) == list(dump.components["decoder"])
        for number, line in enumerate(TARGETS):
            (window,) = segmenter_of(tokenizer, model.config.decoder_start_token_id).windows(line.split(), 99)
            first, last = dump.offsets("target")[number : number + 2]
            assert dump.tokens("target", first, last).tolist() == window.ids
            for place, name in enumerate(read.layers):
                states, owners = dump.read_states("decoder", name, first, last), np.array(window.owners)
                means = [states[owners == word].mean(axis=0) for word in range(len(line.split()))]
                np.testing.assert_allclose(read.read(line.split())[place], means, atol=1e-5)


RATES = (0.2, 0.5)


@pytest.mark.parametrize(
    "score", ["shuffle", *(pytest.param(one, marks=pytest.mark.slow) for one in ("magnitude", "random"))]
)
def test_a_series_has_the_plugins_masks(folder_of, tmp_path, capsys, score):
    words = ["prune", "--hf", folder_of("m2m"), "--rates", "0.2,0.5", "--score", score, "--output", tmp_path / "series"]
    assert main([str(word) for word in words]) == 0
    dense = transformers.M2M100ForConditionalGeneration.from_pretrained(folder_of("m2m"))
    weights, found = prunable_parameters(dense), [masks_of(tmp_path / "series" / f"lth{level}") for level in range(3)]
    assert found[0].sparsity == 0
    for rate, mask in zip(RATES, found[1:], strict=True):
        expected = prune(weights, Mask.full(weights), rate, score, "global", seed=1, level=1)
        assert {name: mask.kept[name].tolist() for name in weights} == {
            name: kept.tolist() for name, kept in expected.kept.items()
        }
        assert mask.n_pruned == expected.n_pruned == round(rate * expected.n_weights)
    table = read_table(tmp_path / "series" / "lth.csv", "lth")
    assert table["pruned_weights"].tolist() == [mask.n_pruned for mask in found]
    assert table["sparsity"].tolist() == pytest.approx([mask.sparsity for mask in found])
    assert table["checkpoint_hash"].tolist() == [
        file_hash(tmp_path / "series" / f"lth{level}" / "model.safetensors") for level in range(3)
    ]
    assert all(earlier.shrinks_to(later) for earlier, later in pairwise(found))
    encoded = []
    for level in range(2):
        (tmp_path / "words.txt").write_text("the dog\n")
        place = tmp_path / "series" / f"lth{level}"
        words = ["encode", "--hf", place, "--sentences", tmp_path / "words.txt", "--level", level, "--sparsity"]
        assert main([str(word) for word in [*words, "--output", tmp_path / "r.hdf5", "--allow-unknown"]]) == 0
        with Representations(tmp_path / "r.hdf5") as read:
            encoded.append(read.origin)
    assert [origin.level for origin in encoded] == [0, 1] and encoded[0].sparsity == 0
    assert encoded[0].experiment == encoded[1].experiment == table["experiment"][0] and encoded[
        0
    ].experiment.startswith("series-")
    assert encoded[1].sparsity == found[1].sparsity == found[1].n_pruned / found[1].n_weights


def _refused(capsys, *words):
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    return error


@pytest.fixture
def copy(folder_of, tmp_path):
    """A copy of the BERT-like model, to be damaged."""
    return Path(shutil.copytree(folder_of("bert"), tmp_path / "copy"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "is no folder of a Hugging Face model"),
        (lambda folder: (folder / "config.json").write_text("{"), "is no JSON"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "it may hold code"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), "cannot be opened by transformers"),
        (lambda folder: _set(folder / "config.json", auto_map={"AutoModel": "x.Y"}), "which is never run"),
        (lambda folder: _set(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": "x.Y"}), "is never run"),
        (lambda folder: _smaller(folder), "symbols, the model 7: they are of two models"),
        (lambda folder: _without_a_layer(folder), "weights of the model (encoder.layer.1."),
        (lambda folder: (folder / "tokenizer.json").unlink(), "cannot be opened by transformers"),
    ],
)
def test_bad_models_are_one_line(copy, tmp_path, capsys, damage, said):
    (tmp_path / "words.txt").write_text("the dog\n")
    damage(copy)
    output = tmp_path / "r.hdf5"
    assert said in _refused(capsys, "encode", "--hf", copy, "--sentences", tmp_path / "words.txt", "--output", output)
    assert not output.exists()


def _set(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _smaller(folder):
    _set(folder / "config.json", vocab_size=7)
    weights = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    save_file({**weights, name: weights[name][:7].clone()}, folder / "model.safetensors", {"format": "pt"})


def _without_a_layer(folder):
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("encoder.layer.1.")}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def test_sides_that_a_model_has_not_are_one_line(folder_of, tmp_path, capsys):
    for name, lines in (("a.txt", 2), ("b.txt", 3), ("gap.txt", 0), ("long.txt", 0)):
        (tmp_path / name).write_text("the dog\n" * lines)
    (tmp_path / "gap.txt").write_text("the dog\n\nwords\n")
    (tmp_path / "long.txt").write_text("dog " * 60 + "\n")
    dump = ["dump", "--output", tmp_path / "d.h5", "--source", tmp_path / "a.txt", "--hf"]
    target = ["--target", tmp_path / "b.txt"]
    assert "is an encoder: it has no target side" in _refused(capsys, *dump, folder_of("bert"), *target)
    assert "a decoder alone: it has no target side" in _refused(capsys, *dump, folder_of("gpt2"), *target)
    encode = ["encode", "--side", "target", "--sentences", tmp_path / "a.txt", "--output", tmp_path / "r.h5", "--hf"]
    assert "is an encoder: it has no target side" in _refused(capsys, *encode, folder_of("bert"))
    source = ["--source", tmp_path / "b.txt"]
    assert "b.txt: has 3 lines, " in _refused(capsys, *encode, folder_of("fsmt"), *source)
    encode[2] = "source"
    assert "--source is for --side target" in _refused(capsys, *encode, folder_of("fsmt"), *source)
    assert "translates: give --target too" in _refused(capsys, *dump, folder_of("m2m"))
    assert "b.txt: has 3 lines, " in _refused(capsys, *dump, folder_of("m2m"), *target)
    assert "is an encoder: it says nothing" in _refused(capsys, *dump, folder_of("bert"), "--dump-output", 2)
    assert "--dump-output 999: the model has" in _refused(capsys, *dump, folder_of("gpt2"), "--dump-output", 999)
    dump[4] = tmp_path / "gap.txt"
    assert "gap.txt:2: an empty line" in _refused(capsys, *dump, folder_of("bert"))
    dump[4] = tmp_path / "long.txt"
    assert "more than the 40 of the model" in _refused(capsys, *dump, folder_of("bert"))
    assert not (tmp_path / "d.h5").exists()


def test_models_that_cannot_be_recorded_are_refused(monkeypatch, folder_of):
    config = transformers.AlbertConfig(
        vocab_size=20, embedding_size=4, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8
    )
    with pytest.raises(LayersError, match="has 3 layers by its configuration, but no list of as many"):
        find_stacks(transformers.AlbertModel(config).eval())


def test_a_model_without_attention_has_no_dump(folder_of, tmp_path, capsys):
    folder = tmp_path / "fnet"
    tiny_models.word_piece(folder)
    config = transformers.FNetConfig(
        vocab_size=60, hidden_size=8, num_hidden_layers=2, intermediate_size=8, max_position_embeddings=40
    )
    transformers.FNetModel(config).save_pretrained(folder)
    (tmp_path / "a.txt").write_text("the dog\n")
    said = _refused(capsys, "dump", "--hf", folder, "--source", tmp_path / "a.txt", "--output", tmp_path / "d.h5")
    assert "takes no attention mask: it has no attention" in said


@pytest.mark.parametrize("rates", ["0.5,0.2", "0,0.5", "0.5,1", "0.5,0.5"])
def test_rates_ascend(folder_of, tmp_path, capsys, rates):
    said = _refused(capsys, "prune", "--hf", folder_of("bert"), "--rates", rates, "--output", tmp_path / "s")
    assert "expected numbers between 0 and 1 that ascend" in said and not (tmp_path / "s").exists()
