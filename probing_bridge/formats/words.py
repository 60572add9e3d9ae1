"""Which pieces make a word, by the marks of the BPE, and which symbols of a dictionary are no pieces of words.

Five marks are known: that of subword-nmt (Sennrich et al., 2016), `hou@@ se`, that of sentencepiece (Kudo &
Richardson, 2018), `▁hou se`, that of byte-level BPE (Radford et al., 2019, Section 2.2), `Ġhou se`, and of models of
Hugging Face's kind those of WordPiece (Devlin et al., 2019), `hou ##se`, and of FSMT, `hou se</w>`. Sentencepiece and
byte-level BPE mark the space before a word. They split it off a character that they do not know, so an unknown piece
goes on with the word before it; subword-nmt writes its mark behind such a character, and the mark is lost with it:
there an unknown piece ends its word, and so it does where an unknown word is one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from probing_bridge.errors import BridgeError

MARK_INSIDE, MARK_START, MARK_SPACE = "@@", "\u2581", "\u0120"
MARK_ON, MARK_END = "##", "</w>"
EOS, UNKNOWN = "</s>", "<unk>"
SPECIAL = frozenset({"<s>", "<pad>", EOS, UNKNOWN})
FILLER = "madeupword"  # what fairseq-preprocess fills a dictionary up with, to a multiple of eight
NO_WORDS = SPECIAL - {UNKNOWN}  # an unknown piece is a word's
_MOST_NUMBERS = 0.9  # a dictionary with a larger share of numbers holds the numbers of pieces, not their text


class WordsError(BridgeError):
    """Pieces or words that cannot be told apart."""


# What a piece says about its neighbour: (it goes on in the next piece, it continues the piece before).
JOINS: dict[str, Callable[[str], tuple[bool, bool]]] = {
    "subword_nmt": lambda piece: (piece.endswith(MARK_INSIDE), False),
    "sentencepiece": lambda piece: (False, not piece.startswith(MARK_START)),
    "byte_level": lambda piece: (False, not piece.startswith(MARK_SPACE)),
    "word_piece": lambda piece: (False, piece.startswith(MARK_ON)),
    "end_of_word": lambda piece: (not piece.endswith(MARK_END) and piece not in SPECIAL, False),
}
_BEFORE = {"sentencepiece": MARK_START, "byte_level": MARK_SPACE, "word_piece": MARK_ON}
_BEHIND = {"subword_nmt": MARK_INSIDE, "end_of_word": MARK_END}


def bpe_of(symbols: Sequence[str]) -> str:
    """The key of JOINS whose mark most symbols of a dictionary have; subword_nmt where none has any.

    Raises:
        WordsError: The symbols are numbers, as fairseq's gpt2 and hf_byte_bpe write: they have no marks.
    """
    ordinary = [symbol for symbol in symbols if symbol not in SPECIAL and not symbol.startswith(FILLER)]
    numbers = sum(symbol.isdecimal() for symbol in ordinary)
    if ordinary and numbers > _MOST_NUMBERS * len(ordinary):
        raise WordsError(
            "the dictionary has numbers in place of pieces, as gpt2 and hf_byte_bpe write them, which do not tell "
            "where a word begins"
        )
    marked = {"subword_nmt": 0}  # which is taken where there are no marks
    marked |= {bpe: sum(symbol.startswith(mark) for symbol in ordinary) for bpe, mark in _BEFORE.items()}
    marked |= {bpe: sum(symbol.endswith(mark) for symbol in ordinary) for bpe, mark in _BEHIND.items()}
    return max(marked, key=lambda bpe: marked[bpe])


def require_bpe(bpe: str, symbols: Sequence[str]) -> None:
    """Refuses a BPE whose mark is not that of a dictionary.

    Args:
        bpe: A key of JOINS.
        symbols: The dictionary.

    Raises:
        WordsError: The dictionary has more pieces with another mark, none with this one, or numbers.
    """
    own = bpe_of(symbols)
    if own != bpe:
        raise WordsError(f"the pieces of the dictionary have not the marks of {bpe}; by theirs it is {own}")


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


def words_of(pieces: Sequence[str], bpe: str) -> list[str]:
    """The words of a sentence's pieces, without marks; as many as `word_starts` says begin."""
    words: list[str] = []
    for piece, begins in zip(pieces, word_starts(pieces, bpe), strict=True):
        text = piece.removesuffix(_BEHIND[bpe]) if bpe in _BEHIND else piece.removeprefix(_BEFORE[bpe])
        words = [*words, text] if begins else [*words[:-1], words[-1] + text]
    return words


def first_piece(text: str) -> str | None:
    """The first piece that has the mark of a BPE, where a line of text should have whole words; None without any."""
    return next((word for word in text.split(" ") if word.endswith(MARK_INSIDE) or MARK_START in word), None)
