"""The dump format: what is written is read, whatever the order; damaged and foreign files are named in one line."""

import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probing_bridge.errors import BridgeError
from probing_bridge.formats.activations import writer as activation_writer
from probing_bridge.formats.activations.output import DATASETS, Output
from probing_bridge.formats.activations.reader import (
    SIDES,
    ActivationError,
    ActivationFile,
    ActivationWriter,
    open_dump,
    require_same_sentences,
    shard_path,
)
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import RepresentationWriter

COUNTS = {"source": [1, 9, 4, 4], "target": [1, 7, 5, 2, 0]}
SYMBOLS = {"source": ["<s>", "ein", "Käse", "🙂"], "target": ["<s>", "a", "cheese", "now", "x"]}


def sentences(lengths, seed=0):
    """Random contents of sentences with (source, target) lengths: name -> one array a sentence."""
    rng = np.random.default_rng(seed)
    names = {"tokens/source": 0, "tokens/target": 1, "states/encoder/0": 0, "states/encoder/10": 0}
    names |= {"states/decoder/2": 1, "states/decoder/norm": 1}
    data = {name: [] for name in (*names, "attention/encoder_decoder/1")}
    for pair in lengths:
        for name, side in names.items():
            if name.startswith("tokens"):
                data[name].append(rng.integers(0, 4, pair[side]))
            else:
                data[name].append(rng.normal(50, 1, (pair[side], 3)).astype(np.float32))
        data["attention/encoder_decoder/1"].append(rng.random((pair[0] * pair[1], 2)).astype(np.float32))
    return data


def writer(path, lengths, **options):
    origin = options.pop("origin", Origin("e", 1, checkpoint_hash="ab"))
    sides = {side: [pair[number] for pair in lengths] for number, side in enumerate(SYMBOLS)}
    states = {"encoder": {"10": 3, "0": 3}, "decoder": {"norm": 3, "2": 3}}
    return ActivationWriter(path, sides, states, {"encoder_decoder": {"1": 2}}, SYMBOLS, COUNTS, origin, **options)


def put(opened, data, numbers, places):
    for name, parts in data.items():
        rows = np.concatenate([parts[number] for number in numbers])
        group, *rest = name.split("/")
        getattr(opened, f"write_{group}")(*rest, places, rows)


def write(path, lengths, seed=0, batches=None, **options):
    data = sentences(lengths, seed)
    with writer(path, lengths, **options) as opened:
        for numbers in batches or [range(len(lengths))]:
            put(opened, data, list(numbers), list(numbers))
    return data


def read(dump, name):
    group, *rest = name.split("/")
    if group == "tokens":
        return dump.tokens(*rest)
    offsets = dump.offsets(SIDES[rest[0]]) if group == "states" else dump.attention_offsets(rest[0])
    return getattr(dump, f"read_{group}")(*rest, 0, int(offsets[-1]))


LENGTHS = [(2, 3), (1, 1), (4, 2), (3, 5), (1, 4)]


def test_the_same_dump_is_the_same_bytes(tmp_path):
    """HDF5 notes the second in which an array was made, unless told not to."""
    write(tmp_path / "a.h5", LENGTHS)
    time.sleep(1.1)
    write(tmp_path / "b.h5", LENGTHS)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_rows_come_back_whatever_the_order_of_the_batches(tmp_path, data):
    lengths = data.draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=8))
    order = data.draw(st.permutations(range(len(lengths))))
    cut = data.draw(st.integers(0, len(order)))
    contents = write(tmp_path / "a.h5", lengths, batches=[part for part in (order[:cut], order[cut:]) if part])
    with open_dump(tmp_path / "a.h5") as dump:
        assert dump.n_sentences == len(lengths)
        assert dump.components == {"encoder": ("0", "10"), "decoder": ("2", "norm")}
        assert dump.attention_kinds == {"encoder_decoder": ("1",)}
        assert (dump.dim("decoder"), dump.n_heads("encoder_decoder")) == (3, 2)
        for name, parts in contents.items():
            np.testing.assert_array_equal(read(dump, name), np.concatenate(parts))
        rows = dump.offsets("target")
        for number in range(len(lengths)):
            part = dump.read_states("decoder", "2", int(rows[number]), int(rows[number + 1]))
            np.testing.assert_array_equal(part, contents["states/decoder/2"][number])
        assert dump.symbols("source") == SYMBOLS["source"]
        assert dump.counts("target").tolist() == COUNTS["target"]


