"""What fairseq-generate writes (`generate-test.txt`): one sentence's lines together, in the order of its batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from probing_bridge.errors import InputError
from probing_bridge.formats.text import plain_lines
from probing_bridge.formats.words import first_piece

KINDS = {"D": "detokenised translation", "H": "translation", "T": "reference"}


@dataclass(frozen=True)
class Generated:
    """The lines of one file, whose sentences are numbered from 0 in corpus order.

    Attributes:
        path: The file.
        lines: Kind (a key of KINDS) -> number of the sentence -> text.
    """

    path: Path
    lines: dict[str, dict[int, str]]

    def texts(self, kind: str, count: int) -> list[str]:
        """One kind of lines in corpus order.

        Args:
            kind: A key of KINDS.
            count: How many sentences there are.

        Raises:
            InputError: A sentence is missing, or there are others; or words are still in pieces.
        """
        found = self.lines[kind]
        if sorted(found) != list(range(count)):
            counts = f"{len(found)} of {count} lines of --reference"
            raise InputError(f"has {kind} lines for {counts}: generate again, skipping nothing", self.path)
        for number, text in sorted(found.items()):
            if (piece := first_piece(text)) is not None:
                message = f"{kind}-{number} is still in pieces ({piece!r}): generate again, with --remove-bpe"
                raise InputError(f"{message} (--remove-bpe sentencepiece where words begin with ▁)", self.path)
        return [found[number] for number in range(count)]

    def require_spaces(self, references: Sequence[str]) -> None:
        """Looks whether the references in this file have lost the spaces that the plain ones have.

        fairseq's `--bpe sentencepiece` takes every space away from lines whose pieces `--remove-bpe` has put together.

        Args:
            references: The plain references, in corpus order, of a script that has spaces.

        Raises:
            InputError: Most of those of three words or more have.
        """
        pairs = [(self.lines["T"].get(number), line) for number, line in enumerate(references)]
        joined = [len(text.split()) == 1 for text, line in pairs if text is not None and len(line.split()) > 2]
        if 2 * sum(joined) > len(joined):
            reason = "T lines have no spaces between their words: generate again, with --remove-bpe or --bpe, not both"
            raise InputError(reason, self.path)


def read_generated(path: str | Path) -> Generated:
    """Reads a file of fairseq-generate.

    Args:
        path: The file.

    Raises:
        InputError: The file cannot be read, a line has no number where one belongs, or a number is there twice, as
            in lists of several best translations.
    """
    path = Path(path)
    lines: dict[str, dict[int, str]] = {kind: {} for kind in KINDS}
    for number, line in enumerate(plain_lines(path), 1):
        kind, dash, rest = line.partition("-")
        if dash and kind in lines:
            sentence, *fields = rest.split("\t")
            if not sentence.isdecimal() or len(sentence) > 9 or not fields:
                raise InputError(f"expected {kind}-NUMBER and a TAB, found {line[:20]!r}", path, number)
            if int(sentence) in lines[kind]:
                raise InputError(f"has {kind}-{int(sentence)} twice: generate again, with --nbest 1", path, number)
            lines[kind][int(sentence)] = fields[-1]
    return Generated(path, lines)
