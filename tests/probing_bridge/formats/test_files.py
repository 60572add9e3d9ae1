"""A file that is written beside its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from probing_bridge.formats.files import folder_beside, written_beside


@pytest.mark.parametrize("shared", [False, True])
def test_a_failure_leaves_the_old_file_alone(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="stop"), written_beside(path, shared=shared) as beside:
        beside.write_text("half of the n")
        assert path.read_text() == "old"
        raise ValueError("stop")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("table.csv", "old")]


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with written_beside(path) as beside:
        left = beside
        beside.write_text("half of a long table")
        left.rename(tmp_path / "kept")
        beside.write_text("new")
    (tmp_path / "kept").rename(left)  # as if the process before had been killed
    with written_beside(path) as beside:
        assert not beside.exists()
        beside.write_text("newer")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("table.csv", "newer")]


def test_processes_that_share_a_file_do_not_share_the_name_beside(tmp_path: Path) -> None:
    path = tmp_path / "record.npz"
    with written_beside(path, shared=True) as one, written_beside(path, shared=True) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("record.npz", "one")]


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_takes_the_place_of_an_older_one_whole(tmp_path: Path, shared: bool) -> None:
    folder = tmp_path / "above" / "folder"
    for text in ("old", "new"):
        with folder_beside(folder, shared=shared) as beside:
            assert list(beside.iterdir()) == []
            (beside / text).write_text(text)
    with pytest.raises(ValueError, match="stop"), folder_beside(folder, shared=shared) as beside:
        (beside / "half").write_text("half")
        raise ValueError("stop")
    assert [one.relative_to(tmp_path).as_posix() for one in tmp_path.rglob("*")] == [
        "above", "above/folder", "above/folder/new",
    ]  # fmt: skip
