"""`export` and `import`: what other programs read, and what they wrote."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest

from probing_bridge.exchange.vectors import TextVectors
from probing_bridge.formats.activations.reader import ActivationWriter, open_dump
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import Representations, RepresentationWriter
from probing_bridge.run import main

ORIGIN = Origin("e", 3, "d/lth1", 0.488, "lth3.pt", "ab", "cd", pooling="mean", package_version="0.9")
DUMPED = Origin("e", 2, "d/lth0", 0.36, "lth2.pt", "ab", subset="valid", source_lang="en", target_lang="de")
WORDS = ("ant", "bee", "cat")
TAGGED = [[WORDS[k % 3], *WORDS[: k % 4]] for k in range(12)]
SENTENCES = [["Otters", "nap", "."], ["Yes"], ["two", "", "🙂"]]


@pytest.fixture
def reps(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, len(words), 4)).astype(np.float32) for words in SENTENCES]
    with RepresentationWriter(tmp_path / "r.hdf5", SENTENCES, ["0", "norm"], 4, ORIGIN) as writer:
        for words, array in zip(SENTENCES, arrays, strict=True):
            writer.add(words, array)
    return tmp_path / "r.hdf5", arrays


@pytest.fixture
def dump(tmp_path, output_of):
    """Four pairs; the third source repeats the first."""
    symbols = {"source": ["</s>", "a", "b@@", "c"], "target": ["</s>", "x", "y"]}
    tokens = {"source": [[1, 2, 3, 0], [3, 0], [1, 2, 3, 0], [0]], "target": [[0, 1], [0, 2, 2], [0, 2], [0]]}
    lengths = {side: [len(ids) for ids in tokens[side]] for side in tokens}
    rng = np.random.default_rng(1)
    states = {side: rng.normal(size=(2, sum(lengths[side]), 3)).astype(np.float32) for side in tokens}
    states["source"][:, 6:10] = states["source"][:, 0:4]
    n_pairs = sum(a * b for a, b in zip(lengths["source"], lengths["target"], strict=True))
    weights = rng.random((n_pairs, 2)).astype(np.float32)
    layers = {"encoder": {"0": 3, "1": 3}, "decoder": {"0": 3, "1": 3}}
    attention, counts = {"encoder_decoder": {"1": 2}}, {"source": [1] * 4, "target": [1] * 3}
    with ActivationWriter(tmp_path / "d.h5", lengths, layers, attention, symbols, counts, DUMPED, n_best=2) as writer:
        for side, component in (("source", "encoder"), ("target", "decoder")):
            writer.write_tokens(side, range(4), np.concatenate(tokens[side]))
            for layer in "01":
                writer.write_states(component, layer, range(4), states[side][int(layer)])
        writer.write_attention("encoder_decoder", "1", range(4), weights)
        writer.write_output(range(4), output_of(np.log(np.tile([0.2, 0.3, 0.5], (8, 1))), np.zeros(8, int), 2))
    return tmp_path / "d.h5", states, weights


def lookup(path, words):
    """By the rules of Liu et al.'s (2019) own reader, with nothing but h5py."""
    with h5py.File(path) as file:
        index = json.loads(file["sentence_to_index"][0])
        return file[index[" ".join(words)]][()]


def test_pieces_of_a_dump_are_found_by_the_rules_of_liu(dump, tmp_path, capsys):
    path, states, _ = dump
    assert main(["export", "--to", "liu", "--dump", str(path), "--output", str(tmp_path / "o.hdf5")]) == 0
    assert "2 sentences, 2 empty ones and repetitions left out" in capsys.readouterr().out
    np.testing.assert_array_equal(lookup(tmp_path / "o.hdf5", ["a", "b@@", "c"]), states["source"][:, 0:3])
    np.testing.assert_array_equal(lookup(tmp_path / "o.hdf5", ["c"]), states["source"][:, 4:5])
    decoder = ["export", "--to", "liu", "--dump", str(path), "--component", "decoder"]
    assert main([*decoder, "--output", str(tmp_path / "p.hdf5")]) == 0
    np.testing.assert_array_equal(lookup(tmp_path / "p.hdf5", ["y", "y"]), states["target"][:, 3:5])
    with open_dump(path) as read:
        said = read.origin
    with Representations(tmp_path / "p.hdf5") as written:
        assert written.origin == replace(said, component="decoder")


