"""`fairseq-validate --dump-activations`, run in this process as its command line does."""

import multiprocessing
import signal
import sys
from functools import partial

import numpy as np
import pytest
import torch
from paths import PLUGIN
from random_models import VARIANTS, random_model, save_level, validate_until_killed

from fairseq_lth import encode
from fairseq_lth.capture.output import normalised, require_output
from fairseq_lth.errors import RunRefused
from fairseq_lth.levels.checkpoints import allow_checkpoint_globals
from probing_bridge import __version__
from probing_bridge.capture.outputs import output_of
from probing_bridge.formats.activations.output import DATASETS
from probing_bridge.formats.activations.reader import (
    ATTENTION_KINDS,
    SIDES,
    ActivationError,
    open_dump,
    require_same_sentences,
)
from probing_bridge.formats.files import file_hash
from probing_bridge.formats.representations import Representations


@pytest.fixture(scope="module")
def level(corpus, tmp_path_factory):
    return save_level(tmp_path_factory.mktemp("level") / "checkpoint_lth0.pt", corpus, VARIANTS["pre-norm"])


@pytest.fixture
def validate(corpus, monkeypatch):
    """Runs fairseq-validate."""

    def run(path, *flags, data=corpus):
        from fairseq_cli.validate import cli_main

        argv = ["fairseq-validate", str(data), "--user-dir", PLUGIN, "--task", "lth_imp", "--path", str(path)]
        argv += ["--cpu", "--num-workers", "0", "--no-progress-bar", *map(str, flags)]
        if "--valid-subset" not in argv:
            argv += ["--valid-subset", "valid"]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", argv)
            cli_main()

    return run


def everything(path):
    with open_dump(path) as dump:
        arrays = {f"tokens/{side}": dump.tokens(side) for side in ("source", "target")}
        for component, layers in dump.components.items():
            stop = int(dump.offsets(SIDES[component])[-1])
            arrays |= {f"{component}/{layer}": dump.read_states(component, layer, 0, stop) for layer in layers}
        for kind, layers in dump.attention_kinds.items():
            stop = int(dump.attention_offsets(kind)[-1])
            arrays |= {f"{kind}/{layer}": dump.read_attention(kind, layer, 0, stop) for layer in layers}
        if dump.n_best:
            output = dump.read_output(0, int(dump.offsets("target")[-1]))
            arrays |= {f"output/{name}": getattr(output, name) for name in DATASETS}
        return arrays


