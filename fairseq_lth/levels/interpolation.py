"""`--interpolate A B`: validation loss, and BLEU if asked for, on the line between two levels, and the barrier on it.

Linear mode connectivity (Frankle et al. 2020, Section 2): two models lie in one valley if no mixture of their weights
is worse than they are. A level and the one before it, or levels of two runs, of one model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fairseq import checkpoint_utils, utils
from fairseq.logging import metrics
from matplotlib.figure import Figure
from torch import Tensor

from fairseq_lth.levels import paths
from fairseq_lth.levels.checkpoints import read_checkpoint, require_dictionary, require_state
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.tables import write_table


def run_interpolation(directory: Path, ends: list[str], points: int, data: str, bleu: str | None = None) -> None:
    """Writes and prints the losses between two levels.

    Args:
        directory: The run directory; gets `interpolation_A_B.csv` and `.png`.
        ends: Two levels of it by number, or checkpoints of levels of any runs.
        points: Models on the line, both ends included.
        data: The folder of the binarised data.
        bleu: How subwords are undone for BLEU; None for no BLEU.

    Raises:
        BridgeError: Fewer than two points or more than a thousand, a checkpoint or data that cannot be used, or two
            different models.
    """
    if not 2 <= points <= 1000:
        raise BridgeError(f"--points {points}: expected 2, both ends, to 1000")
    files = [paths.level_checkpoint(directory, int(end)) if end.isdigit() else Path(end) for end in ends]
    states = [require_state(path)[1] for path in files]
    alphas = np.linspace(0.0, 1.0, points)
    frame = measures_between(files[0], files[1], alphas, data, bleu)
    losses = frame["loss"].tolist()
    own = states[0]["experiment"]
    names = [
        f"lth{state['level']}" if state["experiment"] == own else f"{state['experiment']}-lth{state['level']}"
        for state in states
    ]
    frame = frame.assign(experiment=own, level=states[0]["level"])
    frame = frame.assign(other_experiment=states[1]["experiment"], other_level=states[1]["level"])
    stem = directory / f"interpolation_{names[0]}_{names[1]}"
    write_table(frame, "interpolation", stem.with_suffix(".csv"))
    with written_beside(stem.with_suffix(".png")) as beside:
        draw(alphas, losses, names).savefig(beside, format="png", dpi=150)
    print(frame[["alpha", "loss", *(["bleu"] if bleu else [])]].to_string(index=False, float_format="{:.4f}".format))
    print(f"barrier {barrier(losses):+.4f} (highest loss less the mean of both ends)")
    print(f"{stem}.csv, {stem}.png")


def measures_between(first: Path, second: Path, alphas: np.ndarray, data: str, bleu: str | None) -> pd.DataFrame:
    """The validation loss of (1 - alpha) A + alpha B, and BLEU if asked for, in float32 on the CPU or the first GPU.

    Args:
        first: Checkpoint A, whose configuration and first validation set are used.
        second: Checkpoint B.
        alphas: Shares of B in [0, 1].
        data: The folder of the binarised data.
        bleu: fairseq's `--eval-bleu-remove-bpe`; None for no BLEU.

    Returns:
        `alpha`, the criterion's `loss` and, if asked for, `bleu`, as fairseq validates with the flags of A's training.

    Raises:
        InputError: No such folder, or the two are different models.
    """
    if not Path(data).is_dir():
        raise InputError("no such data folder; give --data what the run was trained on", data)
    own = read_checkpoint(first)
    a, b = own["model"], read_checkpoint(second)["model"]
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b or a[name].shape != b[name].shape:
            raise InputError(f"is of another model than {first}: {name} differs", second)
    overrides = {"data": data, "eval_bleu": bleu is not None, "eval_bleu_remove_bpe": bleu}
    models, cfg, task = checkpoint_utils.load_model_ensemble_and_task([str(first)], arg_overrides=overrides)
    require_dictionary(own, task.source_dictionary, data)
    model = models[0].float().eval()
    if torch.cuda.is_available():
        model.cuda()
    criterion = task.build_criterion(cfg.criterion).eval()
    batches = _validation_batches(task, cfg, model)
    rows = []
    for alpha in alphas:
        model.load_state_dict({name: _mixed(a[name], b[name], float(alpha)) for name in a})
        rows.append({"alpha": alpha, **_measures(task, model, criterion, batches)})
    return pd.DataFrame(rows)


def _mixed(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) a + alpha b; exactly a and b at the ends."""
    return a.float() * (1.0 - alpha) + b.float() * alpha if a.is_floating_point() else a


def _validation_batches(task: Any, cfg: Any, model: Any) -> list[Any]:
    """The batches on which the run was validated."""
    subset = cfg.dataset.valid_subset.split(",")[0]
    task.load_dataset(subset, combine=False, epoch=1, task_cfg=cfg.task)
    iterator = task.get_batch_iterator(
        dataset=task.dataset(subset),
        max_tokens=cfg.dataset.max_tokens_valid,
        max_sentences=cfg.dataset.batch_size_valid,
        max_positions=utils.resolve_max_positions(task.max_positions(), model.max_positions()),
        ignore_invalid_inputs=cfg.dataset.skip_invalid_size_inputs_valid_test,
        required_batch_size_multiple=cfg.dataset.required_batch_size_multiple,
    )
    batches = list(iterator.next_epoch_itr(shuffle=False))
    return [utils.move_to_cuda(batch) for batch in batches] if torch.cuda.is_available() else batches


@torch.no_grad()
def _measures(task: Any, model: Any, criterion: Any, batches: list[Any]) -> dict[str, float]:
    with metrics.aggregate(new_root=True) as meters:
        task.reduce_metrics([task.valid_step(batch, model, criterion)[2] for batch in batches], criterion)
    found = {"loss": float(meters["loss"].avg)}  # the smoothed value is rounded
    return found | ({"bleu": float(meters.get_smoothed_value("bleu"))} if "bleu" in meters else {})


def barrier(losses: list[float]) -> float:
    """The highest loss on the line less the mean of both ends (Frankle et al. 2020, Section 2: linear instability)."""
    return max(losses) - (losses[0] + losses[-1]) / 2


def draw(alphas: np.ndarray, losses: list[float], names: list[str]) -> Figure:
    """Loss along the line, with the mean of the ends from which the barrier is measured."""
    figure = Figure(figsize=(4.5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(alphas, losses, marker="o", color="#1f5fa8")
    axes.axhline((losses[0] + losses[-1]) / 2, color="#888888", linewidth=0.8, linestyle="--")
    axes.set_xlabel(f"share of {names[1]} in its mixture with {names[0]}")
    axes.set_ylabel("validation loss")
    axes.set_title(f"barrier {barrier(losses):+.4f}", fontsize=10)
    return figure
