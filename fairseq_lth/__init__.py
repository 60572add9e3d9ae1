"""fairseq plugin: iterative magnitude pruning, activation dumps and word encoding (Movva & Zhao 2020).

`--user-dir fairseq_lth` imports this module, which registers the task, the masked criteria and the rewindable
learning-rate schedulers, and tells torch which types fairseq's checkpoints hold.
"""

from fairseq_lth.checkpoints import allow_checkpoint_globals
from fairseq_lth.preflight import require_tested_fairseq

require_tested_fairseq()
allow_checkpoint_globals()

from fairseq_lth import criterion, lr_scheduler, task  # noqa: E402, F401

lr_scheduler.register_all()
criterion.register_all()
