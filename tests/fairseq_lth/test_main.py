"""`python -m fairseq_lth`: the folder of the plugin, and fairseq's commands with it, from any folder."""

import os
import re
import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path

import pytest

import fairseq_lth
from fairseq_lth.__main__ import main
from fairseq_lth.config import ImpConfig
from fairseq_lth.errors import RunRefused
from fairseq_lth.preflight import require_fairseq

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


def _without_fairseq(monkeypatch):
    monkeypatch.setitem(sys.modules, "fairseq", None)


def _without_hook(monkeypatch):
    from fairseq import checkpoint_utils

    monkeypatch.setattr(checkpoint_utils, "load_checkpoint", lambda cfg, trainer: None)


def _without_dataclass(monkeypatch):
    from fairseq import criterions

    monkeypatch.delattr(criterions, "CRITERION_DATACLASS_REGISTRY")


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (_without_fairseq, "fairseq is not installed"),
        (_without_hook, "fairseq's load_checkpoint does not call set_checkpoint_dict of a task"),
        (_without_dataclass, "fairseq has no fairseq.criterions.CRITERION_DATACLASS_REGISTRY"),
    ],
)
def test_a_fairseq_that_lacks_what_the_plugin_needs_is_one_line(monkeypatch, lacking, said):
    require_fairseq()
    lacking(monkeypatch)
    with pytest.raises(RunRefused) as refused:
        require_fairseq()
    assert str(refused.value).startswith(f"fairseq_lth: error: {said}")
    assert "pip install ve-fairseq==0.12.3" in str(refused.value) and "\n" not in str(refused.value)


def test_an_unknown_command_is_one_line(capsys):
    assert main(["prune"]) == 2
    assert "no command 'prune' (choose from train, validate, generate, interactive, encode, levels, flags)" in (
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


def test_every_flag_is_shown_with_its_default(capsys):
    assert main(["flags"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for one in fields(ImpConfig):
        if one.name.startswith(("imp_", "dump_")):
            assert re.search(f"--{one.name.replace('_', '-')} .*?\\(default: {one.default}\\)", shown), one.name
    assert "--imp-rate IMP_RATE share" in shown and "--left-pad-source" not in shown


@pytest.mark.parametrize(("page", "prefix"), [("pruning", "imp_"), ("activations", "dump_")])
def test_the_docs_name_every_flag_and_its_default(page, prefix):
    text = (PLUGIN.parent / "docs" / f"{page}.md").read_text()
    rows = re.findall(r"^\| (`--.*?) \|(.*?)\|", text, flags=re.M)
    told = {flag: default.strip(" `") for names, default in rows for flag in re.findall(r"--(\S+?)[` ]", names)}
    own = {one.name.replace("_", "-"): one.default for one in fields(ImpConfig) if one.name.startswith(prefix)}
    assert {flag for flag in told if flag.startswith(prefix[:-1])} == own.keys()
    for flag, default in own.items():
        expected = ("", "all") if default is None else ("off",) if default is False else (str(default),)
        assert told[flag] in expected, flag


@pytest.mark.parametrize("given", [[], ["--max-tokens", "50"], ["--batch-size", "3"]])
def test_a_dump_has_a_batch_size_where_none_is_given(monkeypatch, given):
    from fairseq import options

    argv = ["fairseq-validate", "DATA", "--task", "lth_imp", "--dump-activations", "a.h5", *given]
    monkeypatch.setattr(sys, "argv", argv)
    arguments = options.parse_args_and_arch(options.get_validation_parser())
    assert arguments.max_tokens == (50 if "--max-tokens" in given else 4000)
    monkeypatch.setattr(sys, "argv", [*argv[:4], *given])
    assert options.parse_args_and_arch(options.get_validation_parser()).max_tokens == (50 if "50" in given else None)


@pytest.mark.parametrize("command", ["generation", "interactive_generation"])
def test_a_translation_is_not_dumped(monkeypatch, command):
    """fairseq-generate would take the flags of its task, and write no dump."""
    from fairseq import options

    parser = getattr(options, f"get_{command}_parser")
    argv = ["fairseq-generate", "DATA", "--task", "lth_imp", "--path", "a.pt"]
    monkeypatch.setattr(sys, "argv", argv)
    assert options.parse_args_and_arch(parser()).path == "a.pt"
    monkeypatch.setattr(sys, "argv", [*argv, "--dump-activations=a.h5"])
    with pytest.raises(SystemExit, match="error: --dump-activations: belongs to fairseq-validate"):
        options.parse_args_and_arch(parser())


def test_what_fairseq_asserts_of_flags_is_one_line(configure, flags, capsys):
    from fairseq_cli.train import main as train

    at = flags.index("--max-tokens")
    with pytest.raises(AssertionError) as raised:
        train(configure([*flags[:at], *flags[at + 2 :]]))
    sys.excepthook(raised.type, raised.value, raised.tb)
    expected = "Must specify batch size either with --max-tokens or --batch-size"
    assert capsys.readouterr().err == f"fairseq_lth: error: {expected}\n"
    with pytest.raises(AssertionError) as own:
        raise AssertionError("of ours")
    sys.excepthook(own.type, own.value, own.tb)
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_path_is_one_line():
    from fairseq import checkpoint_utils

    with pytest.raises(SystemExit, match="--path is needed"):
        checkpoint_utils.load_model_ensemble_and_task([None])


def test_warnings_about_how_fairseq_calls_hydra_are_left_out(monkeypatch):
    from fairseq_lth.guards import quiet_hydra

    def warned():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            quiet_hydra()
            warnings.warn_explicit("old", UserWarning, "x.py", 1, module="hydra.compose")
            warnings.warn_explicit(
                "\n'config' is validated against ConfigStore schema", UserWarning, "x", 1, module="sys"
            )
            warnings.warn_explicit("ours", UserWarning, "x.py", 1, module="fairseq_lth.task")
        return [str(one.message) for one in caught]

    monkeypatch.setattr(sys, "warnoptions", [])
    assert warned() == ["ours"]
    monkeypatch.setattr(sys, "warnoptions", ["always"])
    assert len(warned()) == 3


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


@pytest.mark.slow
def test_reading_a_level_leaves_the_root_logger_alone(tmp_path, monkeypatch, dense):
    """One of fairseq's models configures it to print everything, h5py's and matplotlib's lines too."""
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN.parent))
    code = f"""
import logging, sys
from fairseq_lth.levels.checkpoints import level_record
assert level_record({str(dense / "checkpoint_lth1.pt")!r}).level == 1 and "fairseq.models" in sys.modules
print(logging.getLogger().level, logging.getLogger().handlers)"""
    shown = python("-c", code, folder=tmp_path)
    assert shown.stdout == "30 []\n", shown.stderr
