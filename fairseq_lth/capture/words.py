"""Words to pieces by fairseq's dictionary, tokenizer and BPE, a word at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairseq.tokenizer import tokenize_line

from probing_bridge.capture.windows import WordByWord

SPACE_IS_A_PIECE = ("characters", "bytes")  # in these BPEs the model sees a symbol for the space between two words


class DictionarySegmenter(WordByWord):
    """Sends every word through the tokenizer by itself and then through the BPE, and looks its pieces up."""

    def __init__(
        self, dictionary: Any, tokenizer: Any | None, bpe: Any | None, bpe_name: str | None, is_decoded: bool = False
    ) -> None:
        """Takes fairseq's own objects.

        Args:
            dictionary: That of the words' side.
            tokenizer: fairseq's tokenizer, or None.
            bpe: fairseq's BPE, or None.
            bpe_name: The BPE's name in fairseq's registry.
            is_decoded: Whether pieces are what a decoder is given, which has EOS before them and not behind.
        """
        self._dictionary, self._tokenizer, self._bpe = dictionary, tokenizer, bpe
        space = self._ids(self._cut(" ")) if bpe_name in SPACE_IS_A_PIECE else []
        eos = [dictionary.eos()]
        super().__init__(dictionary.unk(), eos if is_decoded else [], [] if is_decoded else eos, space)

    def _text(self, word: str) -> str:
        return word if self._tokenizer is None else self._tokenizer.encode(word)

    def _cut(self, text: str) -> list[str]:
        return tokenize_line(text if self._bpe is None else self._bpe.encode(text))

    def _ids(self, pieces: Sequence[str]) -> list[int]:
        pad, unknown = self._dictionary.pad(), self._dictionary.unk()
        ids = map(self._dictionary.index, pieces)
        return [unknown if index == pad else index for index in ids]
