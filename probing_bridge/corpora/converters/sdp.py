"""Open SDP 1.2 by sections of the Wall Street Journal: its training file holds the development set too.

A sentence is named #2SSDDIII: section, document, item (Oepen et al. 2015). Section 20 is for development.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from probing_bridge.corpora.readers.source import read_source
from probing_bridge.errors import InputError

NAME = re.compile(r"#2(\d\d)\d{5}")
DEVELOPMENT = 20


def sections(inputs: Sequence[Path], first: int, last: int) -> Iterator[str]:
    """The sentences of some sections.

    Args:
        inputs: SDP files.
        first: The first section.
        last: The last one.

    Yields:
        Each sentence with its name.

    Raises:
        InputError: A sentence without such a name, or a file without any sentence of the sections.
    """
    for path in inputs:
        source = read_source(path, "sdp")
        found = False
        for block in source.blocks(comments=False):
            lines = [(number, line) for number, line in block if not line.startswith("#SDP")]
            if not lines:
                continue
            number, head = lines[0]
            name = NAME.fullmatch(head.rstrip())
            if name is None:
                raise source.fault(f"expected a sentence's name #2SSDDIII, found {head[:20]!r}", number)
            if first <= int(name[1]) <= last:
                found = True
                yield "".join([*(f"{line}\n" for _, line in lines), "\n"])
        if not found:
            raise InputError(f"has no sentence of sections {first:02} to {last:02}", path)


train = partial(sections, first=0, last=DEVELOPMENT - 1)
development = partial(sections, first=DEVELOPMENT, last=DEVELOPMENT)
