"""How often the intervals of similarity are right: worlds whose truth is known, at two sizes of corpus.

A world is a distribution of sentences; many corpora are drawn from it, and each gives scores with their intervals. The
truth about the population follows from the world's covariances (activations), from one corpus of 60,000 sentences
(attention) or from 3,000 tokens of sentences of their own (RSA); that about corpora of one size is the mean score of
those drawn.

    python -m benchmarks.coverage [--corpora 400]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import spearmanr

from probing_bridge.results.naming import rows_of
from probing_bridge.similarity.arrays import accumulate_arrays, compare_layers
from probing_bridge.similarity.measures.attention_distributions import DistributionCounter
from probing_bridge.similarity.measures.registry import DISTRIBUTION_MEASURES, HEAD_MEASURES, MEASURES, interval_of
from probing_bridge.similarity.run.dumps import Component
from probing_bridge.similarity.run.group_tile import fewest_tokens, group_scores
from probing_bridge.similarity.run.scoring import Score, Scorer, describe_layer, score_spectrum, with_interval
from probing_bridge.similarity.sums.blocks import cut_blocks
from probing_bridge.similarity.sums.gemm import NumpyGemm, one_thread
from probing_bridge.similarity.sums.jackknife import leave_one_out
from probing_bridge.similarity.sums.layers import array_layer, take_pilot
from probing_bridge.similarity.sums.streaming import accumulate

SENTENCES = (195, 875)  # of 20 tokens on average: 3,900 and 17,500 tokens, as the test and the whole open data
WIDTH, HEADS = 128, 4
T_QUANTILE = 2.093  # of 19 degrees of freedom
Key = tuple[str, str, str]  # measure, variant, size
_OF_ARRAYS = ("linear_predictivity", "rsa")


@dataclass
class Tally:
    """Scores of one measure over corpora of one size, and the truth about the population."""

    truth: float
    scores: list[Score] = field(default_factory=list)

    def row(self, key: Key) -> dict[str, object]:
        """What the table says of it."""
        values, low, high = (np.array([getattr(s, name) for s in self.scores]) for name in ("value", "low", "high"))
        known = np.isfinite(low)
        covers = [100 * ((low <= truth) & (truth <= high))[known].mean() for truth in (self.truth, values.mean())]
        errors, spread = (high - low)[known] / 2 / T_QUANTILE, values.std(ddof=1)
        return {
            "measure": key[0], "variant": key[1], "of": key[2], "claims": interval_of(key[0], key[1]),
            "population %": covers[0], "corpus size %": covers[1], "truth": self.truth, "mean": values.mean(),
            "error / true error": float(np.sqrt((errors**2).mean()) / spread) if spread else float("nan"),
        }  # fmt: skip


def lengths(random: np.random.Generator, n_sentences: int) -> np.ndarray:
    """Tokens of each sentence."""
    return random.integers(5, 36, n_sentences)


@dataclass(frozen=True)
class States:
    """Two layers of a world: tokens depend on their sentence, the spectrum falls, neurons have counterparts."""

    spectrum: np.ndarray
    mixing: np.ndarray
    noise: float

    @classmethod
    def drawn(cls) -> States:
        """The one of this benchmark."""
        random = np.random.default_rng(0)
        rotation = np.linalg.qr(random.standard_normal((WIDTH, WIDTH)))[0]
        spectrum = np.sqrt(np.arange(1, WIDTH + 1) ** -0.7)[:, None] * rotation  # (WIDTH, WIDTH), latents to neurons
        mixing = 0.7 * np.eye(WIDTH) + 0.7 * random.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
        return cls(spectrum, mixing, 0.3)

    def draw(self, random: np.random.Generator, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Activations of both layers, (n_tokens, WIDTH) each."""
        n = int(counts.sum())
        shared = np.repeat(random.standard_normal((len(counts), WIDTH), dtype=np.float32), counts, axis=0)
        latent = np.sqrt(0.3) * shared + np.sqrt(0.7) * random.standard_normal((n, WIDTH), dtype=np.float32)
        x = latent @ self.spectrum.astype(np.float32)
        y = x @ self.mixing.astype(np.float32)
        y += np.float32(self.noise) * random.standard_normal((n, WIDTH), dtype=np.float32)
        return x, y

    def truth(self) -> dict[tuple[str, str], float]:
        """Every measure of the covariances of the population."""
        own_x = self.spectrum.T @ self.spectrum
        cross = own_x @ self.mixing
        own_y = self.mixing.T @ cross + self.noise**2 * np.eye(WIDTH)
        cka = float((cross**2).sum() / np.sqrt((own_x**2).sum() * (own_y**2).sum()))
        r = cross / np.sqrt(np.outer(np.diag(own_x), np.diag(own_y)))
        values = np.linalg.eigvalsh(own_x)[::-1]
        shares = np.cumsum(values) / values.sum()
        return {
            ("linear_cka", "biased"): cka,
            ("linear_cka", "debiased"): cka,
            ("neuron_similarity", "signed"): float(r.max(axis=1).mean()),
            ("spectrum_k80", "centred"): float((shares < 0.8).sum() + 1),
            ("participation_ratio", "centred"): float(values.sum() ** 2 / (values**2).sum()),
            ("largest_neuron_share", "centred"): float(np.diag(own_x).max() / np.trace(own_x)),
            **dict.fromkeys([("linear_predictivity", "linear"), ("linear_predictivity", "ridge")], self._multiple_r()),
            ("rsa", ""): self._rsa(),
        }

    def _multiple_r(self) -> float:
        """Mean over the neurons of the first layer of their multiple correlation with the second."""
        own_x = self.spectrum.T @ self.spectrum
        cross = own_x @ self.mixing
        own_y = self.mixing.T @ cross + self.noise**2 * np.eye(WIDTH)
        explained = (cross * np.linalg.solve(own_y, cross.T).T).sum(axis=1)
        return float(np.sqrt(explained / np.diag(own_x)).mean())

    def _rsa(self) -> float:
        """Spearman's correlation of the dissimilarities of tokens of sentences of their own."""
        layers = self.draw(np.random.default_rng(4), np.ones(3000, dtype=np.int64))
        upper = np.triu_indices(3000, 1)
        distances = [1 - np.corrcoef(layer - layer.mean(axis=0))[upper] for layer in layers]
        return float(spearmanr(*distances).statistic)


