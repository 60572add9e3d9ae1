"""`python -m fairseq_lth.encode`: one vector a word and layer, equal to fairseq's hub interface used by hand."""

import importlib.util
import io
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import VARIANTS, save_level

from fairseq_lth import encode
from fairseq_lth.capture.words import DictionarySegmenter
from fairseq_lth.levels.checkpoints import allow_checkpoint_globals
from probing_bridge.capture import encoding
from probing_bridge.capture.windows import NO_WORD, Window, pool
from probing_bridge.formats.files import file_hash
from probing_bridge.formats.representations import Representations, RepresentationWriter
from probing_bridge.formats.words import WordsError

PIECES = [*"abcdefghilmnorstuvwxyz12.,-'?🙂中文▁", "&quot;", "&apos;s", "un", "der", "stand", "ing"]
MERGES = ["u n", "d e", "de r</w>", "s t", "a n", "st an", "stan d</w>", "i n", "in g</w>"]
LINES = [
    'He said " understanding " , 12.5 -- well-known words',
    "it 's 🙂 中文 x",
    " ".join(f"w{number}" for number in range(300)),
    "two  words",  # an empty word between two spaces
    "it 's 🙂 中文 x",
    "a first sentence .\tA second one\tand",
    "non\u00a0breaking <pad> </s> <unk>",
    "Understanding",
]


def test_batches_are_full_or_without_padding():
    rng = np.random.default_rng(1)
    lengths = [*sorted(int(length) for length in rng.integers(2, 30, 900)), 700]
    windows = [(Window([0] * length, [], 0, range(0)), np.empty(0)) for length in lengths]
    batches = list(encoding.in_batches(windows, 500))
    assert [len(window.ids) for batch in batches for window, _ in batch] == lengths
    for batch in batches[:-1]:
        own = [len(window.ids) for window, _ in batch]
        assert len(own) * own[-1] <= 500
        enough = [n for n in range(1, len(own)) if n * own[n - 1] >= encoding.ENOUGH]
        assert not enough or own[enough[0] - 1] == own[-1]  # nothing longer joins a batch that has enough
    assert [len(window.ids) for window, _ in batches[-1]] == [700]


def sentencepiece_model(folder):
    """Trains sp.model and gives its pieces."""
    import sentencepiece

    (folder / "text").write_text("understanding words well known words understand it is what it was\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"),
        model_prefix=str(folder / "sp"),
        vocab_size=40,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sp.model"))
    return [model.id_to_piece(number) for number in range(3, model.get_piece_size())]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dictionary of subword-nmt pieces, and binarised data that fairseq's task asks for."""
    from fairseq import options
    from fairseq_cli.preprocess import main

    folder = tmp_path_factory.mktemp("words")
    pieces = [variant for piece in PIECES for variant in (piece, f"{piece}@@")]
    pieces += sentencepiece_model(folder)
    (folder / "codes").write_text("\n".join(["#version: 0.2", *MERGES, ""]))
    (folder / "fast_codes").write_text("".join(f"{merge} {9 - rank}\n" for rank, merge in enumerate(MERGES)))
    for language in ("en", "de"):
        (folder / f"train.{language}").write_text(" ".join(pieces) + "\n")
    arguments = ["-s", "en", "-t", "de", "--destdir", str(folder / "bin"), "--workers", "1"]
    main(options.get_preprocessing_parser().parse_args([*arguments, "--trainpref", str(folder / "train")]))
    return folder


@pytest.fixture(scope="module")
def level(data):
    return save_level(data / "checkpoint_lth0.pt", data / "bin", f"{VARIANTS['pre-norm']} --max-source-positions 2048")


