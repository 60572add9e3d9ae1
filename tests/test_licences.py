"""What `make setup` installs without being asked for more: nothing of it is under the GPL, LGPL or AGPL."""

import importlib.metadata
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
NVIDIA = {"cuda-toolkit"}  # an empty package, with the CUDA builds of torch only, that names others and no licence
GPL = re.compile(r"\b[AL]?GPL|General Public License", re.IGNORECASE)


def licence(metadata: importlib.metadata.PackageMetadata) -> str:
    """The licence that a distribution gives: its expression, else its classifiers, else the first line of the field."""
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    text = (metadata.get("License") or "").strip().splitlines()
    return metadata.get("License-Expression") or "; ".join(classifiers) or (text[0] if text else "")


def pulled_in(requirements: list[str]) -> dict[str, str]:
    """Installed distributions that requirements pull in, with theirs, by name, and their licences."""
    to_do, seen = [Requirement(line) for line in requirements], {}
    while to_do:
        requirement = to_do.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in seen:
            continue
        try:
            found = importlib.metadata.distribution(requirement.name)
        except importlib.metadata.PackageNotFoundError:  # asked for on another system only, or not here
            continue
        seen[key] = licence(found.metadata)
        for line in found.requires or []:
            own = Requirement(line)
            extras = ["", *requirement.extras]
            if own.marker is None or any(own.marker.evaluate({"extra": extra}) for extra in extras):
                to_do.append(own)
    return {name: given for (name, _), given in seen.items()}


@pytest.fixture(scope="module")
def declared() -> dict[str, list[str]]:
    """Requirements of setup.py as they stand in it, by extra; "" are those of every installation."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **words: given.update(words))
        patch.setattr(setuptools, "find_packages", lambda **_: [])
        runpy.run_path(str(ROOT / "setup.py"))
    return {"": given["install_requires"], **given["extras_require"]}


def test_nothing_that_is_installed_by_default_is_under_the_gpl(declared: dict[str, list[str]]) -> None:
    licences = pulled_in([line for extra in ("", "dev", "hf", "train") for line in declared[extra]])
    assert {"torch", "transformers", "numpy", "pytest", "submitit"} <= licences.keys()
    print("\n".join(f"{name}: {given}" for name, given in sorted(licences.items())))
    assert {name for name, given in licences.items() if not given} <= NVIDIA
    assert [name for name, given in licences.items() if GPL.search(given)] == []


def test_the_extra_that_is_asked_for_by_name_is_where_the_gpl_is(declared: dict[str, list[str]]) -> None:
    licences = pulled_in(declared["jiant-runtime"])
    if "levenshtein" not in licences:
        pytest.skip("Levenshtein is not installed: make setup EXTRAS=jiant-runtime")
    assert GPL.search(licences["levenshtein"])


@pytest.mark.parametrize("extras", ["", "dev,hf", "dev,hf,jiant-runtime"])
def test_setup_installs_an_extra_only_where_it_is_named(tmp_path: Path, extras: str) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("python", "pip"):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
        (tmp_path / "bin" / name).chmod(0o755)
    setup = ["bash", str(ROOT / "tools" / "setup.sh"), sys.executable, str(tmp_path), *([extras] if extras else [])]
    subprocess.run(setup, check=True, capture_output=True, cwd=ROOT)
    asked = (tmp_path / "asked").read_text()
    taken = ",".join(filter(None, ("train" if sys.version_info < (3, 13) else "", extras)))
    assert f"-e .{f'[{taken}]' if taken else ''}\n" in asked
    assert asked.count("jiant") == (2 if "jiant" in extras else 0)
