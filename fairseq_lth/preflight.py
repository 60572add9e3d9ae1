"""Is this a fairseq the plugin works with? Said in one sentence before anything fails in the middle."""

from __future__ import annotations

import importlib
import inspect
import logging

from fairseq_lth.errors import RunRefused

ADVICE = "install one that has: pip install ve-fairseq==0.12.3 on Python 3.11 and 3.12; docs/fairseq.md has others"
HOOKS = {"save_checkpoint": "get_checkpoint_dict", "load_checkpoint": "set_checkpoint_dict"}  # they carry the masks
DATACLASSES = {
    "fairseq.dataclass": "FairseqDataclass",
    "fairseq.tasks.translation": "TranslationConfig",
    "fairseq.criterions": "CRITERION_DATACLASS_REGISTRY",
    "fairseq.optim.lr_scheduler": "LR_SCHEDULER_DATACLASS_REGISTRY",
}


def import_fairseq() -> None:
    """Imports fairseq and leaves the root logger as it was: one of fairseq's models has it print everything."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    importlib.import_module("fairseq")
    root.setLevel(level)
    root.handlers[:] = handlers


def require_fairseq() -> None:
    """Checks that a fairseq is there, and that it has what the plugin is made of, whatever package it came in.

    Raises:
        RunRefused: It is missing, does not import, or lacks a hook or a dataclass; with what to install.
    """
    try:
        import_fairseq()
        from fairseq import checkpoint_utils

        for module, name in DATACLASSES.items():
            if not hasattr(importlib.import_module(module), name):
                raise RunRefused(f"fairseq has no {module}.{name}; {ADVICE}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != "fairseq":
            raise
        what = "fairseq is not installed" if error.name in (None, "fairseq") else f"fairseq has no {error.name}"
        raise RunRefused(f"{what}; {ADVICE}") from None
    except ValueError as error:  # as fairseq 0.12.2 from Python 3.11 on: its dataclasses have mutable defaults
        raise RunRefused(f"fairseq does not import here ({error}); {ADVICE}") from error
    for function, hook in HOOKS.items():
        own = inspect.unwrap(getattr(checkpoint_utils, function))  # not our guard around it
        if hook not in own.__code__.co_names:
            raise RunRefused(f"fairseq's {function} does not call {hook} of a task, so masks would be lost; {ADVICE}")