@pytest.fixture
def encoded(level, data, tmp_path):
    """Encodes lines with subword-nmt and Moses."""

    def run(*flags, lines=LINES, path=level):
        (tmp_path / "words.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        argv = ["--path", str(path), "--sentences", str(tmp_path / "words.txt"), "--output", str(tmp_path / "r.hdf5")]
        argv += ["--cpu", *map(str, flags or flags_of(data))]
        assert encode.main(argv) == 0
        return Representations(tmp_path / "r.hdf5")

    return run


def flags_of(data):
    return ["--tokenizer", "moses", "--bpe", "subword_nmt", "--bpe-codes", data / "codes"]


def hub_interface(level, **segmentation):
    from fairseq.hub_utils import GeneratorHubInterface, from_pretrained

    made = from_pretrained(str(level.parent), level.name, str(level.parent / "bin"), **segmentation)
    return GeneratorHubInterface(made["args"], made["task"], made["models"]).eval()


def by_hand(interface, words, pooling="mean", spaced=False):
    """The same with fairseq's hub interface, a sentence at a time: (n_layers, n_words, d)."""
    dictionary = interface.src_dict
    pieces = [[index if index != 1 else 3 for index in interface.encode(word).tolist()[:-1]] or [3] for word in words]
    space = interface.encode(" ").tolist()[:-1] if spaced else []  # what the model sees between two words
    spaced_pieces = [index for own in pieces for index in (*space, *own)][len(space) :]
    ids = torch.tensor([[*spaced_pieces, dictionary.eos()]])
    with torch.no_grad():
        output = interface.models[0].encoder(ids, torch.tensor([ids.shape[1]]), return_all_hiddens=True)
    layers = torch.stack([*output["encoder_states"], output["encoder_out"][0]])[:, :, 0]
    vectors, start = [], 0
    for own in pieces:
        rows = layers[:, start : start + len(own)]
        vectors.append({"mean": rows.mean(1), "first": rows[:, 0], "last": rows[:, -1]}[pooling])
        start += len(own) + len(space)
    return torch.stack(vectors, 1).numpy()


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_vectors_equal_those_of_the_hub_interface(encoded, level, data, pooling, tmp_path):
    hub = hub_interface(level, tokenizer="moses", bpe="subword_nmt", bpe_codes=str(data / "codes"))
    with encoded(*flags_of(data), "--pooling", pooling) as representations:
        assert len(representations) == 7 and representations.layers == ("0", "1", "2", "norm")
        assert representations.origin.pooling == pooling
        assert representations.origin.sentence_hash == file_hash(tmp_path / "words.txt")
        for line in LINES:
            if "\t" in line:
                continue
            words = line.split(" ")
            expected = by_hand(hub, words, pooling)
            np.testing.assert_allclose(representations.read(words), expected, atol=2e-5, rtol=0, err_msg=line)


def test_the_sentences_of_a_document_are_encoded_one_by_one(encoded, data):
    parts = [part.split(" ") for part in LINES[5].split("\t")]
    with encoded(lines=[LINES[5], "x"]) as document:
        whole = document.read([word for part in parts for word in part])
    with encoded(lines=LINES[5].split("\t")) as sentences:
        alone = np.concatenate([sentences.read(part) for part in parts], axis=1)
    np.testing.assert_allclose(whole, alone, atol=1e-5, rtol=0)


def test_byte_order_marks_and_windows_line_ends_are_no_part_of_words(encoded):
    with encoded(lines=["\ufeff" + LINES[0] + "\r", "\ufeff" + LINES[1]]) as marked:
        found = [marked.read(line.split(" ")) for line in LINES[:2]]
    with encoded(lines=LINES[:2]) as plain:
        for line, array in zip(LINES[:2], found, strict=True):
            np.testing.assert_array_equal(array, plain.read(line.split(" ")))


def test_batching_and_repetition_change_nothing(encoded, data, monkeypatch):
    with encoded() as together:
        expected = [together.read(line.replace("\t", " ").split(" ")) for line in LINES]
    monkeypatch.setattr(encoding, "BLOCK", 1)
    with encoded(*flags_of(data), "--max-tokens", 1, lines=LINES * 2) as alone:
        assert len(alone) == 7
        for line, array in zip(LINES, expected, strict=True):
            np.testing.assert_allclose(alone.read(line.replace("\t", " ").split(" ")), array, atol=1e-5, rtol=0)


SEGMENTATIONS = {
    "sentencepiece": {"sentencepiece_model": "sp.model"},
    "byte_bpe": {"sentencepiece_model_path": "sp.model"},
    "fastbpe": {"bpe_codes": "fast_codes"},
    "characters": {},
    "bytes": {},
    "none": {},
}


class FastBPE:
    """What the package fastBPE does, done by subword-nmt: its file has a count after each merge."""

    def __init__(self, codes):
        from subword_nmt.apply_bpe import BPE

        merges = [line.rsplit(" ", 1)[0] for line in Path(codes).read_text().splitlines()]
        self._bpe = BPE(io.StringIO("\n".join(["#version: 0.2", *merges, ""])))

    def apply(self, sentences):
        return [self._bpe.process_line(sentence) for sentence in sentences]


@pytest.mark.parametrize("bpe", SEGMENTATIONS)
def test_other_segmentations_equal_the_hub_interface_too(encoded, level, data, monkeypatch, bpe):
    if importlib.util.find_spec("fastBPE") is None:  # its sources of 2019 do not compile on Python 3.11
        monkeypatch.setitem(sys.modules, "fastBPE", SimpleNamespace(fastBPE=FastBPE))
    settings = {name: str(data / file) for name, file in SEGMENTATIONS[bpe].items()}
    flags = [word for name, path in settings.items() for word in (f"--{name.replace('_', '-')}", path)]
    hub = hub_interface(level, **(settings if bpe == "none" else {"bpe": bpe, **settings}))
    with encoded("--bpe", bpe, *flags) if bpe != "none" else encoded("--allow-unknown") as representations:
        for line in LINES:
            if "\t" not in line:
                expected = by_hand(hub, line.split(" "), spaced=bpe in ("characters", "bytes"))
                found = representations.read(line.split(" "))
                np.testing.assert_allclose(found, expected, atol=2e-5, rtol=0, err_msg=line)


SAMPLING = {"sentencepiece_enable_sampling": False, "sentencepiece_alpha": None}


def byte_level(folder):
    from tokenizers import ByteLevelBPETokenizer

    model = ByteLevelBPETokenizer()
    model.train([str(folder / "text")], vocab_size=300, min_frequency=2)
    model.save_model(str(folder))
    flags = {"bpe": "hf_byte_bpe", "bpe_vocab": folder / "vocab.json", "bpe_merges": folder / "merges.txt"}
    return flags, "Ġ", lambda text: (model.encode(text).tokens, list(map(str, model.encode(text).ids)))


def no_dummy_prefix(folder):
    import sentencepiece

    given = {"vocab_size": 40, "model_type": "bpe", "minloglevel": 2, "hard_vocab_limit": False}
    prefix = str(folder / "nodummy")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"), model_prefix=prefix, add_dummy_prefix=False, **given
    )
    model = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    flags = {"bpe": "sentencepiece", "sentencepiece_model": folder / "nodummy.model"}
    return flags, "▁", lambda text: (model.encode(text, out_type=str),) * 2


