"""Command line of the bridge: `python -m probing_bridge.run COMMAND ...`.

Each command is one module of `probing_bridge.cli` with add_arguments(parser) and run(arguments). Only the
module of the command that was asked for is imported, so that help and errors come at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from probing_bridge import __version__
from probing_bridge.errors import BridgeError, failures_told, require_values

COMMANDS = {
    "tasks": "list the probing tasks: formats, metrics, categories, citations",
    "convert": "make the files of a suite from corpora as they are published",
    "instances": "print what a probe will see of one file, one JSON object a line",
    "sentences": "list the sentences of a suite that have to be encoded",
    "encode": "one vector a word and layer of a Hugging Face model",
    "dump": "states and attention of a Hugging Face model on sentences or pairs",
    "prune": "a one-shot series of a Hugging Face model",
    "probe": "train the probes of a suite on representations",
    "tags": "tag the source words of a dump, for `similarity --tags`",
    "similarity": "compare levels and layers: NeuronSim, linear CKA, attention, spectra",
    "score": "take BLEU of the levels' translations, with paired tests between them",
    "gather": "bring the result tables of one experiment into one folder",
    "summary": "print what was found: levels, BLEU and the best layers of the probes",
    "export": "write activations or representations in another tool's format",
    "import": "read representations made elsewhere",
    "report": "make the figures, tables, claims and the page from results",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Arguments after the program's name; those of the process if None.

    Returns:
        Exit status: 0 done, 2 bad input (one line on standard error says what and where), 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(prog="python -m probing_bridge.run", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        subparser = commands.add_parser(name, help=text, description=text)
        if name == command:
            module = importlib.import_module(f"probing_bridge.cli.{name.replace('import', 'import_')}")
            module.add_arguments(subparser)
    arguments = parser.parse_args(words)
    try:
        require_values(words)
        with failures_told():
            module.run(arguments)
    except BridgeError as error:
        print(f"probing_bridge {arguments.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `... | head`: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