def test_a_dump_as_npz_holds_every_array(dump, tmp_path):
    path, states, weights = dump
    assert main(["export", "--to", "npz", "--dump", str(path), "--output", str(tmp_path / "o.npz")]) == 0
    with np.load(tmp_path / "o.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["states_encoder_1"], states["source"][1])
        np.testing.assert_array_equal(archive["attention_encoder_decoder_1"], weights)
        np.testing.assert_array_equal(archive["offsets_target"], [0, 2, 5, 7, 8])
        assert archive["output_tokens"].tolist() == [[2, 1]] * 8 and archive["output_gold_rank"].tolist() == [3] * 8
        assert archive["symbols_source"].tobytes().decode().split("\n") == ["</s>", "a", "b@@", "c"]
        assert archive["tokens_source"].tolist() == [1, 2, 3, 0, 3, 0, 1, 2, 3, 0, 0]


def exported_level(folder, name, origin):
    """A dump of two-layer states with a final norm, of the sentences of suite.yaml, exported for Liu et al."""
    symbols = ["</s>", *WORDS]
    ids = [[*(symbols.index(word) for word in words), 0] for words in TAGGED]
    lengths = {side: [len(own) for own in ids] for side in ("source", "target")}
    states = {"encoder": {"0": 4, "1": 4, "norm": 4}}
    rng = np.random.default_rng(5)
    dictionary = dict.fromkeys(lengths, symbols), dict.fromkeys(lengths, range(len(symbols)))
    with ActivationWriter(folder / f"{name}.h5", lengths, states, {}, *dictionary, origin) as writer:
        for side in lengths:
            writer.write_tokens(side, range(len(ids)), np.concatenate(ids))
        for layer in states["encoder"]:
            writer.write_states("encoder", layer, range(len(ids)), rng.normal(size=(sum(lengths["source"]), 4)))
    output = folder / f"{name}.hdf5"
    assert main(["export", "--to", "liu", "--dump", str(folder / f"{name}.h5"), "--output", str(output)]) == 0
    return output


def test_a_branch_exported_for_liu_is_probed_beside_the_level_it_came_from(tmp_path, capsys):
    lines = [[f"{k}\t{word}\t_\t{word[0]}\t_\t_\t0\troot\t_\t_\n" for k, word in enumerate(own, 1)] for own in TAGGED]
    (tmp_path / "a.conllu").write_text("\n".join(map("".join, lines)) + "\n")
    (tmp_path / "suite.yaml").write_text("tasks:\n  pos: {train: a.conllu, dev: a.conllu, test: a.conllu}\n")
    dense = exported_level(tmp_path, "lth0", Origin("e", 0, sparsity=0.0))
    branch = exported_level(tmp_path, "lth1", Origin("b", 1, "e/lth0", 0.2))
    orphan = exported_level(tmp_path, "lth2", Origin("b", 1, "", 0.2))
    command = ["probe", "--suite", str(tmp_path / "suite.yaml"), "--output", str(tmp_path / "results"), "--reps"]
    assert main([*command, str(dense), str(orphan)]) == 2
    assert "come from several experiments" in capsys.readouterr().err
    assert main([*command, str(dense), str(branch)]) == 0
    rows = pd.read_csv(tmp_path / "results" / "probes.csv")
    probes = rows[(rows["probe"] == "linear") & (rows["metric"] == "accuracy")]
    assert sorted(probes["layer"]) == ["0", "0", "1", "1", "norm", "norm"]
    said = zip(probes["experiment"], probes["level"], probes["sparsity"], strict=True)
    assert set(said) == {("e", 0, 0), ("b", 1, 0.2)}


@pytest.mark.parametrize("format", ["liu", "npz"])
def test_representations_come_back_from_export_and_import(reps, tmp_path, format):
    path, arrays = reps
    assert main(["export", "--to", format, "--reps", str(path), "--output", str(tmp_path / "out")]) == 0
    back = ["import", str(tmp_path / "out"), "--from", format, "--output"]
    assert main([*back, str(tmp_path / "back.hdf5")]) == 0
    with Representations(tmp_path / "back.hdf5") as read:
        assert read.origin == ORIGIN
        for words, array in zip(SENTENCES, arrays, strict=True):
            np.testing.assert_array_equal(read.read(words), array)
            np.testing.assert_array_equal(read.read(words, ["norm"]), array[1:])
        assert read.layers == ("0", "norm")


def test_one_long_word_does_not_widen_all_words_of_an_npz(tmp_path):
    words = ["w" * 200, *(f"Wörter{number}" for number in range(99))]
    with RepresentationWriter(tmp_path / "r.hdf5", [words], ["0"], 2, ORIGIN) as writer:
        writer.add(words, np.zeros((1, len(words), 2), np.float32))
    assert main(["export", "--to", "npz", "--reps", str(tmp_path / "r.hdf5"), "--output", str(tmp_path / "o.npz")]) == 0
    with np.load(tmp_path / "o.npz", allow_pickle=False) as archive:
        assert archive["words"].nbytes == len("\n".join(words).encode())
        assert archive["words"].tobytes().decode().split("\n") == words


@pytest.mark.parametrize("format", ["liu", "npz"])
def test_the_command_line_names_what_is_imported(reps, tmp_path, format):
    assert main(["export", "--to", format, "--reps", str(reps[0]), "--output", str(tmp_path / "out")]) == 0
    back = ["import", str(tmp_path / "out"), "--from", format, "--output", str(tmp_path / "back.hdf5")]
    assert main([*back, "--experiment", "bert", "--level", "0"]) == 0
    with Representations(tmp_path / "back.hdf5") as read:
        assert read.origin == replace(ORIGIN, experiment="bert", level=0)


def test_two_dimensional_arrays_from_elsewhere_are_one_layer(tmp_path):
    with h5py.File(tmp_path / "elsewhere.hdf5", "w") as file:
        file["0"] = np.arange(6, dtype=np.float64).reshape(2, 3)
        file.create_dataset("sentence_to_index", shape=(1,), dtype=h5py.string_dtype())[0] = '{"a b": "0"}'
    command = ["import", str(tmp_path / "elsewhere.hdf5"), "--from", "liu", "--experiment", "x", "--output"]
    assert main([*command, str(tmp_path / "o.hdf5")]) == 0
    with Representations(tmp_path / "o.hdf5") as read:
        assert read.read(["a", "b"]).tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_text_vectors_are_looked_up_word_by_word(tmp_path, capsys):
    (tmp_path / "glove.txt").write_text("4 2\notters 1 2\nnap 3 4\n. . 5 6\nunk 7 8\n")
    (tmp_path / "words.txt").write_text("Otters nap .\nnap\tzzz\n\nnap\tzzz\n")
    command = ["import", str(tmp_path / "glove.txt"), "--from", "vectors", "--experiment", "glove"]
    command += ["--sentences", str(tmp_path / "words.txt"), "--output", str(tmp_path / "o.hdf5")]
    assert main(command) == 0
    assert "2 sentences, 42.86 % of the words have no vector" in capsys.readouterr().out
    with Representations(tmp_path / "o.hdf5") as read:
        assert read.read(["Otters", "nap", "."]).tolist() == [[[1, 2], [3, 4], [7, 8]]]
        assert read.read(["nap", "zzz"]).tolist() == [[[3, 4], [7, 8]]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nap 1 2\nOtters 1 2\nnap 3 4\n", "v.txt:3: has 'nap' again, which line 1 has"),
        (b"nap 1 2\nx 1 2\nx 1 2\n", "v.txt:3: has 'x' again, which line 2 has"),
        (b"3 2\nnap 1 2\nOtters 1 2\n", "v.txt:1: says 3 words, but 2 follow"),
        (b"1 2\nnap 1 2\nOtters 1 2\n", "v.txt:1: says 1 words, but 2 follow"),
        (b"2 3\nnap 1 2\nOtters 1 2\n", "v.txt:2: expected a word and 3 finite numbers, as line 1 says; found 2"),
        (b"2 1\nnap 1 2\nOtters 1 2\n", "v.txt:2: expected a word and 1 finite numbers, as line 1 says; found 2"),
        (b"nap 1 2\nx 1 2 3\n", "v.txt:2: expected a word and 2 finite numbers, as the first line has; found 3"),
        (b"nap 1 2\nx\n", "v.txt:2: expected a word and 2 finite numbers, as the first line has; found 0"),
        (b"nap 1 inf\n", "v.txt:1: expected a word and 2 finite numbers"),
        (b"nap 1 2\nx 1\r2\n", "v.txt:2: a carriage return inside of a line"),
        (b"nap 1 2\n\xff 1 2\n", "v.txt:2: byte 0xff is not UTF-8"),
        (b"nap 1 2\nx" + b" 1" * (1 << 20), "v.txt:2: a line of more than 1,048,576 bytes"),
    ],
)
def test_vectors_that_do_not_agree_are_refused_with_their_line(tmp_path, capsys, content, message):
    (tmp_path / "v.txt").write_bytes(content)
    (tmp_path / "words.txt").write_text("Otters nap\n")
    command = [
        "import",
        str(tmp_path / "v.txt"),
        "--from",
        "vectors",
        "--experiment",
        "e",
        "--output",
        str(tmp_path / "o"),
    ]
    assert main([*command, "--sentences", str(tmp_path / "words.txt")]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error


def test_byte_order_marks_are_no_part_of_words(tmp_path):
    (tmp_path / "v.txt").write_bytes("\ufeffnap 1 2\r\n\ufeffOtters 3 4\r\n".encode())
    (tmp_path / "words.txt").write_text("Otters nap\n")
    assert TextVectors(tmp_path / "v.txt", tmp_path / "words.txt").read(["nap", "Otters"]).tolist() == [
        [[1, 2], [3, 4]]
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"words": np.array([1, 2])}, "the array words is int64"),
        ({"words": np.array(["a", "b"])}, "the array words is <U1 of shape (2,), expected a line a word"),
        ({"words": np.frombuffer(b"a\xff", np.uint8)}, "the array words is no UTF-8"),
        ({"words": np.frombuffer(b"a\nb c", np.uint8)}, "the word 'b c' has white space in it"),
        ({"words": np.frombuffer(b"a\n", np.uint8), "offsets": np.arange(3)}, "sentence 2 is one empty word"),
        (dict.fromkeys(("layer_0", "layer_1"), np.zeros((2, 0))), "2 words, but layers of shape"),
        ({"layer_1": np.full((2, 3), 1e300)}, "no finite float of 32 bits"),
        ({"layer_1": np.zeros((2, 4))}, "2 words, but layers of shape"),
        ({"layer_1": np.zeros((3, 3))}, "2 words, but layers of shape"),
        ({"layer_0": np.float64(1)}, "2 words, but layers of shape"),
        ({"layer_1": np.full((2, 3), np.nan)}, "no finite float"),
        ({"layer_1": np.zeros((2, 3), int)}, "no finite float"),
        ({"offsets": np.array([0, 2, 2])}, "offsets do not ascend"),
        ({"offsets": np.array([1, 2])}, "offsets do not ascend"),
        ({"offsets": np.array([0, 1])}, "offsets do not ascend"),
        ({"offsets": np.array([0.0, 2.0])}, "offsets do not ascend"),
        ({"origin": np.array("[1]")}, "origin holds [1], expected a JSON object"),
        ({"origin": np.array("{")}, "expected the arrays words"),
        ({"origin": np.array('{"level": "two"}')}, "attribute 'level' is 'two', expected a whole number"),
    ],
)
def test_archives_whose_arrays_do_not_fit_are_refused(tmp_path, capsys, changed, message):
    layers = dict.fromkeys(("layer_0", "layer_1"), np.zeros((2, 3)))
    whole = {"words": np.frombuffer(b"a\nb", np.uint8), "offsets": np.array([0, 2]), **layers}
    np.savez(tmp_path / "whole.npz", **whole)
    np.savez(tmp_path / "wrong.npz", **{**whole, **changed})
    tail = ["--from", "npz", "--experiment", "e", "--output", str(tmp_path / "o.hdf5")]
    assert main(["import", str(tmp_path / "wrong.npz"), *tail]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error and not (tmp_path / "o.hdf5").exists()
    assert main(["import", str(tmp_path / "whole.npz"), *tail]) == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("export --to liu --output o", "give one of --dump, --reps and --suite, not 0"),
        ("export --to jiant --reps r.hdf5 --output o", "--to jiant takes --suite"),
        ("export --to liu --suite s.yaml --output o", "--to liu takes --dump or --reps"),
        ("export --to liu --dump none.h5 --output o", "none.h5: no such file"),
        ("export --to liu --dump r.hdf5 --output o", "holds lth-representations"),
        ("export --to npz --reps r.hdf5 --output r.hdf5/o", "cannot be written"),
        ("import nameless.hdf5 --from liu --output o", "nameless.hdf5: does not say of which experiment it is"),
        ("import r.hdf5 --from liu --level -1 --output o", "--level -1: expected at least 0"),
        ("import none --from liu --experiment e --output o", "none: no such file"),
        ("import none --from npz --experiment e --output o", "none: no such file"),
        ("import bad.txt --from npz --experiment e --output o", "is not an npz archive"),
        (
            "import layer.npz --from npz --experiment e --output o",
            "layer.npz: the arrays layer_0, layer_1, ...: has the name",
        ),
        ("import bad.npz --from npz --experiment e --output o", "expected the arrays words"),
        ("import bad.txt --from liu --experiment e --output o", "not an HDF5 file"),
        ("import bad.txt --from vectors --experiment e --output o", "--sentences goes with"),
        ("import bad.txt --from vectors --sentences words.txt --experiment e --output o", "bad.txt:2: expected"),
        ("import foreign.txt --from vectors --sentences words.txt --experiment e --output o", "none of the words"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(reps, tmp_path, monkeypatch, capsys, command, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.txt").write_text("nap 1 2\nOtters 1 x\n")
    (tmp_path / "foreign.txt").write_text("chat 1 2\n")
    (tmp_path / "words.txt").write_text("Otters nap\n")
    np.savez(tmp_path / "bad.npz", x=np.zeros(2))
    with RepresentationWriter(tmp_path / "nameless.hdf5", [["a"]], ["0"], 2, Origin()) as writer:
        writer.add(["a"], np.zeros((1, 1, 2)))
    np.savez(tmp_path / "layer.npz", words=["a"], offsets=[0, 1], **{"layer_0/1": np.zeros((1, 2))})
    before = sorted(tmp_path.iterdir())
    assert main(command.split()) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("flag", ["--component=decoder", "--corpora=data", "--tasks=pos"])
def test_a_flag_of_another_export_is_refused(tmp_path, capsys, flag):
    assert main(["export", "--to", "npz", "--dump", "a.h5", "--output", str(tmp_path / "o"), flag]) == 2
    assert f"error: {flag.partition('=')[0]}: is not for --to npz --dump: leave it out\n" in capsys.readouterr().err
