"""Small dumps of made-up levels: later levels drift away from level 0, so that every score has something to say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probing_bridge.formats.activations.output import Output
from probing_bridge.formats.activations.reader import ATTENTION_KINDS, SIDES, ActivationWriter, shard_path
from probing_bridge.formats.origin import Origin


@dataclass
class Level:
    """Arrays of one level, as they are in its dump."""

    path: Path
    states: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    attention: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    logs: np.ndarray | None = None


WORDS = ["<s>", "<pad>", "</s>", "<unk>", "the", "▁of", "hou@@", "se", "dog", "saw", "cat@@", "s"]


class DumpMaker:
    """Writes dumps of one made-up experiment."""

    def __init__(
        self,
        folder: Path,
        n_sentences: int = 40,
        width: int = 12,
        n_layers: int = 2,
        n_heads: int = 3,
        components: Sequence[str] = (*SIDES, *ATTENTION_KINDS),
        n_best: int = 0,
        output_of: Callable[[np.ndarray, np.ndarray, int], Output] | None = None,
    ) -> None:
        self.folder = folder
        self.n_best, self.output_of = n_best, output_of
        self.components = components
        self.width, self.n_layers, self.n_heads = width, n_layers, n_heads
        random = np.random.default_rng(7)
        self.lengths = {side: random.integers(2, 9, n_sentences) for side in ("source", "target")}
        self.tokens = {side: [np.append(random.integers(4, len(WORDS), n - 1), 2) for n in lengths]
                       for side, lengths in self.lengths.items()}  # fmt: skip
        self.gold = np.concatenate(self.tokens["target"])
        self.origin = Origin("made-up")
        self.counts = [1, 1, 1, 1, *range(len(WORDS), 4, -1)]

    def level(self, level: int, shards: int = 1) -> Level:
        """Writes the dump of a level, in one file or several shards."""
        made = Level(self.folder / f"lth{level}.h5")
        self._draw(made, level)
        file = {"checkpoint": f"checkpoint_lth{level}.pt", "checkpoint_hash": f"hash{level}"}
        origin = replace(self.origin, level=level, sparsity=min(1.0, 0.2 * level), **file)
        n = len(self.lengths["source"])
        for shard in range(shards):
            numbers = np.arange(n)[shard::shards]
            path = made.path if shards == 1 else shard_path(made.path, shard, shards)
            self._write(path, made, numbers, origin, shards)
        return made

    def _draw(self, made: Level, level: int) -> None:
        fixed = np.random.default_rng(3)
        drift = np.random.default_rng(100 + level)
        for component, side in SIDES.items():
            if component not in self.components:
                continue
            n = int(self.lengths[side].sum())
            mean = 20 * fixed.standard_normal(self.width)
            rows = fixed.standard_normal((n, self.width))
            for layer in range(self.n_layers + 1):
                rows = rows + 0.4 * np.tanh(rows @ fixed.standard_normal((self.width, self.width)))
                moved = rows + 0.2 * level * drift.standard_normal(rows.shape)
                made.states[component, str(layer)] = (mean + moved).astype(np.float32)
        if self.n_best:
            scores = 3 * fixed.standard_normal((int(self.lengths["target"].sum()), len(WORDS)))
            scores += 0.5 * level * drift.standard_normal(scores.shape)
            made.logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        for kind, (query, key) in ATTENTION_KINDS.items():
            if kind not in self.components:
                continue
            for layer in range(1, self.n_layers + 1):
                rows = []
                for q, k in zip(self.lengths[query], self.lengths[key], strict=True):
                    scores = 2 * fixed.standard_normal((q, k, self.n_heads)) + 0.3 * level * drift.standard_normal(
                        (q, k, self.n_heads)
                    )
                    if kind == "decoder_self":
                        scores[np.triu_indices(q, 1, k)] = -np.inf
                    weights = np.exp(scores)
                    rows.append((weights / weights.sum(axis=1, keepdims=True)).reshape(q * k, -1))
                made.attention[kind, str(layer)] = np.concatenate(rows).astype(np.float32)

    def _rows(self, lengths: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        starts = np.concatenate([[0], np.cumsum(lengths)])
        return np.concatenate([np.arange(starts[s], starts[s + 1]) for s in numbers])

    def _write(self, path: Path, made: Level, numbers: np.ndarray, origin: Origin, shards: int) -> None:
        states: dict[str, dict[str, int]] = {}
        for component, layer in made.states:
            states.setdefault(component, {})[layer] = self.width
        attention: dict[str, dict[str, int]] = {}
        for kind, layer in made.attention:
            attention.setdefault(kind, {})[layer] = self.n_heads
        lengths = {side: lengths[numbers] for side, lengths in self.lengths.items()}
        symbols = {side: WORDS for side in self.lengths}
        counts = {side: self.counts for side in self.lengths}
        every = np.arange(len(numbers))
        with ActivationWriter(
            path,
            lengths,
            states,
            attention,
            symbols,
            counts,
            origin,
            sentences=None if shards == 1 else numbers,
            n_best=self.n_best,
        ) as writer:
            if made.logs is not None:
                assert self.output_of is not None
                own = self._rows(self.lengths["target"], numbers)
                writer.write_output(every, self.output_of(made.logs[own], self.gold[own], self.n_best))
            for side in lengths:
                writer.write_tokens(side, every, np.concatenate([self.tokens[side][s] for s in numbers]))
            for (component, layer), rows in made.states.items():
                own = self._rows(self.lengths[SIDES[component]], numbers)
                writer.write_states(component, layer, every, rows[own])
            for (kind, layer), rows in made.attention.items():
                query, key = ATTENTION_KINDS[kind]
                own = self._rows(self.lengths[query] * self.lengths[key], numbers)
                writer.write_attention(kind, layer, every, rows[own])


@pytest.fixture(scope="session")
def output_dumps(output_of: Callable[..., Output], tmp_path_factory: pytest.TempPathFactory) -> DumpMaker:
    """A maker of small dumps that hold output distributions, 4 best tokens of 12."""
    options = {"components": ("decoder",), "width": 4, "n_layers": 1, "n_sentences": 60}
    return DumpMaker(tmp_path_factory.mktemp("outputs"), n_best=4, output_of=output_of, **options)


@pytest.fixture
def make_dumps(tmp_path: Path, output_of: Callable[..., Output]) -> Callable[..., DumpMaker]:
    """A maker of dumps in the test's folder."""

    def make(**options: Any) -> DumpMaker:
        folder = tmp_path / options.pop("folder", "dumps")
        folder.mkdir(exist_ok=True)
        return DumpMaker(folder, output_of=output_of, **options)

    return make
