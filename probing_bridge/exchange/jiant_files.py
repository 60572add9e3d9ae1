"""Probing tasks as edge-probing files of jiant (Pruksachatkun et al., 2020), one JSON object a line.

`{"text": "w1 w2 ...", "info": {...}, "targets": [{"span1": [start, end), "span2": ..., "label": "..."}]}`: spans are
end-exclusive word positions of `text.split()`; tasks about single words have only `span1`, tasks about pairs have the
child as `span1` and the parent (or antecedent) as `span2`. Every task but regression fits. `jiant_adapter` reads the
files back with jiant's own classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.suite import SPLITS, SuiteTask
from probing_bridge.corpora.tasks import TASKS
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.text import file_bytes, numbered_lines, plain_text

FILES = {"train": "train.jsonl", "dev": "val.jsonl", "test": "test.jsonl"}
LABELS = "labels.json"


def write_task(task: SuiteTask, folder: str | Path) -> dict[str, int]:
    """Writes one task as `<folder>/<task>/{train,val,test}.jsonl` and `labels.json`.

    Args:
        task: A task of a suite.
        folder: Where the task's folder goes; an older one is replaced.

    Returns:
        Number of targets by split.

    Raises:
        BridgeError: A regression task, or words that the format cannot hold.
    """
    if TASKS[task.task].family == "regression":
        raise BridgeError(f"task {task.task}: its labels are real numbers, and edge probing only has classes")
    target = Path(folder) / task.task
    try:
        with folder_beside(target) as beside:
            labels: set[str] = set()
            counts = {}
            for split in SPLITS:
                with open(beside / FILES[split], "w", encoding="utf-8") as file:
                    counts[split] = 0
                    for instance in task.read(split):
                        _check_words(instance, task.path(split))
                        targets = list(_targets(instance))
                        labels.update(one["label"] for one in targets)
                        counts[split] += len(targets)
                        line = {"text": " ".join(instance.tokens), "info": {"task": task.task}, "targets": targets}
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
            (beside / LABELS).write_text(json.dumps(sorted(labels), ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", target) from error
    return counts


def _check_words(instance: Instance, path: Path) -> None:
    for word in instance.tokens:
        if word.split() != [word]:
            raise BridgeError(f"{path}: the word {word!r} is empty or holds white space, at which jiant would split it")


def _targets(instance: Instance) -> Iterator[dict[str, Any]]:
    places = instance.indices if instance.indices is not None else range(len(instance.tokens))
    for place, label in zip(places, instance.labels, strict=True):
        spans = place if isinstance(place, tuple) else (place,)
        yield {f"span{number}": [one, one + 1] for number, one in enumerate(spans, 1)} | {"label": str(label)}


def check_task(folder: Path) -> tuple[list[str], bool]:
    """Checks the files of a task: jiant's reader takes what is there, and its head falls over it later.

    Args:
        folder: What `write_task` wrote.

    Returns:
        The labels, and whether items are pairs of words.

    Raises:
        InputError: A file that is not there, or a line that is not what `write_task` writes.
    """
    for name in (*FILES.values(), LABELS):
        if not (folder / name).is_file():
            raise InputError("no such file; write it with `export --to jiant`", folder / name)
    labels = _parsed(plain_text(file_bytes(folder / LABELS), folder / LABELS), folder / LABELS)
    if not (isinstance(labels, list) and labels and all(isinstance(label, str) for label in labels)):
        raise InputError("expected a list of labels", folder / LABELS)
    known, sizes = frozenset(labels), set[int]()  # of items, in words
    for path in (folder / name for name in FILES.values()):
        found = {size for number, line in numbered_lines(path) for size in _item_sizes(line, known, path, number)}
        if not found:
            raise InputError("holds no item", path)
        sizes |= found
    if len(sizes) > 1:
        raise InputError("holds items of one word and of two", folder)
    return labels, sizes == {2}


def _parsed(text: str, path: Path, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected JSON ({error})", path, line) from error


def _item_sizes(line: str, labels: frozenset[str], path: Path, number: int) -> Iterator[int]:
    """Of how many words each item of a line is."""
    entry = _parsed(line, path, number)
    text, targets = (entry.get(name) for name in ("text", "targets")) if isinstance(entry, dict) else (None, None)
    if not isinstance(text, str) or not isinstance(targets, list):
        raise InputError('expected {"text": "w1 w2", "targets": [...]}', path, number)
    words = range(len(text.split()))
    for target in targets:
        spans = [target[name] for name in ("span1", "span2") if name in target] if isinstance(target, dict) else []
        label = target.get("label") if spans else None
        if not all(_is_word(span, words) for span in spans) or not isinstance(label, str) or label not in labels:
            found = f"{target!s:.80}"
            raise InputError(f"expected one or two words, and a label of {LABELS}, found {found}", path, number)
        yield len(spans)


def _is_word(span: object, words: range) -> bool:
    """Whether a span is of one of the words."""
    return isinstance(span, list) and len(span) == 2 and span[0] in words and span[1] == span[0] + 1
