"""Metrics of translations: BLEU (Papineni et al. 2002) and chrF++ (Popović 2017), with bootstrap intervals.

`sacrebleu` is detokenised BLEU against the plain reference (Post 2018), by the tokeniser of the reference's script.
`compound_split_bleu` is what many papers on WMT14 call BLEU: of Moses tokens, after hyphens between words have been
split off on both sides (Vaswani et al. 2017; fairseq's compound_split_bleu.sh). It is about one point higher, so the
two must not be compared. `chrf++` is the F2 of character n-grams up to 6 and words up to 2, which needs no tokeniser
and gives part of a long word its share (Popović 2017, chrF++: words helping character n-grams). The signature says how
each was made; intervals are 95 % by bootstrap over sentences (Koehn 2004, Statistical Significance Tests for Machine
Translation Evaluation).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from probing_bridge.errors import BridgeError
from probing_bridge.translation.generated import Generated
from probing_bridge.translation.tokens import SPACED, tokeniser_of

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer

BOOTSTRAP = 1000


def split_compounds(line: str) -> str:
    """`a-b` becomes three tokens."""
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", line)


@dataclass(frozen=True)
class Metric:
    """One way to score translations.

    Attributes:
        family: Class of sacrebleu.metrics, "BLEU" or "CHRF".
        hypotheses: The kind of lines of fairseq-generate's file that is scored.
        references: The kind that it is scored against; None for the plain references.
        prepare: What is done to every line of both.
        settings: Arguments of that class; BLEU's tokeniser is that of the references' script where they name none.
        suffix: What `prepare` adds to sacrebleu's signature.
    """

    family: str
    hypotheses: str
    references: str | None = None
    prepare: Callable[[str], str] = str
    settings: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""

    def scorer(self, texts: Texts) -> Scorer:
        """Sacrebleu's scorer of some texts."""
        import sacrebleu.metrics

        tokeniser = {"tokenize": texts.tokeniser} if self.family == "BLEU" else {}
        scorer: Scorer = getattr(sacrebleu.metrics, self.family)(**{**tokeniser, **self.settings})
        return scorer

    def texts(self, translations: Generated, references: Sequence[str]) -> Texts:
        """What is compared.

        Args:
            translations: Those of one level.
            references: The plain references, in corpus order.

        Raises:
            BridgeError: A line is missing, still in pieces or without its spaces, or a script whose words this BLEU
                cannot find.
        """
        kinds = (self.hypotheses, self.references)
        sides = (references if kind is None else translations.texts(kind, len(references)) for kind in kinds)
        texts = Texts(*([self.prepare(line) for line in side] for side in sides))
        if texts.tokeniser == SPACED:
            translations.require_spaces(references)
        elif self.settings.get("tokenize") == "none":
            message = f"compares what stands between spaces, and this script needs sacrebleu's {texts.tokeniser}"
            raise BridgeError(f"{self.hypotheses} lines: this BLEU {message}: use --metrics sacrebleu")
        return texts


METRICS: dict[str, Metric] = {
    "sacrebleu": Metric("BLEU", "D"),
    "chrf++": Metric("CHRF", "D", settings={"word_order": 2}),
    "compound_split_bleu": Metric(
        "BLEU",
        "H",
        "T",
        split_compounds,
        {"tokenize": "none", "smooth_method": "none", "force": True},
        "|compounds:split",
    ),
}


@dataclass(frozen=True)
class Texts:
    """Translations and their references, one a sentence, as a metric compares them."""

    hypotheses: list[str]
    references: list[str]

    @cached_property
    def tokeniser(self) -> str:
        """What sacrebleu calls the tokeniser of the references' script."""
        return tokeniser_of(self.references)


@dataclass(frozen=True)
class Score:
    """Score of a corpus in percent, its 95 % bootstrap interval and what it was made with."""

    score: float
    low: float
    high: float
    signature: str


def take(metric: Metric, texts: Texts) -> Score:
    """Scores the translations of a test set.

    Args:
        metric: One of METRICS.
        texts: The translations and their references.
    """
    scorer = metric.scorer(texts)
    result = scorer.corpus_score(texts.hypotheses, [texts.references], n_bootstrap=BOOTSTRAP)
    low, high = result._mean - result._ci, result._mean + result._ci
    return Score(result.score, low, high, f"{scorer.get_signature()}{metric.suffix}")