def score_states(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> Iterator[Score]:
    """All scores of two layers."""
    blocks = cut_blocks(np.concatenate([[0], np.cumsum(counts)]))
    moments = accumulate_arrays({"x": x, "y": y}, blocks, NumpyGemm())
    weights = leave_one_out(blocks.n_blocks)
    measures = {name: MEASURES[name] for name in ("linear_cka", "neuron_similarity")}
    own = [moments.pair(k, k) for k in range(2)]
    one, two = (describe_layer(sums, weights, lambda: own[0], measures.values()) for sums in own)
    yield from Scorer(weights, measures).pair(one, two, moments.pair(0, 1))[0][0].scores
    yield from next(score_spectrum(one, own[0], weights))[1]
    table = compare_layers({"x": x, "y": y}, np.concatenate([[0], np.cumsum(counts)]), _OF_ARRAYS, gemm=NumpyGemm())
    rows = table[(table["layer_a"] == "x") & (table["layer_b"] == "y")]
    yield from (Score(row.measure, row.variant, row.score, row.low, row.high) for row in rows_of(rows))


def score_groups(x: np.ndarray, y: np.ndarray, counts: np.ndarray, sizes: list[int]) -> Iterator[tuple[int, Score]]:
    """CKA over groups of tokens that lie anywhere."""
    random = np.random.default_rng(len(x))
    groups = {str(n): np.sort(random.choice(len(x), n, replace=False)) for n in sizes}
    component = Component("encoder", "encoder", ("1",), WIDTH, np.concatenate([[0], np.cumsum(counts)]))
    for name, _, scores in group_scores(array_layer("x", x), array_layer("y", y), groups, component, NumpyGemm()):
        assert not isinstance(scores, str), scores
        yield from ((int(name), score) for score in scores)


def draw_attention(random: np.random.Generator, counts: np.ndarray) -> list[np.ndarray]:
    """Visible pairs of causal attention of two layers with the same habits, (n_pairs, HEADS) each."""
    habits = np.random.default_rng(1).standard_normal((2, HEADS, 36))  # of each head, by distance
    layers: list[list[np.ndarray]] = [[], []]
    for n in counts:
        distance = np.arange(n)[:, None] - np.arange(n)
        visible = (distance >= 0) & (np.arange(n)[:, None] > 0)
        both = random.standard_normal((n, n, HEADS))
        for layer, own in zip(layers, habits, strict=True):
            logits = 2 * own[:, np.abs(distance)].transpose(1, 2, 0) + both + random.standard_normal((n, n, HEADS))
            masses = np.where(distance[..., None] >= 0, np.exp(logits), 0)
            layer.append((masses / masses.sum(axis=1, keepdims=True))[visible])
    return [np.concatenate(layer) for layer in layers]


def attention_truth() -> dict[tuple[str, str], float]:
    """Every measure of a corpus of 60,000 sentences, added up without the package."""
    random, n, added, products = np.random.default_rng(2), 0, np.zeros(2 * HEADS), np.zeros((2 * HEADS, 2 * HEADS))
    entropy = concentrated = queries = 0.0
    for _ in range(120):
        counts = lengths(random, 500)
        x, y = draw_attention(random, counts)
        both = np.concatenate([x, y], axis=1)
        n, added, products = n + len(both), added + both.sum(axis=0), products + both.T @ both
        starts = np.concatenate([[0], np.cumsum(np.concatenate([np.arange(2, k + 1) for k in counts]))[:-1]])
        concentrated += (np.maximum.reduceat(x, starts) > 0.9).sum()
        entropy -= (x * np.log(np.where(x > 0, x, 1))).sum()
        queries += HEADS * len(starts)
    covariance = products / n - np.outer(added, added) / n**2
    own_x, own_y, cross = covariance[:HEADS, :HEADS], covariance[HEADS:, HEADS:], covariance[:HEADS, HEADS:]
    return {
        ("attention_cka", "visible"): float((cross**2).sum() / np.sqrt((own_x**2).sum() * (own_y**2).sum())),
        ("attention_entropy", "visible"): entropy / queries,
        ("attention_concentration", "visible"): concentrated / queries,
    }


def score_attention(layers: list[np.ndarray], counts: np.ndarray) -> Iterator[Score]:
    """AttentionSim of two layers; entropy and concentration of the first."""
    units = np.concatenate([[0], np.cumsum(np.concatenate([np.arange(2, n + 1) for n in counts]))])
    offsets = np.concatenate([[0], np.cumsum(counts * (counts + 1) // 2 - 1)])
    blocks = cut_blocks(offsets, units=units)
    counter = DistributionCounter(DISTRIBUTION_MEASURES, 2, blocks.n_blocks, units, 0.9)
    sources = [array_layer(str(k), rows) for k, rows in enumerate(layers)]
    pilots = [take_pilot(source, len(layers[0])) for source in sources]
    moments = accumulate(sources, pilots, blocks, [(0, 0), (0, 1), (1, 1)], NumpyGemm(), on_chunk=counter)
    weights = leave_one_out(blocks.n_blocks)
    own = [moments.pair(k, k) for k in range(2)]
    measures = {"attention_cka": HEAD_MEASURES["attention_cka"]}
    one, two = (describe_layer(sums, weights, lambda: own[0], measures.values()) for sums in own)
    yield from Scorer(weights, measures).pair(one, two, moments.pair(0, 1))[0][0].scores
    _, _, estimates = next(counter.estimates(weights))
    for name, estimate in estimates.items():
        yield with_interval(name, "", estimate, DISTRIBUTION_MEASURES[name].bounds)


def tallies(n_corpora: int) -> dict[Key, Tally]:
    """Scores of all corpora."""
    states, found = States.drawn(), dict[Key, Tally]()
    truth = states.truth() | attention_truth()

    def add(score: Score, size: str, variant: str | None = None) -> None:
        name = score.measure, variant or score.variant
        if name not in truth:  # of other measures of the same spectrum
            return
        found.setdefault((*name, size), Tally(truth[name])).scores.append(score)

    fewest = fewest_tokens(WIDTH)
    for k in range(n_corpora):
        random = np.random.default_rng([3, k])
        for n_sentences in SENTENCES:
            size = f"{20 * n_sentences:,} tokens"
            counts = lengths(random, n_sentences)
            x, y = states.draw(random, counts)
            for score in score_states(x, y, counts):
                add(score, size)
            if n_sentences == SENTENCES[0]:
                for n, score in score_groups(x, y, counts, [fewest, 3 * fewest, 10 * fewest]):
                    add(score, f"group of {n:,}")
            for score in score_attention(draw_attention(random, counts), counts):
                add(score, size, "visible")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=int, default=400, help="drawn of each size (default: %(default)s)")
    with one_thread():
        rows = [tally.row(key) for key, tally in tallies(parser.parse_args().corpora).items()]
    columns: dict[str, Callable[[object], str]] = {
        "measure": str, "variant": str, "of": str, "claims": str, "population %": "{:.1f}".format,
        "corpus size %": "{:.1f}".format, "error / true error": "{:.2f}".format,
        "truth": "{:.4f}".format, "mean": "{:.4f}".format,
    }  # fmt: skip
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in sorted(rows, key=lambda row: [str(row[name]) for name in ("measure", "variant")]):
        print("| " + " | ".join(form(row[name]) for name, form in columns.items()) + " |")
    wrong = [row for row in rows if row["claims"] == "population" and not 92 <= float(str(row["population %"])) <= 98]
    print(json.dumps({"benchmark": "coverage", "population_outside_92_98": [[r["measure"], r["of"]] for r in wrong]}))


if __name__ == "__main__":
    main()
