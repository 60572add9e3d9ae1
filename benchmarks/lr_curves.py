"""The learning rate of every update over three levels, against the base scheduler's own at the mapped updates.

`python -m benchmarks.lr_curves --plot docs/images/lr_curves.png` trains a tiny model with `--task lth_imp` once with
each scheduler and notes the rate in force at every optimizer step. Beside it fairseq's own scheduler, without the
plugin, is stepped as fairseq's trainer would: through the dense epochs 1..R and then through those of the level, with
their validation losses. Prints one JSON line; exit status 1 names the first update whose rate differs in any bit.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.random_level import be_quiet, make_data

EPOCHS, REWIND, PRUNINGS = 6, 2, 2
SCHEDULERS = {
    "inverse_sqrt": "--lr 0.01 --warmup-updates 15",
    "cosine": "--lr 0.01 --warmup-updates 10 --lr-period-updates 40 --lr-shrink 0.6",
    "polynomial_decay": "--lr 0.01 --warmup-updates 10 --total-num-update 110 --end-learning-rate 0.001",
    "tri_stage": "--lr 0.01 --warmup-steps 15 --hold-steps 40 --decay-steps 50",
    "reduce_lr_on_plateau": "--lr 0.01 --warmup-updates 10 --lr-shrink 0.7 --lr-threshold 0.05",
    "fixed": "--lr 0.01,0.008,0.008,0.005 --warmup-updates 10 --force-anneal 5 --lr-shrink 0.5",
}
TRAINING = f"""
    -s en -t de --arch transformer --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 8 --decoder-embed-dim 8
    --encoder-ffn-embed-dim 16 --decoder-ffn-embed-dim 16 --encoder-attention-heads 2 --decoder-attention-heads 2
    --optimizer adam --criterion cross_entropy --max-tokens 150 --max-epoch {EPOCHS}
    --no-epoch-checkpoints --cpu --num-workers 0 --seed 5 --no-progress-bar
"""
PRUNING = f"--task lth_imp --imp-iterations {PRUNINGS} --imp-rewind-epoch {REWIND}"

Rates = list[float]


def train(argv: list[str]) -> tuple[list[Rates], list[float]]:
    """Trains with the plugin, in a process of its own.

    Returns:
        The rate of every update by level, and the validation loss of every epoch.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(argv, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise SystemExit(f"the training failed: fairseq-train {' '.join(argv)}") from None
    finally:
        process.join()


def _train(argv: list[str], sender: Any) -> None:
    from fairseq.trainer import Trainer
    from fairseq_cli.train import cli_main

    from fairseq_lth.task import ImpTask

    rates: list[Rates] = [[] for _ in range(PRUNINGS + 1)]
    losses: list[float] = []
    update, end_epoch = ImpTask.optimizer_step, Trainer.lr_step

    def noted_update(task: ImpTask, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        assert task.engine is not None
        rates[task.engine.level].append(optimizer.get_lr())
        update(task, optimizer, *args, **kwargs)

    def noted_end(trainer: Trainer, epoch: int, val_loss: float | None = None) -> Any:
        losses.extend([] if val_loss is None else [val_loss])
        return end_epoch(trainer, epoch, val_loss)

    ImpTask.optimizer_step, Trainer.lr_step = noted_update, noted_end
    logging.disable(logging.CRITICAL)
    sys.argv = ["fairseq-train", *argv]
    cli_main()
    sender.send((rates, losses))


def base_rates(argv: list[str], losses: list[float], updates: int) -> Rates:
    """Steps fairseq's own scheduler through epochs of some updates, as its trainer does.

    Args:
        argv: Flags of fairseq-train, without the plugin.
        losses: The validation loss at the end of each epoch.
        updates: Updates in an epoch.

    Returns:
        The rate in force at every update.
    """
    import torch
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.optim import build_optimizer
    from fairseq.optim.lr_scheduler import build_lr_scheduler

    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), argv))
    optimizer = build_optimizer(cfg.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    scheduler = build_lr_scheduler(cfg.lr_scheduler, optimizer)
    done, rates = 0, []
    scheduler.step_update(done)
    for epoch, loss in enumerate(losses, 1):
        scheduler.step_begin_epoch(epoch)
        scheduler.step_update(done)
        for _ in range(updates):
            rates.append(optimizer.get_lr())
            done += 1
            scheduler.step_update(done)
        scheduler.step(epoch, loss)
        scheduler.step_update(done)
    return rates


def compare(name: str, data: Path, save_dir: Path) -> tuple[Rates, Rates]:
    """Trains three levels with a scheduler and steps the base scheduler through each.

    Returns:
        The rate of every update of the training, and the base scheduler's.

    Raises:
        SystemExit: They differ.
    """
    import fairseq_lth

    argv = [str(data), *TRAINING.split(), "--lr-scheduler", name, *SCHEDULERS[name].split()]
    plugin = ["--user-dir", str(Path(fairseq_lth.__file__).parent), *PRUNING.split()]
    levels, losses = train([*argv, *plugin, "--save-dir", str(save_dir)])
    updates = len(levels[0]) // EPOCHS
    expected: Rates = []
    for level in range(PRUNINGS + 1):
        start = EPOCHS + (level - 1) * (EPOCHS - REWIND)  # epochs before the level
        of_level = losses[:EPOCHS] if level == 0 else losses[:REWIND] + losses[start : start + EPOCHS - REWIND]
        rates = base_rates(argv, of_level, updates)
        expected += rates if level == 0 else rates[REWIND * updates :]
    measured = [rate for level in levels for rate in level]
    if len(measured) != len(expected) or not updates:
        raise SystemExit(f"{name}: {len(measured)} updates, {len(expected)} expected")
    for update, (rate, own) in enumerate(zip(measured, expected, strict=True)):
        if rate != own:
            raise SystemExit(f"{name}: update {update} was made with {rate!r}, the base scheduler says {own!r}")
    return measured, expected


def draw(curves: dict[str, tuple[Rates, Rates]], path: Path) -> None:
    """Draws the rates of the training as lines and the base scheduler's own as dots; levels are separated."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(9, 4.2), layout="constrained", sharex=True)
    for panel, (name, (measured, expected)) in zip(axes.flat, curves.items(), strict=False):
        per_epoch = len(measured) // (EPOCHS + PRUNINGS * (EPOCHS - REWIND))
        for level in range(1, PRUNINGS + 1):
            panel.axvline((EPOCHS + (level - 1) * (EPOCHS - REWIND)) * per_epoch, color="lightgray", zorder=0)
        panel.plot(measured, linewidth=1.2, label="updates of the training")
        some = range(0, len(expected), 5)
        panel.plot(some, [expected[update] for update in some], ".", markersize=3, label="base scheduler, mapped")
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=7)
        panel.set_ylim(bottom=0)
    axes.flat[0].legend(fontsize=7, frameon=False)
    figure.supxlabel("update (levels 0, 1 and 2)", fontsize=8)
    figure.supylabel("learning rate", fontsize=8)
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    be_quiet()
    import torch

    from fairseq_lth import register

    register()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = make_data(folder, 300, 40, (3, 9))
        for path in data.glob("valid.*"):  # the benchmarks' data has sentence pairs in that split only
            shutil.copyfile(path, data / path.name.replace("valid", "train"))
        curves = {name: compare(name, data, folder / name) for name in SCHEDULERS}
    if arguments.plot:
        draw(curves, arguments.plot)
    print(json.dumps({"equal_updates": {name: len(measured) for name, (measured, _) in curves.items()}}))


if __name__ == "__main__":
    main()
