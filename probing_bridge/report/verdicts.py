"""What became of the paper's claims, as the page shows it: five sentences in words, and a forest plot a section.

Place in the flow: claims -> verdicts, forest -> page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from probing_bridge.claims import Claim, Judgement
from probing_bridge.figures.style import percent
from probing_bridge.report.anchors import Places, place_of
from probing_bridge.report.forest import Axis, Row, axis_of, row, scale
from probing_bridge.results.folder import Results
from probing_bridge.results.levels import known_levels
from probing_bridge.results.statistics import (
    CANNOT_TELL,
    CONTRADICTED,
    EQUIVALENT,
    FALLS,
    HOLDS,
    NOT_RUN,
    RISES,
    Verdict,
)

# Section of the paper -> what its claims are about.
_TITLES = {
    "3": "What pruning keeps, and where it removes weights",
    "4.2": "Linear probes over sparsity",
    "4.3": "MLP probes",
    "4.4": "Layers that encode syntax and semantics",
    "5.2": "Neurons and layers beside the dense model",
    "5.3": "Variance, and groups of tokens",
    "5.4": "Attention",
}
_NAMED = 3  # statements that a sentence names; the others are counted
_CHANGES = (RISES, FALLS)


@dataclass(frozen=True)
class Statement:
    """One claim with its rows.

    Attributes:
        anchor: Its id on the page.
        claim: The claim.
        judgement: What became of it.
        rows: Its effects, on the axis of their unit.
    """

    anchor: str
    claim: Claim
    judgement: Judgement
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Plot:
    """Statements about effects of one unit, on one axis."""

    title: str
    key: str
    axis: Axis
    scale: Markup
    statements: tuple[Statement, ...]

    @property
    def run(self) -> bool:
        """Whether there is anything to draw: some statement was run."""
        return any(statement.judgement.verdict != NOT_RUN for statement in self.statements)


def plots(judged: Sequence[tuple[Claim, Judgement]], places: Places) -> list[Plot]:
    """The claims by section of the paper and by unit, in the paper's order.

    Args:
        judged: Claims with what judge_all said; the first is the paper's headline.
        places: The rows of the page.

    Returns:
        A plot for each section and unit.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for index, (claim, _) in enumerate(judged):
        title = "The paper's headline" if index == 0 else _title(claim.section)
        groups.setdefault((title, claim.unit), []).append(index)
    found = []
    for number, ((title, unit), members) in enumerate(groups.items(), 1):
        parts = [part for index in members for part in judged[index][1].parts]
        axes = {part.unit: axis_of(parts, part.unit) for part in parts}
        axis = axes.get(unit) or axis_of([], unit)
        statements = tuple(_statement(index, *judged[index], axes, places) for index in members)
        found.append(Plot(title, f"claims-{number}", axis, scale(axis), statements))
    return found


def _title(section: str) -> str:
    """What a section of the paper is about."""
    known = [title for prefix, title in _TITLES.items() if section == prefix or section.startswith(f"{prefix}.")]
    return known[0] if known else "Discussion"


def _statement(index: int, claim: Claim, judgement: Judgement, axes: dict[str, Axis], places: Places) -> Statement:
    anchor = f"claim-{index + 1}"
    parts = _without_repeats(judgement.parts)
    rows = (row(f"{anchor}-{number}", part, axes[part.unit], claim.unit) for number, part in enumerate(parts, 1))
    linked = (replace(one, place=place_of(one.verdict.name, claim.figure, places)) for one in rows)
    return Statement(anchor, claim, judgement, tuple(linked))


def _without_repeats(parts: Sequence[Verdict]) -> list[Verdict]:
    """The effects that were measured, then those that were not, one a reason, under all their names."""
    reasons: dict[str, list[Verdict]] = {}
    for part in parts:
        if part.verdict == NOT_RUN:
            reasons.setdefault(part.reason, []).append(part)
    lacking = [replace(same[0], name=", ".join(part.name for part in same)) for same in reasons.values()]
    return [*(part for part in parts if part.verdict != NOT_RUN), *lacking]


