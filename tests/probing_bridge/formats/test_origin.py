"""What files say of where they come from, and whose levels are levels of a branch."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.hdf5 import plain_attributes
from probing_bridge.formats.origin import Origin, common_experiment

A, B, C = "a", "b", "c"


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ([(A, 0, ""), (A, 8, "")], A),
        ([("", None, ""), ("", None, "")], ""),
        ([(A, 0, ""), (B, 1, "a/lth0"), (B, 2, "a/lth0")], B),
        ([(B, 3, "a/lth2"), (A, 0, ""), (A, 2, "")], B),
        ([(A, 1, ""), (B, 2, "a/lth1"), (C, 5, "b/lth3")], C),
        ([(A, 1, ""), (B, 1, "a/lth0")], None),  # a sibling of the branch's first level
        ([(A, 0, ""), (B, 1, "a/lth0"), (C, 1, "a/lth0")], None),  # two branches
        ([(A, 2, ""), (B, 2, "a/lth1"), (C, 5, "b/lth3")], None),
        ([(A, 0, ""), (C, 5, "b/lth3")], None),  # nothing says where b came from
        ([(A, 0, ""), (B, 1, "")], None),
        ([(A, 0, ""), (B, 1, "a")], None),
        ([("", None, ""), (A, 0, "")], None),
        ([(A, 0, "a/lth0")], A),  # no experiment is its own parent, but a file may say so
        ([(A, 1, "b/lth1"), (B, 1, "a/lth1")], A),
    ],
)
def test_common_experiment(origins: list[tuple[str, int | None, str]], expected: str | None) -> None:
    assert common_experiment([Origin(*origin) for origin in origins]) == expected


FULL = Origin("e", 0, "d/lth2", 0.0, "c.pt", "h", "s", "valid", "en", "de", "encoder", "mean", 0.01, "1.0")


@pytest.mark.parametrize("origin", [FULL, Origin(), Origin("né", 3), Origin(sparsity=1.0)])
def test_all_of_it_comes_back_from_a_file(tmp_path: Path, origin: Origin) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file.attrs.update({"other": [1, 2], **origin.attributes()})
        assert set(file.attrs) == {"other"} | {name for name, value in vars(origin).items() if value not in ("", None)}
    with h5py.File(tmp_path / "f") as file:
        assert Origin.of(plain_attributes(file), "f") == origin


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("level", -1, "a whole number"),
        ("level", 1.0, "a whole number"),
        ("level", True, "a whole number"),
        ("level", "3", "a whole number"),
        ("sparsity", 1.01, "a fraction"),
        ("sparsity", -0.1, "a fraction"),
        ("sparsity", np.nan, "a fraction"),
        ("sparsity", "0.5", "a fraction"),
        ("experiment", 7, "text"),
        ("checkpoint", [1, 2], "text"),
        ("parent", "e", "EXPERIMENT/lthK"),
        ("parent", "e/lth-1", "EXPERIMENT/lthK"),
        ("parent", 0, "EXPERIMENT/lthK"),
    ],
)
def test_attributes_of_another_kind_are_refused_in_one_line(
    tmp_path: Path, name: str, value: object, expected: str
) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file.attrs[name] = value
    with h5py.File(tmp_path / "f") as file, pytest.raises(InputError, match=rf"f: attribute '{name}' is .*{expected}"):
        Origin.of(plain_attributes(file), tmp_path / "f")
