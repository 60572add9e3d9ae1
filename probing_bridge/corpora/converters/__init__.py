"""From what a licence holder has on disk to the files of a suite, where no published tool makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from probing_bridge.corpora.converters import happened, ontonotes, penn, sdp


@dataclass(frozen=True)
class Converter:
    """One conversion.

    Attributes:
        title: What it takes and makes.
        pieces: From the input files to the pieces of the output, a sentence or document each.
        frame: What the output has before, between and behind the pieces.
    """

    title: str
    pieces: Callable[[Sequence[Path]], Iterator[str]]
    frame: tuple[str, str, str] = ("", "", "")


CONVERTERS: dict[str, Converter] = {
    "ptb-trees": Converter("wsj_*.mrg to a tree a line, without empty elements", penn.trees),
    "ptb-pos": Converter("wsj_*.mrg to words and tags in CoNLL-X", penn.parts_of_speech),
    "ptb-chunks": Converter("wsj_*.mrg to chunks in the columns of CoNLL-2000", penn.chunks),
    "ptb-conjuncts": Converter("PTB.ext of Ficler & Goldberg (2016) to word TAB B, I or O", penn.conjuncts),
    "it-happened": Converter("the table it-happened_*.tsv and en-ud-*.conllu to JSON", happened.sentences,
                             ("{\n", ",\n", "\n}\n")),
    "sdp-train": Converter("en.dm.sdp of Open SDP to its sections 00 to 19", sdp.train),
    "sdp-dev": Converter("en.dm.sdp of Open SDP to its section 20", sdp.development),
    "conll2012": Converter("skeletons of CoNLL-2012 and OntoNotes 5 to v4_gold_conll", ontonotes.documents),
}  # fmt: skip
