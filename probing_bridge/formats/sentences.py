"""`sentences.txt`: what is to be encoded, each text once; `run sentences` writes it, `encode` and `import` read it.

A line is what is encoded as one: words with one space between. A line of several sentences (a document of the
coreference task) has a TAB instead of the space where a sentence ends: each sentence is encoded by itself, the vectors
are concatenated, and the text's key is all its words joined by single spaces. No word contains white space, so
splitting a line at spaces and tabs gives the words back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from probing_bridge.errors import InputError
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.text import numbered_lines

FILE_NAME = "sentences.txt"
_BREAKS = re.compile("[ \t\n\r\x0b\x0c]")  # what ends a word or a line


@dataclass(frozen=True)
class Text:
    """One line.

    Attributes:
        sentences: The words of each of its sentences; one, unless it is a document.
        line: Its number in the file, from 1; 0 if it is not of a file.
    """

    sentences: tuple[tuple[str, ...], ...]
    line: int = 0

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of all its sentences."""
        return tuple(word for sentence in self.sentences for word in sentence)


def divided_word(words: Iterable[str]) -> str | None:
    """The first word with white space inside; None if there is none."""
    return next((word for word in words if _BREAKS.search(word)), None)


def unwritable_word(words: Iterable[str]) -> str | None:
    """The first word that is empty or has white space inside, which would not come back; None if there is none."""
    return next((word for word in words if not word or _BREAKS.search(word)), None)


def write_sentences(path: str | Path, texts: Sequence[Text]) -> None:
    """Writes texts, one a line.

    Args:
        path: The file; its folder is made.
        texts: In the order wanted.

    Raises:
        ValueError: A word that would not come back.
        InputError: The file cannot be written.
    """
    for text in texts:
        if (word := unwritable_word(text.words)) is not None:
            raise ValueError(f"the word {word!r} is empty or contains white space")
    lines = ("\t".join(" ".join(sentence) for sentence in text.sentences) + "\n" for text in texts)
    try:
        with written_beside(path) as beside:
            beside.write_text("".join(lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", path) from error


def read_sentences(path: str | Path) -> Iterator[Text]:
    """Reads the texts of a file, repeated ones too; empty lines are passed over, and byte order marks are left out.

    Raises:
        InputError: No such file, not UTF-8, an endless line, or a carriage return inside of one.
    """
    for number, line in numbered_lines(path):
        if line:
            yield Text(tuple(tuple(sentence.split(" ")) for sentence in line.split("\t")), number)
