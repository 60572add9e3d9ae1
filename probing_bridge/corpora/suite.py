"""Suite files: which files to probe on, per task (YAML). Everything is checked, and all faults told, at once.

    compat: liu2019          # optional, for all tasks; also possible per task
    language: en             # optional: that of the corpora, named as fairseq's --source-lang names it
    side: source             # optional: whose words they are, the encoder's (source) or the decoder's (target)
    treebank: {train: a.conllu, dev: b.conllu, test: c.conllu}   # UPOS, arcs, relations and each feature that it has
    tasks:
      pos: {train: train.conllu, dev: dev.conllu, test: test.conllu.gz}
      ner: {train: eng.train, dev: eng.testa, test: eng.testb, format: conll2003}

Paths start from the root: the folder of the suite file, or the one given with --corpora; nothing outside of it is read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import yaml

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.conllu import feature_values
from probing_bridge.corpora.readers.formats import BIOUL
from probing_bridge.corpora.readers.source import Sources
from probing_bridge.corpora.tasks import FEATURES, TASKS, choose_format, instances_of
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.text import file_bytes, plain_text

SPLITS = ("train", "dev", "test")
TREEBANK = ("pos", "syn_arc_prediction", "syn_arc_classification")
COMPAT = "liu2019"
SIDES = ("source", "target")
TOP_KEYS = ("compat", "language", "side", "treebank", "tasks")
TASK_KEYS = (*SPLITS, "format", "compat")
MAX_BYTES = 1 << 14  # a suite of all tasks has 3,000
MAX_DEPTH = 16  # of brackets; a suite needs two

LineFaults = list[tuple[int | None, str]]  # (1-based line, message)


@dataclass(frozen=True)
class SuiteTask:
    """A task of a suite.

    Attributes:
        task: A key of TASKS.
        train: The file to learn from.
        dev: The file that selects the epoch.
        test: The file that is scored.
        format: A key of FORMATS for all three; None if their names tell it.
        compat: Whether to follow the code of Liu et al. (2019), faults included.
        sources: The files of all tasks of the suite.
    """

    task: str
    train: Path
    dev: Path
    test: Path
    format: str | None = None
    compat: bool = False
    sources: Sources = field(default_factory=Sources, compare=False, repr=False)

    def path(self, split: str) -> Path:
        """The file of a split: "train", "dev" or "test"."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[split]

    def read(self, split: str) -> list[Instance]:
        """Reads a split: "train", "dev" or "test"; see read_instances."""
        return instances_of(self.task, self.sources.get(*self._source(split), compat=self.compat))

    def expect_files(self) -> None:
        """Has the sources hold its files until it has read each."""
        for split in SPLITS:
            self.sources.expect(*self._source(split), compat=self.compat)

    def _source(self, split: str) -> tuple[Path, str]:
        return self.path(split), choose_format(TASKS[self.task], self.path(split), self.format)


@dataclass(frozen=True)
class Suite:
    """A suite file.

    Attributes:
        path: The file.
        root: The folder that all paths lie in.
        tasks: Task -> its files, in the order of the file.
        language: Of the corpora; empty if the file does not say.
        side: Whose words they are, source or target; empty if the file does not say.
    """

    path: Path
    root: Path
    tasks: dict[str, SuiteTask]
    language: str = ""
    side: str = ""


