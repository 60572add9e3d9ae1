"""HDF5 files made to do harm: what is outside of the file stays unread, what was never written takes no memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.hdf5 import open_hdf5, plain_attributes, plain_dataset, require_plain
from probing_bridge.formats.origin import Origin

SECRET = b"the private key of the person who reads this file"


def external_storage(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(SECRET)
    file.create_dataset("a", shape=(len(SECRET),), dtype="u1", external=[(str(folder / "secret"), 0, len(SECRET))])


def external_link(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["b"] = np.arange(3)
    file["a"] = h5py.ExternalLink(str(folder / "other.h5"), "b")


def soft_link(file: h5py.File, folder: Path) -> None:
    file["b"] = np.arange(3)
    file["a"] = h5py.SoftLink("/b")


def second_name(file: h5py.File, folder: Path) -> None:
    file["b"] = np.arange(3)
    file["a"] = file["b"]


def circle(file: h5py.File, folder: Path) -> None:
    group = file.create_group("a")
    group["again"] = group


def virtual(file: h5py.File, folder: Path) -> None:
    external_link(file, folder)
    del file["a"]
    layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "b", shape=(3,))
    file.create_virtual_dataset("a", layout)


def packed(file: h5py.File, folder: Path) -> None:
    file.create_dataset("a", data=np.zeros(1 << 20), compression="gzip", chunks=(1 << 20,))


def never_written(file: h5py.File, folder: Path) -> None:
    file.create_dataset("a", shape=(1 << 40,), dtype="f4")


def chunks_never_written(file: h5py.File, folder: Path) -> None:
    file.create_dataset("a", shape=(1 << 40,), dtype="f4", chunks=(1 << 10,))[:5] = 1


def compound(file: h5py.File, folder: Path) -> None:
    file.create_dataset("a", shape=(2,), dtype=np.dtype([("x", "f4"), ("y", "i4")]))


def references(file: h5py.File, folder: Path) -> None:
    file.create_dataset("a", shape=(2,), dtype=h5py.ref_dtype)


def named_type(file: h5py.File, folder: Path) -> None:
    file["a"] = np.dtype("f4")


KINDS = (external_storage, external_link, soft_link, second_name, circle, virtual, packed, never_written,
         chunks_never_written, compound, references, named_type)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_we_never_write_is_refused(tmp_path: Path, kind: Callable[[h5py.File, Path], None]) -> None:
    path = tmp_path / "from_a_stranger.h5"
    with h5py.File(path, "w") as file:
        kind(file, tmp_path)
    with open_hdf5(path, "anything") as file, pytest.raises(InputError, match="from_a_stranger") as caught:
        require_plain(file)
    assert "\n" not in str(caught.value)


def test_what_we_write_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "ours.h5"
    with h5py.File(path, "w") as file:
        file["states/encoder/0"] = np.arange(6, dtype=np.float32).reshape(2, 3)
        file["symbols"] = ["a", "b"]
        file.create_dataset("empty", shape=(0, 4), dtype="f4")
        file.attrs.update({"level": 3, "sparsity": 0.5, "experiment": "é", "complete": True})
    with open_hdf5(path, "anything") as file:
        require_plain(file)
        assert plain_attributes(file) == {"level": 3, "sparsity": 0.5, "experiment": "é", "complete": True}
        dataset = plain_dataset(file["states/encoder"].id, b"0", path)
        assert h5py.Dataset(dataset)[1, 2] == 5


@pytest.mark.parametrize("value", [np.zeros(3), np.zeros(10000), "x" * 70000, h5py.Empty("f4"), 1 + 2j])
def test_attributes_are_text_and_numbers(tmp_path: Path, value: object) -> None:
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["experiment"] = value
    with open_hdf5(path, "anything") as file, pytest.raises(InputError, match=r"attribute"):
        Origin.of(plain_attributes(file), path)


def test_why_a_file_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_hdf5(tmp_path / "missing", "a dump")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match="no regular file"):
        open_hdf5(tmp_path / "fifo", "a dump")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="not an HDF5 file"):
        open_hdf5(tmp_path / "text", "a dump")


def test_a_file_that_is_being_written_is_called_locked(tmp_path: Path) -> None:
    path = tmp_path / "busy.h5"
    writing = "import h5py, sys; file = h5py.File(sys.argv[1], 'w'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", writing, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline()
        with pytest.raises(InputError, match="locked"):
            open_hdf5(path, "a dump")
        writer.communicate()
