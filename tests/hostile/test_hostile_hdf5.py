"""Dumps, word representations and npz archives from strangers: refused in one line, and nothing else is read."""

import json
import zipfile

import h5py
import numpy as np
import pytest

from probing_bridge.errors import BridgeError
from probing_bridge.exchange.npz import NpzVectors
from probing_bridge.formats.activations.output import Output
from probing_bridge.formats.activations.reader import ActivationFile, ActivationWriter
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import Representations, RepresentationWriter
from probing_bridge.formats.representations.layout import INDEX

SECRET = b"a private text of the one who exports" * 8


def write_dump(path):
    """Two sentence pairs."""
    lengths, symbols = {"source": [2, 3], "target": [2, 2]}, {"source": ["a", "b"], "target": ["a", "b"]}
    counts = {"source": [5, 3], "target": [4, 4]}
    with ActivationWriter(
        path, lengths, {"encoder": {"0": 3, "1": 3}}, {}, symbols, counts, Origin(), n_best=2
    ) as dump:
        for side, sizes in lengths.items():
            for number, size in enumerate(sizes):
                dump.write_tokens(side, [number], np.zeros(size, np.int32))
        for layer in ("0", "1"):
            dump.write_states("encoder", layer, [0, 1], np.ones((5, 3), np.float32))
        logs = np.tile(np.log(np.array([0.75, 0.25], np.float32)), (4, 1))
        tokens, gold = np.tile(np.array([0, 1], np.int32), (4, 1)), np.array([0, 1, 1, 1], np.int32)
        own, zeros = logs[np.arange(4), gold], np.zeros(4, np.float32)
        dump.write_output([0, 1], Output(tokens, logs, gold, own, gold + 1, logs[:, 1], zeros))


def read_dump(path):
    """Everything that export reads."""
    with ActivationFile(path) as dump:
        for side in ("source", "target"):
            dump.symbols(side)
            dump.counts(side)
            dump.tokens(side)
        dump.read_states("encoder", "0", 0, 5)
        dump.read_output(0, 4)
        dump.dim("encoder")


def put(name, value):
    def change(file):
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return change


def external(name, shape, dtype):
    def change(file):
        put(name, None)(file)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        secret = file.filename.rpartition("/")[0] + "/secret"
        file.create_dataset(name, shape=shape, dtype=dtype, external=[(secret, 0, size)])

    return change


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def packed(file):
    put("states/encoder/0", None)(file)
    file.create_dataset("states/encoder/0", data=np.ones((5, 3), np.float32), chunks=(5, 3), compression="gzip")


def group(name):
    def change(file):
        put(name, None)(file)
        file.create_group(name)

    return change


def cells(name, *values):
    """Puts values into the first row of one array of the output."""

    def change(file):
        file[f"output/{name}"][0] = values if len(values) > 1 else values[0]

    return change


