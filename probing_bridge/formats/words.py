"""Which pieces make a word, by the marks of the BPE, and which symbols of a dictionary are no pieces of words.

Two marks are known: that of subword-nmt (Sennrich et al., 2016), `hou@@ se`, and that of sentencepiece (Kudo &
Richardson, 2018), `▁hou se`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

MARK_INSIDE, MARK_START = "@@", "\u2581"
EOS = "</s>"
SPECIAL = frozenset({"<s>", "<pad>", EOS, "<unk>"})
NO_WORDS = SPECIAL - {"<unk>"}  # an unknown piece is a word's

# What a piece says about its neighbour: (it goes on in the next piece, it continues the piece before).
JOINS: dict[str, Callable[[str], tuple[bool, bool]]] = {
    "subword_nmt": lambda piece: (piece.endswith(MARK_INSIDE), False),
    "sentencepiece": lambda piece: (False, not piece.startswith(MARK_START)),
}


def bpe_of(symbols: Sequence[str]) -> str:
    """The key of JOINS whose mark more symbols of a dictionary have; subword_nmt where none has any."""
    starts = sum(symbol.startswith(MARK_START) for symbol in symbols)
    return "sentencepiece" if starts > sum(symbol.endswith(MARK_INSIDE) for symbol in symbols) else "subword_nmt"


def word_starts(pieces: Sequence[str], bpe: str) -> list[bool]:
    """Whether each piece of a sentence begins a word.

    Args:
        pieces: The pieces, none of them in NO_WORDS.
        bpe: A key of JOINS.

    Returns:
        One value for each piece; the first begins a word whatever it is.
    """
    joins = [JOINS[bpe](piece) for piece in pieces]
    return [k == 0 or not (joins[k - 1][0] or joins[k][1]) for k in range(len(pieces))]


def without_marks(text: str) -> list[str]:
    """The words of a line of subword-nmt's pieces, or of whole words."""
    return [word for word in text.replace(f"{MARK_INSIDE} ", "").removesuffix(MARK_INSIDE).split(" ") if word]


def first_piece(text: str) -> str | None:
    """The first piece that has the mark of a BPE, where a line of text should have whole words; None without any."""
    return next((word for word in text.split(" ") if word.endswith(MARK_INSIDE) or MARK_START in word), None)
