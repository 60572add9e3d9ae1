"""Verdicts as a forest plot: a row an effect, with its interval, the margin and the paper's number on one axis.

Rows of one family and unit share an axis, so that a verdict is seen before it is read. The page writes the same numbers
beside each row; what is drawn is for the eye alone. Place in the flow: claims -> forest -> page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from probing_bridge.results.statistics import CANNOT_TELL, NOT_RUN, Verdict

_WIDTH, _HEIGHT, _EDGE = 320, 22, 8  # of a row, and what is left free at both ends, in pixels of the page


@dataclass(frozen=True)
class Axis:
    """The range that the rows of one unit share.

    Attributes:
        low: Left end, in the unit.
        high: Right end.
        unit: Such as `points`.
    """

    low: float
    high: float
    unit: str

    def at(self, value: float) -> float:
        """Where a value lies, in pixels; at the end where it is beyond."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_EDGE + share * (_WIDTH - 2 * _EDGE), 1)


@dataclass(frozen=True)
class Row:
    """One effect.

    Attributes:
        anchor: Its id on the page.
        verdict: What was found.
        picture: SVG of its place on the axis; empty where it was not run.
        scale: The axis itself, where it is not that of the plot: the effect has another unit.
        effect: It and its interval, as text.
        paper: The paper's, as text; empty if it gives none.
        decides: Power, and what would decide what is not decided; of what was not run, what it needs.
        details: What stands behind the verdict: see `details`.
        place: Where its number links to: an id on the page; empty for nowhere.
    """

    anchor: str
    verdict: Verdict
    picture: Markup
    scale: Markup
    effect: str
    paper: str
    decides: str
    details: str
    place: str = ""


def axis_of(verdicts: Sequence[Verdict], unit: str) -> Axis:
    """The axis of all effects of one unit.

    It holds every effect, margin and number of the paper; intervals that reach further than twice as far are cut there.

    Args:
        verdicts: Of one family.
        unit: The unit.

    Returns:
        The axis, with 0 in it.
    """
    own = [verdict for verdict in verdicts if verdict.unit == unit and verdict.verdict != NOT_RUN]
    inner = [value for v in own for value in (v.effect, v.paper, v.margin, -v.margin, 0.0) if math.isfinite(value)]
    low, high = min(inner, default=-1.0), max(inner, default=1.0)
    reach = 2 * max(abs(low), abs(high)) or 1.0
    ends = [value for v in own for value in (v.low, v.high) if math.isfinite(value)]
    low, high = min([low, *(max(end, -reach) for end in ends)]), max([high, *(min(end, reach) for end in ends)])
    room = 0.04 * (high - low) or 1.0
    return Axis(low - room, high + room, unit)


def row(anchor: str, verdict: Verdict, axis: Axis, unit: str = "") -> Row:
    """One effect as a row of its axis.

    Args:
        anchor: Its id on the page.
        verdict: What was found.
        axis: That of the effect's unit.
        unit: That of the plot; empty for the effect's own.

    Returns:
        The row, with the axis below it if its unit is not the plot's.
    """
    if verdict.verdict == NOT_RUN:
        return Row(anchor, verdict, Markup(""), Markup(""), "–", "", verdict.reason, "not run")
    digits = _digits(verdict)
    low, high = (_signed(end, digits) for end in (verdict.low, verdict.high))
    interval = "" if math.isnan(verdict.low) or verdict.low == verdict.high else f" [{low}, {high}]"
    paper = "" if math.isnan(verdict.paper) else f"{_signed(verdict.paper, digits)}"
    effect = f"{_signed(verdict.effect, digits)}{interval}"
    own = scale(axis) if unit and verdict.unit != unit else Markup("")
    decides = "; ".join(part for part in (_power(verdict), what_would_decide(verdict)) if part)
    return Row(anchor, verdict, _picture(verdict, axis), own, effect, paper, decides, details(verdict))


def scale(axis: Axis) -> Markup:
    """The axis itself: ticks with their numbers, and the unit."""
    ticks = [tick for tick in MaxNLocator(5).tick_values(axis.low, axis.high) if axis.low <= tick <= axis.high]
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    marks = Markup("").join(
        Markup('<path class="tick" d="M{x} 0v4"/><text x="{x}" y="14">{text}</text>').format(
            x=axis.at(tick), text=_signed(tick, digits) if tick else "0"
        )
        for tick in ticks
    )
    return Markup('<svg class="scale" viewBox="0 0 {} 18" aria-hidden="true" focusable="false">{}</svg>').format(
        _WIDTH, marks
    )


