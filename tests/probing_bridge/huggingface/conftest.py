"""Random tiny models, each made once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """The folder of a family's model, made at the first call."""
    import tiny_models

    root = tmp_path_factory.mktemp("models")
    return lambda family: root / family if (root / family).exists() else tiny_models.save(family, root / family)
