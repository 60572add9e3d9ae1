"""One command of fairseq, mostly fairseq-train, in a forked process, for the fixture `start`.

It can die by a signal at the n-th event of a kind (in the middle of it where a file is written), and can check after
every update that pruned weights, their masters, gradients and optimizer states are zero.
"""

import importlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Reaper:
    """Ends the process at the n-th event of a kind."""

    def __init__(self, kind: str, countdown: int, signal_name: str) -> None:
        self._kind, self._countdown, self._signal = kind, countdown, signal_name

    def is_due(self, kind: str) -> bool:
        if kind == self._kind:
            self._countdown -= 1
        return kind == self._kind and self._countdown == 0

    def end(self) -> None:
        os.kill(os.getpid(), getattr(signal, self._signal))
        if self._signal == "SIGKILL":
            signal.pause()

    def end_all(self) -> None:
        """Of a process that loads batches: the signal goes to the training, which waits for it, and to itself."""
        time.sleep(1)
        subprocess.run(["kill", f"-{self._signal}", str(os.getppid()), str(os.getpid())], check=True)
        time.sleep(1)

    def before(self, owner: Any, name: str, kind: str) -> None:
        """Makes every call of a function an event."""
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if self.is_due(kind):
                (self.end_all if kind == "load" else self.end)()
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)


def watch_files(reaper: Reaper) -> None:
    """Makes saving and copying events that end the process with half a file on disk, or with a full one (`full`)."""
    import torch
    from fairseq import checkpoint_utils

    original_copy, original_save = shutil.copyfile, torch.save

    def copy(source: str, target: str, **kwargs: Any) -> Any:
        if reaper.is_due("copy"):
            Path(target).write_bytes(Path(source).read_bytes()[: os.path.getsize(source) // 2])
            reaper.end()
        return original_copy(source, target, **kwargs)

    def save(state: Any, file: Any, *args: Any, **kwargs: Any) -> Any:
        if reaper.is_due("full"):
            torch.save = fail
            fail()
        if reaper.is_due("save"):
            if hasattr(file, "write"):
                file.write(b"PK\x03\x04 half a file")
            reaper.end()
        return original_save(state, file, *args, **kwargs)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    shutil.copyfile, torch.save = copy, save
    checkpoint_utils.PathManager.copy = staticmethod(lambda s, d, overwrite=False: bool(copy(s, d)) or True)


def assert_zeros(trainer: Any, has_state: bool) -> None:
    """Checks everything that a pruned weight leaves in a trainer."""
    import torch

    from fairseq_lth.training.zeros import inner_optimizers

    weights = dict(trainer.get_model().named_parameters())
    kept = {}
    for name, keep in trainer.task.engine.mask.kept.items():
        assert not weights[name][~keep].ne(0).any(), name
        grad = weights[name].grad
        assert grad is None or not grad[~keep].ne(0).any(), name
        kept[id(weights[name])] = keep
    masters = getattr(trainer.optimizer, "fp32_params", None)
    order = list(weights.values()) if masters is None else trainer.optimizer.fp16_params
    keeps = [kept.get(id(weight), torch.ones_like(weight, dtype=torch.bool)) for weight in order]
    if isinstance(masters, dict):
        stepped = [(next(iter(masters.values())), torch.cat([keep.reshape(-1) for keep in keeps]))]
    else:
        stepped = list(zip(order if masters is None else masters, keeps, strict=True))
    states = 0
    for tensor, keep in stepped:
        assert not tensor[~keep].ne(0).any()
        for inner in inner_optimizers(trainer.optimizer):
            for state in inner.state.get(tensor, {}).values():
                if torch.is_tensor(state) and state.shape == tensor.shape:
                    assert not state[~keep].ne(0).any()
                    states += 1
    assert states or not has_state


def fake_cuda() -> None:
    """Lets code of fairseq that asks for a GPU run on a CPU: flat fp16 buffers, pytorch_ddp, gathering of log lines."""
    import torch
    from fairseq.models import distributed_fairseq_model as wrappers

    ddp = wrappers.DistributedDataParallel
    torch.cuda.current_device = lambda: None
    torch.cuda.ByteTensor, torch.Tensor.pin_memory = torch.ByteTensor, lambda tensor: tensor
    wrappers.DistributedDataParallel = lambda device_ids, output_device, **options: ddp(**options)


def note_rates() -> dict[str, list[Any]]:
    """Notes level and learning rate of every optimizer step, and the validation loss of every epoch, as they come."""
    from fairseq.trainer import Trainer

    from fairseq_lth.task import ImpTask

    noted: dict[str, list[Any]] = {"updates": [], "losses": []}
    update, end_epoch = ImpTask.optimizer_step, Trainer.lr_step

    def noted_update(task: Any, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        noted["updates"].append((task.engine.level, optimizer.get_lr()))
        update(task, optimizer, *args, **kwargs)

    def noted_end(trainer: Any, epoch: int, val_loss: float | None = None) -> Any:
        noted["losses"] += [] if val_loss is None else [val_loss]
        return end_epoch(trainer, epoch, val_loss)

    ImpTask.optimizer_step, Trainer.lr_step = noted_update, noted_end
    return noted


def run(request: dict[str, Any]) -> None:
    """Runs the command; the request is what the fixture `start` was given."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    import torch
    from fairseq.data import LanguagePairDataset
    from fairseq.trainer import Trainer

    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # as in a command of its own; the fixture's is another
    reaper = Reaper(*(request["die"] or ("", 0)), request["signal"])
    watch_files(reaper)
    for owner, name, kind in (
        (os, "replace", "replace"), (os, "link", "link"), (Trainer, "begin_epoch", "epoch"),
        (Trainer, "lr_step", "lr_step"), (Trainer, "valid_step", "valid"), (Trainer, "train_step", "update"),
        (LanguagePairDataset, "collater", "load"),
    ):  # fmt: skip
        reaper.before(owner, name, kind)
    rates = note_rates()
    step = Trainer.train_step

    def watched_step(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        result = step(trainer, *args, **kwargs)
        if request["check"] and trainer.task.engine.mask is not None:
            assert_zeros(trainer, request["has_state"])
        return result

    Trainer.train_step = watched_step
    if request["fake_cuda"]:
        fake_cuda()
    if request["deterministic"]:  # kernels of CUDA that add in any order have others beside them
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        torch.use_deterministic_algorithms(True, warn_only=True)
    sys.argv = [request["command"], *request["argv"]]
    importlib.import_module(f"fairseq_cli.{request['command']}").cli_main()
    if request["rates"]:
        Path(request["rates"]).write_text(json.dumps(rates))