def one_by_one(level):
    """The same values, sentence by sentence, with fairseq's own code and no batching."""
    from fairseq import checkpoint_utils

    models, _, task = checkpoint_utils.load_model_ensemble_and_task([str(level)])
    model = models[0].eval()
    task.load_dataset("valid")
    parts: dict[str, list] = {}
    for pair in task.dataset("valid"):
        source, target = pair["source"], pair["target"]
        shifted = torch.cat([target[-1:], target[:-1]])
        weights = {}

        def hook(name, kept):
            def keep(module, args, kwargs, output):
                module.skip_embed_dim_check = True
                value = module.forward(*args, **{**kwargs, "need_head_weights": True})[1]  # (heads, 1, T, S)
                module.skip_embed_dim_check = False
                kept[name] = value[:, 0].permute(1, 2, 0).reshape(-1, value.shape[0])

            return keep

        handles = []
        for component in ("encoder", "decoder"):
            for number, layer in enumerate(getattr(model, component).layers, 1):
                name = f"{component}_self/{number}"
                handles.append(layer.self_attn.register_forward_hook(hook(name, weights), with_kwargs=True))
                if component == "decoder":
                    name = f"encoder_decoder/{number}"
                    handles.append(layer.encoder_attn.register_forward_hook(hook(name, weights), with_kwargs=True))
        with torch.no_grad():
            encoded = model.encoder(source[None], torch.tensor([len(source)]), return_all_hiddens=True)
            features, extra = model.decoder(shifted[None], encoder_out=encoded, features_only=True)
        for handle in handles:
            handle.remove()
        states = {f"encoder/{n}": state[:, 0] for n, state in enumerate(encoded["encoder_states"])}
        states |= {f"decoder/{n}": state[:, 0] for n, state in enumerate(extra["inner_states"])}
        states |= {"encoder/norm": encoded["encoder_out"][0][:, 0], "decoder/norm": features[0]}
        for name, value in {"tokens/source": source, "tokens/target": shifted, **states, **weights}.items():
            parts.setdefault(name, []).append(value.numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


@pytest.mark.parametrize("batching", [("--max-tokens", 30), ("--max-tokens", 4000), ("--batch-size", 5)])
def test_the_dump_does_not_depend_on_batching_and_is_in_corpus_order(validate, level, tmp_path, batching):
    validate(level, "--dump-activations", tmp_path / "a.h5", *batching)
    dumped, expected = everything(tmp_path / "a.h5"), one_by_one(level)
    assert dumped.keys() == expected.keys()
    for name, values in expected.items():
        assert dumped[name].shape == values.shape, name
        np.testing.assert_allclose(dumped[name], values, atol=1e-5, rtol=0, err_msg=name)
    assert not list(tmp_path.glob(".*"))


def test_words_of_a_target_are_the_decoders_states_pooled(validate, level, corpus, tmp_path):
    """`encode --side target`: a no-break space in a word parts its pieces, as the white space it is to fairseq."""
    validate(level, "--dump-activations", tmp_path / "a.h5")
    targets = (corpus.parent / "valid.de").read_text().splitlines()
    joined = [line.replace(" ", "\u00a0", 1) for line in targets]  # the first word has two pieces
    (tmp_path / "words.txt").write_text("\n".join(joined) + "\n")
    words = ["--side", "target", "--sentences", tmp_path / "words.txt", "--source", corpus.parent / "valid.en", "--cpu"]
    words += ["--path", level, "--output", tmp_path / "r.hdf5", "--max-tokens", "40"]
    assert encode.main([str(word) for word in words]) == 0
    with open_dump(tmp_path / "a.h5") as dump, Representations(tmp_path / "r.hdf5") as read:
        assert read.origin.component == "decoder" and read.origin.words_language == "de"
        for number, line in enumerate(joined):
            found, rows = read.read(line.split(" ")), dump.offsets("target")[number : number + 2]
            for place, layer in enumerate(read.layers):
                own = dump.read_states("decoder", layer, *rows)[1:]  # the first row is that of EOS
                expected = [own[:2].mean(axis=0), *own[2:]]
                np.testing.assert_allclose(found[place], expected, atol=1e-5, rtol=0)


def test_the_root_says_where_the_values_come_from(validate, dense, corpus, tmp_path):
    validate(dense / "checkpoint_lth2.pt", "--dump-activations", tmp_path / "a.h5", "--max-tokens", 200)
    with open_dump(tmp_path / "a.h5") as dump:
        said = dump.origin
        assert said.level == 2 and said.sparsity is not None and 0.2 < said.sparsity < 0.51 and said.experiment
        assert said.checkpoint == "checkpoint_lth2.pt" and said.package_version == __version__
        assert said.checkpoint_hash == file_hash(dense / "checkpoint_lth2.pt")
        assert (said.source_lang, said.target_lang, said.subset) == ("en", "de", "valid")
        assert dump.n_sentences == 12
        symbols = dump.symbols("target")
        counts = [int(line.rsplit(" ", 1)[1]) for line in (corpus / "dict.de.txt").read_text().splitlines()]
        assert dump.counts("target").tolist()[4:] == counts
        assert symbols[dump.tokens("target")[0]] == "</s>" and len(symbols) == 48


def test_every_sentence_is_dumped_although_fairseq_drops_the_last_odd_batch(validate, level, tmp_path):
    validate(level, "--dump-activations", tmp_path / "a.h5", "--max-tokens", 40, "--required-batch-size-multiple", 8)
    with open_dump(tmp_path / "a.h5") as dump:
        assert dump.n_sentences == 12


def test_layers_and_parts_are_chosen(validate, level, tmp_path):
    some = ("--max-tokens", 99, "--dump-layers", "0,2,norm")
    validate(level, "--dump-activations", tmp_path / "all.h5", "--max-tokens", 99)
    validate(level, "--dump-activations", tmp_path / "states.h5", *some, "--dump-states")
    validate(level, "--dump-activations", tmp_path / "attention.h5", *some, "--dump-attention")
    whole = everything(tmp_path / "all.h5")
    states, attention = everything(tmp_path / "states.h5"), everything(tmp_path / "attention.h5")
    tokens = {"tokens/source", "tokens/target"}
    assert states.keys() - tokens == {f"{part}/{layer}" for part in SIDES for layer in ("0", "2", "norm")}
    assert attention.keys() - tokens == {f"{kind}/2" for kind in ATTENTION_KINDS}
    for name, values in (states | attention).items():
        np.testing.assert_array_equal(values, whole[name])


def test_float16_keeps_the_mean_apart(validate, level, tmp_path):
    validate(level, "--dump-activations", tmp_path / "wide.h5", "--max-tokens", 99)
    validate(level, "--dump-activations", tmp_path / "half.h5", "--max-tokens", 99, "--dump-dtype", "float16")
    wide, half = everything(tmp_path / "wide.h5"), everything(tmp_path / "half.h5")
    for name in wide.keys() - {"tokens/source", "tokens/target"}:
        spread = np.abs(wide[name] - wide[name].mean(axis=0)).max() * 2
        assert 0 < np.abs(wide[name] - half[name]).max() <= spread * 2.0**-11, name
    assert (tmp_path / "half.h5").stat().st_size < (tmp_path / "wide.h5").stat().st_size * 0.7


@pytest.fixture(scope="module")
def marked(corpus, tmp_path_factory):
    """The corpus with dictionaries of which every second piece has the mark of sentencepiece."""
    folder = tmp_path_factory.mktemp("marked")
    for file in corpus.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for side in ("en", "de"):
        lines = (corpus / f"dict.{side}.txt").read_text().splitlines()
        (folder / f"dict.{side}.txt").write_text("".join(f"{'▁' * (k % 2)}{line}\n" for k, line in enumerate(lines)))
    return folder


def words_of(dump, side, sentence):
    """The places of each word's pieces in a sentence."""
    start, stop = dump.offsets(side)[sentence : sentence + 2]
    symbols = [dump.symbols(side)[token] for token in dump.tokens(side)[start:stop]]
    words = []
    for place, symbol in enumerate(symbols):
        alone = place == 0 or symbol == "</s>" or symbols[place - 1] == "</s>" or symbol.startswith("▁")
        words = [*words, [place]] if alone else [*words[:-1], [*words[-1], place]]
    return words


def test_attention_between_words_sums_over_attended_and_averages_attending_pieces(validate, level, marked, tmp_path):
    validate(level, "--dump-activations", tmp_path / "pieces.h5", "--max-tokens", 40, data=marked)
    flags = ("--max-tokens", 40, "--dump-words", "sentencepiece")
    validate(level, "--dump-activations", tmp_path / "words.h5", *flags, data=marked)
    with open_dump(tmp_path / "pieces.h5") as pieces, open_dump(tmp_path / "words.h5") as pooled:
        words = {side: [words_of(pieces, side, k) for k in range(12)] for side in ("source", "target")}
        assert np.diff(pooled.unit_offsets("source")).tolist() == [len(own) for own in words["source"]]
        np.testing.assert_array_equal(pooled.offsets("source"), pieces.offsets("source"))
        with pytest.raises(ActivationError, match=r"attention of tokens, .* of words"):
            require_same_sentences(pieces, pooled)
        for kind, (query, key) in ATTENTION_KINDS.items():
            rows, own = pieces.attention_offsets(kind), pooled.attention_offsets(kind)
            for sentence in range(12):
                n_queries, n_keys = (int(np.diff(pieces.offsets(side))[sentence]) for side in (query, key))
                weights = pieces.read_attention(kind, "2", *map(int, rows[sentence : sentence + 2]))
                weights = weights.reshape(n_queries, n_keys, -1)
                expected = [
                    weights[one][:, other].sum(axis=1).mean(axis=0)
                    for one in words[query][sentence]
                    for other in words[key][sentence]
                ]
                found = pooled.read_attention(kind, "2", *map(int, own[sentence : sentence + 2]))
                np.testing.assert_allclose(found, expected, atol=1e-6)


def test_attention_between_words_of_another_bpe_than_the_dictionarys_is_refused(validate, level, tmp_path):
    flags = ("--dump-activations", tmp_path / "words.h5", "--dump-words", "sentencepiece", "--max-tokens", 40)
    with pytest.raises(RunRefused, match=r"--dump-words sentencepiece: the pieces .* have not the marks"):
        validate(level, *flags)
    assert not list(tmp_path.iterdir())


def test_200_and_4000_tokens_a_batch_give_the_same_dump(validate, level, tmp_path):
    for max_tokens in (200, 4000):  # the 120 sentences of the training data: many batches, and one
        flags = ("--max-tokens", max_tokens, "--valid-subset", "train")
        validate(level, "--dump-activations", tmp_path / f"{max_tokens}.h5", *flags)
    few, many = everything(tmp_path / "200.h5"), everything(tmp_path / "4000.h5")
    assert few.keys() == many.keys() and len(few["encoder/0"]) > 800
    for name, values in few.items():
        np.testing.assert_allclose(many[name], values, atol=1e-5, rtol=0, err_msg=name)
    with open_dump(tmp_path / "200.h5") as dump:
        assert dump.tokens("source").tolist() == corpus_tokens(level, "train")


def corpus_tokens(level, subset):
    """The source tokens of a subset as fairseq reads them, in the order of the file."""
    from fairseq import checkpoint_utils

    _, _, task = checkpoint_utils.load_model_ensemble_and_task([str(level)])
    task.load_dataset(subset)
    return [token for pair in task.dataset(subset) for token in pair["source"].tolist()]


def test_two_processes_of_fairseq_validate_write_shards_that_read_as_one(
    start, validate, level, corpus, free_port, tmp_path
):
    flags = ["--valid-subset", "train", "--max-tokens", "120", "--dump-output", "3"]
    validate(level, "--dump-activations", tmp_path / "one.h5", *flags)
    argv = [corpus, "--user-dir", PLUGIN, "--task", "lth_imp", "--path", level, "--cpu", "--num-workers", "0", *flags]
    argv += ["--dump-activations", tmp_path / "two.h5", "--distributed-no-spawn", "--distributed-backend", "gloo"]
    argv += ["--distributed-init-method", f"tcp://127.0.0.1:{free_port()}", "--distributed-world-size", "2"]
    ranks = [start([*argv, "--distributed-rank", rank], command="validate", fake_cuda=True) for rank in (0, 1)]
    for rank in ranks:
        rank.wait().succeed()
    shards = [tmp_path / f"two.shard{shard}-of-2.h5" for shard in (0, 1)]
    assert all(shard.exists() for shard in shards) and not (tmp_path / "two.h5").exists()
    with open_dump(tmp_path / "one.h5") as one, open_dump(tmp_path / "two.h5") as two:
        require_same_sentences(one, two)
        assert two.tokens("source").tolist() == corpus_tokens(level, "train")
    one, two = everything(tmp_path / "one.h5"), everything(tmp_path / "two.h5")
    assert {f"output/{name}" for name in DATASETS} <= one.keys()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-5, rtol=0, err_msg=name)
    shards[0].unlink()
    with pytest.raises(ActivationError, match=r"shards are missing: two.shard0-of-2.h5"):
        open_dump(tmp_path / "two.h5")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max-tokens", 4], r"sentence \d+ has \d+ tokens, more than the 4 "),
        (["--max-tokens", 99, "--max-source-positions", 6], "has .* tokens, more than the 6 "),
        (
            ["--max-tokens", 99, "--max-source-positions", 6, "--skip-invalid-size-inputs-valid-test"],
            "more than the 6 ",
        ),
        (["--max-tokens", 99, "--valid-subset", "valid,test"], "takes one"),
        (["--max-tokens", 99, "--valid-subset", "other"], "has no split 'other'"),
        (["--max-tokens", 99, "--dump-layers", "1,7"], "the model has the layers 0,1,2,3,norm"),
        (["--max-tokens", 99, "--dump-layers", "0", "--dump-attention"], "have no attention"),
        (["--max-tokens", 99, "--dump-output", 49], "--dump-output 49: expected 1 to 48, the symbols of the target"),
        (["--max-tokens", 99, "--dump-output", -1], "--dump-output -1: expected 1 to 48"),
    ],
)
def test_what_cannot_be_dumped_is_refused_in_one_line(validate, level, tmp_path, flags, message):
    with pytest.raises(SystemExit, match=message) as refusal:
        validate(level, "--dump-activations", tmp_path / "a.h5", *flags)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_data_of_another_dictionary_are_refused(validate, level, corpus, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for file in corpus.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    with open(other / "dict.en.txt", "a") as dictionary:
        dictionary.write("extra 1\n")
    with pytest.raises(SystemExit, match="source dictionary has 49 symbols, but the model was trained with 48"):
        validate(level, "--dump-activations", tmp_path / "a.h5", "--max-tokens", 99, data=other)
    assert not list(tmp_path.glob("*a.h5*"))


def test_a_checkpoint_of_another_task_is_refused_with_the_flag_that_dumps_it(validate, corpus, tmp_path):
    path = save_level(tmp_path / "checkpoint_best.pt", corpus, task="translation")
    flags = ("--max-tokens", 99)
    with pytest.raises(SystemExit, match="--task translation, which does not dump") as refusal:
        validate(path, "--dump-activations", tmp_path / "a.h5", *flags)
    overrides = str(refusal.value).split("--model-overrides ")[1].strip('"')
    validate(path, "--model-overrides", overrides, *flags)
    with open_dump(tmp_path / "a.h5") as dump:
        assert (dump.n_sentences, dump.origin.level) == (12, None)


def test_a_model_whose_values_are_not_finite_is_refused(validate, corpus, tmp_path):
    path = save_level(tmp_path / "checkpoint_lth0.pt", corpus)
    allow_checkpoint_globals()
    state = torch.load(path, weights_only=True)
    state["model"]["encoder.layers.1.fc1.bias"][3] = float("nan")
    torch.save(state, path)
    with pytest.raises(SystemExit, match="states/encoder/2 has values that float32 cannot hold"):
        validate(path, "--dump-activations", tmp_path / "a.h5", "--max-tokens", 99)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint_lth0.pt"]


def test_a_kill_leaves_no_file_of_the_final_name_and_the_next_run_cleans_up(validate, level, corpus, tmp_path):
    argv = ["fairseq-validate", str(corpus), "--user-dir", PLUGIN, "--task", "lth_imp", "--path", str(level), "--cpu"]
    argv += ["--num-workers", "0", "--valid-subset", "valid", "--max-tokens", "30", "--no-progress-bar"]
    argv += ["--dump-activations", str(tmp_path / "a.h5")]
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=validate_until_killed, args=(argv, 11))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "a.h5").exists()
    validate(level, "--dump-activations", tmp_path / "a.h5", "--max-tokens", 30)
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]


