"""What the tests of the recipes share: running scripts from the checkout, and importing one to look into it."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a command in the checkout with this interpreter's programs first; keywords are environment variables.

    The scripts of recipes look for fairseq-train before they do anything. Where there is none they find one that fails.
    """
    absent = tmp_path_factory.mktemp("absent")
    (absent / "fairseq-train").write_text("#!/bin/sh\necho 'no fairseq here (extra train)' >&2\nexit 1\n")
    (absent / "fairseq-train").chmod(0o755)

    def run_command(*command: str | Path, **variables: str | Path) -> subprocess.CompletedProcess:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(absent)])
        environment = {**os.environ, "PATH": path, **{name: str(value) for name, value in variables.items()}}
        return subprocess.run(
            [str(word) for word in command], cwd=ROOT, env=environment, capture_output=True, text=True
        )

    return run_command


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Imports a Python file below recipes/."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / "recipes" / name)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load
