"""Files in the layout of Liu et al. (2019): what would give wrong numbers is refused."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import Representations


def write_plainly(path: Path, entries: dict[str, np.ndarray]) -> None:
    """The layout of Liu et al.'s (2019) files, written without our writer."""
    with h5py.File(path, "w") as file:
        index = {text: str(i) for i, text in enumerate(entries)}
        for i, array in enumerate(entries.values()):
            file.create_dataset(str(i), data=array)
        file.create_dataset("sentence_to_index", shape=(1,), dtype=h5py.string_dtype())[0] = json.dumps(index)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_files_from_elsewhere(tmp_path: Path, dtype: str) -> None:
    array = np.random.default_rng(1).normal(size=(2, 4)).astype(dtype)
    write_plainly(tmp_path / "r.hdf5", {"a b": array})
    with Representations(tmp_path / "r.hdf5") as reps:
        assert reps.layers == ("0",) and reps.origin == Origin()
        np.testing.assert_array_equal(reps.read(["a", "b"]), array.astype(np.float32)[None])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("0", "names 1 layers (0), but the arrays have 2"),
        ("0,1,norm", "names 3 layers"),
        ("0,0", "names layer '0' twice"),
        ("", "names no layer"),
        ("0,", "has the name ''"),
        ("0,01", "has the name '01'"),
        ("0,a/b", "has the name 'a/b'"),
        ("0,no\nrm", r"has the name 'no\nrm'"),
        ("0,mix", "has the name 'mix'"),
        (2, "is 2, expected names"),
    ],
)
def test_names_of_layers_that_do_not_fit_are_refused(tmp_path: Path, layers: object, message: str) -> None:
    write_plainly(tmp_path / "r.hdf5", {"a": np.zeros((2, 1, 4), "f4")})
    with h5py.File(tmp_path / "r.hdf5", "a") as file:
        file.attrs["layers"] = layers
    with pytest.raises(InputError) as caught:
        Representations(tmp_path / "r.hdf5")
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 4), "f4"), "2 words but 3 vectors"),
        (np.full((2, 2, 4), np.nan, "f4"), "not finite"),
        (np.zeros((1, 2, 4), "f4"), "expected the shape"),
        (np.zeros((2, 2, 5), "f4"), "expected the shape"),
        (np.zeros((2, 2, 4), "i4"), "expected floats"),
        (np.zeros((4,), "f4"), "expected floats"),
    ],
)
def test_reader_refuses_wrong_arrays(tmp_path: Path, array: np.ndarray, message: str) -> None:
    write_plainly(tmp_path / "r.hdf5", {"good one": np.zeros((2, 2, 4), "f4"), "bad one": array})
    with Representations(tmp_path / "r.hdf5") as reps:
        assert reps.read(["good", "one"]).shape == (2, 2, 4)
        with pytest.raises(InputError, match=message) as caught:
            reps.read(["bad", "one"])
        assert "bad one" in str(caught.value) and "\n" not in str(caught.value)


def test_reader_refuses_missing_arrays(tmp_path: Path) -> None:
    write_plainly(tmp_path / "r.hdf5", {"a": np.zeros((2, 1, 4), "f4"), "b": np.zeros((2, 1, 4), "f4")})
    with h5py.File(tmp_path / "r.hdf5", "a") as file:
        del file["1"]
        file.create_dataset("2", shape=(10, 10**6, 10**4), dtype="f4")  # 400 GB on paper, nothing on disk
        index = json.loads(file["sentence_to_index"].asstr()[0])
        file["sentence_to_index"][0] = json.dumps({**index, "c": "2"})
    with Representations(tmp_path / "r.hdf5") as reps:
        for tokens, message in ((["b"], "no array"), (["c"], "never written")):
            with pytest.raises(InputError, match=message):
                reps.read(tokens)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no HDF5")
    with h5py.File(tmp_path / "index", "w") as file:
        file.create_dataset("sentence_to_index", shape=(1,), dtype=h5py.string_dtype())[0] = "[1]"
    with h5py.File(tmp_path / "empty", "w") as file:
        file.create_dataset("sentence_to_index", shape=(1,), dtype=h5py.string_dtype())[0] = "{}"
    write_plainly(tmp_path / "wordless", {"": np.zeros((2, 1, 4), "f4")})
    expected = {
        "absent": "no such file",
        "text": "not an HDF5",
        "index": "does not map",
        "empty": "no sentence",
        "wordless": "a sentence without words",
    }
    for name, message in expected.items():
        with pytest.raises(InputError, match=message):
            Representations(tmp_path / name)
