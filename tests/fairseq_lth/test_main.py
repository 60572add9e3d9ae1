"""`python -m fairseq_lth`: the folder of the plugin, and fairseq's commands with it, from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fairseq_lth
from fairseq_lth.__main__ import main

PLUGIN = Path(fairseq_lth.__file__).parent
# What a command may not import before its command line has been read.
HEAVY = {"fairseq", "h5py", "matplotlib", "numpy", "pandas", "scipy", "sklearn", "submitit", "torch"}


def python(*words, folder):
    """Runs Python in a folder, with what is importable here."""
    return subprocess.run([sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_folder_for_user_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN.parent))
    shown = python("-m", "fairseq_lth", folder=tmp_path)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"{PLUGIN}\n", "")


@pytest.mark.slow
def test_a_command_of_fairseq_gets_the_plugin(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN.parent))
    flags = ["-s", "en", "-t", "de", "--task", "lth_imp", "--arch", "transformer", "--lr", "1", "--max-tokens", "9"]
    flags += ["--max-epoch", "2", "--cpu"]
    refused = python("-m", "fairseq_lth", "train", "DATA", *flags, folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("fairseq_lth: error: DATA: no such data folder")


@pytest.mark.parametrize("flags", [["--user-dir", "fairseq_lth"], ["--user-dir=nowhere"], ["--user-dir"]])
def test_a_user_dir_that_is_not_there_is_one_line(tmp_path, monkeypatch, capsys, flags):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(os, "execv")
    assert main(["train", "DATA", *flags]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.endswith('give --user-dir "$(python -m fairseq_lth)"\n')


def test_an_unknown_command_is_one_line(capsys):
    assert main(["prune"]) == 2
    assert "no command 'prune' (choose from train, validate, generate, interactive, encode, levels)" in (
        capsys.readouterr().err
    )


def test_own_commands_are_those_of_their_modules(tmp_path, capsys):
    assert main(["levels", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["fairseq_lth.__main__", "fairseq_lth.levels.__main__", "fairseq_lth.encode"])
def test_help_imports_nothing_heavy(tmp_path, monkeypatch, module):
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN.parent))
    code = f"""
import sys
from {module} import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code
print(*sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"""
    shown = python("-c", code, folder=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "\n") and len(shown.stdout) > 100


def test_the_help_of_a_bpe_has_its_flags(capsys):
    from fairseq_lth import encode

    with pytest.raises(SystemExit):
        encode.parse(["--bpe", "subword_nmt", "--help"])
    assert "--bpe-codes" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        encode.parse(["--path", "p", "--sentences", "s", "--output", "o", "--tokenizer", "mozes"])
    assert end.value.code == 2
    assert "argument --tokenizer: fairseq has no 'mozes' (choose from moses, nltk, space)" in capsys.readouterr().err


@pytest.mark.slow
def test_imported_before_fairseq_it_is_empty_and_register_makes_it_the_plugin(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN.parent))
    code = """
import sys, fairseq_lth
assert "fairseq" not in sys.modules
fairseq_lth.register()
from fairseq.tasks import TASK_REGISTRY
assert "lth_imp" in TASK_REGISTRY"""
    assert python("-c", code, folder=tmp_path).returncode == 0
