"""fairseq plugin: iterative magnitude pruning, activation dumps and word encoding (Movva & Zhao 2020).

fairseq imports this package for `--user-dir` (`python -m fairseq_lth` prints what to give there), which registers the
plugin. Imported by anything else it is empty, so that a command can show its help without fairseq and torch.
"""

import functools
import logging
import sys


@functools.cache
def register() -> None:
    """Registers the task, the masked criteria and the rewindable learning-rate schedulers with fairseq.

    It also tells torch which types fairseq's checkpoints hold, and has one that cannot be loaded named in one line. A
    program that imports this package before fairseq calls it by itself.

    Raises:
        RunRefused: fairseq is missing or lacks what the plugin needs, with what to install.
    """
    for library in ("h5py", "hydra", "matplotlib"):
        logging.getLogger(library).setLevel(logging.INFO)  # importing fairseq's tasks sets the root logger to DEBUG
    from fairseq_lth.preflight import require_fairseq

    require_fairseq()
    from fairseq_lth import criterion, guards, task  # noqa: F401
    from fairseq_lth.levels.checkpoints import allow_checkpoint_globals
    from fairseq_lth.training import lr_scheduler

    allow_checkpoint_globals()
    guards.guard_loading()
    guards.guard_launch()
    guards.allow_bf16()
    guards.tell_failures()
    guards.quiet_hydra()
    lr_scheduler.register_all()
    criterion.register_all()


if "fairseq" in sys.modules:
    register()
