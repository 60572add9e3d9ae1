"""The two JSON formats: STREUSLE (adposition supersenses) and It-Happened (event factuality).

Read as in adposition_supersense_tagging.py and event_factuality.py, from files of Schneider et al. (2018) and of
Rudinger et al. (2018).

By default a key that occurs twice is refused; the original (compat) keeps the last of the two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.source import Source
from probing_bridge.corpora.readers.words import NO_ANNOTATION, plain_words, withheld
from probing_bridge.errors import InputError
from probing_bridge.formats.text import MARK


def read_factuality(source: Source) -> Iterator[Instance]:
    """Event factuality: predicates and how certainly they happened, -3 to 3.

    Args:
        source: id -> {"sentence": words, "predicate_indices": 1-based positions, "labels": numbers}.

    Yields:
        The sentences that have a predicate; items in the order of the file.

    Raises:
        InputError: Another structure, positions outside of the sentence, labels that are not finite numbers, withheld
            words, or no predicate in the whole file.
    """
    found = False
    (sentences,) = source.once(_load)
    if not isinstance(sentences, dict):
        raise source.fault(f"expected one JSON object with a key per sentence, found {_kind(sentences)}", 1)
    for name, sentence in sentences.items():
        where = f"sentence {name!r}"
        tokens = _words(source, name, where, _get(source, name, where, sentence, "sentence", list))
        numbers = _get(source, name, where, sentence, "predicate_indices", list)
        labels = _get(source, name, where, sentence, "labels", list)
        if len(numbers) != len(labels) and not (source.compat and not (numbers and labels)):
            raise _fault(source, name, f"{where} has {len(numbers)} predicate_indices but {len(labels)} labels")
        if not (numbers and labels):
            continue
        for number in numbers:
            if type(number) is not int or not 1 <= number <= len(tokens):
                raise _fault(
                    source, name, f"{where}: expected a predicate index from 1 to {len(tokens)}, found {_show(number)}"
                )
        for label in labels:
            if type(label) not in (int, float) or not _is_finite(label):
                raise _fault(source, name, f"{where}: expected numbers as labels, found {_show(label)}")
        yield Instance(tokens, tuple(float(label) for label in labels), tuple(number - 1 for number in numbers))
        found = True
    if not found:
        raise source.fault(f"no sentence has an item: none of {len(sentences)} has predicate_indices")


def read_supersenses(source: Source, column: str) -> Iterator[Instance]:
    """Adposition supersenses of single words; expressions of several words have none here.

    Args:
        source: Sentences with "toks" and "swes" as STREUSLE's converter writes them.
        column: "ss" for the role, "ss2" for the function.

    Yields:
        The sentences in which some word has a supersense `p.*`; items in the order of "swes".

    Raises:
        InputError: Another structure, a word number outside of the sentence, withheld words, a word with only one of
            role and function (not in compat), or no supersense in the whole file.
    """
    found = False
    (sentences,) = source.once(_load)
    if not isinstance(sentences, list):
        raise source.fault(f"expected a JSON array of sentences, found {_kind(sentences)}", 1)
    for position, sentence in enumerate(sentences, 1):
        name = sentence.get("sent_id") if isinstance(sentence, dict) else None
        where = f"sentence {position}" if name is None else f"sentence {name!r}"
        words = _get(source, name, where, sentence, "toks", list)
        tokens = _words(source, name, where, [_get(source, name, where, word, "word", str) for word in words])
        items: list[int] = []
        labels: list[str] = []
        for key, expression in _get(source, name, where, sentence, "swes", dict).items():
            label = _get(source, name, where, expression, column, (str, type(None)))
            if not label or not label.startswith("p."):
                if label in (None, "", NO_ANNOTATION) and not source.compat:
                    _check_other(source, name, where, key, expression, column)
                continue
            if not (key.isascii() and key.isdigit() and len(key) < 10 and 1 <= int(key) <= len(tokens)):
                raise _fault(source, name, f"{where}: expected word numbers 1 to {len(tokens)} in swes, found {key!r}")
            items.append(int(key) - 1)
            labels.append(label)
        if items:
            yield Instance(tokens, tuple(labels), tuple(items))
            found = True
    if not found:
        raise source.fault(f"no sentence has an item: no single word has a supersense p.* as {column!r}")


read_roles = partial(read_supersenses, column="ss")
read_functions = partial(read_supersenses, column="ss2")


def _check_other(source: Source, name: object, where: str, key: str, expression: Any, column: str) -> None:
    """A word without role must not have a function, and the other way round: it is not annotated then."""
    other = expression.get("ss2" if column == "ss" else "ss")
    if isinstance(other, str) and other.startswith("p."):
        raise _fault(source, name, f"{where}: word {key[:9]} of swes has {other} but no {column!r}: not annotated")


def _load(source: Source) -> list[Any]:
    """The one JSON value of a file."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for number, key in enumerate(keys) if key in keys[:number])
            raise _fault(source, twice, f"the key {twice!r} occurs twice in one object")
        return values

    def no_number(word: str) -> float:
        raise source.fault(f"{word} is not a number of JSON", source.text.count("\n", 0, source.text.find(word)) + 1)

    try:
        return [json.loads(source.text, parse_constant=no_number, object_pairs_hook=None if source.compat else unique)]
    except json.JSONDecodeError as error:
        raise source.fault(f"expected JSON: {error.msg}", error.lineno) from error
    except RecursionError as error:
        raise source.fault("expected a JSON list of sentences, found values nested too deeply to read") from error
    except ValueError as error:  # a number of thousands of digits
        raise source.fault(f"expected JSON: {error}") from error


def _fault(source: Source, name: object, message: str) -> InputError:
    """The error for a sentence, with the line where its name occurs last."""
    at = source.text.rfind(json.dumps(name, ensure_ascii=False)) if isinstance(name, str) else -1
    return source.fault(message, None if at < 0 else source.text.count("\n", 0, at) + 1)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a text", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")


def _show(value: object) -> str:
    return _kind(value) if isinstance(value, (dict, list)) else repr(value)


def _get(source: Source, name: object, where: str, value: Any, key: str, kind: Any) -> Any:
    """One entry of an object, of the right type."""
    if not isinstance(value, dict):
        raise _fault(source, name, f"{where}: expected an object with {key!r}, found {_kind(value)}")
    if key not in value or not isinstance(value[key], kind):
        found = f"found {_kind(value[key])}" if key in value else "it is missing"
        expected = {list: "an array", dict: "an object", str: "a text"}.get(kind, "a text or null")
        raise _fault(source, name, f"{where}: expected {expected} as {key!r}, {found}")
    return value[key]


def _words(source: Source, name: object, where: str, words: list[Any]) -> tuple[str, ...]:
    """Words, each a text that is not empty and can be written; see Source.words."""
    words = [word.replace(MARK, "") if isinstance(word, str) else word for word in words]
    for number, word in enumerate(words, 1):
        if not isinstance(word, str) or not word:
            raise _fault(source, name, f"{where}: word {number} is not a text with at least one character")
    try:
        "".join(words).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _fault(source, name, f"{where} holds half a character (a lone surrogate)") from error
    if words and (message := withheld(words)) is not None:
        raise _fault(source, name, f"{where}: {message}")
    return tuple(words) if source.compat else plain_words(words)


def _is_finite(label: int | float) -> bool:
    try:
        return math.isfinite(label)
    except OverflowError:  # an integer that no float can hold
        return False
