"""Each flag of each command left out or mistyped: one line that names it, and the status of bad input.

The flags are those that the parsers have, so a new one is tried without a word here. By default that goes as far as the
command line is read; the slow test lets the commands run, each in a process of its own, on a small experiment.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "faults"))  # its server imports its modules by name
sys.path.insert(0, str(Path(__file__).parent / "probing_bridge" / "huggingface"))

import system_calls
from attempts import PROGRAMS
from harness import Harness
from kitchen import PLUGIN_COMMANDS, STAGES, TEXTS_AND_TABLES, Command, keep_training, prepare, prepare_corpus
from table import BRIDGE_MODULES, PLUGIN_MODULES

import fairseq_lth
from probing_bridge.run import COMMANDS

TREE = "( (S (NP (DT the) (NN cat)) (VP (VBZ runs))) )\n"
MORE = {
    "tasks": "tasks",
    "convert": "convert ptb-trees in/wsj.mrg --output out/trees.txt",
    "encode": "encode --hf in/model --sentences in/sentences.txt --output out/reps.hdf5 --cpu --allow-unknown",
    "dump": "dump --hf in/model --source in/text --output out/lth0.h5 --cpu",
    "prune": "prune --hf in/model --rates 0.5 --output out/series",
    "gather": "gather --results in/trained --output out/gathered",
    "summary": "summary --results in/run",
    "tags": "tags --dump in/lth0.h5 --suite in/suite.yaml --task pos --output out/tags.txt",
}
BRIDGE = [
    *(Command(name, "bridge", tuple(line.split())) for name, line in MORE.items()),
    *(command for command in [*TEXTS_AND_TABLES, *STAGES] if not command.workers),
]
LEVELS = Command("levels, interpolate", "levels", ("in/trained", "--interpolate", "0", "1", "--data", "in/bin"))
PLUGIN = [*PLUGIN_COMMANDS, LEVELS]
FLAGS = {"train": "PruningConfig", "validate": "DumpConfig"}  # those that the plugin adds to a command of fairseq
# "": what a shell makes of a variable that is not set
WRONG = ("nonsense", "", "not/there", "there", "there/text", "nan", "-1", "1.5", "9" * 30, "a=b", "a=")
# Whose value may be any word, or any whole number.
ANYTHING = {"--experiment", "--test-set", "--output", "--export", "--compact", "--dump-activations", "--imp-seed"}
ANYTHING |= {"--source-lang", "--target-lang"}
TEXTS = {"--sentences", "--source", "--target"}  # whose file may be any text


@dataclass(frozen=True)
class Mistake:
    """A command line with one thing wrong in it.

    Attributes:
        what: The flag and what is done to it.
        words: The line.
        names: One of these has to be in the message.
        is_refused: Whether it has to be; otherwise it may also be right.
    """

    what: str
    words: tuple[str, ...]
    names: tuple[str, ...]
    is_refused: bool


def mistakes(actions: Sequence[argparse.Action], words: Sequence[str], places: int = 0) -> Iterator[Mistake]:
    """All that is tried on what a parser declares.

    Args:
        actions: Of the parser.
        words: A command line that is right.
        places: How many words at its beginning are not the parser's.
    """
    for action in actions:
        if not action.option_strings:
            n = next((at for at, word in enumerate(words) if word.startswith("--")), len(words))
            end = n if action.nargs == "+" else places + 1
            name, before, given, rest = (
                str(action.metavar or action.dest),
                words[:places],
                words[places:end],
                words[end:],
            )
            places = end
        elif action.nargs != argparse.SUPPRESS and "--help" not in action.option_strings:
            name, before, (given, rest) = max(action.option_strings, key=len), (), _without(action, words)
            yield from _of_flag(name, action, given, rest)
            before, rest = rest, ()
        else:
            continue
        if given:
            yield Mistake(f"{name} left out", (*before, *rest), (name,), action.required)
        if action.nargs != 0:
            yield from _of_value(name, action, given, before, rest)


def _of_flag(flag: str, action: argparse.Action, given: Sequence[str], rest: Sequence[str]) -> Iterator[Mistake]:
    value = given[1:] or ["1"] * (action.nargs != 0)
    yield Mistake(f"{flag} misspelt", (*rest, f"{flag}x", *value), (f"{flag}x", flag), True)
    if action.nargs == 0:
        yield Mistake(f"{flag} with a value", (*rest, f"{flag}=x"), (flag,), True)
    else:
        yield Mistake(f"{flag} without a value", (*rest, flag), (flag,), True)


def _of_value(
    name: str, action: argparse.Action, given: Sequence[str], before: Sequence[str], rest: Sequence[str]
) -> Iterator[Mistake]:
    is_input = any("in/" in word for word in given)
    is_number = action.type in (int, float) or isinstance(action.default, int | float)
    for value in WRONG:
        values = [f"{name}={value}"] if action.option_strings else [value]
        if isinstance(action.nargs, int):
            values = [name, *[value] * action.nargs]
        is_right = value == "there/text" and name in TEXTS
        is_wrong = value in ("nonsense", "not/there") or is_input or (is_number and value in ("nan", "-1"))
        names = (name, value or "the command line")
        if not value.endswith("=") and "=" in value:  # the file of KIND=FILE
            names += (f"/{value.partition('=')[2]}: ",)
        if value == "there/text":  # which may be right, and be told not to fit another file
            names += tuple(path for word in (*before, *rest) for path in word.split("=") if path.startswith("in/"))
        is_refused = not value or (is_wrong and not is_right and name not in ANYTHING)
        yield Mistake(f"{name} {value!r}", (*before, *values, *rest), names, is_refused)


def _without(action: argparse.Action, words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """A flag with its values, and the line without them."""
    start = next((at for at, word in enumerate(words) if word in action.option_strings), None)
    if start is None:
        return (), words
    end = next((at for at in range(start + 1, len(words)) if words[at].startswith("--")), len(words))
    return words[start:end], (*words[:start], *words[end:])


def unclear(mistake: Mistake, status: int, stderr: str, usual: str = "") -> str:
    """What is wrong with how a command with a mistake ended, beside lines that are usual; empty of a good ending."""
    if "Traceback" in stderr or status not in (0, 1, 2):
        return f"{mistake.what}: status {status}: {stderr[-1500:]}"
    if status == 0:
        return f"{mistake.what}: was taken" if mistake.is_refused else ""
    lines = [line for line in stderr.splitlines() if line and line not in usual.splitlines()]
    told = [line for line in lines if not line.startswith(("usage: ", " "))]
    if not told or "error: " not in told[0] or not all(any(name in line for name in mistake.names) for line in told):
        return f"{mistake.what}: status {status}: {told}"
    return ""


def parser_of(command: Command) -> tuple[argparse.ArgumentParser, int]:
    """The parser of a command's own flags, and how many words of its line come before what that declares."""
    if command.program == "bridge":
        parser = argparse.ArgumentParser()
        module = command.words[0].replace("import", "import_")
        importlib.import_module(f"probing_bridge.cli.{module}").add_arguments(parser)
        return parser, 1
    if command.program in FLAGS:
        fairseq_lth.register()
        from fairseq.dataclass.utils import gen_parser_from_dataclass

        from fairseq_lth import config

        parser = argparse.ArgumentParser()
        gen_parser_from_dataclass(parser, getattr(config, FLAGS[command.program])())
        return parser, 0
    with pytest.MonkeyPatch.context() as patch, pytest.raises(_Declared) as declared:
        patch.setattr(argparse.ArgumentParser, "parse_args", _declared)
        importlib.import_module(PROGRAMS[command.program]).main(command.words)
    return declared.value.parser, 0