def test_the_layout_is_what_the_documentation_says(tmp_path):
    data = write(tmp_path / "a.h5", LENGTHS)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format"] == "lth-activations" and file.attrs["format_version"] == 1
        assert file["states/encoder/10"].chunks is None
        np.testing.assert_array_equal(file["states/encoder/10"][:], np.concatenate(data["states/encoder/10"]))
        np.testing.assert_array_equal(file["offsets/source"][:], [0, 2, 3, 7, 10, 11])
        np.testing.assert_array_equal(file["offsets/attention/encoder_decoder"][:], [0, 6, 7, 15, 30, 34])
        assert file["symbols/source"].asstr()[3] == "🙂"


def test_shards_read_as_one_file_in_corpus_order(tmp_path):
    data = write(tmp_path / "one.h5", LENGTHS)
    for shard, numbers in enumerate(([0, 3], [1, 2, 4], [])):
        own = [LENGTHS[number] for number in numbers]
        path = shard_path(tmp_path / "many.h5", shard, 3)
        with writer(path, own, sentences=numbers) as opened:
            if numbers:
                put(opened, data, numbers, list(range(len(numbers))))
    with open_dump(tmp_path / "one.h5") as one, open_dump(tmp_path / "many.h5") as many:
        require_same_sentences(one, many)
        assert many.n_sentences == 5 and many.origin == one.origin
        for name in data:
            np.testing.assert_array_equal(read(many, name), read(one, name))
        for start in range(11):
            for stop in range(start, 12):
                if stop <= 11:
                    mine, whole = (dump.read_states("encoder", "0", start, stop) for dump in (many, one))
                    np.testing.assert_array_equal(mine, whole)
    shard_path(tmp_path / "many.h5", 1, 3).unlink()
    with pytest.raises(ActivationError, match="shards are missing: many"):
        open_dump(tmp_path / "many.h5")


def test_shards_of_two_dumps_or_a_whole_one_beside_them_are_refused(tmp_path):
    write(shard_path(tmp_path / "a.h5", 0, 2), LENGTHS[:2], sentences=[0, 1])
    write(shard_path(tmp_path / "a.h5", 1, 2), LENGTHS[2:], sentences=[1, 2, 3])
    with pytest.raises(ActivationError, match="every sentence once"):
        open_dump(tmp_path / "a.h5")
    write(
        shard_path(tmp_path / "a.h5", 1, 2),
        LENGTHS[2:],
        sentences=[2, 3, 4],
        origin=Origin("e", 1, checkpoint_hash="c"),
    )
    with pytest.raises(ActivationError, match="does not belong to"):
        open_dump(tmp_path / "a.h5")
    write(shard_path(tmp_path / "a.h5", 0, 3), LENGTHS[:2], sentences=[0, 1])
    with pytest.raises(ActivationError, match=r"\[2, 3\] processes"):
        open_dump(tmp_path / "a.h5")
    write(tmp_path / "a.h5", LENGTHS)
    with pytest.raises(ActivationError, match="delete those that are old"):
        open_dump(tmp_path / "a.h5")


