"""Where values come from: the one record that every file of ours carries, and which files are of one experiment.

`encode`, `--dump-activations`, `export` and `import` write it as root attributes of their files; `probe` and
`similarity` read it. What is unknown is left out, so files made elsewhere are read all the same.

Random pruning or weight rewinding from the LTH0 of another experiment (`--restore-file checkpoint_lth0.pt`) is an
experiment of its own, without a level 0. Its checkpoints name their parent, `experiment/lthK`, and so do the dumps and
word representations made from them: levels up to K of that parent are this experiment's levels too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from math import inf
from pathlib import Path
from typing import Any

from probing_bridge.errors import InputError

MANY_UNKNOWN = 0.05  # share of unknown pieces that is worth a warning
MOST_LEVELS = 2**31 - 1
PARENT = re.compile(r"(.+)/lth(\d+)")


@dataclass(frozen=True)
class Origin:
    """What a file's values were computed from; text is empty where it is unknown.

    Attributes:
        experiment: Identity of the experiment.
        level: 0 = dense; None if unknown.
        parent: `experiment/lthK` of the level that the experiment branched from; empty if it did not.
        sparsity: Share of all weights that are pruned, in [0, 1]; None if unknown.
        checkpoint: File name of the checkpoint.
        checkpoint_hash: Sha256 (hex) of that file.
        sentence_hash: Of a dump, over the token symbols of its pairs; of word representations, of the sentences file.
        subset: The part of the data that a dump is of, such as valid.
        source_lang: Source language.
        target_lang: Target language.
        component: Of word representations: decoder, if they are of the words of a target; else empty, or encoder.
        pooling: Of word representations: how pieces became a word.
        unknown_pieces: Of word representations: share of the pieces that the model does not know, in [0, 1].
        package_version: Of the program that wrote the values.
    """

    experiment: str = ""
    level: int | None = None
    parent: str = ""
    sparsity: float | None = None
    checkpoint: str = ""
    checkpoint_hash: str = ""
    sentence_hash: str = ""
    subset: str = ""
    source_lang: str = ""
    target_lang: str = ""
    component: str = ""
    pooling: str = ""
    unknown_pieces: float | None = None
    package_version: str = ""

    @property
    def words_language(self) -> str:
        """The language of the words of word representations; empty if unknown."""
        return self.target_lang if self.component == "decoder" else self.source_lang

    @property
    def unknown_warning(self) -> str:
        """That the model knows too little of the words; empty if it does not, or if nothing is known of that."""
        if self.unknown_pieces is None or self.unknown_pieces <= MANY_UNKNOWN:
            return ""
        return (
            f"{self.unknown_pieces:.1%} of the pieces are unknown to the model: "
            "are words, tokenizer and BPE those of its training?"
        )

    def attributes(self) -> dict[str, str | int | float]:
        """What is known, as attributes of a file."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}

    @classmethod
    def of(cls, attributes: Mapping[str, Any], path: str | Path) -> Origin:
        """Reads it off the attributes of a file.

        Args:
            attributes: From plain_attributes; those of other names are passed over.
            path: The file, for messages.

        Raises:
            InputError: An attribute of another type or out of its range.
        """
        own = {field.name: attributes[field.name] for field in fields(cls) if field.name in attributes}
        for name, value in own.items():
            is_right, expected = _CHECKS.get(name, (lambda given: isinstance(given, str) and "\0" not in given, "text"))
            if not is_right(value):
                raise InputError(f"attribute {name!r} is {value!r:.80}, expected {expected}", path)
        return cls(**own)


_CHECKS = {
    "level": (lambda given: type(given) is int and 0 <= given <= MOST_LEVELS, "a whole number, 0 = dense"),
    **dict.fromkeys(
        ("sparsity", "unknown_pieces"),
        (lambda given: type(given) in (int, float) and 0 <= given <= 1, "a fraction between 0 and 1"),
    ),
    "parent": (
        lambda given: isinstance(given, str) and (given == "" or PARENT.fullmatch(given) is not None),
        "EXPERIMENT/lthK",
    ),
}


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