def summary(results: Results, judged: Sequence[tuple[Claim, Judgement]]) -> list[Markup]:
    """Five sentences: over what, the headline, what holds, what does not, what could not be told.

    Every number of a sentence links to the rows that it counts, or to the first of them.

    Args:
        results: The runs.
        judged: Claims with what judge_all said; the first is the paper's headline.

    Returns:
        The sentences.
    """
    anchors = {id(claim): f"claim-{index}" for index, (claim, _) in enumerate(judged, 1)}

    def of(*words: str, change: bool | None = None) -> list[tuple[Claim, str]]:
        return [
            (claim, anchors[id(claim)])
            for claim, judgement in judged
            if judgement.verdict in words and (change is None or change == (claim.claimed in _CHANGES))
        ]

    held, none = of(HOLDS) + of(EQUIVALENT, change=False), of(EQUIVALENT, change=True)
    against, open_, missing = of(CONTRADICTED) + none, of(CANNOT_TELL), of(NOT_RUN)
    return [
        _over(results, len(judged)),
        _headline(*judged[0]),
        _sentence(held, "holds here", "hold here"),
        _sentence(
            against,
            "does not: it is contradicted, or no change is left",
            "do not: they are contradicted, or no change is left",
        ),
        _untold(results, open_, missing),
    ]


def _over(results: Results, claims: int) -> Markup:
    runs, levels = len(results.runs), known_levels(results)
    last = levels[levels["level"] == levels["level"].max()]
    pruned = (
        f" with up to {percent(last['sparsity'].mean())} of all weights pruned"
        if last["sparsity"].notna().any()
        else ""
    )
    tasks = results["probes"]["task"].nunique()
    what = f"{levels['level'].nunique()} levels{pruned}" + (f" and {tasks} probing tasks" if tasks else "")
    if runs == 1:
        over = (
            "intervals are over test sentences alone, so all of this is about these checkpoints, not about another seed"
        )
        return Markup("One run of {} was asked about {} statements of the paper; {}.").format(what, claims, over)
    return Markup(
        "{} runs of {} were asked about {} statements of the paper; intervals are over runs and their test sentences."
    ).format(runs, what, claims)


def _headline(claim: Claim, judgement: Judgement) -> Markup:
    words = {
        HOLDS: "holds",
        EQUIVALENT: "is not what happens: no change is left" if claim.claimed in _CHANGES else "holds",
        CONTRADICTED: "is contradicted",
        CANNOT_TELL: "can neither be confirmed nor ruled out",
        NOT_RUN: "was not run",
    }
    link = Markup('<a href="#claim-1">{}</a>').format(claim.statement)
    why = f": it {judgement.detail}" if judgement.verdict == NOT_RUN and judgement.detail else ""
    return Markup("The paper's headline ({}) <strong>{}</strong>{}.").format(link, words[judgement.verdict], why)


def _sentence(claims: Sequence[tuple[Claim, str]], one: str, many: str) -> Markup:
    """How many statements did something, the first of them named."""
    if not claims:
        return Markup("None {}.").format(one)
    named = Markup("; ").join(
        Markup('<a href="#{}">{}</a>').format(anchor, claim.statement) for claim, anchor in claims[:_NAMED]
    )
    rest = Markup("; and {} more").format(len(claims) - _NAMED) if len(claims) > _NAMED else Markup("")
    number = Markup('<a href="#{}"><strong>{}</strong></a>').format(claims[0][1], len(claims))
    return Markup("{} {}: {}{}.").format(number, one if len(claims) == 1 else many, named, rest)


def _untold(results: Results, open_: Sequence[tuple[Claim, str]], missing: Sequence[tuple[Claim, str]]) -> Markup:
    """What could not be told, and what was not run."""
    if not open_:
        told = Markup("Nothing that was run is left open")
    else:
        number = Markup('<a href="#{}"><strong>{}</strong></a>').format(open_[0][1], len(open_))
        more = "further runs" if len(results.runs) == 1 else "more runs or test items"
        told = Markup("Of {} one cannot tell; their rows say what {} would decide it").format(number, more)
    if not missing:
        return told + Markup(".")
    link = Markup('<a href="#{}"><strong>{}</strong></a>').format(missing[0][1], len(missing))
    return told + Markup("; {} {} not run.").format(link, "was" if len(missing) == 1 else "were")
