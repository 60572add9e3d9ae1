"""`--average N`: the mean of a level's last N epochs, as a checkpoint of its own (Vaswani et al. 2017, Section 6.1).

It is no level: nothing was trained to be it, so it carries neither a number nor masks, and tables of levels do not take
it. Weights that a level's mask prunes are zero in each of its epochs, and so in their mean.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from fairseq_lth.levels.checkpoints import n_updates, require_state
from fairseq_lth.levels.export import plain_config, save_plain
from probing_bridge.errors import BridgeError, InputError

_EPOCH = re.compile(r"checkpoint(\d+)\.pt")


def export_average(directory: Path, count: int, target: Path) -> list[Path]:
    """Writes the mean of the last epochs in a run directory as a checkpoint that plain fairseq loads.

    Args:
        directory: The run directory, with fairseq's checkpoints of epochs (`--keep-last-epochs`).
        count: How many epochs.
        target: The file to write.

    Returns:
        The checkpoints that were averaged.

    Raises:
        BridgeError: Fewer than one or more than there are, epochs of several levels, experiments or models, or a
            checkpoint that cannot be read.
    """
    if count < 1:
        raise BridgeError(f"--average {count}: expected at least 1")
    files = {int(match[1]): path for path in directory.glob("*.pt") if (match := _EPOCH.fullmatch(path.name))}
    if len(files) < count:
        raise InputError(
            f"has {len(files)} checkpoints of epochs, and --average asks for {count}: train with --keep-last-epochs "
            f"{count} and without --no-epoch-checkpoints",
            directory,
        )
    chosen = [files[epoch] for epoch in sorted(files)[-count:]]
    last, state = require_state(chosen[-1])
    shapes = {name: tensor.shape for name, tensor in last["model"].items()}
    sums: dict[str, Tensor] = {}
    for path in chosen:
        checkpoint, other = (last, state) if path == chosen[-1] else require_state(path)
        if (other["experiment"], other["level"]) != (state["experiment"], state["level"]):
            raise InputError(
                f"is level {other['level']} of {other['experiment']}, but {chosen[-1]} is level {state['level']} of "
                f"{state['experiment']}: epochs of one level have a mean",
                path,
            )
        model = checkpoint["model"]
        if {name: tensor.shape for name, tensor in model.items()} != shapes:
            raise InputError(f"has other parameters than {chosen[-1]}", path)
        for name, tensor in model.items():
            sums[name] = sums[name] + tensor.double() if name in sums else tensor.double()
    save_plain(_means(sums, count, last["model"]), plain_config(last["cfg"]), n_updates(last), target)
    return chosen


def _means(sums: dict[str, Tensor], count: int, last: dict[str, Tensor]) -> dict[str, Tensor]:
    """The means in at least float32, tied weights once; what is no weight is that of the last epoch."""
    made: dict[tuple[int, torch.Size, tuple[int, ...]], Tensor] = {}
    model = {}
    for name, tensor in last.items():
        place = tensor.data_ptr(), tensor.shape, tensor.stride()
        if place not in made:
            dtype = torch.promote_types(tensor.dtype, torch.float32)
            made[place] = (sums[name] / count).to(dtype) if tensor.is_floating_point() else tensor.clone()
        model[name] = made[place]
    return model