def add_suite_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares --suite and --corpora, for load_suite(arguments.suite, arguments.corpora)."""
    parser.add_argument("--suite", required=True, type=Path, metavar="YAML", help="the suite file: files per task")
    parser.add_argument(
        "--corpora", type=Path, metavar="DIR", help="where its paths start (default: the file's folder)"
    )


def load_suite(path: str | Path, corpora: str | Path | None = None) -> Suite:
    """Reads and checks a suite file.

    Args:
        path: The YAML file.
        corpora: The folder its paths start from; that of the file if None.

    Returns:
        The suite; all its files exist.

    Raises:
        BridgeError: No such folder, or all faults of the file, one a line.
    """
    path = Path(path)
    content = _parse(path)
    root = path.parent if corpora is None else Path(corpora)
    if not root.is_dir():
        raise InputError("no such folder of corpora", root)
    faults: LineFaults = []
    said, tasks = _read_suite(content, root, faults)
    if faults:
        raise BridgeError("\n".join(str(InputError(text, path, line)) for line, text in sorted(faults, key=_line)))
    return Suite(path, root, tasks, **said)


def _line(fault: tuple[int | None, str]) -> int:
    return fault[0] or 0


class _ShallowLoader(yaml.SafeLoader):
    """YAML of few brackets in brackets: the time that its scanner takes grows with the square of their depth."""

    def fetch_flow_collection_start(self, TokenClass: type) -> None:
        if self.flow_level >= MAX_DEPTH:
            raise RecursionError
        super().fetch_flow_collection_start(TokenClass)


def _parse(path: Path) -> yaml.Node:
    """The YAML tree; nothing is constructed from it, so no tag and no alias can do harm."""
    try:
        text = plain_text(file_bytes(path, most=MAX_BYTES), path)
        node = yaml.compose(text, Loader=_ShallowLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise InputError(f"expected YAML: {error.problem}", path, None if mark is None else mark.line + 1) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"expected YAML: {str(error).splitlines()[0]}", path) from error
    except RecursionError as error:
        raise InputError("expected a suite file, found values nested too deeply to read", path) from error
    if node is None:
        raise InputError("is empty; expected `tasks:` with train, dev and test per task", path)
    return node


def _entries(
    node: yaml.Node, what: str, known: tuple[str, ...], faults: LineFaults
) -> Iterator[tuple[str, yaml.Node, int]]:
    """The entries of a mapping with their lines; unknown and repeated keys are faults."""
    if not isinstance(node, yaml.MappingNode):
        faults.append((node.start_mark.line + 1, f"expected {what} to be a mapping with keys {', '.join(known)}"))
        return
    seen: set[str] = set()
    for key, value in node.value:
        line, name = key.start_mark.line + 1, str(key.value)[:60] if isinstance(key, yaml.ScalarNode) else "[...]"
        if name in seen:
            faults.append((line, f"{name!r} occurs twice in {what}"))
        elif name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"do you mean {near[0]!r}?" if near else f"possible are {', '.join(known)}"
            faults.append((line, f"unknown key {name!r} in {what}; {hint}"))
        else:
            yield name, value, line
        seen.add(name)


def _text(node: yaml.Node, what: str, faults: LineFaults) -> str | None:
    """A value that must be a text."""
    is_text = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"
    if is_text and node.value and node.value.isprintable():
        return node.value
    faults.append((node.start_mark.line + 1, f"expected one line of text as {what}"))
    return None


def _compat(node: yaml.Node, faults: LineFaults) -> bool:
    value = _text(node, "compat", faults)
    if value not in (COMPAT, None):
        faults.append((node.start_mark.line + 1, f"compat can only be {COMPAT}, not {value!r}"))
    return value == COMPAT


def _read_suite(node: yaml.Node, root: Path, faults: LineFaults) -> tuple[dict[str, str], dict[str, SuiteTask]]:
    """What the suite says of all its corpora, and its tasks."""
    top = {name: (value, line) for name, value, line in _entries(node, "the suite", TOP_KEYS, faults)}
    compat = "compat" in top and _compat(top["compat"][0], faults)
    said: dict[str, str] = {key: _text(top[key][0], key, faults) or "" for key in ("language", "side") if key in top}
    if said.get("side", "source") not in ("", *SIDES):
        faults.append((top["side"][1], f"side can only be {' or '.join(SIDES)}, not {said['side']!r}"))
    if not {"tasks", "treebank"} & top.keys():
        if isinstance(node, yaml.MappingNode):
            faults.append((None, "has no key `tasks`, and no `treebank`"))
        return said, {}
    sources = Sources()
    tasks = _read_treebank(*top["treebank"], root, sources, compat, faults) if "treebank" in top else {}
    named = _entries(top["tasks"][0], "tasks", tuple(TASKS), faults) if "tasks" in top else ()
    for name, value, line in named:
        task = _read_task(name, value, line, root, sources, compat, faults)
        if name in tasks:
            faults.append((line, f"{name} is a task of the treebank already"))
        elif task is not None:
            tasks[name] = task
    if not tasks and not faults:
        faults.append((top["tasks"][1], "names no task"))
    return said, tasks


def _read_treebank(
    node: yaml.Node, line: int, root: Path, sources: Sources, compat: bool, faults: LineFaults
) -> dict[str, SuiteTask]:
    """The tasks of a treebank: parts of speech, arcs, relations, and each feature that tells words apart in it."""
    pos = _read_task("pos", node, line, root, sources, compat, faults)
    if pos is None or faults:
        return {}
    try:
        for split in SPLITS:
            sources.expect(pos.path(split), "conllu", compat=pos.compat)
        values = [feature_values(sources.get(pos.path(split), "conllu", compat=pos.compat)) for split in SPLITS]
    except BridgeError as error:
        faults.append((line, str(error)))
        return {}
    known = [task for task, name in FEATURES.items() if all(name in one for one in values) and len(values[0][name]) > 1]
    others = {name: replace(pos, task=name) for name in (*TREEBANK, *known) if name != pos.task}
    for task in others.values():
        task.expect_files()
    return {pos.task: pos} | others


def _read_task(
    name: str, node: yaml.Node, line: int, root: Path, sources: Sources, compat: bool, faults: LineFaults
) -> SuiteTask | None:
    entries = {key: (value, at) for key, value, at in _entries(node, f"task {name}", TASK_KEYS, faults)}
    if "compat" in entries:
        compat = _compat(entries["compat"][0], faults)
    format = _text(entries["format"][0], "format", faults) if "format" in entries else None
    if format == BIOUL:
        faults.append((entries["format"][1], f"{BIOUL} is not for probes: their span F1 reads IOB; use conll2003"))
    elif format is not None and format not in TASKS[name].formats:
        faults.append((entries["format"][1], f"{name} is read from {', '.join(TASKS[name].formats)}, not {format!r}"))
    paths: dict[str, Path] = {}
    for split in SPLITS:
        if split not in entries:
            if isinstance(node, yaml.MappingNode):
                faults.append((line, f"task {name} has no file for {split}"))
            continue
        value, at = entries[split]
        if (text := _text(value, f"the file of {name}'s {split}", faults)) is None:
            continue
        paths[split] = root / text
        if _check_path(paths[split], root, at, faults) and format is None:
            try:
                choose_format(TASKS[name], paths[split])
            except BridgeError as error:
                faults.append((at, str(error)))
    if len(paths) < len(SPLITS):
        return None
    task = SuiteTask(name, **paths, format=format, compat=compat, sources=sources)
    if not faults:
        task.expect_files()
    return task


def _check_path(path: Path, root: Path, line: int, faults: LineFaults) -> bool:
    """Notes a path that is not there or leads out of the root, links followed."""
    try:
        inside = path.resolve().is_relative_to(root.resolve())
        there = inside and path.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
        inside, there = True, False
    if not inside:
        faults.append((line, f"{str(path)[:400]} leads out of {root}; give the folder of the corpora with --corpora"))
    elif not there:
        faults.append((line, f"no such file: {str(path)[:400]}"))
    return there
