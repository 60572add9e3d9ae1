"""One fairseq-train in a forked process: run by the fixture `train` with `REQUEST` set, never imported.

It can die by SIGKILL at the n-th event of a kind, and can check after every update that pruned weights are zero.
"""

import os
import shutil
import signal
import sys

REQUEST: dict
log = os.open(REQUEST["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(log, 1)
os.dup2(log, 2)
sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
sys.argv = ["fairseq-train", *REQUEST["argv"]]

import torch
from fairseq import checkpoint_utils
from fairseq.trainer import Trainer

torch.set_num_threads(1)
event, countdown = REQUEST["die"] or ("", 0)


def die_at(kind: str, half_done=None) -> None:
    """Ends the process if this is the event it is to die at."""
    global countdown
    if kind == event:
        countdown -= 1
        if countdown == 0:
            if half_done is not None:
                half_done()
            os.kill(os.getpid(), getattr(signal, REQUEST["signal"]))
            signal.pause()


def before(owner, name: str, kind: str) -> None:
    original = getattr(owner, name)

    def wrapped(*args, **kwargs):
        die_at(kind)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def half_a_copy(source: str, target: str, **_) -> None:
    with open(source, "rb") as whole, open(target, "wb") as half:
        half.write(whole.read(os.path.getsize(source) // 2))


original_copy, original_save = shutil.copyfile, torch.save


def copy(source, target, **kwargs):
    die_at("copy", lambda: half_a_copy(source, target))
    return original_copy(source, target, **kwargs)


def save(state, file, *args, **kwargs):
    die_at("save", lambda: file.write(b"PK\x03\x04 half a file") if hasattr(file, "write") else None)
    if event == "full" and countdown == 1:
        raise OSError(28, "No space left on device")
    return original_save(state, file, *args, **kwargs)


shutil.copyfile, torch.save = copy, save
checkpoint_utils.PathManager.copy = staticmethod(lambda s, d, overwrite=False: copy(s, d) or True)
before(os, "replace", "replace")
before(os, "link", "link")
before(Trainer, "begin_epoch", "epoch")
before(Trainer, "lr_step", "lr_step")
before(Trainer, "valid_step", "valid")

original_step = Trainer.train_step
updates = []


def zeros_after_step(self, *args, **kwargs):
    die_at("update")
    result = original_step(self, *args, **kwargs)
    updates.append(float(self.get_lr()))
    engine = self.task.engine
    if REQUEST["check"] and engine.mask is not None:
        from fairseq_lth.zeros import inner_optimizers

        weights = dict(self.get_model().named_parameters())
        kept = {}
        for name, keep in engine.mask.kept.items():
            assert not weights[name][~keep].ne(0).any(), name
            grad = weights[name].grad
            assert grad is None or not grad[~keep].ne(0).any(), name
            kept[id(weights[name])] = keep
        masters = getattr(self.optimizer, "fp32_params", None)
        flat = isinstance(masters, dict)
        order = self.optimizer.fp16_params if masters is not None else list(weights.values())
        keeps = [kept.get(id(p), torch.ones_like(p, dtype=torch.bool)) for p in order]
        if flat:
            stepped = [(next(iter(masters.values())), torch.cat([k.reshape(-1) for k in keeps]))]
        else:
            stepped = list(zip(masters if masters is not None else order, keeps, strict=True))
        states = 0
        for tensor, keep in stepped:
            assert not tensor[~keep].ne(0).any()
            for inner in inner_optimizers(self.optimizer):
                for state in inner.state.get(tensor, {}).values():
                    if torch.is_tensor(state) and state.shape == tensor.shape:
                        assert not state[~keep].ne(0).any()
                        states += 1
        assert states or not REQUEST["has_state"]
    return result


Trainer.train_step = zeros_after_step
if REQUEST["fake_cuda"]:  # fairseq's flat fp16 buffers ask for the current GPU and look parameters up by its index
    torch.cuda.current_device = lambda: None

import runpy  # noqa: E402

if REQUEST["hydra"]:
    from fairseq_cli.hydra_train import cli_main
else:
    from fairseq_cli.train import cli_main

cli_main()
if REQUEST["lrs"]:
    with open(REQUEST["lrs"], "w") as file:
        file.write("\n".join(map(repr, updates)))
