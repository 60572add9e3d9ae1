"""One module per command of `python -m probing_bridge.run`: add_arguments(parser) and run(arguments)."""

import shlex
import sys


def command_line() -> str:
    """The command that is running, as the tables name it."""
    return shlex.join(["python", "-m", "probing_bridge.run", *sys.argv[1:]])
