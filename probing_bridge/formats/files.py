"""Files and folders that are there whole or not at all: written beside their names, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_beside(path: str | Path, *, shared: bool = False) -> Iterator[Path]:
    """Gives a temporary name in the same folder, which becomes `path` at the end unless there was an exception.

    Args:
        path: The final name; a file that has it is replaced.
        shared: Several processes may write this file at once, and each needs a name of its own. Otherwise what a
            killed process left is replaced.

    Yields:
        The temporary name; nothing is there yet.
    """
    path = Path(path)
    beside = _name_beside(path, shared)
    beside.unlink(missing_ok=True)
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_beside(path: str | Path, *, shared: bool = False) -> Iterator[Path]:
    """The same for a folder: it is made, and at the end it takes the place of a folder that has the final name.

    Args:
        path: The final name; folders above it are made too.
        shared: As for written_beside.

    Yields:
        The folder to fill, empty.
    """
    path = Path(path)
    beside = _name_beside(path, shared)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        shutil.rmtree(path, ignore_errors=True)
        os.replace(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _name_beside(path: Path, shared: bool) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp" if shared else f".{path.name}.tmp")
