"""Words and labels as all readers take them: escapes of the Penn Treebank, withheld words, cells without annotation.

The Penn Treebank spells brackets as -LRB-, -RRB-, -LCB-, -RCB-, -LSB-, -RSB- and puts a backslash before / and * in
words (Bies et al. 1995, Bracketing Guidelines for Treebank II Style; Taylor, Marcus and Santorini 2003, The Penn
Treebank: An Overview). An encoder was trained on plain text, so every reader turns them back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}", "-LSB-": "[", "-RSB-": "]"}
ESCAPED_SIGN = re.compile(r"\\([/*])")
NO_ANNOTATION = "_"
SKELETON_WORD = "[WORD]"  # in the CoNLL-2012 files without words


def unescaped(word: str) -> str:
    r"""A word without the escapes of the Penn Treebank.

    Args:
        word: As in the file.

    Returns:
        The bracket for exactly -LRB- and the like; else the word with / and * for \/ and \*, wherever they are.
    """
    return BRACKETS.get(word) or ESCAPED_SIGN.sub(r"\1", word)


def plain_words(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a sentence without escapes; see unescaped."""
    text = " ".join(words)
    return tuple(map(unescaped, words)) if "\\" in text or "B-" in text else tuple(words)


def withheld(words: Sequence[str]) -> str | None:
    """What shows that a corpus is handed out without its text.

    Args:
        words: Those of a sentence, as in the file.

    Returns:
        The fault, or None where the words seem to be there. A withheld text has one underscore a word, or one a
        character, and perhaps its punctuation; a longer run alone in its sentence is a line that the text itself draws.
    """
    text = " ".join(words)
    if "_" not in text and "[" not in text:
        return None
    if SKELETON_WORD in words:
        return f"the words are withheld ({SKELETON_WORD}): fill them in from the licensed text, as with skeleton2conll"
    masks = sum(not word.strip("_") for word in words)
    if text == "_" or (masks > 1 and not any(map(str.isalnum, text))):
        return "the words are withheld (underscores): fill them in from the licensed text"
    return None


def not_annotated(labels: Sequence[str]) -> int | None:
    """The first cell that says that its column is not annotated: it is `_`, or holds nothing but white space.

    Args:
        labels: The cells.

    Returns:
        Its position, or None if all are annotated.
    """
    if NO_ANNOTATION not in labels and all(map(str.strip, labels)):
        return None
    return next(position for position, label in enumerate(labels) if label == NO_ANNOTATION or not label.strip())
