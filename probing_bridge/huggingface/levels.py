"""Which level of a series a folder is: its experiment, its sparsity, its masks, read off the weights.

A series is a folder of checkpoints of one model, dense and then compressed by whatever tool. What is pruned is what is
exactly zero in the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from probing_bridge import __version__
from probing_bridge.errors import InputError
from probing_bridge.formats.origin import Origin
from probing_bridge.huggingface.folder import weight_files, weights_hash
from probing_bridge.pruning.masks import Mask


@dataclass(frozen=True)
class Level:
    """What is said of a model's place in a series.

    Attributes:
        number: 0 = dense; None: it is of no series.
        with_sparsity: Whether its sparsity is read from the weights.
    """

    number: int | None = None
    with_sparsity: bool = False


def masks_of(folder: Path) -> Mask:
    """Which weights of a model are not exactly zero, by tensor, as its files have them.

    Args:
        folder: A folder with weights.

    Raises:
        InputError: A file that is no safetensors file.
    """
    kept = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118 - no mapping
                    weight = file.get_tensor(name)
                    if weight.is_floating_point():
                        kept[name] = weight != 0
        except SafetensorError as error:
            raise InputError(f"is no safetensors file ({error})", path) from error
    return Mask(kept)


def experiment_of(folder: Path) -> str:
    """The identity of the series that a folder is of: its parent folder, and names and shapes of the weights.

    Two levels of one series have the same, whatever was set to zero; a model of another size has another.
    """
    digest = hashlib.sha256()
    for path in weight_files(folder):
        try:
            with safe_open(path, "pt") as file:
                for name in sorted(file.keys()):
                    digest.update(f"{name}{file.get_slice(name).get_shape()}".encode())
        except SafetensorError as error:
            raise InputError(f"is no safetensors file ({error})", path) from error
    return f"{folder.resolve().parent.name}-{digest.hexdigest()[:12]}"


def origin_of(folder: Path, level: Level, languages: Mapping[str, str], **more: Any) -> Origin:
    """What a file made from a model says of its origin.

    Args:
        folder: The model.
        level: Its place in a series.
        languages: Codes of the languages by side; empty where they are not given.
        more: More of the record.

    Raises:
        InputError: Weights that cannot be read.
    """
    return Origin(
        experiment="" if level.number is None else experiment_of(folder),
        level=level.number,
        sparsity=masks_of(folder).sparsity if level.with_sparsity else None,
        checkpoint=folder.resolve().name,
        checkpoint_hash=weights_hash(folder),
        source_lang=languages["source"],
        target_lang=languages["target"],
        package_version=__version__,
        **more,
    )
