"""What a probing run is given: a suite of tasks and representation files, checked before anything is trained.

Every function adds what is wrong to the faults that it is given, and returns what could be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from probing_bridge.corpora.readers.source import MAX_JSON
from probing_bridge.corpora.suite import Suite
from probing_bridge.corpora.tasks import TASKS, label_vocabulary
from probing_bridge.errors import BridgeError, Faults, InputError
from probing_bridge.formats.origin import common_experiment
from probing_bridge.formats.representations import Representations, sentence_text
from probing_bridge.formats.tables import read_table
from probing_bridge.formats.text import file_bytes
from probing_bridge.probes.grid import Job, ModelInfo
from probing_bridge.probes.measures import SPLITS, TaskData, TaskSpec
from probing_bridge.probes.metrics import METRICS
from probing_bridge.probes.parts import Part


def task_specs(suite: Suite, only: Sequence[str] | None, faults: Faults) -> dict[str, TaskSpec]:
    """What a suite says of its tasks, with a hash of each task's data.

    Args:
        suite: The suite.
        only: These tasks; all if None.
        faults: Gets the tasks that the suite does not have, and files that cannot be read.

    Returns:
        Task -> what is known before its files are read, in the order of the suite.
    """
    for task in only or ():
        if task not in suite.tasks:
            faults.add(f"--tasks {task}: not in {suite.path}, which has {', '.join(suite.tasks)}")
    hashes: dict[Path, str | None] = {}
    specs = {}
    for name, files in suite.tasks.items():
        if only is not None and name not in only:
            continue
        paths = [files.path(split) for split in SPLITS]
        hashes |= {path: faults.of(_content_hash, path) for path in paths if path not in hashes}
        row, identity = TASKS[name], [name, files.format, files.compat, *(hashes[path] for path in paths)]
        data_hash = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        specs[name] = TaskSpec(name, row.metric, data_hash, row.batch_size, row.patience, files.compat)
    return specs


def _content_hash(path: Path) -> str:
    """The sha256 of a file's text, packed or not."""
    return hashlib.sha256(file_bytes(path, longest_line=MAX_JSON)).hexdigest()


def read_tasks(suite: Suite, specs: dict[str, TaskSpec], names: Iterable[str], faults: Faults) -> dict[str, TaskData]:
    """Reads the files of tasks.

    Args:
        suite: The suite.
        specs: From `task_specs`.
        names: Which tasks.
        faults: Gets what is wrong with files, and labels that do not fit the metric.

    Returns:
        Task -> its data.
    """
    found = {name: faults.of(_read_task, suite, specs[name]) for name in names}
    return {name: data for name, data in found.items() if data is not None}


def _read_task(suite: Suite, spec: TaskSpec) -> TaskData:
    splits = {split: suite.tasks[spec.name].read(split) for split in SPLITS}
    labels = label_vocabulary(*(splits[split] for split in SPLITS))
    try:
        METRICS[spec.metric].check_labels(labels)
    except BridgeError as error:
        raise InputError(f"task {spec.name}: {error}", suite.tasks[spec.name].train.parent) from error
    return TaskData(spec, dict(splits), labels or None)


def open_models(paths: Sequence[Path], layers: Sequence[str] | None, faults: Faults) -> list[ModelInfo]:
    """Opens representation files and reads where they come from.

    Args:
        paths: One file per model.
        layers: Names of the layers to probe; all if None.
        faults: Gets files that cannot be read or lack a layer, and two files of one name.

    Returns:
        The models in the order given.
    """
    models = [model for path in paths if (model := faults.of(_open_model, path, layers)) is not None]
    names = [(model.experiment, model.name) for model in models]
    for model, name in zip(models, names, strict=True):
        if names.count(name) > 1:
            faults.add(f"two of the --reps are named {model.name!r}: rows are told apart by it, so rename one")
    return models


def _open_model(path: Path, layers: Sequence[str] | None) -> ModelInfo:
    with Representations(path) as representations:
        chosen = representations.layers if layers is None else tuple(layers)
        representations.require_layers(chosen)
        return ModelInfo(path, path.stem, representations.origin, chosen, representations.hash, representations.dim)


def warnings(models: Sequence[ModelInfo], language: str) -> Iterator[str]:
    """What makes scores say little, though nothing keeps them from being computed.

    Args:
        models: The representation files.
        language: Of the suite's corpora; empty if it does not say.

    Yields:
        A line for each file with many unknown pieces, and for each of a model of another language.
    """
    for model in models:
        if model.origin.unknown_warning:
            yield f"{model.path}: {model.origin.unknown_warning}"
        spoken = model.origin.words_language
        if language and spoken and spoken != language:
            yield f"{model.path}: the model reads {spoken!r}, but the suite says that its corpora are in {language!r}"


