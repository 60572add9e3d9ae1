"""What the claims say of studies whose truth is known: how often each verdict comes, claim by claim.

    python -m benchmarks.verdicts                          # nothing happens: 3 and 5 runs; the others: 5 runs
    python -m benchmarks.verdicts --sets 50 --runs 1 3 9   # fewer studies, of other sizes
    python -m benchmarks.verdicts --interim                # the authors' own numbers by the same rules

Takes seven minutes on one core. Prints Markdown: the share of each verdict in percent (a dot for none), and the median
of the power that the studies had for the paper's effect. Exits with 1 where a claim breaks
what is promised: in the world where nothing happens *holds* and *contradicted* together in at most 5 %, in the paper's
world the contrary of the paper's verdict in at most 2.5 %, each with two standard errors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from probing_bridge.claims import CLAIMS, Claim, judge_all
from probing_bridge.claims.interim import interim_results
from probing_bridge.claims.judging import judge_numbers
from probing_bridge.claims.truths import WORLDS
from probing_bridge.claims.worlds import Study
from probing_bridge.results.statistics import CONTRADICTED, EQUIVALENT, FALLS, HOLDS, NOT_RUN, RISES, VERDICTS

NOTHING, PAPER = "nothing happens", "the paper's"
OF_PROBES = "Metrics are consistently higher"  # true wherever probes learn: its null world is another one


@dataclass
class Found:
    """The verdicts of one claim over studies."""

    words: list[str] = field(default_factory=list)
    powers: list[float] = field(default_factory=list)

    def share(self, *words: str) -> float:
        """How often one of these came."""
        return sum(word in words for word in self.words) / len(self.words)


def studies(world: str, runs: int, sets: int, claims: Sequence[Claim] = CLAIMS) -> dict[str, Found]:
    """Statement -> what is said of it in so many studies of a world."""
    found = {claim.statement: Found() for claim in claims}
    for seed in range(sets):
        for claim, judged in judge_numbers(Study(WORLDS[world], runs, seed), claims):
            found[claim.statement].words.append(judged.verdict)
            powers = [part.power for part in judged.parts if part.verdict != NOT_RUN]
            found[claim.statement].powers.append(min(powers, default=np.nan))
    return found


def broken(claim: Claim, found: Found, world: str) -> bool:
    """Whether a claim is judged wrongly more often than promised."""
    if world == NOTHING:
        wrong, most = found.share(HOLDS, CONTRADICTED), 0.05
    elif world == PAPER:
        contrary = (CONTRADICTED, EQUIVALENT) if claim.claimed in (RISES, FALLS) else (CONTRADICTED, HOLDS)
        wrong, most = found.share(*contrary), 0.025
    else:
        return False
    return wrong > most + 2 * (most * (1 - most) / len(found.words)) ** 0.5


def table(world: str, runs: int, sets: int) -> bool:
    """Prints the table of one world; returns whether every promise is kept."""
    found = studies(world, runs, sets)
    if world == NOTHING:
        claims = [claim for claim in CLAIMS if claim.statement.startswith(OF_PROBES)]
        found |= studies("probes learn nothing", runs, sets, claims)
    print(f"\nWorld: {world}; {runs} runs; {sets} studies\n")
    print(f"| claim | {' | '.join(VERDICTS)} | power | |\n| --- |{' ---: |' * (len(VERDICTS) + 1)} --- |")
    kept = True
    for claim in CLAIMS:
        one = found[claim.statement]
        cells = [f"{100 * share:.1f}" if (share := one.share(word)) else "·" for word in VERDICTS]
        known = [value for value in one.powers if np.isfinite(value)]
        wrong = broken(claim, one, world)
        kept &= not wrong
        power = f"{100 * np.median(known):.0f}" if known else "·"
        print(f"| {claim.section} {claim.statement} | {' | '.join(cells)} | {power} | {'too often' if wrong else ''} |")
    return kept


def interim() -> None:
    """Prints what is said of the authors' own numbers, without the claims of which they give none."""
    print("| claim | paper | by these rules | verdict |\n| --- | --- | --- | --- |")
    for claim, judged in judge_all(interim_results(), CLAIMS):
        if judged.verdict != NOT_RUN:
            print(f"| {claim.section} {claim.statement} | {claim.paper} | {judged.ours} | {judged.verdict} |")


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=400, help="studies of each world and number of runs")
    parser.add_argument("--runs", type=int, nargs="+", help="sizes of the studies, for every world")
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS)[:4], default=list(WORLDS)[:4])
    parser.add_argument("--interim", action="store_true", help="judge the authors' own numbers instead")
    arguments = parser.parse_args()
    if arguments.interim:
        interim()
        return 0
    sizes = {world: arguments.runs or ([3, 5] if world == NOTHING else [5]) for world in arguments.worlds}
    kept = [table(world, runs, arguments.sets) for world, numbers in sizes.items() for runs in numbers]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
