"""A claim, and what the runs of a study say about it.

A claim is a sentence of the paper and the effects that it speaks of: what is measured, what is compared, which way it
goes or within which margin it stays. Claims of one family are one statement and are corrected together. Place in the
flow: numbers, statistics -> judging -> pruning, probing, similarity, attention of this package -> CLAIMS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from probing_bridge.claims.numbers import Numbers
from probing_bridge.claims.per_run import MissingRows, PerRun
from probing_bridge.results.folder import Results
from probing_bridge.results.statistics import (
    CANNOT_TELL,
    CONTRADICTED,
    EQUIVALENT,
    FALLS,
    HOLDS,
    KEPT,
    NOT_RUN,
    RISES,
    SAME,
    Question,
    Verdict,
    decide_family,
    not_run,
)

POINTS, CKA, BLEU, SPARSITY = "points", "CKA", "% of BLEU", "points of sparsity"
MARGINS = {POINTS: 1.0, CKA: 0.02, BLEU: 1.0, SPARSITY: 1.0}  # what counts as no change, unless a claim says otherwise


@dataclass(frozen=True)
class Effect:
    """One effect that a claim speaks of.

    Attributes:
        number: The effect of each run; None if it cannot be said, for the reason in `missing`.
        name: What it is of, if the claim speaks of several.
        paper: The paper's effect; NaN if it gives none.
        claimed: What is claimed of it, if not what the claim says.
        unit: Its unit, if not that of the claim.
        missing: Why there is no number.
    """

    number: PerRun | None
    name: str = ""
    paper: float = math.nan
    claimed: str = ""
    unit: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Attributes:
        section: Where it stands.
        statement: The paper's sentence, in short.
        paper: The paper's number.
        quantity: What is measured.
        comparison: What is compared with what.
        figure: Key of FIGURES to look at.
        effects: Numbers -> the effects; raises MissingRows where rows are missing.
        claimed: RISES, FALLS, SAME or KEPT.
        unit: Of the effects.
        margin: What counts as no change; None: that of the unit.
        least: How large a claimed rise or fall has to be.
        family: Claims of the same family are corrected together; empty: this one by itself.
    """

    section: str
    statement: str
    paper: str
    quantity: str
    comparison: str
    figure: str
    effects: Callable[[Numbers], Sequence[Effect]]
    claimed: str
    unit: str
    margin: float | None = None
    least: float = 0.0
    family: str = ""

    @property
    def allowed(self) -> float:
        """The margin, in the claim's unit."""
        return MARGINS[self.unit] if self.margin is None else self.margin

    @property
    def rule(self) -> str:
        """The test in words."""
        if self.claimed == SAME:
            test = f"equivalent: 95 % interval inside ±{self.allowed:g} {self.unit}"
        elif self.claimed == KEPT:
            test = f"equivalent: 95 % interval above −{self.allowed:g} {self.unit}"
        else:
            bound = f"{'−' if self.claimed == FALLS and self.least else ''}{self.least:g}"
            side = "above" if self.claimed == RISES else "below"
            test = f"holds: interval {side} {bound}, Holm over the family; margin ±{self.allowed:g} {self.unit}"
        return f"{self.quantity}: {self.comparison}; {test}"


@dataclass(frozen=True)
class Judgement:
    """What the runs say about a claim.

    Attributes:
        verdict: One of VERDICTS, of the statement as a whole.
        parts: The verdict on each of its effects; not a single one where the rows for all of them are missing.
        detail: How the parts make the whole, what was not run, or which rows are missing.
    """

    verdict: str
    parts: tuple[Verdict, ...] = ()
    detail: str = ""

    @property
    def ours(self) -> str:
        """The effects with their intervals, in words; of many the weakest."""
        found = [part for part in self.parts if part.verdict != NOT_RUN]
        if not found:
            return "–"
        shown = found if len(found) <= 3 else [min(found, key=_strength)]
        text = "; ".join(_in_words(part) for part in shown)
        return text if len(found) <= 3 else f"weakest of {len(found)}: {text}"