class Growing:
    """A dictionary that has every piece."""

    def __init__(self):
        self.pieces = ["<s>", "<pad>", "</s>", "<unk>"]

    def index(self, piece):
        if piece not in self.pieces:
            self.pieces.append(piece)
        return self.pieces.index(piece)

    def pad(self):
        return 1

    def eos(self):
        return 2

    def unk(self):
        return 3


@pytest.mark.parametrize("train", [byte_level, no_dummy_prefix])
def test_a_bpe_that_sees_the_space_before_a_word_gives_the_pieces_of_the_whole_sentence(train, data, tmp_path):
    from fairseq.data import encoders

    (tmp_path / "text").write_text((data / "text").read_text())
    flags, mark, whole = train(tmp_path)
    settings = {name: str(value) for name, value in flags.items()}
    bpe = encoders.build_bpe(SimpleNamespace(**settings, bpe_add_prefix_space=False, **SAMPLING))
    dictionary = Growing()
    segmenter = DictionarySegmenter(dictionary, None, bpe, settings["bpe"])
    assert whole("a word")[1] != [*whole("a")[1], *whole("word")[1]]  # else there is nothing to test
    for line in ("understanding well known words", "The ☃man smiles : it 's caf☃s", "x"):
        (window,) = segmenter.windows(line.split(" "), 200)
        texts, symbols = whole(line)
        assert [dictionary.pieces[index] for index in window.ids[:-1]] == symbols
        starts = [place == 0 or text.startswith(mark) for place, text in enumerate(texts)]
        assert window.owners[:-1] == (np.cumsum(starts) - 1).tolist()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.text("aunderstimg'.,1-éß中🙂☃", max_size=6), min_size=1, max_size=8))
