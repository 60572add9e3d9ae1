"""Tag files: tags of the words of a corpus, one sentence a line, one tag a word, with spaces between.

`tags` writes them and `similarity --tags` reads them; any tagger's output can be put in this form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from probing_bridge.errors import InputError
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.text import plain_lines


def write_tags(path: str | Path, sentences: Iterable[Sequence[str]]) -> None:
    """Writes a tag file, whole.

    Args:
        path: The file; the folders above it are made.
        sentences: The tags of each sentence.

    Raises:
        InputError: A tag is empty or has white space in it, or the file cannot be written.
    """
    path, lines = Path(path), []
    for number, tags in enumerate(sentences, 1):
        for tag in tags:
            if tag.split() != [tag]:
                raise InputError(f"the tag {tag!r} is empty or has white space in it: no tag file", path, number)
        lines.append(" ".join(tags) + "\n")
    try:
        with written_beside(path) as beside:
            beside.write_text("".join(lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", path) from error


def read_tags(path: str | Path, n_words: Sequence[int]) -> list[list[str]]:
    """Reads the tags of a corpus.

    Args:
        path: The file.
        n_words: How many words each sentence has.

    Returns:
        The tags of each sentence.

    Raises:
        InputError: The file cannot be read, or does not have a line for each sentence and a tag for each word.
    """
    lines = plain_lines(path)
    if len(lines) != len(n_words):
        raise InputError(f"{len(lines)} lines, but the dumps have {len(n_words)} sentences; one line each", path)
    sentences = [line.split() for line in lines]
    for number, (tags, words) in enumerate(zip(sentences, n_words, strict=True), 1):
        if len(tags) != words:
            raise InputError(f"{len(tags)} tags, but the sentence has {words} words; one tag a word", path, number)
    return sentences
