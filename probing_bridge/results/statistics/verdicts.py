"""From an effect and its interval to a word: holds, contradicted, equivalent, cannot tell, not run.

What is claimed of an effect is one of four: it RISES or FALLS (its sign is claimed), it is the SAME (two one-sided
tests against a margin, TOST: Lakens 2017, Equivalence Tests), or it is KEPT (not lower than by the margin; higher is
fine).

    claimed        holds                   equivalent                    contradicted
    RISES, FALLS   0 is below the          the interval is inside        the interval is on the
                   interval (above it)     +- margin: nothing of note    other side of 0
    SAME           -                       the interval is inside        it is wholly outside
                                           +- margin
    KEPT           -                       it is above -margin           it is wholly below

Whatever else the interval does, one *cannot tell*. An interval that excludes 0 decides before one inside the margin
does. A claimed change that turns out to be none is *equivalent*, and its reason says that a change was claimed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from probing_bridge.results.statistics.estimates import CONFIDENCE, Estimate
from probing_bridge.results.statistics.holm import holm, holm_confidences
from probing_bridge.results.statistics.power import power, runs_needed
from probing_bridge.results.statistics.questions import FALLS, KEPT, RISES, SAME, Question

HOLDS, CONTRADICTED, EQUIVALENT = "holds", "contradicted", "equivalent"
CANNOT_TELL, NOT_RUN = "cannot tell", "not run"
MOST_ITEMS = 1000  # times the test items: as good as no number
VERDICTS = (HOLDS, CONTRADICTED, EQUIVALENT, CANNOT_TELL, NOT_RUN)


@dataclass(frozen=True)
class Verdict:
    """What the runs say about one claimed effect.

    Attributes:
        verdict: One of VERDICTS.
        name: What the effect is of, such as a task; empty if it is the only one of its claim.
        claimed: RISES, FALLS, SAME or KEPT.
        effect: The mean over runs; NaN where it was not run.
        low: Low end of its interval; NaN where it was not run.
        high: High end.
        unit: Of effect, low, high, margin and paper.
        over: What the interval is over: `5 runs and their test sentences`, `5 runs`, `test sentences of these
            checkpoints` or `these checkpoints, exact`.
        confidence: Of the interval; above 0.95 where the statement is about several effects (Holm's steps).
        margin: What counts as no change.
        p: Two-sided p of no effect (of SAME and KEPT: of an effect beyond the margin), corrected over the family.
        power: How likely a study like this one finds the paper's effect (of SAME and KEPT: the equivalence); NaN if the
            paper gives none.
        paper: The paper's effect; NaN if it gives none.
        runs: How many runs.
        family: How many effects were corrected together.
        decides: How many runs would give a power of 0.8, as the spread is here; 0 where no number would, because the
            test sentences are too few; None where it is decided, the paper gives no effect, or one run tells nothing of
            how runs spread.
        items: By what number the test items would have to be multiplied to decide it with as many runs, if the effect
            stays where it was found; 0 where no such number up to 1000 would, because the runs differ too much or the
            effect lies at a boundary; None where it is decided, or what was measured has no test items.
        reason: Why, in words.
    """

    verdict: str
    name: str
    claimed: str
    effect: float
    low: float
    high: float
    unit: str
    over: str
    confidence: float
    margin: float
    p: float
    power: float
    paper: float
    runs: int
    family: int
    decides: int | None
    items: int | None
    reason: str


def decide(
    estimate: Estimate, claimed: str, margin: float, unit: str, paper: float = math.nan, least: float = 0.0
) -> Verdict:
    """The verdict on one effect by itself.

    Args:
        estimate: The effect.
        claimed: RISES, FALLS, SAME or KEPT.
        margin: What counts as no change, in the effect's unit.
        unit: Such as `points`.
        paper: The paper's effect; NaN if it gives none.
        least: How large a claimed rise or fall has to be.

    Returns:
        The verdict.

    Raises:
        ValueError: `claimed` is another word.
    """
    return decide_family([Question(estimate, claimed, margin, unit, "", paper, least)])[0]


def decide_family(questions: Sequence[Question]) -> list[Verdict]:
    """The verdicts on the effects of one statement, corrected over them.

    Claimed changes are corrected by Holm's steps: each interval has the confidence of its own step, so that interval, p
    and verdict say the same. That several effects are all equivalent needs no correction (an intersection-union test:
    Berger 1982, Multiparameter Hypothesis Testing), that one of them is not is corrected likewise.

    Args:
        questions: One an effect.

    Returns:
        Their verdicts, in the same order.

    Raises:
        ValueError: `claimed` is no such word.
    """
    ps = [_p(question) for question in questions]
    confidences, corrected = holm_confidences(ps), holm(ps)
    return [
        _verdict(question, confidence, p, len(questions))
        for question, confidence, p in zip(questions, confidences, corrected, strict=True)
    ]


def not_run(reason: str, unit: str = "", name: str = "", claimed: str = "", margin: float = math.nan) -> Verdict:
    """The verdict where the rows that a claim needs are not there; the reason names them."""
    nan = math.nan
    return Verdict(
        NOT_RUN, name, claimed, nan, nan, nan, unit, "", CONFIDENCE, margin, nan, nan, nan, 0, 0, None, None, reason
    )


def _p(question: Question) -> float:
    """Two-sided p of no effect; of a claimed equivalence, that the effect is beyond the margin."""
    estimate, margin = question.estimate, question.margin
    if question.claimed in (RISES, FALLS):
        p = estimate.p()
    elif question.claimed == SAME:
        p = 2 * min(estimate.p_above(margin), estimate.p_below(-margin))
    elif question.claimed == KEPT:
        p = 2 * estimate.p_below(-margin)
    else:
        raise ValueError(f"{question.claimed!r} is no claim about an effect")
    return 1.0 if math.isnan(p) else min(1.0, p)


def _verdict(question: Question, confidence: float, p: float, family: int) -> Verdict:
    estimate, claimed = question.estimate, question.claimed
    if claimed in (SAME, KEPT) and not _beyond(question, estimate.interval()):
        confidence = CONFIDENCE
    interval = estimate.interval(confidence)
    word, reason = _word(question, interval)
    chance = power(estimate, claimed, question.paper, question.margin, confidence, question.least)
    asked = word == CANNOT_TELL and estimate.runs > 1 and not math.isnan(question.paper)
    decides = (runs_needed(question, confidence) or 0) if asked else None
    items = _items_needed(question, confidence) if word == CANNOT_TELL else None
    return Verdict(
        word, question.name, claimed, estimate.effect, *interval, question.unit, _over(estimate), confidence,
        question.margin, p, chance, question.paper, estimate.runs, family, decides, items, reason,
    )  # fmt: skip


def _items_needed(question: Question, confidence: float) -> int | None:
    """See `items` of Verdict: only the part of the error that is over sentences shrinks, as its root."""
    estimate = question.estimate
    if not estimate.of_sentences > 0:
        return None

    def decided(times: int) -> bool:
        return _word(question, estimate.of_study(estimate.runs, times).interval(confidence))[0] != CANNOT_TELL

    # The more items, the shorter: each interval is inside those of fewer.
    times = bisect_left(range(MOST_ITEMS + 1), True, lo=2, key=decided)
    return times if times <= MOST_ITEMS else 0


def _beyond(question: Question, interval: tuple[float, float]) -> bool:
    """Whether an interval lies wholly outside what SAME or KEPT allow."""
    low, high = interval
    return high < -question.margin or (question.claimed == SAME and low > question.margin)


def _word(question: Question, interval: tuple[float, float]) -> tuple[str, str]:
    """Verdict and reason; the table at the top of this module."""
    low, high = interval
    margin, claimed = question.margin, question.claimed
    if math.isnan(low):
        return CANNOT_TELL, "one run without an error of its own"
    inside = -margin <= low and high <= margin
    if claimed in (SAME, KEPT):
        if _beyond(question, interval):
            return CONTRADICTED, "the whole interval is outside the margin"
        if inside or (claimed == KEPT and -margin <= low):
            return (
                EQUIVALENT,
                "the whole interval is inside the margin" if inside else "nothing beyond the margin is lost",
            )
        return CANNOT_TELL, "the interval crosses the margin"
    low, high = (low, high) if claimed == RISES else (-high, -low)
    if low > 0 and low >= question.least:
        return HOLDS, "smaller than the margin" if inside else "the interval is on the claimed side"
    if high < 0:
        return CONTRADICTED, "the interval is on the other side"
    if inside:
        return EQUIVALENT, "a change is claimed, and none beyond the margin is left"
    return (
        CANNOT_TELL,
        "the interval includes no change" if low <= 0 else f"less than {question.least:g} is not excluded",
    )


def _over(estimate: Estimate) -> str:
    """What an interval is over, in words."""
    if estimate.runs == 1:
        return "these checkpoints, exact" if estimate.error == 0 else "test sentences of these checkpoints"
    return f"{estimate.runs} runs" + (" and their test sentences" if estimate.of_sentences else "")
