"""Imported once by the server that trainings are forked from: what every one of them would do for the first time.

Making an optimizer imports the whole of torch._dynamo, and hydra builds the tables of its parser as it first parses:
together more than half of the time of a training as small as these.
"""

import importlib

# fairseq_cli.train sets the format of the log, as it does in a process of its own, so it is first.
for name in ("fairseq_cli.train", "fairseq_cli.hydra_train", "fairseq_lth", "torch._dynamo"):
    importlib.import_module(name)


def parse_a_command_line() -> None:
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    flags = ["data", "--arch", "transformer", "--optimizer", "adam", "--max-tokens", "1"]
    convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), flags))


parse_a_command_line()