OUTPUTS = {
    "output an array": put("output", np.zeros(3)),
    "output without its ranks": put("output/gold_rank", None),
    "output outside of the file": external("output/log_probabilities", (4, 2), "f4"),
    "output of too few rows": put("output/gold", np.zeros(3, np.int32)),
    "output of another type": put("output/gold_rank", np.ones(4, np.int64)),
    "probabilities in float64": put("output/log_probabilities", np.zeros((4, 2))),
    "more best tokens than symbols": put("output/tokens", np.zeros((4, 3), np.int32)),
    "no best tokens": put("output/tokens", np.zeros((4, 0), np.int32)),
    "gold with two columns": put("output/gold", np.zeros((4, 2), np.int32)),
    "a best token too large": cells("tokens", 0, 2),
    "a best token below 0": cells("tokens", -1, 1),
    "a best token twice": cells("tokens", 0, 0),
    "a gold token too large": cells("gold", 2),
    "a probability that is none": cells("log_probabilities", np.nan, -1),
    "a gold probability of infinity": cells("gold_log_probability", -np.inf),
    "a sum that is none": cells("logsumexp", np.nan),
    "a probability above 1": cells("log_probabilities", 0.1, -2),
    "probabilities that ascend": cells("log_probabilities", -2, -1),
    "probabilities that sum to 2": cells("log_probabilities", -0.01, -0.02),
    "two probabilities of the gold token": cells("gold_log_probability", -0.5),
    "a rank of 0": cells("gold_rank", 0),
    "a rank beyond the symbols": cells("gold_rank", 3),
    "a rank that the best refute": cells("gold_rank", 2),
    "a least probability above others": cells("least_log_probability", -0.1),
}
DUMPS = {
    **OUTPUTS,
    "states outside of the file": external("states/encoder/0", (5, 3), "f4"),
    "tokens outside of the file": external("tokens/source", (5,), "i4"),
    "symbols outside of the file": external("symbols/source", (2,), "S64"),
    "a soft link": put("states/encoder/0", h5py.SoftLink("/states/encoder/1")),
    "a second name": lambda file: put("states/encoder/0", file["states/encoder/1"])(file),
    "a link to a file": put("states/encoder/0", h5py.ExternalLink("secret", "/x")),
    "packed states": packed,
    "no counts": put("counts/source", None),
    "counts of other symbols": put("counts/source", np.ones(3, dtype=np.int64)),
    "counts outside of the file": external("counts/source", (2,), "<i8"),
    "no symbols": put("symbols/source", None),
    "symbols a number": put("symbols/source", 3),
    "symbols of numbers": put("symbols/source", np.zeros(2)),
    "symbols not UTF-8": put("symbols/source", np.array([b"\xff\xfe", b"a"], dtype=object)),
    "an id too large": put("tokens/source", np.array([0, 0, 0, 0, 2], np.int32)),
    "an id below 0": put("tokens/source", np.array([0, 0, 0, 0, -1], np.int32)),
    "offsets a number": put("offsets/source", 5),
    "offsets a group": group("offsets/source"),
    "states a group": group("states/encoder/0"),
    "no layers": group("states/encoder"),
    "a layer named mix": lambda file: file.move("states/encoder/0", "states/encoder/mix"),
    "a layer named by a digit of another script": lambda file: file.move("states/encoder/0", "states/encoder/²"),
    "encoder an array": put("states/encoder", np.zeros(3)),
    "means of another width": put("means/states/encoder/0", np.zeros(4, np.float32)),
    "means that are no numbers": put("means/states/encoder/0", np.full(3, np.nan, np.float32)),
    "layers of two widths": put("states/encoder/1", np.ones((5, 4), np.float32)),
    "sentences of text": put("sentences", ["x", "y"]),
    "a level of text": attribute("level", "9"),
    "a level that is a list": attribute("level", [1, 2]),
    "a sparsity that is none": attribute("sparsity", np.nan),
    "another dtype": attribute("dtype", "float128"),
    "dtype a list": attribute("dtype", [1, 2]),
    "a version of text": attribute("format_version", "x"),
}
INDEXES = {
    "nested": "[" * 100_000,
    "a list": "[1]",
    "keys that are numbers": '{"a b": 0}',
    "one key for two sentences": '{"a b": "0", "c d": "0"}',
    "a sentence twice": '{"a b": "0", "a b": "1"}',
    "a key that is nowhere": '{"a b": "9"}',
    "a key with a surrogate": '{"a b": "\\ud800"}',
    "a key that is a path": '{"a b": "../0"}',
    "a key with a zero": '{"a b": "0\\u0000"}',
    "an empty key": '{"a b": ""}',
    "no JSON": "{",
}
ARRAYS = {
    "an array outside of the file": external("0", (1, 2, 4), "f4"),
    "an array linked": put("0", h5py.SoftLink("/1")),
    "an array that is a group": group("0"),
    "an array that is a number": put("0", np.float32(1)),
    "an array of text": put("0", ["a", "b"]),
    "an index that is a group": group(INDEX),
    "an index of numbers": put(INDEX, np.zeros(1)),
    "layers a list": attribute("layers", [1, 2]),
    "layers with mix": attribute("layers", "mix"),
}


@pytest.mark.parametrize("kind", DUMPS)
def test_dumps(kind, tmp_path, measured):
    path = tmp_path / "a.h5"
    (tmp_path / "secret").write_bytes(SECRET)
    write_dump(path)
    read_dump(path)
    with h5py.File(path, "r+") as file:
        DUMPS[kind](file)
    assert str(path) in measured(kind, lambda: read_dump(path), BridgeError)


def liu(path):
    """Two sentences in the layout of Liu et al. (2019), one layer."""
    with h5py.File(path, "w") as file:
        for number in range(2):
            file[str(number)] = np.ones((1, 2, 4), np.float32)
        file.create_dataset(INDEX, shape=(1,), dtype=h5py.string_dtype())[0] = '{"a b": "0", "c d": "1"}'


def read_all(path):
    with Representations(path) as vectors:
        for words in vectors.sentences():
            vectors.read(words)


@pytest.mark.parametrize("kind", [*INDEXES, *ARRAYS])
def test_liu(kind, tmp_path, measured):
    path = tmp_path / "r.hdf5"
    (tmp_path / "secret").write_bytes(SECRET)
    liu(path)
    read_all(path)
    with h5py.File(path, "r+") as file:
        if kind in ARRAYS:
            ARRAYS[kind](file)
        else:
            file[INDEX][0] = INDEXES[kind]
    assert str(path) in measured(kind, lambda: read_all(path), BridgeError)


