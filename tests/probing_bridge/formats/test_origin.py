"""Whose levels are levels of a branch."""

import pytest

from probing_bridge.formats.origin import Origin, common_experiment

A, B, C = "a", "b", "c"


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ([(A, 0, ""), (A, 8, "")], A),
        ([("", None, ""), ("", None, "")], ""),
        ([(A, 0, ""), (B, 1, "a/lth0"), (B, 2, "a/lth0")], B),
        ([(B, 3, "a/lth2"), (A, 0, ""), (A, 2, "")], B),
        ([(A, 1, ""), (B, 2, "a/lth1"), (C, 5, "b/lth3")], C),
        ([(A, 1, ""), (B, 1, "a/lth0")], None),  # a sibling of the branch's first level
        ([(A, 0, ""), (B, 1, "a/lth0"), (C, 1, "a/lth0")], None),  # two branches
        ([(A, 2, ""), (B, 2, "a/lth1"), (C, 5, "b/lth3")], None),
        ([(A, 0, ""), (C, 5, "b/lth3")], None),  # nothing says where b came from
        ([(A, 0, ""), (B, 1, "")], None),
        ([(A, 0, ""), (B, 1, "a")], None),
        ([("", None, ""), (A, 0, "")], None),
        ([(A, 0, "a/lth0")], A),  # no experiment is its own parent, but a file may say so
        ([(A, 1, "b/lth1"), (B, 1, "a/lth1")], A),
    ],
)
def test_common_experiment(origins: list[tuple[str, int | None, str]], expected: str | None) -> None:
    assert common_experiment([Origin(*origin) for origin in origins]) == expected
