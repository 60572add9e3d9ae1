"""`prune --hf`: a one-shot series of a model, by the plugin's scores: every level is the dense model with zeros.

Each rate is taken off the dense weights at once and nothing is trained after it, so that levels differ in what is gone
and in nothing else. The random scores of a weight are the same at every rate: what one level has lost, the next has
lost too.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from probing_bridge.errors import BridgeError
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.tables import write_table
from probing_bridge.huggingface.folder import PICKLED, open_whole_model, weights_hash
from probing_bridge.huggingface.levels import experiment_of, masks_of
from probing_bridge.pruning.criteria import PRUNING_CRITERIA, prunable_parameters, prune
from probing_bridge.pruning.masks import Mask

_STREAM = 1  # of the random scores, at every rate


def prune_series(folder: Path, rates: Sequence[float], score: str, seed: int, output: Path) -> pd.DataFrame:
    """Writes lth0, the dense model, a level for each rate, as folders that transformers opens, and lth.csv beside them.

    Args:
        folder: The dense model.
        rates: Shares of the prunable weights, ascending, each in (0, 1).
        score: One of PRUNING_CRITERIA that sees no data.
        seed: For scores that are random.
        output: The folder of the series.

    Returns:
        The rows of the table `lth`, the dense level first; the sparsity is that of all weights that are exactly zero.

    Raises:
        BridgeError: Rates that do not ascend, or a model that cannot be opened.
    """
    if list(rates) != sorted(set(rates)) or not rates or not 0 < rates[0] <= rates[-1] < 1:
        raise BridgeError(f"--rates {','.join(map(str, rates))}: expected numbers between 0 and 1 that ascend")
    model = open_whole_model(folder)
    weights = prunable_parameters(model)
    dense = {name: weight.detach().clone() for name, weight in weights.items()}
    full, rows = Mask.full(dense), []
    fixed = {"weights": sum(weight.numel() for weight in model.parameters()), "prunable_weights": full.n_weights}
    how = {"score": score, "scope": "global", "seed": seed if PRUNING_CRITERIA[score].is_drawn else None}
    with folder_beside(output) as made:
        for number, rate in enumerate((0.0, *rates)):
            mask = prune(dense, full, rate, score, "global", seed, _STREAM) if rate else full
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(dense[name])
                mask.zero_({name: weight.data for name, weight in weights.items()})
            place = made / f"lth{number}"
            _save(model, folder, place)
            rows.append(
                {
                    "experiment": experiment_of(place),
                    "level": number,
                    "sparsity_prunable": mask.sparsity,
                    "sparsity": masks_of(place).sparsity,
                    "pruned_weights": mask.n_pruned,
                    **fixed,
                    **({"rate": rate, **how} if rate else {}),
                    "mask_hash": mask.hash(),
                    "checkpoint": place.name,
                    "checkpoint_hash": weights_hash(place),
                }
            )
        table = pd.DataFrame(rows).astype({name: TABLES["lth"].columns[name] for name in ("seed", "rate")})
        write_table(table, "lth", made / "lth.csv")
    return table


def _save(model: Any, folder: Path, place: Path) -> None:
    """Writes a model, and beside it what else its folder has, such as the tokenizer's files."""
    model.save_pretrained(place, safe_serialization=True)
    for path in folder.iterdir():
        is_weights = path.suffix == ".safetensors" or any(path.match(pattern) for pattern in PICKLED)
        if path.is_file() and not is_weights and not (place / path.name).exists() and "index.json" not in path.name:
            shutil.copyfile(path, place / path.name)
