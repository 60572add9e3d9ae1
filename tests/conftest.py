"""Fixtures that every test may use."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two pytest workers share two cores

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and golden outputs beside the checkout; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: real data and golden outputs are not part of the project")
    return folder
