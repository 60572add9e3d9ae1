"""Fixtures that every test may use."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two pytest workers share two cores

import pytest
from hypothesis import settings

settings.register_profile("many", max_examples=1000)  # pytest --hypothesis-profile many: ten times as many


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and golden outputs beside the checkout; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: real data and golden outputs are not part of the project")
    return folder
