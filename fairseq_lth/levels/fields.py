"""Single fields of a checkpoint's configuration: literals where fairseq evaluates texts, and what its parsers give."""

from __future__ import annotations

import argparse
import ast
import functools
from collections.abc import Mapping
from typing import Any


class GateError(Exception):
    """What a checkpoint may not hold; the message says where."""


def check_literal(field: str, value: Any, most_layers: int) -> None:
    """Checks a text that fairseq evaluates: literals, and lists repeated or joined as in `[(512, 3)] * 20`.

    Args:
        field: Where it stands, for the message.
        value: The value; anything but a text is not evaluated.
        most_layers: The largest number of elements of a repeated list, if more than 64.

    Raises:
        GateError: Anything else than literals.
    """
    if not isinstance(value, str):
        return
    try:
        literal(value, max(most_layers, 64))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GateError(f"{field} is {value!r:.60}, which fairseq would run as Python") from error


def literal(text: str, longest: int) -> Any:
    """Evaluates a Python literal in which lists may be added, and repeated by a small number.

    Args:
        text: The text, e.g. `[(512, 3)] * 20`.
        longest: The largest number of elements of a repeated list.

    Raises:
        ValueError: Anything else stands in it.
        SyntaxError: It is no Python expression.
    """
    return _value(ast.parse(text.strip(), mode="eval").body, longest)


def _value(node: ast.expr, longest: int) -> Any:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _value(node.left, longest), _value(node.right, longest)
        if isinstance(node.op, ast.Add) and isinstance(left, list) and isinstance(right, list):
            return left + right
        if isinstance(node.op, ast.Mult) and isinstance(left, list) and type(right) is int:
            if len(left) * right > longest:
                raise ValueError("a list longer than the model is deep")
            return left * right
        raise ValueError("an operation that is none of lists")
    return ast.literal_eval(node)


@functools.cache
def field_types(component: Any) -> dict[str, Any]:
    """Field -> whether a value is what fairseq's parser of a model or a criterion would give it.

    Args:
        component: Its class.
    """
    parser = argparse.ArgumentParser(add_help=False)
    component.add_args(parser)
    return {action.dest: functools.partial(_fits, action) for action in parser._actions}


def _fits(action: argparse.Action, value: Any) -> bool:
    if action.nargs == 0:
        return isinstance(value, bool)
    if action.choices is not None and value not in action.choices:
        return False
    if action.type is int:
        return type(value) is int
    if action.type is float:
        return type(value) in (int, float)
    return type(value) in (str, bool, int, float, list, tuple)


def as_fields(part: Any) -> dict[str, Any]:
    """The fields of a namespace or a dictionary; none of anything else."""
    fields = vars(part) if isinstance(part, argparse.Namespace) else part
    return dict(fields) if isinstance(fields, Mapping) else {}


def check_flat(field: str, value: Any) -> None:
    """Checks that a value is a plain one or a list of plain ones: no parser of fairseq gives a mapping.

    Args:
        field: Where it stands, for the message.
        value: The value.

    Raises:
        GateError: A mapping, or a list with one or with a list in it.
    """
    inner = value if isinstance(value, list | tuple) else ()
    if isinstance(value, Mapping | argparse.Namespace) or any(
        isinstance(one, Mapping | list | tuple | argparse.Namespace) for one in inner
    ):
        raise GateError(f"{field} is {value!r:.60}, a nested configuration, which is not read")
