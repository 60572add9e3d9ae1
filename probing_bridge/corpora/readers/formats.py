"""The corpus formats by name: which file names tell them, and what a file's first lines look like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Format:
    """A corpus format.

    Attributes:
        title: What people call it.
        endings: Ends of file names, without a final ".gz", that tell it, perhaps together with the task.
    """

    title: str
    endings: tuple[str, ...] = ()


BIOUL = "conll2003-bioul"
FORMATS: dict[str, Format] = {
    "conllx": Format("CoNLL-X", (".conllx",)),
    "conllu": Format("CoNLL-U", (".conllu",)),
    "conllulex": Format("STREUSLE .conllulex", (".conllulex",)),
    "streusle": Format("STREUSLE JSON", (".json",)),
    "it-happened": Format("It-Happened JSON", (".json",)),
    "ccgbank": Format("CCGbank AUTO", (".auto",)),
    "ccg-columns": Format("two columns of words and CCG categories", (".tsv",)),
    "trees": Format("bracketed trees, one a line", (".trees", ".ptb", ".mrg")),
    "conll2000": Format("CoNLL-2000"),
    "conll2003": Format("CoNLL-2003"),
    BIOUL: Format("CoNLL-2003, tags recoded to BIOUL for a CRF"),
    "fce": Format("FCE error detection (word TAB c or i)", (".tsv",)),
    "conjuncts": Format("conjuncts (word TAB B, I or O)", (".tsv",)),
    "semtags": Format("semantic tags (form TAB tag)", (".tsv",)),
    "sdp": Format("SDP", (".sdp",)),
    "conll2012": Format("CoNLL-2012", ("_conll",)),
}
GUESS_CHARACTERS = 20_000
COLUMNS = re.compile(r"[ \t]+")


def columns_of(line: str) -> list[str]:
    """The columns of a line, which blanks and tabs end; those around the line do not count.

    Args:
        line: A line without its end.

    Returns:
        The columns; one empty one for a blank line.
    """
    row = line.split(" ")
    return row if "" not in row and "\t" not in line else COLUMNS.split(line.strip(" \t"))


def formats_of_name(path: str | PurePath) -> tuple[str, ...]:
    """The formats that a file's name may stand for.

    Args:
        path: The file; a final ".gz" does not count.

    Returns:
        Keys of FORMATS; empty if the name says nothing.
    """
    name = PurePath(path).name.removesuffix(".gz")
    return tuple(key for key, form in FORMATS.items() if name.endswith(form.endings))


def guess_format(text: str) -> str | None:
    """The format that the first lines of a text seem to have; only for error messages.

    Args:
        text: The content of a file.

    Returns:
        A key of FORMATS, or None if it cannot be told.
    """
    head = text.lstrip()[:GUESS_CHARACTERS]
    if len(head) == GUESS_CHARACTERS:
        head = head[: head.rfind("\n")] if "\n" in head else head  # the last line may be cut
    if head.startswith(("{", "[")) and '"' in head[:200]:
        return "it-happened" if head[0] == "{" else "streusle"
    if head.startswith("#begin document"):
        return "conll2012"
    if head.startswith("#SDP"):
        return "sdp"
    lines = [line for line in head.split("\n")[:200] if line.strip() and not re.match(r"#( |\d)", line)]
    if not lines:
        return None
    if lines[0].startswith(("ID=", "(<")):
        return "ccgbank"
    if lines[0].startswith("("):
        return "trees"
    return _guess_columns(lines)


def _guess_columns(lines: Sequence[str]) -> str | None:
    rows = [line.split("\t") for line in lines]
    widths = {len(row) for row in rows}
    if min(widths) >= 5 and all(re.match(r"\d+([-.]\d+)?$", row[0]) for row in rows):
        signs = {"+", "-"}  # top and predicate: columns 5 and 6, or 7 and 8 of the augmented layout
        if min(widths) >= 7 and (signs.issuperset(rows[0][4:6]) or signs.issuperset(rows[0][6:8] or ["none"])):
            return "sdp"
        return {19: "conllulex", 10: "conllu"}.get(min(widths), "conllx") if len(widths) == 1 else "conllx"
    if widths == {2}:
        tags = {row[1] for row in rows}
        if tags <= {"c", "i"} or tags <= {"B", "I", "O"}:
            return "fce" if tags <= {"c", "i"} else "conjuncts"
        if any("/" in tag or "\\" in tag for tag in tags):
            return "ccg-columns"
        return "semtags" if all(re.fullmatch("[A-Z]{3}", tag) for tag in tags) else None
    rows = [columns_of(line) for line in lines]
    widths = {len(row) for row in rows}
    if min(widths) >= 12 and all(row[1].isdigit() and row[2].isdigit() for row in rows):
        return "conll2012"
    return {3: "conll2000", 4: "conll2003"}.get(min(widths)) if len(widths) == 1 else None
