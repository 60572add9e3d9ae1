"""Word representations: what is written comes back, and files that would give wrong numbers are refused."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import Representations, RepresentationWriter, write_vectors
from probing_bridge.formats.shards import shard_path

ORIGIN = Origin("x1", 2, "x0/lth1", 0.36, "checkpoint_lth2.pt", "ab", pooling="mean")
LAYERS = ["0", "1", "norm"]
TEXTS = [f"w{k % 7}" + " x" * (k % 5) + f" y{k}" for k in range(200)]
SENTENCES = [text.split() for text in TEXTS]


def arrays_of(n: int = len(SENTENCES), scale: float = 1.0) -> list[np.ndarray]:
    """(layers, words, 5) of the first sentences, with a mean that is not zero."""
    rng = np.random.default_rng(0)
    return [scale * (3 + rng.normal(size=(3, len(words), 5))) for words in SENTENCES[:n]]


def write(path: Path, order: list[int] | None = None, dtype: str = "float32", shards: int = 1) -> list[np.ndarray]:
    """Writes all sentences, those that come first as `order` says."""
    arrays = arrays_of()
    for shard in range(shards):
        with RepresentationWriter(path, SENTENCES, LAYERS, 5, ORIGIN, dtype, (shard, shards)) as writer:
            for number in order or range(len(SENTENCES)):
                if writer.wants(SENTENCES[number]):
                    writer.add(SENTENCES[number], arrays[number])
    return arrays


def test_written_and_read_back(tmp_path: Path) -> None:
    sentences = [["Otters", "nap"], ["né", ".", "\N{SNOWMAN}"], ["Otters", "nap"], ["a", "", "\udc80"]]
    arrays = [np.random.default_rng(0).normal(size=(3, len(s), 5)) for s in sentences]
    with RepresentationWriter(tmp_path / "r.hdf5", sentences, LAYERS, 5, ORIGIN) as writer:
        assert len(writer) == 3
        for sentence, array in zip(sentences, arrays, strict=True):
            if writer.wants(sentence):
                writer.add(sentence, array)
    with Representations(tmp_path / "r.hdf5") as reps:
        assert (reps.layers, reps.dim, len(reps)) == (("0", "1", "norm"), 5, 3)
        assert reps.origin == ORIGIN
        assert list(reps.sentences()) == [sentences[0], sentences[1], sentences[3]]
        np.testing.assert_array_equal(reps.read(sentences[1]), arrays[1].astype(np.float32))
        np.testing.assert_array_equal(reps.read(sentences[0], ["norm", "0"]), arrays[0].astype(np.float32)[[2, 0]])
        assert ["né"] not in reps and sentences[1] in reps
    with h5py.File(tmp_path / "r.hdf5") as file:  # as docs tell other programs to read it
        texts = bytes(file["texts"][()]).decode("utf-8", "surrogatepass").split("\n")
        row = file["offsets"][texts.index("né . \N{SNOWMAN}")]
        np.testing.assert_array_equal(file["layers/1"][row : row + 3], arrays[1][1].astype(np.float32))


@pytest.mark.parametrize("shards", [1, 3, 7, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_many_sentences_in_any_order_by_any_number_of_processes(tmp_path: Path, dtype: str, shards: int) -> None:
    order = np.random.default_rng(1).permutation(len(SENTENCES)).tolist()
    arrays = write(tmp_path / "r.hdf5", order, dtype, shards)
    wanted = [*np.random.default_rng(2).permutation(len(SENTENCES)).tolist()[:150], 0, 1, 2]
    expected = np.concatenate([arrays[number] for number in wanted], axis=1).astype(np.float32)
    with Representations(tmp_path / "r.hdf5") as reps:
        out = np.empty((2, expected.shape[1], 5), np.float32)
        reps.read_into([SENTENCES[number] for number in wanted], ["norm", "1"], out)
        if dtype == "float32":
            np.testing.assert_array_equal(out, expected[[2, 1]])
        else:  # eleven bits of what is left when the mean is off
            np.testing.assert_allclose(out, expected[[2, 1]], atol=8 * 2**-11)
        assert list(reps.sentences()) == SENTENCES and len(list(tmp_path.iterdir())) == shards


def test_what_is_held_while_reading_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """A layer of 48 MB, all neighbours: beside it, twice the piece that is read at a time and no more."""
    texts = [[f"w{number}"] * 100 for number in range(300)]
    array = np.random.default_rng(0).standard_normal((1, 100, 400), np.float32)
    with RepresentationWriter(tmp_path / "r.hdf5", texts, ["0"], 400, Origin(), "float16") as writer:
        for number, words in enumerate(texts):
            writer.add(words, array + number % 7)
    with Representations(tmp_path / "r.hdf5") as reps:
        out = np.empty((1, 30_000, 400), np.float32)
        tracemalloc.start()
        reps.read_into(texts, ["0"], out)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    np.testing.assert_allclose(out[0].reshape(300, 100, 400)[[5, 299]], [array[0] + 5, array[0] + 5], atol=1e-2)
    assert held < out.nbytes


def test_a_hash_tells_values_and_not_in_which_order_they_came(tmp_path: Path) -> None:
    write(tmp_path / "a.hdf5")
    write(tmp_path / "b.hdf5", shards=4)
    write(tmp_path / "c.hdf5", list(range(len(SENTENCES)))[::-1])
    hashes = {Representations(tmp_path / f"{name}.hdf5").hash for name in "ac"}
    assert len(hashes) == 1 and Representations(tmp_path / "b.hdf5").hash not in hashes
    with (
        Representations(tmp_path / "a.hdf5") as reps,
        RepresentationWriter(tmp_path / "d.hdf5", SENTENCES, LAYERS, 5, ORIGIN) as writer,
    ):
        for number, words in enumerate(SENTENCES):
            writer.add(words, reps.read(words) + (number == 100))
    write(tmp_path / "e.hdf5", dtype="float16")
    hashes |= {Representations(tmp_path / f"{name}.hdf5").hash for name in "de"}
    assert len(hashes) == 3


def test_two_writers_and_one_reader(tmp_path: Path) -> None:
    """The second writer is refused; what is read stays what it was."""
    write(tmp_path / "r.hdf5")
    with Representations(tmp_path / "r.hdf5") as reps:
        with RepresentationWriter(tmp_path / "r.hdf5", SENTENCES[:1], LAYERS, 5, ORIGIN) as first:
            first.add(SENTENCES[0], arrays_of(1)[0])
            second = RepresentationWriter(tmp_path / "r.hdf5", SENTENCES[:2], LAYERS, 5, ORIGIN)
            with pytest.raises(InputError, match="is being written by another process"), second:
                pass
            assert len(Representations(tmp_path / "r.hdf5")) == len(SENTENCES)
        np.testing.assert_array_equal(reps.read(SENTENCES[9]), arrays_of()[9].astype(np.float32))
    assert len(Representations(tmp_path / "r.hdf5")) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("layers", [[], ["0", "0"], ["1.5"], ["mix"]])
def test_writer_refuses_names_of_layers(tmp_path: Path, layers: list[str]) -> None:
    with pytest.raises(ValueError, match="layers"):
        RepresentationWriter(tmp_path / "r.hdf5", SENTENCES, layers, 5, Origin())


@pytest.mark.parametrize("words", [[], [""], ["a b"], ["a\tb"], ["a\n"]])
def test_writer_refuses_sentences(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(ValueError, match="white space"):
        RepresentationWriter(tmp_path / "r.hdf5", [["x"], words], LAYERS, 5, Origin())


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RepresentationWriter(tmp_path / "r", SENTENCES, LAYERS, 5, Origin()) as writer:
        writer.add(SENTENCES[0], arrays_of(1)[0])
        raise RuntimeError
    with (
        pytest.raises(ValueError, match="199 of 200 sentences never came, first sentence 'w1 x y1'"),
        RepresentationWriter(tmp_path / "r", SENTENCES, LAYERS, 5, Origin()) as writer,
    ):
        writer.add(SENTENCES[0], arrays_of(1)[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "array", "message"),
    [
        (["b"], np.zeros((3, 1, 4)), "none of those"),
        (["a", "b"], np.zeros((3, 1, 4)), "shape"),
        (["a", "b"], np.zeros((2, 2, 4)), "shape"),
        (["a", "b"], np.zeros((3, 2, 5)), "shape"),
        (["a", "b"], np.full((3, 2, 4), np.inf), "finite"),
        (["a", "b"], np.full((3, 2, 4), [[1e6], [-1e6]]), "too large for float16"),
    ],
)
def test_writer_refuses(tmp_path: Path, words: list[str], array: np.ndarray, message: str) -> None:
    with (
        pytest.raises(ValueError, match=message),
        RepresentationWriter(tmp_path / "r.hdf5", [["a", "b"]], LAYERS, 4, Origin(), "float16") as writer,
    ):
        writer.add(words, array)


def test_reader_refuses_what_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "r.hdf5")
    with Representations(tmp_path / "r.hdf5") as reps:
        for words, layers, message in (
            (["d"], ["0"], "'d' is missing"),
            (["w0 y0"], ["0"], "1 words but 2 vectors"),
            (SENTENCES[0], ["2"], "layers 0,1,norm, no layer 2"),
        ):
            with pytest.raises(InputError, match=message):
                reps.read(words, layers)


@pytest.mark.parametrize("row", [0, 400])
def test_values_that_were_changed_are_refused(tmp_path: Path, row: int) -> None:
    """The first text is looked at when the file is opened, any other when it is read."""
    write(tmp_path / "r.hdf5")
    with h5py.File(tmp_path / "r.hdf5", "r+") as file:
        file["layers/1"][row, 2] = 0.25
    with pytest.raises(InputError, match="layer 1 has other values than were written"):
        reps = Representations(tmp_path / "r.hdf5")
        for words in reps.sentences():
            reps.read(words)


def test_shards_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.hdf5"
    write(path, shards=3)
    second = shard_path(path, 1, 3)
    kept = second.read_bytes()

    def refused() -> str:
        with pytest.raises(InputError) as caught:
            Representations(path)
        return str(caught.value)

    second.unlink()
    assert "shards are missing: r.shard1-of-3.hdf5" in refused()
    second.write_bytes(shard_path(path, 0, 3).read_bytes())
    assert "does not belong to r.shard0-of-3.hdf5" in refused()
    with RepresentationWriter(path, SENTENCES, LAYERS, 5, replace(ORIGIN, level=1), shard=(1, 3)) as writer:
        for words, array in zip(SENTENCES, arrays_of(), strict=True):
            if writer.wants(words):
                writer.add(words, array)
    assert "does not belong to r.shard0-of-3.hdf5" in refused()
    second.write_bytes(kept)
    assert len(Representations(path)) == len(SENTENCES)
    write(path, shards=2)
    assert "shards of [2, 3] processes" in refused()
    write(tmp_path / "whole")
    (tmp_path / "whole").rename(path)
    assert "a whole file and shards" in refused()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no HDF5")
    with h5py.File(tmp_path / "dump", "w") as file:
        file.create_group("states")
    write(tmp_path / "newer")
    with h5py.File(tmp_path / "newer", "r+") as file:
        file.attrs["format_version"] += 1
    expected = {
        "absent": "no such file",
        "text": "not an HDF5",
        "dump": "activation dump",
        "newer": "format version 4, expected 3",
    }
    for name, message in expected.items():
        with pytest.raises(InputError, match=message):
            Representations(tmp_path / name)


def test_copied_from_another_source(tmp_path: Path) -> None:
    write(tmp_path / "r.hdf5", dtype="float16", shards=2)
    with Representations(tmp_path / "r.hdf5") as reps:
        assert write_vectors(reps, tmp_path / "copy.hdf5", reps.origin) == len(SENTENCES)
        with Representations(tmp_path / "copy.hdf5") as copy:
            for words in SENTENCES:
                np.testing.assert_array_equal(copy.read(words), reps.read(words))
