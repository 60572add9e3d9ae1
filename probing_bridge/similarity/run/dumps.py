"""The dumps of several levels as layers over the same rows, checked to be comparable before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from probing_bridge.errors import Faults
from probing_bridge.formats.activations.output import Output
from probing_bridge.formats.activations.reader import (
    ATTENTION_KINDS,
    SIDES,
    ActivationError,
    Dump,
    open_dump,
    require_same_sentences,
)
from probing_bridge.formats.origin import common_experiment
from probing_bridge.similarity.measures.registry import ALL, VISIBLE
from probing_bridge.similarity.run.free_pairs import FreePairs, is_causal, spread_variance
from probing_bridge.similarity.sums.layers import Layer

CAUSAL_ROWS = 4096  # of attention that show whether it is masked


@dataclass(frozen=True)
class Component:
    """One kind of activations that all dumps have, or the free pairs of one kind of attention.

    Attributes:
        name: "encoder", "decoder" or a kind of attention, or that and ".visible".
        kind: What it is of: the name without ".visible".
        layers: Layer names, lowest first.
        width: Neurons, or heads.
        offsets: int64 (n_sentences + 1), rows of each sentence.
        units: int64, rows at which an attention distribution starts, and the end; None for states.
        variants: Of attention: whether the rows are all pairs, those that are visible, or both because all are.
        free: The visible pairs in the rows of all pairs, where others are left out.
        shared: Of attention: variance over the rows of the mean mass of a pair (`spread_variance`).
    """

    name: str
    kind: str
    layers: tuple[str, ...]
    width: int
    offsets: np.ndarray
    units: np.ndarray | None = None
    variants: tuple[str, ...] = ()
    free: FreePairs | None = None
    shared: float = 0.0

    @property
    def is_attention(self) -> bool:
        """Whether its features are heads and its rows pairs of words."""
        return self.units is not None

    @property
    def n_rows(self) -> int:
        """Tokens, or pairs of words."""
        return int(self.offsets[-1])


class DumpSet:
    """Open dumps of different levels of one experiment, lowest level first; a context manager.

    Attributes:
        experiment: Identity of the experiment; of a branch with the level it came from, that of the branch.
        levels: Level of each dump.
        components: What all dumps have.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Opens and checks the dumps.

        Args:
            paths: One per level; the shards of a dump count as one.

        Raises:
            BridgeError: All dumps that cannot be read or compared (other sentences, sizes, experiments, the same level
                twice), a fault a line.
        """
        self._dumps: list[Dump] = []
        self.levels: list[int] = []
        self.experiment = ""
        self.components: dict[str, Component] = {}
        faults = Faults()
        try:
            for path in paths:
                dump = faults.of(open_dump, path)
                if dump is not None:
                    self._dumps.append(dump)
            if self._dumps:
                self._order(faults)
                for other in self._dumps[1:]:
                    faults.of(_require_comparable, self._dumps[0], other)
                self.experiment = _one_experiment(self._dumps, faults)
                self.components = {c.name: c for c in _components(self._dumps[0])}
            faults.tell()
        except BaseException:
            self.close()
            raise

    def _order(self, faults: Faults) -> None:
        levels = [dump.origin.level for dump in self._dumps]
        if set(levels) == {None}:  # none was made by lth_imp: they are compared in the order given
            levels = list(range(len(levels)))
        for place, level in enumerate(levels):
            first = levels.index(level)
            if level is None:
                faults.add(f"{self._dumps[place].path}: its level is not known, but that of others is")
            elif first != place:
                paths = self._dumps[first].path, self._dumps[place].path
                faults.add(f"{paths[0]} and {paths[1]} are both of level {level}; give each level once")
        known = [-1 if level is None else level for level in levels]
        order = np.argsort(known)
        self._dumps = [self._dumps[k] for k in order]
        self.levels = [known[k] for k in order]

    @property
    def paths(self) -> list[Path]:
        """The file of each dump, as it was given."""
        return [dump.path for dump in self._dumps]

    @property
    def sentence_hash(self) -> str:
        """Hash of the token symbols of all sentences."""
        return self._dumps[0].origin.sentence_hash

    def checkpoint_hash(self, place: int) -> str:
        """Hash of the checkpoint behind the dump at a place (not level)."""
        return self._dumps[place].origin.checkpoint_hash

    def layer(self, component: str, place: int, layer: str) -> Layer:
        """One layer of the dump at a place (not level)."""
        dump, own = self._dumps[place], self.components[component]
        name = f"{dump.path.name} {own.kind} layer {layer}"
        read_rows = dump.read_attention if own.is_attention else dump.read_states

        def read(start: int, stop: int) -> np.ndarray:
            return read_rows(own.kind, layer, start, stop)

        return Layer(name, own.width, read if own.free is None else own.free.restrict(read))

    @property
    def n_best(self) -> int:
        """Best tokens at each target position; 0 where the dumps have no output distributions."""
        return self._dumps[0].n_best

    def output(self, place: int, start: int, stop: int) -> Output:
        """The output distributions of the dump at a place (not level), at target rows start..stop."""
        return self._dumps[place].read_output(start, stop)

    def offsets(self, side: str) -> np.ndarray:
        """Rows of each sentence on a side, (n_sentences + 1,) int64."""
        return self._dumps[0].offsets(side)

    def tokens(self, side: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Token ids of rows start..stop of a side (default: all), (n_tokens,) int32."""
        return self._dumps[0].tokens(side, start, stop)

    def symbols(self, side: str) -> list[str]:
        """The dictionary of a side."""
        return self._dumps[0].symbols(side)

    def counts(self, side: str) -> np.ndarray:
        """How often each symbol of a side is in the training data, as the dictionary says: (n_symbols,) int64."""
        return self._dumps[0].counts(side)

    def close(self) -> None:
        """Closes all dumps."""
        for dump in self._dumps:
            dump.close()

    def __enter__(self) -> DumpSet:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes all dumps."""
        self.close()


def _sizes(dump: Dump) -> dict[str, str]:
    """Each component's layers and width in words."""
    states = {name: f"layers {', '.join(layers)} of {dump.dim(name)}" for name, layers in dump.components.items()}
    heads = {
        kind: f"layers {', '.join(layers)} of {dump.n_heads(kind)} heads"
        for kind, layers in dump.attention_kinds.items()
    }
    return states | heads