def check_experiments(models: Sequence[ModelInfo]) -> None:
    """Refuses files of several experiments, but for those of a branch and of the level that it came from.

    Args:
        models: The representation files.

    Raises:
        BridgeError: They are mixed.
    """
    if common_experiment([model.origin for model in models]) is None:
        files = {model.experiment: model.path for model in reversed(models)}
        shown = ", ".join(f"{one or 'unknown'} ({files[one]})" for one in sorted(files))
        raise BridgeError(f"--reps come from several experiments: {shown}; give each its own table, or --allow-mixed")


def check_sides(models: Sequence[ModelInfo], side: str) -> None:
    """Refuses words of the encoder for corpora of the target side, and the other way round.

    Args:
        models: The representation files.
        side: Of the suite's corpora, source or target; empty if it does not say.

    Raises:
        BridgeError: Such a file.
    """
    for model in models:
        own = "target" if model.origin.component == "decoder" else "source"
        if side not in ("", own):
            of = "encoder" if own == "source" else "decoder"
            raise BridgeError(f"{model.path}: holds words of the {of}, but the suite is of the {side} side")


def check_table(
    output: Path, folder: Path, parts: Sequence[Part], models: Sequence[ModelInfo], *, allow_mixed: bool
) -> None:
    """Refuses to replace a table whose jobs are not beside it, or to add to one of another experiment.

    Args:
        output: The results folder.
        folder: The folder of parts.
        parts: Those that are not out of date.
        models: The representation files.
        allow_mixed: Whether several experiments may stand in one table; a branch and what it came from always may.

    Raises:
        InputError: See above.
    """
    table = output / "probes.csv"
    if not table.exists():
        return
    if not folder.is_dir():
        raise InputError(f"is there, but not the finished jobs it was made from ({folder}); move it away first", table)
    before = set(read_table(table, "probes")["experiment"])
    if allow_mixed or not before or before == {model.experiment for model in models}:
        return
    origins = [part.origin for part in parts if part.key.measure != "baseline"]
    if common_experiment([*origins, *(model.origin for model in models)]) is None:
        shown = ", ".join(sorted(one or "unknown" for one in before))
        raise InputError(
            f"holds rows of another experiment ({shown}); choose another --output, or --allow-mixed", table
        )


def check_levels(output: Path, parts: Sequence[Part], models: Sequence[ModelInfo]) -> None:
    """Refuses a second file of words of one level: other pieces of a word, or words of the other side.

    Rows of tables and figures are told apart by experiment and level, not by the file that they are of.

    Args:
        output: The results folder.
        parts: Those that are not out of date.
        models: The representation files.

    Raises:
        BridgeError: Such a file, and the other one.
    """
    own = {(model.experiment, model.name) for model in models}
    names: dict[tuple[str, int | None], str] = {}
    for part in parts:
        if part.key.measure != "baseline" and (part.key.experiment, part.key.model) not in own:
            names[part.key.experiment, part.origin.level] = part.key.model
    for model in models:
        level = model.origin.level
        other = names.setdefault((model.experiment, level), model.name)
        if level is not None and other != model.name:
            text = f"is of level {level} of its experiment as {other!r} is, and {output} can have one file of it"
            raise BridgeError(f"{model.path}: {text}: give it an --output of its own")


def check_representations(jobs: Iterable[Job], tasks: dict[str, TaskData], faults: Faults) -> None:
    """Looks up every sentence that the jobs need, so that what lacks is found before anything is trained.

    Args:
        jobs: Unfinished jobs.
        tasks: The data of their tasks, of those that could be read.
        faults: Gets a line for each file that lacks sentences: how many, and the first; and one for the first sentence
            of a file that has another number of vectors than words.
    """
    wanted: dict[Path, set[str]] = {}
    for job in jobs:
        if job.model.path is not None and job.task.name in tasks:
            wanted.setdefault(job.model.path, set()).add(job.task.name)
    for path, names in wanted.items():
        sentences = {sentence_text(tokens): tokens for name in sorted(names) for tokens in tasks[name].sentences}
        with Representations(path) as representations:
            missing = [text for text, tokens in sentences.items() if tokens not in representations]
            faults.of(representations.check_shapes, filter(representations.__contains__, sentences.values()))
        if missing:
            shown = missing[0] if len(missing[0]) <= 80 else missing[0][:77] + "..."
            text = f"{len(missing)} of {len(sentences)} sentences are missing, the first is {shown!r}; "
            faults.add(str(InputError(text + "encode the output of `sentences` for this suite", path)))
