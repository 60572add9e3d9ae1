"""The exams of the similarity measures: comparisons of small language models whose right answer is known beforehand.

python -m benchmarks.exams --data ../shared/data --output probing_bridge/results/exams.csv

After ReSi (Klabunde et al. 2024, arXiv 2408.00531: order of layers; random relations as the other end) and Kornblith et
al. 2019 (Section 6.1: the layer of another seed). Three Transformers of six layers, 64 wide, are trained on the English
captions of Multi30k, half a minute each on one core; the layers are compared on the words of its validation set.
"""

from __future__ import annotations

import argparse
import gzip
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from probing_bridge.report.markdown import to_markdown
from probing_bridge.similarity import MEASURES, compare_layers

SEEDS, LAYERS, WIDTH, WORDS, LONGEST = 3, 6, 64, 2000, 20
UPDATES, SENTENCES = 200, 32  # of a batch
NOISE = (0.5, 1.0, 2.0)  # standard deviations, in those of the layer
TOKENS_PER_NEURON = (5, 10, 20, 50, 100)
EXAMS = {
    "another seed": "share of layers whose most similar layer of another seed's model is of their depth; chance 1/6",
    "order of layers": "share of triples of layers of a model whose outer two are the least similar; chance 1/3",
    "added noise": "share of pairs of noise levels in which the layer with more noise is less similar; chance 1/2",
    "shuffled tokens": "1 less the score of a layer with itself when its tokens are shuffled; 1 is right",
}
Mark = tuple[tuple[str, str], str, float]  # measure and variant, exam, mark in [0, 1]


class LanguageModel(nn.Module):
    """A causal pre-norm Transformer; `layers` are the outputs of its blocks."""

    def __init__(self) -> None:
        """Draws the weights."""
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH, padding_idx=0), nn.Embedding(LONGEST, WIDTH)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.1, batch_first=True, norm_first=True)
            for _ in range(LAYERS)
        )
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS))

    def layers(self, words: torch.Tensor) -> list[torch.Tensor]:
        """States (n_sentences, length, WIDTH) after each block."""
        length = words.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        states = [self.words(words) + self.places.weight[:length]]
        for block in self.blocks:
            states.append(block(states[-1], src_mask=mask, is_causal=True))
        return states[1:]


def read_words(path: Path) -> list[list[str]]:
    """Words of each line of a text, one line a sentence."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.lower().split()[: LONGEST - 1] for line in file]


def to_numbers(sentences: list[list[str]], numbers: Mapping[str, int]) -> torch.Tensor:
    """(n_sentences, LONGEST) numbers of words, 1 before the first, 2 of what is rare, 0 after the last."""
    rows = torch.zeros(len(sentences), LONGEST, dtype=torch.long)
    for row, sentence in zip(rows, sentences, strict=True):
        row[: len(sentence) + 1] = torch.tensor([1, *(numbers.get(word, 2) for word in sentence)])
    return rows


def train(words: torch.Tensor, seed: int) -> LanguageModel:
    """A model that predicts the next word; prints the loss at the end."""
    torch.manual_seed(seed)
    model = LanguageModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, UPDATES)
    for _ in range(UPDATES):
        batch = words[torch.randint(len(words), (SENTENCES,))]
        predicted = model.out(model.layers(batch[:, :-1])[-1])
        loss = nn.functional.cross_entropy(predicted.flatten(0, 1), batch[:, 1:].flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"seed {seed}: loss {loss.item():.2f} nats after {UPDATES} updates", flush=True)
    return model.eval()


@torch.no_grad()
def states_of(model: LanguageModel, words: torch.Tensor) -> list[np.ndarray]:
    """Activations (n_tokens, WIDTH) of each layer on words, without what stands before and after a sentence."""
    parts = [[layer[batch > 1].numpy() for layer in model.layers(batch)] for batch in words.split(SENTENCES)]
    return [np.concatenate(layer) for layer in zip(*parts, strict=True)]


def scores_of(layers: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Likeness of all ordered pairs of layers by all variants of all measures; of a distance its negative."""
    variants = {name: list(measure.variants) for name, measure in MEASURES.items()}
    table = compare_layers(layers, measures=list(MEASURES), variants=variants)
    distances = [name for name, measure in MEASURES.items() if measure.distance]
    table["score"] *= np.where(table["measure"].isin(distances), -1, 1)
    return table