class _Declared(Exception):
    """Ends a command that has declared its flags."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def _declared(parser: argparse.ArgumentParser, *_: object) -> None:
    """In place of ArgumentParser.parse_args."""
    raise _Declared(parser)


def all_mistakes(command: Command) -> list[Mistake]:
    """All that is tried on a command."""
    parser, places = parser_of(command)
    return list(mistakes(parser._actions, command.words, places))


OURS = [command for command in [*BRIDGE, *PLUGIN] if command.program not in FLAGS]


@pytest.mark.parametrize("command", OURS, ids=lambda command: command.name)
def test_a_command_line_that_is_not_read(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names that are misspelt and values that are missing, in an empty folder: nothing but the line can be at fault."""
    monkeypatch.chdir(tmp_path)
    program = importlib.import_module(PROGRAMS[command.program])
    found = []
    for mistake in all_mistakes(command):
        if mistake.what.endswith(("misspelt", "without a value", "with a value")):
            with pytest.raises(SystemExit) as ended:
                program.main(mistake.words)
            found.append(unclear(mistake, ended.value.code, capsys.readouterr().err))
    assert (found or command.name == "tasks") and not any(found), "\n".join(filter(None, found))
    assert not list(tmp_path.iterdir())


def test_every_command_is_tried() -> None:
    assert {command.words[0] for command in BRIDGE} == COMMANDS.keys()
    assert {command.program for command in PLUGIN} == PROGRAMS.keys() - {"bridge"}


@pytest.mark.parametrize(
    ("status", "stderr", "is_clear"),
    [
        (2, "usage: x\n    [--level K]\nx: error: argument --level: invalid int value: 'x'\n", True),
        (2, "x: error: a: no such file\nx: error: --level\n", False),
        (2, "x: error: something is wrong\n", False),
        (2, "", False),
        (0, "", False),
        (-11, "", False),
        (1, "Traceback (most recent call last):\nValueError: --level\n", False),
    ],
)
def test_what_is_unclear_is_found(status: int, stderr: str, is_clear: bool) -> None:
    assert (unclear(Mistake("--level x", (), ("--level",), True), status, stderr) == "") == is_clear


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """Runs commands in processes of their own, on an experiment that has been trained."""
    if reason := system_calls.unsupported():
        pytest.skip(reason)
    pytest.importorskip("fairseq", reason="the plugin's own commands: no fairseq here (extra train)")
    root = tmp_path_factory.mktemp("flags")
    material = root / "material"
    prepare(material)
    prepare_corpus(material)
    (material / "wsj.mrg").write_text(TREE)
    (material / "text").write_text("the cat runs\n")
    import tiny_models  # which needs transformers

    tiny_models.save("bert", material / "model")
    harness = Harness(root, material, [*PLUGIN_MODULES, *BRIDGE_MODULES])
    harness.reference(PLUGIN_COMMANDS[0])
    keep_training(material, harness.last / "out" / "run")
    yield harness
    harness.close()


@pytest.mark.slow
@pytest.mark.parametrize("command", [*BRIDGE, *PLUGIN], ids=lambda command: command.name)
def test_each_flag_left_out_or_mistyped(harness: Harness, command: Command) -> None:
    right = harness.attempt(command, harness.folder())
    assert right.status == [0], right.stderr
    found = []
    for mistake in all_mistakes(command):
        folder = harness.folder()
        (folder / "there").mkdir()
        (folder / "there" / "text").write_text("some words\n")
        ending = harness.attempt(replace(command, words=mistake.words), folder)
        found.append(unclear(mistake, ending.status[0], ending.stderr[0], right.stderr[0]))
        shutil.rmtree(folder)
    assert not any(found), "\n".join(filter(None, found))