def test_any_words_give_the_byte_level_pieces_of_their_sentence(byte_level_bpe, words):
    bpe, whole = byte_level_bpe
    dictionary = Growing()
    (window,) = DictionarySegmenter(dictionary, None, bpe, "hf_byte_bpe").windows(words, 500)
    found = [dictionary.pieces[index] for index in window.ids[:-1]]
    assert [piece for piece in found if piece != "<unk>"] == whole(" ".join(words))[1]
    assert sorted(set(window.owners[:-1])) == list(range(len(words)))


@pytest.fixture(scope="module")
def byte_level_bpe(data, tmp_path_factory):
    from fairseq.data import encoders

    folder = tmp_path_factory.mktemp("bytes")
    (folder / "text").write_text((data / "text").read_text())
    flags, _, whole = byte_level(folder)
    paths = {name: str(value) for name, value in flags.items()}
    return encoders.build_bpe(SimpleNamespace(**paths, bpe_add_prefix_space=False)), whole


def test_a_bpe_whose_pieces_span_words_is_refused():
    joined = SimpleNamespace(encode=lambda text: text.replace(" ", "_"))
    with pytest.raises(WordsError, match="makes pieces of several words, as of 'b' with the one before"):
        list(DictionarySegmenter(Growing(), None, joined, None).windows(["a", "b"], 9))


class Dictionary:
    """One id a character."""

    def pad(self):
        return 1

    def eos(self):
        return 2

    def unk(self):
        return 3

    def index(self, piece):
        return {"<pad>": 1, "?": 3}.get(piece, ord(piece[0]))


class Characters:
    def encode(self, text):
        return " ".join(text.replace(" ", "_"))


class Letters:
    def encode(self, text):
        return " ".join(text)


def windows(words, limit, bpe_name=None):
    segmenter = DictionarySegmenter(Dictionary(), None, Characters() if bpe_name else Letters(), bpe_name)
    return segmenter, list(segmenter.windows(words, limit))


def test_every_piece_knows_its_word():
    segmenter, (window,) = windows(["ab", "", "c"], 10)
    assert window == Window([97, 98, 3, 99, 2], [0, 0, 1, 2, NO_WORD], 0, range(3))
    assert (segmenter.n_pieces, segmenter.n_unknown) == (4, 1)


def test_character_models_see_the_space_between_words_which_belongs_to_none():
    _, (window,) = windows(["ab", "c"], 10, "characters")
    assert window == Window([97, 98, 95, 99, 2], [0, 0, NO_WORD, 1, NO_WORD], 0, range(2))


@pytest.mark.parametrize("limit", [8, 11, 30])
def test_windows_overlap_and_hand_every_word_over_once(limit):
    words = ["abc"[: 1 + number % 3] + str(number % 10) for number in range(40)]
    _, cut = windows(words, limit)
    kept = [word for window in cut for word in range(window.first + window.keep.start, window.first + window.keep.stop)]
    assert kept == list(range(40))
    for window in cut:
        assert len(window.ids) <= limit and window.ids[-1] == 2
        text = "".join(map(chr, window.ids[:-1]))
        assert "".join(words[window.first :]).startswith(text)
    for earlier, later in pairwise(cut):
        n_words = max(earlier.owners) + 1
        assert earlier.first < later.first < earlier.first + max(n_words, 2)  # they overlap, unless it is one word


