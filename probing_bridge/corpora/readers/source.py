"""The text of one corpus file, with what every reader needs: lines, sentence blocks, errors that name the place.

How bytes become text is decided by probing_bridge.formats.text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from probing_bridge.corpora.readers.formats import FORMATS, guess_format
from probing_bridge.corpora.readers.words import plain_words, withheld
from probing_bridge.errors import InputError
from probing_bridge.formats.text import MAX_BYTES, MAX_LINE, file_bytes, plain_text

MAX_JSON = 24 << 20  # bytes, which may all be one line; STREUSLE's has 7 million
MAX_MESSAGE = 300  # characters; a column of a file that is no corpus may be endless

Block = list[tuple[int, str]]  # (1-based line number, line)
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A corpus file in memory.

    Attributes:
        path: Where it is from.
        format: A key of FORMATS: what it is read as.
        text: All of it, its lines ended by line feeds.
        compat: Whether to read it as the code of Liu et al. (2019) does, faults included.
    """

    path: Path
    format: str
    text: str
    compat: bool
    _parsed: dict[Callable[..., Any], list[Any]] = field(default_factory=dict, compare=False, repr=False)

    def once(self, parse: Callable[[Source], Iterable[T]]) -> list[T]:
        """What a parser makes of this file, made once however many tasks are on it.

        Args:
            parse: Makes it.

        Returns:
            All of it.

        Raises:
            InputError: From the parser, each time.
        """
        if parse not in self._parsed:
            self._parsed[parse] = list(parse(self))
        return self._parsed[parse]

    def fault(self, message: str, line: int | None = None) -> InputError:
        """The error for a fault of this file.

        Args:
            message: What is wrong, what was expected.
            line: 1-based.

        Returns:
            The error to raise; it names the format that the file seems to have, if that is another one.
        """
        if len(message) > MAX_MESSAGE:
            message = f"{message[: MAX_MESSAGE // 2]} ... {message[-MAX_MESSAGE // 2 :]}"
        guess = guess_format(self.text)
        if guess is not None and guess != self.format.removesuffix("-bioul"):
            message += f" (it looks like {FORMATS[guess].title}, and was read as {FORMATS[self.format].title})"
        return InputError(message, self.path, line)

    def nothing(self, reason: str) -> InputError:
        """The error for a file in which a task finds no item.

        Args:
            reason: What its sentences lack.

        Returns:
            The error to raise.
        """
        lines = (line.strip(" \t") for line in self.lines())
        if all(not line or line.startswith("#") for line in lines):
            reason = "there are only comments and blank lines"
        return self.fault(f"no sentence has an item: {reason}")

    def lines(self) -> list[str]:
        """All lines, without their ends."""
        return self.text.split("\n")

    def words(self, words: Sequence[str], line: int) -> tuple[str, ...]:
        """The words of a sentence as a probe takes them.

        Args:
            words: As in the file.
            line: 1-based, of the first of them.

        Returns:
            The words, without the escapes of the Penn Treebank but in compat.

        Raises:
            InputError: The words are withheld.
        """
        if (message := withheld(words)) is not None:
            raise self.fault(message, line)
        return tuple(words) if self.compat else plain_words(words)

    def blank_label(self, column: str, label: str, line: int) -> InputError:
        """The error for a label that is no annotation.

        Args:
            column: The name of its column.
            label: What stands there, see not_annotated.
            line: 1-based.

        Returns:
            The error to raise.
        """
        return self.fault(f"{column} is {label!r}, not annotated: annotate it, or leave the sentence out", line)

    def blocks(self, *, comments: bool) -> Iterator[Block]:
        """Runs of lines between blank lines.

        Args:
            comments: Whether lines that begin with "#" are comments, which are left out.

        Yields:
            The numbered lines of a sentence; blocks without any are left out.
        """
        block: Block = []
        for number, line in enumerate(self.lines(), 1):
            if line and line[0] not in "# \t":  # almost every one
                block.append((number, line))
            elif not line.strip(" \t"):
                if block:
                    yield block
                    block = []
            elif not (comments and line.lstrip(" \t").startswith("#")):
                block.append((number, line))
        if block:
            yield block


def read_source(path: str | Path, format: str, *, compat: bool = False) -> Source:
    """Reads a file.

    Args:
        path: Plain or gzip-compressed UTF-8 text.
        format: A key of FORMATS.
        compat: See Source.

    Returns:
        Its text.

    Raises:
        InputError: No such file, not readable, damaged, of an absurd size, not text, or empty.
    """
    path = Path(path)
    is_json = ".json" in FORMATS[format].endings
    line, most = (MAX_JSON, MAX_JSON) if is_json else (MAX_LINE, MAX_BYTES)
    data = file_bytes(path, longest_line=line, most=most)
    source = Source(path, format, plain_text(data, path, universal=compat), compat)
    if not source.text.strip():
        raise InputError(f"is empty; expected {FORMATS[format].title}", path)
    return source


class Sources:
    """The corpus files of several tasks: each is read once, and let go when all who expect it have had it."""

    def __init__(self) -> None:
        """Nobody expects anything yet."""
        self._expected: Counter[tuple[Path, str, bool]] = Counter()
        self._held: dict[tuple[Path, str, bool], Source] = {}

    def expect(self, path: Path, format: str, *, compat: bool) -> None:
        """Says that one more will get a file; the arguments are those of read_source."""
        self._expected[path, format, compat] += 1

    def get(self, path: Path, format: str, *, compat: bool) -> Source:
        """A file; see read_source."""
        place = (path, format, compat)
        source = self._held.pop(place, None) or read_source(path, format, compat=compat)
        self._expected[place] -= 1
        if self._expected[place] > 0:
            self._held[place] = source
        return source
