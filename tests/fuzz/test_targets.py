"""The targets of `make fuzz` take what they are seeded with, so that fuzzing begins behind the first check."""

import importlib.util
import sys
from pathlib import Path

import pytest

from probing_bridge.errors import BridgeError

pytest.importorskip("fairseq", reason="the plugin's own files: no fairseq here (extra train)")
spec = importlib.util.spec_from_file_location("fuzz_targets", Path(__file__).with_name("targets.py"))
module = importlib.util.module_from_spec(spec)
sys.modules["fuzz_targets"] = module
spec.loader.exec_module(module)


@pytest.mark.parametrize("name", module.TARGETS)
def test_seeds_are_read_or_refused(name, tmp_path):
    target, taken = module.TARGETS[name], []
    (tmp_path / "seeds").mkdir()
    for number, seed in enumerate(target.seeds(tmp_path / "seeds")):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            target.read(seed, folder)
            taken.append(number)
        except BridgeError as error:
            assert target.lines or "\n" not in str(error)
    assert taken[:1] == [0], name
