"""fairseq plugin: iterative magnitude pruning, activation dumps and word encoding (Movva & Zhao 2020).

`--user-dir fairseq_lth` imports this module, which registers the task, the masked criteria and the rewindable
learning-rate schedulers, tells torch which types fairseq's checkpoints hold, and has one that cannot be loaded named
in one line.
"""

import logging

logging.getLogger("h5py").setLevel(logging.INFO)  # importing fairseq's tasks sets the root logger to DEBUG

from fairseq_lth.levels.checkpoints import allow_checkpoint_globals  # noqa: E402
from fairseq_lth.preflight import require_tested_fairseq  # noqa: E402

require_tested_fairseq()
allow_checkpoint_globals()

from fairseq_lth import criterion, guards, task  # noqa: E402, F401
from fairseq_lth.training import lr_scheduler  # noqa: E402

guards.guard_loading()
lr_scheduler.register_all()
criterion.register_all()