def by_variant(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str], dict[tuple[str, str], float]]]:
    """Measure and variant, and the scores by pairs of layers."""
    for (measure, variant), rows in table.groupby(["measure", "variant"], sort=False):
        pairs = zip(rows["layer_a"], rows["layer_b"], strict=True)
        yield (str(measure), str(variant)), dict(zip(pairs, rows["score"].astype(float), strict=True))


def examine_models(models: list[list[np.ndarray]]) -> Iterator[Mark]:
    """The exams between layers: another seed, and order of layers."""
    layers = {f"{seed}.{depth}": layer for seed, model in enumerate(models) for depth, layer in enumerate(model)}
    for variant, scores in by_variant(scores_of(layers)):
        found = [
            np.argmax([scores[f"{a}.{depth}", f"{b}.{other}"] for other in range(LAYERS)]) == depth
            for a, b in permutations(range(SEEDS), 2)
            for depth in range(LAYERS)
        ]
        yield variant, "another seed", float(np.mean(found))
        triples = [
            [f"{seed}.{layer}" for layer in three] for seed in range(SEEDS) for three in combinations(range(LAYERS), 3)
        ]
        ordered = [scores[i, k] < min(scores[i, j], scores[j, k]) for i, j, k in triples]
        yield variant, "order of layers", float(np.mean(ordered))


def examine_layer(layer: np.ndarray, seed: int) -> Iterator[Mark]:
    """The exams of a layer with what was made of it: added noise, and shuffled tokens."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal(layer.shape, dtype=np.float32) * layer.std(axis=0).mean()
    made = {"": layer, "shuffled": layer[random.permutation(len(layer))]}
    made |= {str(share): layer + np.float32(share) * noise for share in NOISE}
    for variant, scores in by_variant(scores_of(made)):
        by_noise = [scores["", name] for name in ("", *map(str, NOISE))]
        yield variant, "added noise", float(np.mean([more < less for less, more in combinations(by_noise, 2)]))
        yield variant, "shuffled tokens", 1 - abs(as_likeness(variant[0], scores["", "shuffled"]))


def as_likeness(measure: str, score: float) -> float:
    """A score in [-1, 1], 1 of equal layers: a distance as its share of the largest one."""
    bounds = MEASURES[measure].bounds
    return 1 + score / bounds[1] if MEASURES[measure].distance else score


def print_unrelated() -> None:
    """Scores of unrelated normal layers of 128 neurons by tokens a neuron."""
    random = np.random.default_rng(0)
    columns = {}
    for tokens in TOKENS_PER_NEURON:
        x, y = random.standard_normal((2, 128 * tokens, 128)).astype(np.float32)
        rows = scores_of({"x": x, "y": y})
        columns[tokens] = rows[rows["layer_a"] < rows["layer_b"]].set_index(["measure", "variant"])["score"].abs()
    table = pd.DataFrame(columns).map(lambda score: "refused" if np.isnan(score) else f"{score:.2f}")
    print(to_markdown(table.reset_index(), text_columns=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that has multi30k/train.en.gz")
    parser.add_argument("--output", type=Path, required=True, help="CSV of the marks")
    arguments = parser.parse_args()
    texts = [read_words(arguments.data / "multi30k" / f"{split}.en.gz") for split in ("train", "val")]
    common = Counter(word for sentence in texts[0] for word in sentence).most_common(WORDS - 3)
    words, held_out = (to_numbers(text, {word: k for k, (word, _) in enumerate(common, 3)}) for text in texts)
    models = [states_of(train(words, seed), held_out) for seed in range(SEEDS)]
    marks = list(examine_models(models))
    for seed, model in enumerate(models):
        for layer in model:
            marks += examine_layer(layer, seed)
    table = pd.DataFrame(
        [(*variant, exam, mark) for variant, exam, mark in marks], columns=["measure", "variant", "exam", "mark"]
    )
    means = table.groupby(["measure", "variant", "exam"], sort=False)["mark"].mean().unstack()[list(EXAMS)].round(2)
    means.reset_index().to_csv(arguments.output, index=False, float_format="%.2f")
    print(to_markdown(means.map("{:.2f}".format).reset_index(), text_columns=2))
    for exam, meaning in EXAMS.items():
        print(f"{exam}: {meaning}")
    print_unrelated()


if __name__ == "__main__":
    main()
