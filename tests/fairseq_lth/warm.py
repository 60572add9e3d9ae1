"""Imported once by the server that trainings are forked from: what every one of them would do for the first time.

Making an optimizer imports the whole of torch._dynamo, and hydra builds the tables of its parser as it first parses:
together more than half of the time of a training as small as these. What hydra composes for them is composed here.
"""

import importlib
import os

os.fsync = lambda descriptor: None  # as in tests/conftest.py

# fairseq_cli.train sets the format of the log, as it does in a process of its own, so it is first.
COMMANDS = ("fairseq_cli.train", "fairseq_cli.hydra_train", "fairseq_cli.generate", "fairseq_cli.validate")
for name in (*COMMANDS, "fairseq_lth", "fairseq_lth.capture.encoder", "torch._dynamo", "quick_compose"):
    importlib.import_module(name)


def parse_a_command_line() -> None:
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    flags = "--task lth_imp --arch transformer --criterion label_smoothed_cross_entropy --optimizer adam"
    flags = ["data", *flags.split(), "--lr-scheduler", "inverse_sqrt", "--max-tokens", "1"]
    convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), flags))


parse_a_command_line()