def test_float16_is_rounded_after_the_mean_is_off(tmp_path):
    data = write(tmp_path / "a.h5", LENGTHS, dtype="float16")
    with open_dump(tmp_path / "a.h5") as dump:
        exact = np.concatenate(data["states/encoder/0"])  # mean 50, deviation 1: plain float16 would be off by 0.015
        error = np.abs(read(dump, "states/encoder/0") - exact).max()
        assert 0 < error < 0.002
        assert np.abs(exact.astype(np.float16) - exact).max() > 0.01
        weights = np.concatenate(data["attention/encoder_decoder/1"])
        assert 0 < np.abs(read(dump, "attention/encoder_decoder/1") - weights).max() <= 2.0**-12


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_values_that_cannot_be_stored_are_refused_and_leave_nothing(tmp_path, bad):
    data = sentences(LENGTHS)
    data["states/encoder/0"][3][1, 2] = bad
    with (
        pytest.raises(ActivationError, match="float16 cannot hold"),
        writer(tmp_path / "a.h5", LENGTHS, dtype="float16") as opened,
    ):
        put(opened, data, range(5), list(range(5)))
    assert not list(tmp_path.iterdir())


def test_a_sentence_that_never_came_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ActivationError, match=r"2 of 5 sentences never came \(first: 1, "):
        write(tmp_path / "a.h5", LENGTHS, batches=[[0, 2, 3]][:1])
    assert not list(tmp_path.iterdir())


def test_rows_of_another_shape_are_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="expected"), writer(tmp_path / "a.h5", LENGTHS) as opened:
        opened.write_states("encoder", "0", [0], np.zeros((3, 3), np.float32))


