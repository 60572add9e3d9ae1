"""Random tiny models, each made once."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers", minversion="4.57", reason="models of Hugging Face: extra hf")
sys.path.insert(0, str(Path(__file__).parent))
import tiny_models


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """The folder of a family's model, made at the first call."""
    root = tmp_path_factory.mktemp("models")
    return lambda family: root / family if (root / family).exists() else tiny_models.save(family, root / family)