def test_long_sentences_become_windows_and_a_word_that_is_too_long_is_refused(encoded, data, tmp_path, capsys):
    short = save_level(tmp_path / "short.pt", data / "bin", "--max-source-positions 40")
    with encoded(path=short) as representations:
        assert representations.read(LINES[2].split(" ")).shape == (3, 300, 16)
    assert "3 sentences are longer than the model's positions" in capsys.readouterr().out
    argv = ["--path", str(short), "--sentences", str(tmp_path / "long.txt"), "--output", str(tmp_path / "long.hdf5")]
    (tmp_path / "long.txt").write_text("short\n" + "x" * 41 + "\n")
    assert encode.main([*argv, "--cpu", "--bpe", "characters"]) == 2
    assert "long.txt:2: the word 'xxxxxxxx" in capsys.readouterr().err
    assert not (tmp_path / "long.hdf5").exists()


def test_pooling():
    rows = torch.tensor([[1.0], [3.0], [5.0], [7.0]])
    owners = torch.tensor([0, 1, 1, 2])
    assert pool(rows, owners, 3, "mean").tolist() == [[1], [4], [7]]
    assert pool(rows, owners, 3, "first").tolist() == [[1], [3], [7]]
    assert pool(rows, owners, 3, "last").tolist() == [[1], [5], [7]]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--path", "none.pt"], "none.pt: no such file"),
        (["--sentences", "none.txt"], "none.txt: no such file"),
        (["--data", "nowhere"], "nowhere: the dictionaries of the training are not there"),
        (["--bpe", "subword_nmt"], "--bpe subword_nmt needs --bpe-codes"),
        (["--bpe", "subword_nmt", "--bpe-codes", "none"], "none"),
        (["--bpe", "sentencepiece", "--sentencepiece-model", "none"], "none"),
        (["--output", "words.txt/r.hdf5"], "words.txt/r.hdf5: cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(level, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("a b\n")
    argv = ["--path", str(level), "--sentences", "words.txt", "--output", "r.hdf5", "--cpu", *flags]
    assert encode.main(argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1] and lines[-1].startswith("fairseq_lth.encode: error: ")
    assert not any("Traceback" in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["words.txt"]


def test_a_dictionary_of_another_size_and_text_that_is_not_utf8_are_refused(level, data, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for file in (data / "bin").iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    with open(other / "dict.en.txt", "a") as dictionary:
        dictionary.write("more 1\n")
    (tmp_path / "words.txt").write_bytes(b"fine\n\xff\n")
    argv = ["--path", str(level), "--sentences", str(tmp_path / "words.txt"), "--output", str(tmp_path / "r"), "--cpu"]
    assert encode.main([*argv, "--data", str(other)]) == 2
    assert "source dictionary has" in capsys.readouterr().err
    assert encode.main(argv) == 2
    assert "is not UTF-8" in capsys.readouterr().err
    (tmp_path / "words.txt").write_bytes(b"fine\na b\rc\n")
    assert encode.main(argv) == 2
    assert "words.txt:2: a carriage return inside of a line" in capsys.readouterr().err


def test_a_model_whose_values_are_not_finite_and_a_file_without_sentences_are_refused(data, tmp_path, capsys):
    broken = save_level(tmp_path / "broken.pt", data / "bin")
    allow_checkpoint_globals()
    state = torch.load(broken, weights_only=True)
    state["model"]["encoder.layers.1.fc1.bias"][0] = float("nan")
    torch.save(state, broken)
    argv = ["--path", str(broken), "--sentences", str(tmp_path / "words.txt"), "--output", str(tmp_path / "r"), "--cpu"]
    for text, message in (("a b\n", "computes values that are not finite"), ("\n\n", "words.txt: holds no sentence")):
        (tmp_path / "words.txt").write_text(text)
        assert encode.main(argv) == 2
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.pt", "words.txt"]


def test_unknown_pieces_are_warned_of_and_refused_where_they_are_the_most(level, tmp_path, capsys):
    output = tmp_path / "r.hdf5"
    argv = ["--path", str(level), "--sentences", str(tmp_path / "words.txt"), "--output", str(output), "--cpu"]
    for n_unknown, status, *flags in ((1, 0), (2, 0), (11, 2), (11, 0, "--allow-unknown")):
        output.unlink(missing_ok=True)
        (tmp_path / "words.txt").write_text(" ".join(["a"] * (20 - n_unknown) + ["%"] * n_unknown))
        assert encode.main([*argv, *flags]) == status
        told = capsys.readouterr()
        share = f"{n_unknown / 20:.1%} of the pieces are unknown"
        if status:
            assert share in told.err and "--allow-unknown" in told.err and told.err.count("\n") == 1
            assert not output.exists()
            continue
        assert (share in told.out) is (n_unknown > 1)
        with Representations(output) as read:
            assert read.origin.unknown_pieces == n_unknown / 20
            assert (read.origin.source_lang, read.origin.target_lang) == ("en", "de")


def test_shards_and_half_precision(level, tmp_path, capsys):
    (tmp_path / "words.txt").write_text("".join(f"{'a b c'[: 2 * (n % 3) + 1]} d{n % 7}\n" for n in range(40)))
    argv = ["--path", str(level), "--sentences", str(tmp_path / "words.txt"), "--cpu", "--allow-unknown", "--output"]
    assert encode.main([*argv, str(tmp_path / "whole.hdf5")]) == 0
    for shard in ("2/3", "0/3", "1/3"):
        assert encode.main([*argv, str(tmp_path / "r.hdf5"), "--shard", shard]) == 0
    assert encode.main([*argv, str(tmp_path / "half.hdf5"), "--dtype", "float16"]) == 0
    assert "r.shard1-of-3.hdf5: 7 sentences" in capsys.readouterr().out
    with Representations(tmp_path / "whole.hdf5") as whole, Representations(tmp_path / "r.hdf5") as parts:
        assert list(parts.sentences()) == list(whole.sentences()) and len(whole) == 21
        for words in whole.sentences():  # other batches, so that sums are rounded otherwise
            np.testing.assert_allclose(parts.read(words), whole.read(words), atol=1e-5)
        with Representations(tmp_path / "half.hdf5") as half:
            for words in whole.sentences():
                np.testing.assert_allclose(half.read(words), whole.read(words), atol=4e-3)
    for shard in ("3/3", "1", "-1/2", "a/b", "0/0"):
        with pytest.raises(SystemExit):
            encode.main([*argv, str(tmp_path / "bad.hdf5"), f"--shard={shard}"])
        assert "--shard" in capsys.readouterr().err and not (tmp_path / "bad.hdf5").exists()


@pytest.mark.slow
def test_each_device_of_a_machine_takes_a_part(level, tmp_path, monkeypatch):
    """Devices that are not there: their processes compute on the CPU."""
    (tmp_path / "words.txt").write_text("".join(f"a b{n % 7}\n" for n in range(20)))
    monkeypatch.setattr(encode, "_devices", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "none,neither")
    argv = ["--path", str(level), "--sentences", str(tmp_path / "words.txt"), "--allow-unknown"]
    assert encode.main([*argv, "--output", str(tmp_path / "r.hdf5")]) == 0
    assert sorted(path.name for path in tmp_path.glob("r*")) == ["r.shard0-of-2.hdf5", "r.shard1-of-2.hdf5"]
    with Representations(tmp_path / "r.hdf5") as read:
        assert len(read) == 7
    assert encode.main([*argv, "--output", str(tmp_path / "other" / "r.hdf5"), "--data", str(tmp_path)]) == 2


def test_a_kill_leaves_no_file_of_the_final_name(level, tmp_path, monkeypatch):
    (tmp_path / "words.txt").write_text("a b\nc\n")
    argv = ["--path", str(level), "--sentences", str(tmp_path / "words.txt"), "--output", str(tmp_path / "r"), "--cpu"]
    child = os.fork()
    if child == 0:  # the second sentence kills
        add = RepresentationWriter.add
        left = iter([1])
        monkeypatch.setattr(
            RepresentationWriter,
            "add",
            lambda *given: add(*given) if next(left, None) else os.kill(os.getpid(), signal.SIGKILL),
        )
        encode.main(argv)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not (tmp_path / "r").exists()