def test_dumps_of_other_sentences_are_told_apart(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write(tmp_path / f"{name}.h5", LENGTHS, seed=seed)
    with (
        open_dump(tmp_path / "a.h5") as a,
        open_dump(tmp_path / "b.h5") as b,
        open_dump(tmp_path / "c.h5") as c,
    ):
        require_same_sentences(a, b)
        with pytest.raises(ActivationError, match="different sentences") as refusal:
            require_same_sentences(a, c)
    assert "a.h5" in str(refusal.value) and "c.h5" in str(refusal.value)


def refused(path):
    with pytest.raises(BridgeError) as refusal:
        open_dump(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    write(tmp_path / "a.h5", LENGTHS)
    whole = (tmp_path / "a.h5").read_bytes()
    for size in [0, 1, 100, *range(512, len(whole), 997), len(whole) - 1]:
        (tmp_path / "cut.h5").write_bytes(whole[:size])
        assert "not an HDF5 file, or not a whole one" in refused(tmp_path / "cut.h5")


def test_foreign_newer_and_missing_files_are_named(tmp_path):
    assert "no such file" in refused(tmp_path / "none.h5")
    with RepresentationWriter(tmp_path / "words.hdf5", [["a"]], ["0"], 2, Origin()) as words:
        words.add(["a"], np.zeros((1, 1, 2)))
    assert "holds lth-representations, not an activation dump" in refused(tmp_path / "words.hdf5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    assert "other HDF5 data" in refused(tmp_path / "other.h5")
    write(tmp_path / "a.h5", LENGTHS)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["format_version"] = 2
    assert "format version 2" in refused(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("states/encoder/0", np.zeros((10, 3), np.float32)),
        ("states/encoder/0", np.zeros((11, 3), np.float64)),
        ("tokens/target", np.zeros((14,), np.int32)),
        ("attention/encoder_decoder/1", np.zeros((33, 2), np.float32)),
        ("offsets/source", np.array([0, 2, 1, 7, 10, 11])),
        ("offsets/source", np.array([0, 11])),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(tmp_path, name, replacement):
    write(tmp_path / "a.h5", LENGTHS)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file[name]
        file[name] = replacement
    assert "damaged" in refused(tmp_path / "a.h5")


def test_a_claimed_size_takes_no_memory(tmp_path):
    write(tmp_path / "a.h5", LENGTHS)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["offsets/source"]
        file.create_dataset("offsets/source", shape=(1 << 50,), dtype=np.int64, chunks=(1024,))
    assert "never written whole" in refused(tmp_path / "a.h5")


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(activation_writer.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(ActivationError, match="GB"):
        write(tmp_path / "a.h5", LENGTHS)
    assert not list(tmp_path.iterdir())


def test_an_unknown_layer_names_those_there_are(tmp_path):
    write(tmp_path / "a.h5", LENGTHS)
    with open_dump(tmp_path / "a.h5") as dump, pytest.raises(ActivationError, match="states/encoder/10"):
        dump.read_states("encoder", "3", 0, 1)


READ = """
import sys, resource
from probing_bridge.formats.activations.reader import ActivationFile
with ActivationFile(sys.argv[1]) as dump:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stop = int(dump.offsets("source")[-1])
    for start in range(0, stop, 1000):
        dump.read_states("encoder", "0", start, min(start + 1000, stop))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_what_is_read(tmp_path):
    lengths = {"source": [100] * 400, "target": [1] * 400}
    symbols, counts = {"source": ["a"], "target": ["a"]}, {"source": [1], "target": [1]}
    with ActivationWriter(tmp_path / "a.h5", lengths, {"encoder": {"0": 512}}, {}, symbols, counts, Origin()) as opened:
        for number in range(400):
            opened.write_tokens("source", [number], np.zeros(100, np.int32))
            opened.write_tokens("target", [number], np.zeros(1, np.int32))
            opened.write_states("encoder", "0", [number], np.full((100, 512), number, np.float32))
    assert os.path.getsize(tmp_path / "a.h5") > 80e6
    grown = subprocess.run([sys.executable, "-c", READ, tmp_path / "a.h5"], capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 20_000  # kilobytes
    with ActivationFile(tmp_path / "a.h5") as dump:
        assert dump.read_states("encoder", "0", 39_950, 40_000).min() == 399


def random_output(output_of, lengths, n_best=2):
    """Random distributions over the target symbols, one Output a sentence."""
    rng = np.random.default_rng(4)
    parts = []
    for _, n in lengths:
        logs = np.log(rng.dirichlet(np.ones(len(SYMBOLS["target"])), n))
        parts.append(output_of(logs, rng.integers(0, len(SYMBOLS["target"]), n), n_best))
    return parts


def put_output(opened, parts, numbers, places):
    opened.write_output(places, Output.joined([parts[number] for number in numbers]))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_output_distributions_come_back_from_one_file_and_from_shards(tmp_path, output_of, dtype):
    data, parts = sentences(LENGTHS), random_output(output_of, LENGTHS)
    with writer(tmp_path / "one.h5", LENGTHS, n_best=2, dtype=dtype) as opened:
        for numbers in ([3, 0], [4, 1, 2]):
            put(opened, data, numbers, numbers)
            put_output(opened, parts, numbers, numbers)
    for shard, numbers in enumerate(([0, 3], [1, 2, 4], [])):
        own = [LENGTHS[number] for number in numbers]
        path = shard_path(tmp_path / "many.h5", shard, 3)
        with writer(path, own, sentences=numbers, n_best=2, dtype=dtype) as opened:
            if numbers:
                put(opened, data, numbers, list(range(len(numbers))))
                put_output(opened, parts, numbers, list(range(len(numbers))))
    expected = Output.joined(parts)
    for name in ("one.h5", "many.h5"):
        with open_dump(tmp_path / name) as dump:
            assert dump.n_best == 2
            for dataset in DATASETS:
                np.testing.assert_array_equal(
                    getattr(dump.read_output(2, 13), dataset), getattr(expected, dataset)[2:13]
                )
            assert len(dump.read_output(5, 5)) == 0
    write(tmp_path / "none.h5", LENGTHS)
    with open_dump(tmp_path / "none.h5") as dump:
        assert dump.n_best == 0


def test_shards_of_other_output_do_not_belong_together(tmp_path, output_of):
    for shard, n_best in ((0, 2), (1, 3)):
        numbers = [0, 1] if shard == 0 else [2, 3, 4]
        own = [LENGTHS[number] for number in numbers]
        with writer(shard_path(tmp_path / "a.h5", shard, 2), own, sentences=numbers, n_best=n_best) as opened:
            put(opened, sentences(own), range(len(own)), range(len(own)))
            put_output(opened, random_output(output_of, own, n_best), range(len(own)), range(len(own)))
    with pytest.raises(ActivationError, match="does not belong to"):
        open_dump(tmp_path / "a.h5")