def test_training_refuses_the_flag(train, flags, tmp_path):
    refused = train([*flags, "--save-dir", tmp_path / "run", "--dump-activations", tmp_path / "a.h5"])
    assert (
        "--dump-activations cannot be combined with --task lth_imp: it belongs to fairseq-validate" in refused.error()
    )


def test_the_output_distributions_are_those_of_get_normalized_probs(validate, dense, tmp_path):
    """On a trained model, sentence by sentence by fairseq's own code: the K best, the gold token, its rank, the sum."""
    from fairseq import checkpoint_utils

    level = dense / "checkpoint_lth2.pt"
    validate(level, "--dump-activations", tmp_path / "a.h5", "--max-tokens", 40, "--dump-layers", 0, "--dump-output", 5)
    with open_dump(tmp_path / "a.h5") as dump:
        output = dump.read_output(0, int(dump.offsets("target")[-1]))
        assert dump.n_best == 5
    models, _, task = checkpoint_utils.load_model_ensemble_and_task([str(level)])
    model = models[0].eval()
    task.load_dataset("valid")
    row = 0
    for pair in task.dataset("valid"):
        source, target = pair["source"], pair["target"]
        shifted = torch.cat([target[-1:], target[:-1]])
        with torch.no_grad():
            net_output = model(source[None], torch.tensor([len(source)]), shifted[None])
            logs = model.get_normalized_probs(net_output, log_probs=True)[0].double().numpy()
            scores = net_output[0][0].double().numpy()
        rows = slice(row, row + len(target))
        assert output.gold[rows].tolist() == target.tolist()
        own = logs[np.arange(len(target)), target]
        np.testing.assert_allclose(output.gold_log_probability[rows], own, atol=1e-5)
        np.testing.assert_allclose(output.log_probabilities[rows], -np.sort(-logs)[:, :5], atol=1e-5)
        picked = np.take_along_axis(logs, output.tokens[rows].astype(int), axis=1)
        np.testing.assert_allclose(output.log_probabilities[rows], picked, atol=1e-5)
        np.testing.assert_allclose(output.least_log_probability[rows], logs.min(axis=1), atol=1e-5)
        np.testing.assert_allclose(output.logsumexp[rows], np.log(np.exp(scores).sum(axis=1)), atol=1e-5)
        apart = np.abs(logs - own[:, None]) > 1e-4
        apart[np.arange(len(target)), target] = True
        clear = apart.all(axis=1)  # another batch may order two tokens otherwise that are as probable
        assert (output.gold_rank[rows] == 1 + (logs > own[:, None]).sum(axis=1))[clear].all() and clear.any()
        row += len(target)
    assert row == len(output)


