"""The house is in order: sizes, the map in CONTRIBUTING, what is cited, and what the help of a command imports."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from probing_bridge.run import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("probing_bridge", "fairseq_lth")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
HEAVY = {"fairseq", "jinja2", "matplotlib", "pandas", "sacrebleu", "scipy", "sklearn", "submitit", "torch"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(("package", "most"), [("probing_bridge", 6), ("fairseq_lth", 9)])
def test_few_modules_lie_outside_the_rooms(package, most):
    assert len(list((ROOT / package).glob("*.py"))) <= most


def test_no_module_is_longer_than_300_lines():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: length for path, length in lengths.items() if length > 300} == {}


def test_no_function_is_longer_than_60_lines():
    long = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 60:
                long[f"{relative(path)}:{node.name}"] = node.end_lineno - node.lineno + 1
    assert long == {}


def test_the_map_has_every_room():
    rooms = {relative(path.parent) + "/" for path in MODULES} - {f"{package}/" for package in PACKAGES}
    listed = set(re.findall(r"^\| `([\w/]+/)` \|", CONTRIBUTING, re.MULTILINE))
    assert listed == rooms


ANSWERS = re.findall(r"^\| ([^|]+) \| `([\w/.]+\.py)` \| `(\w+)` \|$", CONTRIBUTING, re.MULTILINE)


def test_the_map_answers_the_twelve_questions():
    assert len(ANSWERS) == 12


@pytest.mark.parametrize(("path", "symbol"), [answer[1:] for answer in ANSWERS], ids=[answer[0] for answer in ANSWERS])
def test_an_answer_of_the_map_is_there(path, symbol):
    defined = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
    assert symbol in defined


def test_every_path_that_contributing_names_exists():
    named = set(re.findall(r"`((?:fairseq_lth|probing_bridge|tests|recipes|benchmarks|docs)/[\w/.]*)`", CONTRIBUTING))
    assert len(named) > 30
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_nothing_cites_a_document_that_is_not_here():
    """A design document's sections, or a page of docs that does not exist, in what explains the code."""
    absent = []
    for folder in (*PACKAGES, "recipes", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text())
            nodes = (ast.Module, ast.ClassDef, ast.FunctionDef)
            texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, nodes)]
            texts += re.findall(r"#.*", path.read_text())
            for text in texts:
                absent += [(relative(path), page) for page in re.findall(r"\b(?:PROBING|PAPER) (?:section )?\d", text)]
                pages = re.findall(r"[\w/]+\.md\b", text)
                absent += [
                    (relative(path), page)
                    for page in pages
                    if not (ROOT / page).exists() and not (path.parent / page).exists() and page != "claims.md"
                ]
    assert absent == []


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_imports_nothing_heavy(command):
    """So that it comes at once; fairseq_lth's commands are tested in fairseq_lth/test_main.py."""
    code = f"""
import sys
from probing_bridge.run import main
try:
    main({[command, "--help"] if command else ["--help"]})
except SystemExit as end:
    assert not end.code
print(*sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"""
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (shown.returncode, shown.stderr) == (0, "\n") and "usage: python -m probing_bridge.run" in shown.stdout