VECTORS = {
    "a layer outside of the file": external("layers/0", (4, 4), "f4"),
    "a layer linked": put("layers/0", h5py.SoftLink("/layers/1")),
    "a layer under two names": put("layers/0", h5py.SoftLink("/texts")),
    "a layer that is a group": group("layers/0"),
    "a layer of text": put("layers/0", ["a"] * 4),
    "a layer of whole numbers": put("layers/0", np.zeros((4, 4), "i4")),
    "a layer of another width": put("layers/0", np.zeros((4, 5), "f4")),
    "a layer with a row too many": put("layers/0", np.zeros((5, 4), "f4")),
    "a layer of no width": put("layers/0", np.zeros((4, 0), "f4")),
    "values that are none": put("layers/0", np.full((4, 4), np.nan, "f4")),
    "no such layer": attribute("layers", "0,1,2"),
    "layers a list": attribute("layers", [1, 2]),
    "layers with mix": attribute("layers", "0,mix"),
    "offsets that fall": put("offsets", np.array([0, 4, 2])),
    "offsets below 0": put("offsets", np.array([-2, 2, 4])),
    "offsets of floats": put("offsets", np.array([0.0, 2.0, 4.0])),
    "offsets of a sentence more": put("offsets", np.array([0, 2, 3, 4])),
    "offsets a billion": put("offsets", np.array([0, 2, 1 << 40])),
    "texts of half a character": put("texts", np.frombuffer(b"a b\nc \xc3", np.uint8)),
    "texts of other lengths": put("texts", np.frombuffer(b"a b c\nd", np.uint8)),
    "a text twice": put("texts", np.frombuffer(b"a b\na b", np.uint8)),
    "a text with a tab": put("texts", np.frombuffer(b"a b\nc\td e", np.uint8)),
    "digests too few": put("digests/0", np.zeros((1, 16), np.uint8)),
    "digests of nothing": put("digests/0", np.zeros((2, 16), np.uint8)),
    "the first of a number of text": attribute("first", "0"),
    "one of a billion": attribute("of", 1 << 40),
    "from the middle on": attribute("first", 1),
    "a dtype of our own": attribute("dtype", "float128"),
    "means of another width": put("means/0", np.zeros(3, np.float32)),
    "means that are none": put("means/0", np.full(4, np.inf, np.float32)),
}


def representations(path, dtype="float32"):
    """Two sentences, two layers."""
    sentences = [["a", "b"], ["c", "d"]]
    with RepresentationWriter(path, sentences, ["0", "1"], 4, Origin(), dtype) as writer:
        for words in sentences:
            writer.add(words, np.ones((2, 2, 4)))


@pytest.mark.parametrize("kind", VECTORS)
def test_representations(kind, tmp_path, measured):
    path = tmp_path / "r.hdf5"
    (tmp_path / "secret").write_bytes(SECRET)
    representations(path, "float16" if kind.startswith("means") else "float32")
    read_all(path)
    with h5py.File(path, "r+") as file:
        VECTORS[kind](file)
    assert str(path) in measured(kind, lambda: read_all(path), BridgeError)


def npz(path, compression=zipfile.ZIP_STORED, **members):
    """An archive of raw members."""
    good = {
        "words": np.frombuffer(b"a\nb", np.uint8),
        "offsets": np.array([0, 2]),
        "layer_0": np.ones((2, 3), np.float32),
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in {**good, **members}.items():
            with archive.open(name if "." in name else f"{name}.npy", "w") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    np.lib.format.write_array(file, content, allow_pickle=True)


def declared(shape):
    """The header of an array of a shape, without values."""
    return b"\x93NUMPY\x01\x00" + (lambda text: len(text).to_bytes(2, "little") + text)(
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    )


NPZ = {
    "a bomb": {"compression": zipfile.ZIP_DEFLATED, "layer_0": np.zeros((2, 20_000_000), np.float32)},
    "an array that is not there": {"layer_0": declared((1 << 40, 4))},
    "an array of objects": {"words": np.array([{"a": 1}, None], dtype=object)},
    "no array": {"layer_0": b"hello"},
    "a text member": {"readme.txt": b"hello"},
    "words a number": {"words": np.array(3)},
    "words of half a character": {"words": np.frombuffer(b"a\n\xc3", np.uint8)},
    "offsets of text": {"offsets": np.array(["a"])},
    "offsets too far": {"offsets": np.array([0, 9])},
    "values that are none": {"layer_0": np.full((2, 3), np.nan, np.float32)},
    "an origin that is nested": {"origin": np.array("[" * 100_000)},
    "an origin that is a list": {"origin": np.array(json.dumps([1] * 1000))},
    "a layer named mix": {"layer_mix": np.ones((2, 3), np.float32)},
    "an origin with a zero byte": {"origin": np.array('{"experiment": "a\\u0000"}')},
    "a word with white space": {"words": np.frombuffer(b"a\nb c", np.uint8)},
    "a sentence twice": {"words": np.frombuffer(b"a\na", np.uint8), "offsets": np.array([0, 1, 2])},
    "an array twice": {"layer_0.npy": np.zeros((2, 3), np.float32)},
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", NPZ)
def test_npz(kind, tmp_path, measured):
    path = tmp_path / "v.npz"
    npz(path, **NPZ[kind])
    assert str(path) in measured(kind, lambda: NpzVectors(path), BridgeError)