def test_output_distributions_of_half_precision_scores_are_a_float32_softmax(corpus):
    model, _, _ = random_model(corpus)
    scores = (4 * torch.randn(600, 48, generator=torch.Generator().manual_seed(1))).half()
    gold = torch.arange(600) % 48
    output = output_of(partial(normalised, model.half()), scores, gold, 48)
    exact = scores.double().log_softmax(dim=1)
    found = np.empty((600, 48))
    np.put_along_axis(found, output.tokens.astype(int), output.log_probabilities.astype(float), axis=1)
    np.testing.assert_allclose(found, exact.numpy(), atol=2e-6)  # in float16 they would be off by 1e-3
    np.testing.assert_allclose(output.logsumexp, scores.double().logsumexp(dim=1).numpy(), rtol=1e-6)
    assert output.fault(48) is None


def test_output_without_a_dump_and_of_an_adaptive_softmax_are_refused(validate, level, corpus, tmp_path):
    with pytest.raises(SystemExit, match="--dump-output 3: is of a dump; give --dump-activations"):
        validate(level, "--dump-output", 3, "--max-tokens", 99)
    model, _, _ = random_model(corpus, "--adaptive-softmax-cutoff 10,20 --criterion adaptive_loss")
    with pytest.raises(RunRefused, match="an adaptive softmax has no scores of all tokens"):
        require_output(model, 48, 3)
    assert not list(tmp_path.iterdir())