def _require_comparable(first: Dump, other: Dump) -> None:
    require_same_sentences(first, other)
    for side in sorted(set(SIDES.values())):
        if not np.array_equal(first.offsets(side), other.offsets(side)):
            raise ActivationError(
                f"{other.path}: {other.offsets(side)[-1]} {side} tokens, but {first.path} has "
                f"{first.offsets(side)[-1]}; dump both with the same sentences"
            )
    if first.n_best != other.n_best:
        raise ActivationError(
            f"{other.path}: has {other.n_best} best tokens of the output at each position, but {first.path} has "
            f"{first.n_best}; dump both with the same --dump-output"
        )
    sizes, other_sizes = _sizes(first), _sizes(other)
    differences = [
        f"{name} has {other_sizes.get(name, 'nothing')}, but in {first.path} it has {sizes.get(name, 'nothing')}"
        for name in dict.fromkeys([*sizes, *other_sizes])
        if sizes.get(name) != other_sizes.get(name)
    ]
    if differences:
        raise ActivationError(f"{other.path}: {'; '.join(differences)}: another model size")


def _one_experiment(dumps: Sequence[Dump], faults: Faults) -> str:
    """The experiment whose levels the dumps are, of itself or of the experiment it branched off."""
    origins = [dump.origin for dump in dumps]
    fit = [0]
    for k in range(1, len(dumps)):
        if common_experiment([origins[place] for place in [*fit, k]]) is not None:
            fit.append(k)
            continue
        parent = f" (a branch of {origins[k].parent})" if origins[k].parent else ""
        faults.add(
            f"{dumps[k].path} is of experiment {origins[k].experiment!r}{parent}, but {dumps[fit[-1]].path} of "
            f"{origins[fit[-1]].experiment!r}; compare the levels of one experiment, and of the level it branched off"
        )
    return common_experiment([origins[place] for place in fit]) or ""


def _components(dump: Dump) -> Iterator[Component]:
    for name, layers in dump.components.items():
        yield Component(name, name, layers, dump.dim(name), dump.offsets(SIDES[name]))
    for kind in dump.attention_kinds:
        yield from _attention(dump, kind)


def _attention(dump: Dump, kind: str) -> Iterator[Component]:
    """The visible pairs of a kind of attention, and all pairs by themselves where they are more."""
    queries, keys = (np.diff(dump.unit_offsets(side)) for side in ATTENTION_KINDS[kind])
    n_keys = np.repeat(keys, queries)
    units = np.concatenate([[0], np.cumsum(n_keys)])
    whole = Component(
        kind, kind, dump.attention_kinds[kind], dump.n_heads(kind), dump.attention_offsets(kind), units,
        (VISIBLE, ALL), shared=spread_variance(n_keys, int(units[-1])),
    )  # fmt: skip
    query = np.arange(len(n_keys)) - np.repeat(np.cumsum(queries) - queries, queries)
    if kind != "decoder_self" or not _masked(dump, whole, query):
        yield whole
        return
    free = FreePairs.of(units, query)
    n_free = int(free.units[-1])
    if n_free:
        yield replace(
            whole, name=f"{kind}.{VISIBLE}", offsets=free.units[np.searchsorted(units, whole.offsets)],
            units=np.unique(free.units), variants=(VISIBLE,), free=free,
            shared=spread_variance(query[query > 0] + 1, n_free),
        )  # fmt: skip
    yield replace(whole, variants=(ALL,), shared=spread_variance(query + 1, int(units[-1])))


def _masked(dump: Dump, component: Component, query: np.ndarray) -> bool:
    """Whether attention is causal, by its first rows: not that of decoders which see all of a draft."""
    assert component.units is not None
    some = min(int(np.searchsorted(component.units, CAUSAL_ROWS)), len(query))
    rows = dump.read_attention(component.kind, component.layers[0], 0, int(component.units[some]))
    return is_causal(rows, component.units[: some + 1], query[:some])
