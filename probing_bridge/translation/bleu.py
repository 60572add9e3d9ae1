"""BLEU (Papineni et al. 2002) with bootstrap intervals, and a test of the difference between two translations.

`sacrebleu` is detokenised BLEU against the plain reference (Post 2018), by the tokeniser of the reference's script.
`compound_split_bleu` is what many papers on WMT14 call BLEU: of Moses tokens, after hyphens between words have been
split off on both sides (Vaswani et al. 2017; fairseq's compound_split_bleu.sh). It is about one point higher, so the
two must not be compared. The signature says how each was made; intervals are 95 % by bootstrap over sentences (Koehn
2004, Statistical Significance Tests for Machine Translation Evaluation).

Differences are tested two-sided by paired approximate randomisation over sentences (Riezler & Maxwell 2005, Section
4.1). Sacrebleu's own paired tests (2.6.0) are not used: its bootstrap centres absolute differences, as Moses did, so
that its p is neither one- nor two-sided (0.41 for a difference of 0.001 BLEU), and its randomisation leaves out trials
that differ just as much as the two do, so that equal translations have p = 0.0001.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from probing_bridge.errors import BridgeError
from probing_bridge.translation.generated import Generated
from probing_bridge.translation.tokens import SPACED, tokeniser_of

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU

BOOTSTRAP, TRIALS, CHUNK, SEED = 1000, 10000, 500, 12345


def split_compounds(line: str) -> str:
    """`a-b` becomes three tokens."""
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", line)


@dataclass(frozen=True)
class Metric:
    """One way to take BLEU.

    Attributes:
        hypotheses: The kind of lines of fairseq-generate's file that is scored.
        references: The kind that it is scored against; None for the plain references.
        prepare: What is done to every line of both.
        settings: Arguments of sacrebleu's BLEU; the tokeniser is that of the references' script where they name none.
        suffix: What `prepare` adds to sacrebleu's signature.
    """

    hypotheses: str
    references: str | None = None
    prepare: Callable[[str], str] = str
    settings: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""

    def bleu(self, texts: Texts) -> BLEU:
        """Sacrebleu's scorer of some texts."""
        from sacrebleu.metrics import BLEU

        return BLEU(**{"tokenize": texts.tokeniser, **self.settings})

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
    "sacrebleu": Metric("D"),
    "compound_split_bleu": Metric(
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
    """Corpus BLEU in percent, its 95 % bootstrap interval and what it was made with."""

    score: float
    low: float
    high: float
    signature: str


def take(metric: Metric, texts: Texts) -> Score:
    """BLEU of the translations of a test set.

    Args:
        metric: One of METRICS.
        texts: The translations and their references.
    """
    bleu = metric.bleu(texts)
    result = bleu.corpus_score(texts.hypotheses, [texts.references], n_bootstrap=BOOTSTRAP)
    low, high = result._mean - result._ci, result._mean + result._ci
    return Score(result.score, low, high, f"{bleu.get_signature()}{metric.suffix}")


def paired_p(metric: Metric, one: Texts, other: Texts) -> tuple[float, str]:
    """Two-sided p of two translations of the same references by approximate randomisation.

    Each trial swaps the two translations of every sentence with probability 1/2. p is the share of the trials, the
    actual outcome among them, whose difference in BLEU is at least the actual one.

    Args:
        metric: One of METRICS.
        one: The translations of a test set.
        other: Others, with the same references.

    Returns:
        p in (0, 1] and the test's signature.
    """
    bleu = metric.bleu(one)
    a, b = (statistics(bleu, texts) for texts in (one, other))
    actual = apart(bleu, a.sum(axis=0), b.sum(axis=0))
    random = np.random.default_rng(SEED)
    moved = [random.integers(2, size=(CHUNK, len(a))) @ (b - a) for _ in range(TRIALS // CHUNK)]
    rows, counts = np.unique(np.concatenate(moved), axis=0, return_counts=True)  # few sentences: often the same sums
    reached = [apart(bleu, a.sum(axis=0) + row, b.sum(axis=0) - row) >= actual for row in rows]
    at_least = 1 + int(counts[reached].sum())
    return at_least / (TRIALS + 1), f"{bleu.get_signature()}|ar:{TRIALS}|seed:{SEED}{metric.suffix}"


def statistics(bleu: BLEU, texts: Texts) -> np.ndarray:
    """What BLEU adds up, (n_sentences, 10): matching and all n-grams of each order, lengths of both sides."""
    pairs = zip(texts.hypotheses, texts.references, strict=True)
    scores = [bleu.corpus_score([line], [[reference]]) for line, reference in pairs]
    return np.array([[*each.counts, *each.totals, each.sys_len, each.ref_len] for each in scores])


def apart(bleu: BLEU, a: np.ndarray, b: np.ndarray) -> float:
    """Absolute difference in BLEU of two sums of statistics."""
    smoothing: dict[str, Any] = {"smooth_method": bleu.smooth_method, "smooth_value": bleu.smooth_value}
    scores = [bleu.compute_bleu([*row[:4]], [*row[4:8]], row[8], row[9], **smoothing).score for row in (a, b)]
    return abs(scores[0] - scores[1])