def _strength(part: Verdict) -> float:
    """How far an effect lies on the claimed side, in half widths of its interval."""
    half = (part.high - part.low) / 2 or 1e-12
    if part.claimed in (SAME, KEPT):
        return (part.margin - (abs(part.effect) if part.claimed == SAME else -part.effect)) / half
    return (part.effect if part.claimed == RISES else -part.effect) / half


def _in_words(part: Verdict) -> str:
    digits = 3 if part.unit == CKA else 1
    numbers = [f"{value:+.{digits}f}".replace("-", "−") for value in (part.effect, part.low, part.high)]
    name = f"{part.name}: " if part.name else ""
    interval = "" if math.isnan(part.low) else f" [{numbers[1]}, {numbers[2]}]"
    return f"{name}{numbers[0]}{interval} {part.unit}"


def judge(claim: Claim, results: Results, claims: Iterable[Claim] = ()) -> Judgement:
    """The verdict on one claim.

    Args:
        claim: The claim.
        results: The runs of a study.
        claims: Others, of which those of its family are corrected with it.

    Returns:
        The verdict; `not run` names the rows that are missing.
    """
    kin = [other for other in claims if other.family and other.family == claim.family and other is not claim]
    return judge_all(results, [claim, *kin])[0][1]


def judge_all(results: Results, claims: Iterable[Claim]) -> list[tuple[Claim, Judgement]]:
    """The verdicts on claims, family by family.

    Args:
        results: The runs of a study.
        claims: The claims.

    Returns:
        Each claim with its verdict, in the order given.
    """
    return judge_numbers(Numbers(results), claims)


def judge_numbers(numbers: Numbers, claims: Iterable[Claim]) -> list[tuple[Claim, Judgement]]:
    """As judge_all, of numbers that are there already."""
    asked = [(claim, *_asked(claim, numbers)) for claim in claims]
    families: dict[object, list[int]] = {}
    for index, (claim, _, _) in enumerate(asked):
        families.setdefault(claim.family or index, []).append(index)
    judged: dict[int, Judgement] = {}
    for members in families.values():
        verdicts = iter(decide_family([question for index in members for question in asked[index][1]]))
        for index in members:
            claim, questions, missing = asked[index]
            judged[index] = _whole(claim, [next(verdicts) for _ in questions], missing)
    return [(claim, judged[index]) for index, (claim, _, _) in enumerate(asked)]


def _asked(claim: Claim, numbers: Numbers) -> tuple[list[Question], list[Verdict]]:
    """What is asked of each effect, and those of which nothing can be."""
    questions, missing = [], []
    try:
        effects = claim.effects(numbers)
    except MissingRows as rows:
        return [], [not_run(f"needs {rows}", claim.unit, claimed=claim.claimed, margin=claim.allowed)]
    for effect in effects:
        claimed, unit = effect.claimed or claim.claimed, effect.unit or claim.unit
        margin = MARGINS[effect.unit] if effect.unit else claim.allowed
        try:
            if effect.number is None:
                raise MissingRows(effect.missing)
            estimate = effect.number.estimate()
        except MissingRows as rows:
            missing.append(not_run(f"needs {rows}", unit, effect.name, claimed, margin))
            continue
        questions.append(Question(estimate, claimed, margin, unit, effect.name, effect.paper, claim.least))
    return questions, missing


def _whole(claim: Claim, parts: list[Verdict], missing: list[Verdict]) -> Judgement:
    """The verdict on a statement about several effects: it says all of them."""
    lacking = "; ".join(f"{part.name} {part.reason}".strip() for part in missing)
    if not parts:
        return Judgement(NOT_RUN, tuple(missing), lacking)
    words = [part.verdict for part in parts]
    supported = [
        word == (HOLDS if part.claimed in (RISES, FALLS) else EQUIVALENT)
        for part, word in zip(parts, words, strict=True)
    ]
    if all(supported):
        verdict = HOLDS if HOLDS in words else EQUIVALENT
    elif CONTRADICTED in words:
        verdict = CONTRADICTED
    else:
        verdict = EQUIVALENT if set(words) == {EQUIVALENT} else CANNOT_TELL
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    texts = [parts[0].reason if len(parts) == 1 else f"{len(parts)} effects: {counts}", parts[0].over]
    texts += [f"not run: {lacking}"] if lacking else []
    return Judgement(verdict, (*parts, *missing), "; ".join(texts))