def _picture(verdict: Verdict, axis: Axis) -> Markup:
    """Margin, zero, interval, effect and the paper's number of one row."""
    middle, parts = _HEIGHT / 2, []
    if math.isfinite(verdict.margin):
        left, right = axis.at(-verdict.margin), axis.at(verdict.margin)
        parts.append(f'<rect class="margin" x="{left}" y="0" width="{round(right - left, 1)}" height="{_HEIGHT}"/>')
    parts.append(f'<path class="zero" d="M{axis.at(0)} 0v{_HEIGHT}"/>')
    if math.isfinite(verdict.low) and math.isfinite(verdict.high):
        left, right = axis.at(verdict.low), axis.at(verdict.high)
        parts.append(f'<path class="interval" d="M{left} {middle}H{right}"/>')
        for end, beyond, way in ((left, verdict.low < axis.low, 5), (right, verdict.high > axis.high, -5)):
            shape = f"M{end + way} {middle - 4}l{-way} 4l{way} 4" if beyond else f"M{end} {middle - 4}v8"
            parts.append(f'<path class="end" d="{shape}"/>')
    if math.isfinite(verdict.paper):
        parts.append(f'<path class="paper-number" d="M{axis.at(verdict.paper)} {middle - 5}l5 5l-5 5l-5 -5z"/>')
    parts.append(f'<circle class="effect" cx="{axis.at(verdict.effect)}" cy="{middle}" r="4"/>')
    opening = f'<svg class="forest-row" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true" focusable="false">'
    return Markup(opening + "".join(parts) + "</svg>")  # numbers alone: nothing of the tables is in it


def _power(verdict: Verdict) -> str:
    """The power for the paper's effect, as text; empty if the paper gives none."""
    return f"power {verdict.power:.2f}" if math.isfinite(verdict.power) else ""


def what_would_decide(verdict: Verdict) -> str:
    """How many runs or test items would decide what one cannot tell; empty where it is decided.

    Runs are those that give a power of 0.8 for the paper's effect. `9 × items` would shrink the interval until it no
    longer holds what it would have to exclude, if the effect stays where it was found and runs spread as they do. Of
    one run that is about its checkpoints.
    """
    if verdict.verdict != CANNOT_TELL:
        return ""
    if verdict.decides:
        return f"{verdict.decides} runs"
    items = f"{verdict.items} × items" if verdict.items else ""
    if verdict.runs > 1:
        return items or ("more runs and items" if verdict.decides == 0 else "more runs")
    return "≥ 2 runs" if verdict.items is None else f"≥ 2 runs; {items or 'effect at the margin'}"


def _digits(verdict: Verdict) -> int:
    """Decimals that its interval calls for: two digits of half its width, at most four decimals."""
    half = (verdict.high - verdict.low) / 2
    if not math.isfinite(half) or half <= 0:
        half = abs(verdict.margin) if math.isfinite(verdict.margin) and verdict.margin else 1.0
    return min(4, max(0, 1 - math.floor(math.log10(half))))


def _signed(value: float, digits: int) -> str:
    """A number with its sign, and a minus that is one."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def details(verdict: Verdict) -> str:
    """What stands behind a verdict, in one sentence: the rule's margin, the interval, p and power."""
    if verdict.verdict == NOT_RUN:
        return verdict.reason
    parts = [verdict.reason, f"interval of {100 * verdict.confidence:.4g} % over {verdict.over}"]
    if math.isfinite(verdict.margin):
        parts.append(f"margin {verdict.margin:g} {verdict.unit}")
    if math.isfinite(verdict.p):
        corrected = f", Holm over {verdict.family}" if verdict.family > 1 else ""
        parts.append(f"p {'< 0.001' if verdict.p < 0.001 else f'= {verdict.p:.3f}'}{corrected}")
    if power := _power(verdict):
        parts.append(f"{power} for the paper's effect")
    return "; ".join(parts)
