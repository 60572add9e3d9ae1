"""What a set of probes is asked: which features, which labels, how trained and by which metric chosen.

A kind of probe is a stack of affine maps with rectified units between; adding one is a row of PROBES.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probing_bridge.probes.features import Features

# Kind of probe -> how many rectified units stand between the input and the outputs, layer by layer.
# Both are of Liu et al. (2019): `decoder: linear` and `decoder: mlp` of contexteval/models/tagger.py in their code.
PROBES: dict[str, tuple[int, ...]] = {"linear": (), "mlp": (1024,)}


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run; the defaults are those of Liu et al. (2019).

    Attributes:
        probe: A key of PROBES.
        mix: One probe on a learned mix of all layers instead of one probe per layer.
        seed: 133 is the recipe's. Initial weights are drawn with torch's seed `seed`, batches shuffled with Python's
            random seeded 100 * seed + 70, which for 133 gives the original's pair 133 and 13370.
        batch_size: Instances per batch.
        max_epochs: Most epochs.
        patience: Epochs without a better development score.
        learning_rate: Of Adam.
        adam_of_torch_1_0: Adam as the original had it (`compat: liu2019`): its 1e-8 is added to the root of the
            second moment before the correction of its bias, not after. A probe's weights differ by about 1e-5 after
            200 updates, golden losses by 1e-5 at most.
    """

    probe: str = "linear"
    mix: bool = False
    seed: int = 133
    batch_size: int = 80
    max_epochs: int = 50
    patience: int = 3
    learning_rate: float = 1e-3
    adam_of_torch_1_0: bool = False

    @property
    def shuffle_seed(self) -> int:
        """Seed of the batch order."""
        return 100 * self.seed + 70


@dataclass(frozen=True)
class Problem:
    """All that training and testing a set of probes needs beside the items.

    Attributes:
        features: Of the layers to probe; each has its own probe, or all have one on their mix.
        recipe: The settings.
        n_words: Words of an item: 1, or 2 for pairs.
        metric: A key of METRICS of which higher is better: it chooses the epoch.
        labels: The vocabulary in the order of its numbers; None for a regression.
    """

    features: Features
    recipe: Recipe
    n_words: int
    metric: str
    labels: tuple[str, ...] | None

    @property
    def n_outputs(self) -> int:
        """Classes; 1 for a regression."""
        return 1 if self.labels is None else len(self.labels)

    @property
    def n_probes(self) -> int:
        """Probes that are trained together."""
        return 1 if self.recipe.mix else len(self.features.layers)
