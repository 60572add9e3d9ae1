"""Which activations are levels of one experiment: its own, and those of the level that it branched off.

Random pruning or weight rewinding from the LTH0 of another experiment (`--restore-file checkpoint_lth0.pt`) is an
experiment of its own, without a level 0. Its checkpoints name their parent, `experiment/lthK`, and so do the dumps and
word representations made from them: levels up to K of that parent are this experiment's levels too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

PARENT = re.compile(r"(.+)/lth(\d+)")


@dataclass(frozen=True)
class Origin:
    """Which level of which experiment a file was made from.

    Attributes:
        experiment: Identity of the training run; empty if unknown.
        level: 0 = dense; None if unknown.
        parent: `experiment/lthK` of the level that the experiment branched from; empty if it did not.
    """

    experiment: str
    level: int | None
    parent: str = ""

    @classmethod
    def of(cls, attributes: dict[str, Any], level: int | None) -> Origin:
        """Reads it off the root attributes of a file."""
        return cls(str(attributes.get("experiment", "")), level, str(attributes.get("parent", "")))


def lineage(experiment: str, parents: Mapping[str, str]) -> dict[str, float]:
    """An experiment and those it descends from.

    Args:
        experiment: The youngest.
        parents: Experiment -> `experiment/lthK` of its parent, or empty.

    Returns:
        Experiment -> its highest level that is a level of the youngest: no limit for that one itself.
    """
    last, name = {experiment: inf}, experiment
    while (parent := PARENT.fullmatch(parents.get(name, ""))) and parent[1] not in last:
        name = parent[1]
        last[name] = int(parent[2])
    return last


def common_experiment(origins: Collection[Origin]) -> str | None:
    """The experiment whose levels all of some files are.

    Args:
        origins: Where the files come from.

    Returns:
        The experiment; None if they are of several, of which none descends from all others through the levels given.
    """
    parents = {origin.experiment: origin.parent for origin in origins}
    for experiment in parents:
        last = lineage(experiment, parents)
        if all(origin.experiment in last and (origin.level or 0) <= last[origin.experiment] for origin in origins):
            return experiment
    return None
