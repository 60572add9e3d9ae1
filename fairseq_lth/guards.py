"""What fairseq reads and writes by itself, guarded: an unreadable checkpoint and a full disk end in one line.

fairseq loads the checkpoints of fairseq-generate and fairseq-validate before any task exists, and saves from inside its
trainer, so both are wrapped where fairseq defines them.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import inspect
import logging
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.distributed import utils as distributed_utils

from fairseq_lth.errors import RunRefused
from fairseq_lth.levels.checkpoints import require_loadable, without_wrapper
from fairseq_lth.levels.gate import without_paths
from probing_bridge.errors import BridgeError, refused

logger = logging.getLogger(__name__)

_UNSAFE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def guard_loading() -> None:
    """Puts the gate in front of fairseq's functions that load checkpoints, whatever the environment says."""
    if os.environ.pop(_UNSAFE, None):
        logger.warning("%s is set, and ignored: checkpoints are loaded as data here, never as programs", _UNSAFE)
    _wrap(checkpoint_utils, "load_checkpoint_to_cpu", _gated)
    _wrap(checkpoint_utils, "load_model_ensemble_and_task", _found)


def _wrap(module: Any, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Puts what `around` makes of a function of fairseq in its place, where fairseq defines it; once per process."""
    function = getattr(module, name)
    if inspect.unwrap(function) is function:
        setattr(module, name, functools.wraps(function)(around(function)))


def _gated(load: Callable[..., Any]) -> Callable[..., Any]:
    """The same function behind the gate; of the configuration that it returns no path is left to be opened."""

    def gated(path: str, arg_overrides: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> Any:
        if _pass_gate(path).get("args") is not None and arg_overrides:
            arg_overrides = _as_flags(arg_overrides)
        state = load(path, arg_overrides, *args, **kwargs)
        state["model"] = without_wrapper(state["model"])
        cfg, given = state.get("cfg") or {}, arg_overrides or {}
        sections = ((cfg.get(own), own) for own in ("model", "task", "common_eval"))
        for part, own in (*sections, (state.get("args"), "")):
            if part is not None:
                inner = given.get(own)
                without_paths(part, {**given, **inner} if isinstance(inner, dict) else given)
        return state

    return gated


def _found(load: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; a missing file, or one whose weights do not fit its configuration, is named in one line."""

    def found(filenames: list[str], *args: Any, **kwargs: Any) -> Any:
        if None in filenames:
            raise RunRefused("--path is needed: the checkpoint that is evaluated")
        try:
            return load(filenames, *args, **kwargs)
        except OSError:
            for path in filenames:
                _pass_gate(path)
            raise
        except RuntimeError as error:
            if "state_dict" not in str(error):
                raise
            reason = " ".join(str(error).split()[:40])
            raise RunRefused(f"{', '.join(filenames)}: weights and configuration do not fit: {reason}") from None

    return found


def _as_flags(overrides: dict[str, Any]) -> dict[str, Any]:
    """Overrides of sections as fairseq before 0.11 kept its flags: one set of them, `task` the name of the task."""
    flags: dict[str, Any] = {}
    for name, value in overrides.items():
        inner = value if isinstance(value, dict) else {"_name": value}
        flags |= {name if field == "_name" else field: one for field, one in inner.items()}
    return flags


def _pass_gate(path: str) -> dict[str, Any]:
    try:
        return require_loadable(path)
    except BridgeError as error:
        raise RunRefused(str(error)) from None


def guard_launch() -> None:
    """Lets torchrun start processes on a machine without a GPU, where fairseq divides by the number of them."""

    def around(infer: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(cfg: Any) -> None:
            try:
                infer(cfg)
            except ZeroDivisionError:  # everything but the device has been set
                cfg.device_id, cfg.distributed_no_spawn = 0, True

        return guarded

    _wrap(distributed_utils, "_infer_torch_distributed_launch_init", around)


def allow_bf16() -> None:
    """Lets `--bf16` train on what there is: fairseq's command line takes it to ask for a TPU as well.

    With torch_xla installed it does so still.
    """

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(cfg: Any, main: Callable[..., Any], **options: Any) -> Any:
            if cfg.common.bf16:
                cfg.common.tpu = False
            return call(cfg, main, **options)

        return guarded

    if importlib.util.find_spec("torch_xla") is None:
        _wrap(distributed_utils, "call_main", around)


def tell_failures() -> None:
    """Has what the system refuses end fairseq's command in one line (a file that cannot be read, too little memory).

    So does what fairseq's own assertions say of flags.

    A line of the log that cannot be written is left out, where Python would print a traceback for each.
    """
    logging.raiseExceptions = False
    if sys.excepthook is not sys.__excepthook__:
        return

    def told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if (reason := refused(error) or _asserted(error, trace)) is None:
            sys.__excepthook__(kind, error, trace)
        else:
            print(f"fairseq_lth: error: {' '.join(reason.split())}", file=sys.stderr)
            sys.unraisablehook = lambda _: None  # what fairseq had half built complains as it is taken apart

    sys.excepthook = told
    atexit.register(_write_out)


def _asserted(error: BaseException, trace: TracebackType | None) -> str | None:
    """What an assertion of fairseq's own says, by which it checks flags ("Must specify batch size ..."); else None."""
    if not isinstance(error, AssertionError) or not str(error):
        return None
    *_, (last, _) = traceback.walk_tb(trace)
    place = Path(last.f_code.co_filename)
    is_fairseq = place.is_relative_to(Path(checkpoint_utils.__file__).parent) or place.parent.name == "fairseq_cli"
    return str(error) if is_fairseq else None


def quiet_hydra() -> None:
    """Leaves out what hydra says about fairseq's way of calling it, sixteen lines before any command's own first.

    Whoever gives Python its own `-W` decides instead.
    """
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"hydra\.")
        warnings.filterwarnings("ignore", message=r"\s*'config' is validated against ConfigStore schema")


def _write_out() -> None:
    """Writes what is buffered of standard output: Python says in two lines that it cannot, and we in one."""
    try:
        sys.stdout.flush()
    except OSError as error:
        print(f"fairseq_lth: error: standard output: {refused(error)}", file=sys.stderr, flush=True)
        os._exit(1)


def guard_saving() -> None:
    """Makes fairseq's function that saves checkpoints end in one line where the disk is full; once per process."""

    def around(save: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(cfg: Any, *args: Any, **kwargs: Any) -> Any:
            with writing(cfg.save_dir):
                return save(cfg, *args, **kwargs)

        return guarded

    _wrap(checkpoint_utils, "save_checkpoint", around)
    # fairseq's own tries three times on the same half-written file, and logs a traceback each time
    checkpoint_utils._torch_persistent_save = lambda state, file: torch.save(state, file)


@contextlib.contextmanager
def writing(directory: str | Path) -> Iterator[None]:
    """Refuses the run if what is written to its save dir inside the `with` block does not fit.

    Args:
        directory: The run directory.

    Raises:
        RunRefused: A full disk, a quota, a folder that may not be written, or a checkpoint that was not written well.
    """
    try:
        yield
    except BridgeError as error:
        raise RunRefused(str(error)) from None
    except (OSError, RuntimeError) as error:
        reason = _reason(error)
        if reason is None:
            raise
        for unfinished in Path(directory).glob("*.pt.tmp"):  # fairseq's; it would stay until the epoch is saved again
            unfinished.unlink(missing_ok=True)
        free = shutil.disk_usage(directory).free / 1e6
        raise RunRefused(
            f"{directory}: a checkpoint could not be written ({reason}; {free:,.0f} MB free): make room and run the "
            "same command again; it goes on from the newest complete checkpoint"
        ) from None


def _reason(error: BaseException) -> str | None:
    """Why writing failed; None for an error that has nothing to do with files."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError):
            return link.strerror or str(link)
        link = link.__cause__ or link.__context__
    # torch's own writer gives no reason: "[enforce fail at inline_container.cc:672] . unexpected pos 640 vs 598"
    return "the disk is full" if "inline_container" in str(error) else None
