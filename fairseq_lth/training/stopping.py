"""SIGTERM, which a scheduler sends before a time limit: the training saves where it stands and ends.

The checkpoint is one in the middle of an epoch, without a validation, so that it is never the best one; the run that
goes on from it is, bit for bit, the one that was not stopped.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.trainer import Trainer

logger = logging.getLogger(__name__)
STATUS = 128 + signal.SIGTERM  # as a shell says it of a process that the signal ended
_asked = False  # this process was asked to stop
_wrapped: set[type] = set()  # trainers that look for it
_agreed = False  # all processes know of it


def stop_when_asked() -> None:
    """From now on SIGTERM ends the training after the update that it comes in; once per process."""
    if threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGTERM, _note)
    if Trainer in _wrapped:
        return
    _wrapped.add(Trainer)
    os.register_at_fork(after_in_child=_heed_parent_alone)
    step = Trainer.train_step

    @functools.wraps(step)
    def stepped(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        result = step(trainer, *args, **kwargs)
        _after_update(trainer)
        return result

    Trainer.train_step = stepped


def _heed_parent_alone() -> None:
    """In a process that loads batches: SIGTERM ends it only if the training sends it.

    Schedulers send it to every process of a job, and a training whose loaders end stops there, with nothing saved.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_await_parent, args=(os.getppid(),), daemon=True).start()


def _await_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def _note(number: int, frame: Any) -> None:
    global _asked
    _asked = True


def _after_update(trainer: Any) -> None:
    """Saves and ends the process if any was asked to; at the end of an epoch fairseq saves first."""
    global _agreed
    engine = getattr(trainer.task, "engine", None)
    if engine is None:
        return
    _agreed = _any(_asked, trainer.device)
    epoch = trainer.task.train_iterator
    if not _agreed or epoch.end_of_epoch():
        return
    checkpoint_utils.save_checkpoint(trainer.cfg.checkpoint, trainer, epoch, None)
    _end(f"in epoch {epoch.epoch} after {trainer.get_num_updates()} updates", trainer.device)


def stop_between_epochs(ended: int, save_interval: int) -> None:
    """Ends the process if it was asked to and the epoch before has been saved; called as the next one begins.

    Args:
        ended: The epoch that has ended.
        save_interval: fairseq's `--save-interval`.
    """
    if _agreed and ended % save_interval == 0:
        _end(f"at the end of epoch {ended}", None)


def _end(where: str, device: Any) -> None:
    if device is not None:
        _any(True, device)  # none ends before the first process has saved: a launcher would kill the others
    logger.warning("stopped by SIGTERM, saved %s: the same command goes on from there (status %d)", where, STATUS)
    raise SystemExit(STATUS)


def _any(value: bool, device: Any) -> bool:
    if not torch.distributed.is_initialized():
        return value
    flag = torch.tensor([int(value)], device=device)
    torch.distributed.all_reduce(flag)
    return bool(flag.item())
