"""CoNLL-2012's skeletons and the words of OntoNotes to `v4_gold_conll`, as the shared task's skeleton2conll.py does.

The skeletons (conll.cemantix.org/2012) have [WORD] in the place of words, which only OntoNotes 5 (LDC2013T19) has, in
its trees. Empty elements and edited words (EDITED) are in the trees but not in the skeletons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from probing_bridge.corpora.converters.treebank import EMPTY_ELEMENT, read_trees, without
from probing_bridge.corpora.readers.formats import columns_of
from probing_bridge.corpora.readers.source import Source, read_source
from probing_bridge.errors import BridgeError, InputError

ENDING = "_gold_skel"
WORD = 3
DATA = "data"  # the folder above the language, in both


def documents(inputs: Sequence[Path]) -> Iterator[str]:
    """The files of a split, one after the other, with their words.

    Args:
        inputs: The folder of the skeletons of a split, and the one of OntoNotes (`data/files/data`).

    Yields:
        Each file with its words.

    Raises:
        BridgeError: Not two folders, no skeleton, or trees that are missing or have other sentences.
    """
    if len(inputs) != 2 or not all(path.is_dir() for path in inputs):
        raise BridgeError("give two folders: the skeletons of a split, and data/files/data of OntoNotes 5")
    skeletons = sorted(path for path in inputs[0].rglob(f"*{ENDING}") if "english" in path.parts)
    if not skeletons:
        raise InputError(f"has no .../english/...{ENDING}: give the folder of a split of CoNLL-2012", inputs[0])
    for skeleton in skeletons:
        yield _with_words(read_source(skeleton, "conll2012"), _words(inputs[1] / _tree_file(skeleton)))


def _tree_file(skeleton: Path) -> Path:
    """The path of a skeleton's trees below OntoNotes: what follows the last folder `data`, with another ending."""
    parts = skeleton.parts[:-1]
    below = parts[len(parts) - parts[::-1].index(DATA) :] if DATA in parts else parts[parts.index("english") :]
    return Path(*below, f"{skeleton.name.split('.')[0]}.parse")


def _words(trees: Path) -> list[list[str]]:
    """The words of each sentence."""
    source = read_source(trees, "trees")
    kept = [without(tree, EMPTY_ELEMENT, "EDITED") for tree in read_trees(source)]
    return [[leaf.word for leaf in tree.leaves()] for tree in kept if tree is not None]


def _with_words(skeleton: Source, sentences: list[list[str]]) -> str:
    """The text of a skeleton with its words."""
    lines: list[str] = []
    rows: list[list[str]] = []
    place = 0
    for number, line in enumerate([*skeleton.lines(), ""], 1):
        if line.strip(" \t") and not line.startswith("#"):
            rows.append(columns_of(line))
            if len(rows[-1]) <= WORD:
                raise skeleton.fault(f"expected at least {WORD + 1} columns, found {len(rows[-1])}", number)
            continue
        if rows:
            words = sentences[place] if place < len(sentences) else []
            if len(words) != len(rows):
                raise skeleton.fault(
                    f"sentence {place + 1} has {len(rows)} words, and {len(words)} in its tree: give the trees of "
                    "OntoNotes 5 and the skeletons of version 4",
                    number - len(rows),
                )
            lines += [" ".join([*row[:WORD], word, *row[WORD + 1 :]]) for row, word in zip(rows, words, strict=True)]
            rows, place = [], place + 1
        lines.append(line)
    if place != len(sentences):
        raise skeleton.fault(f"has {place} sentences, and its trees {len(sentences)}")
    return "\n".join(lines[:-1]) + "\n"
