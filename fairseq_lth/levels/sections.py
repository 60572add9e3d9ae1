"""What a checkpoint's configuration has fairseq build beside its model: task, criterion, data sets, by allow-lists.

fairseq-validate and `--interpolate` build the criterion that the checkpoint names, and some of fairseq's evaluate their
settings (`wer_args` of ctc), open files or build another criterion; tasks do the same, and one reader of data
(`dataset_impl: fasta`) puts the path into a line of the shell.
"""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from fairseq_lth.levels.fields import GateError, as_fields, check_flat, field_types
from fairseq_lth.preflight import import_fairseq

_TASKS = frozenset({"translation", "lth_imp"})
# Those of text with an encoder and a decoder; each also as masked_NAME
_CRITERIA = (
    "adaptive_loss",
    "cross_entropy",
    "label_smoothed_cross_entropy",
    "label_smoothed_cross_entropy_with_alignment",
    "label_smoothed_cross_entropy_with_rdrop",
)
_MASKED = "masked_"  # fairseq_lth.criterion's, which cannot be imported before fairseq
_DATASETS = frozenset({"raw", "lazy", "cached", "mmap", "huffman"})
_LANGUAGES = ("source_lang", "target_lang")
_SUBSETS = ("train_subset", "valid_subset", "gen_subset")
_JSON = ("eval_bleu_args", "eval_bleu_detok_args")
_LARGEST_BEAM = 1000


def check_task(part: Any, named: tuple[str, ...] = ("task", "_name")) -> None:
    """Checks the task that a checkpoint names, and what fairseq opens and parses for it.

    Args:
        part: `cfg.task` or `args`.
        named: The fields that name it: fairseq takes `task` first in a section as well.

    Raises:
        GateError: Another task, a language or reader of data that is none, or options of BLEU that are no JSON.
    """
    fields = as_fields(part)
    names = [name for field in named if (name := fields.get(field)) is not None]
    unknown = [name for name in names if not isinstance(name, str) or name not in _TASKS]
    if unknown or not names:
        name = unknown[0] if unknown else None
        raise GateError(f"its task is {name!r:.40}; supported are {' and '.join(sorted(_TASKS))}")
    for field, value in fields.items():
        check_flat(f"task field {field}", value)
    check_data(part, "task")
    for field in _JSON:
        _check_json(field, fields.get(field))
    _check_word("task field eval_bleu_detok", fields.get("eval_bleu_detok"))


def check_criterion(part: Any, named: tuple[str, ...] = ("criterion", "_name"), default: str | None = None) -> None:
    """Checks the criterion that a checkpoint names, and the fields of it.

    Args:
        part: `cfg.criterion` or `args`.
        named: The fields that name it: fairseq takes `criterion` of a namespace.
        default: What fairseq takes where none does.

    Raises:
        GateError: Another criterion than those that translation is trained with, or a value of another type.
    """
    import_fairseq()
    from fairseq.criterions import CRITERION_REGISTRY

    fields = as_fields(part)
    for field, value in fields.items():
        check_flat(f"criterion field {field}", value)
    for name in [one for field in named if (one := fields.get(field)) is not None] or [default]:
        check_criterion_name(name)
        types = field_types(CRITERION_REGISTRY[name.removeprefix(_MASKED)])
        for field, value in fields.items():
            if value is not None and field in types and not types[field](value):
                raise GateError(f"criterion field {field} is {value!r:.60}, which fairseq's parser would not take")


def check_criterion_name(name: Any) -> None:
    """Checks that a criterion is one that is built from a checkpoint.

    Args:
        name: fairseq's name of it.

    Raises:
        GateError: It is none of them.
    """
    if not isinstance(name, str) or name.removeprefix(_MASKED) not in _CRITERIA:
        raise GateError(
            f"its criterion is {name!r:.60}, which is not built from a checkpoint; train with {', '.join(_CRITERIA)}, "
            f"or one of them as {_MASKED}NAME"
        )


def check_arguments(args: argparse.Namespace) -> None:
    """Checks what fairseq builds of the flags of an old checkpoint, beside its model.

    Args:
        args: `args` of the checkpoint.

    Raises:
        GateError: As check_task and check_criterion; or a name that fairseq would look for elsewhere.
    """
    import_fairseq()
    from fairseq.registry import REGISTRIES

    check_task(args, ("task",))
    check_criterion(args, ("criterion",), "cross_entropy")
    for name in REGISTRIES:  # a tokenizer, say: hydra reads the settings of that name
        _check_word(f"args.{name}", getattr(args, name, None))


def check_data(part: Any, where: str) -> None:
    """Checks the names from which fairseq makes those of the files of a data set.

    Args:
        part: `cfg.dataset`, `cfg.task` or `args`.
        where: Its name, for the message.

    Raises:
        GateError: A language or subset that leads out of the folder of the data, or a reader that runs a shell.
    """
    fields = as_fields(part)
    reader = fields.get("dataset_impl")
    if reader is not None and (not isinstance(reader, str) or reader not in _DATASETS):
        raise GateError(f"{where} field dataset_impl is {reader!r:.40}; supported are {', '.join(sorted(_DATASETS))}")
    for field in _LANGUAGES:
        value = fields.get(field)
        if value is not None and not (isinstance(value, str) and re.fullmatch(r"[\w.@+-]{1,80}", value)):
            raise GateError(f"{where} field {field} is {value!r:.60}, no name of a language")
    for field in _SUBSETS:
        value = fields.get(field)
        if value is not None and not (isinstance(value, str) and all(map(_is_inside, value.split(",")))):
            raise GateError(f"{where} field {field} is {value!r:.60}, which leads out of the folder of the data")


def _is_inside(subset: str) -> bool:
    return re.fullmatch(r"[\w.@+/ -]*", subset) is not None and subset[:1] != "/" and ".." not in subset.split("/")


def _check_word(field: str, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[\w-]{0,80}", value)):
        raise GateError(f"{field} is {value!r:.60}, not a name alone")


def _check_json(field: str, value: Any) -> None:
    """Options of BLEU in training, of which fairseq makes the search and the tokenizer."""
    if not value:
        return
    try:
        options = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict) or not all(
        one is None or isinstance(one, bool | int | float | str) for one in options.values()
    ):
        raise GateError(f"task field {field} is {value!r:.60}, no JSON of plain values")
    if isinstance(options.get("beam"), int | float) and options["beam"] > _LARGEST_BEAM:
        raise GateError(f"task field {field} has a beam of {options['beam']:,}; at most {_LARGEST_BEAM:,} is supported")
