"""`python -m fairseq_lth`: where the plugin is, and fairseq's commands with the plugin loaded.

python -m fairseq_lth                       the folder to give to any command of fairseq as --user-dir
python -m fairseq_lth train DATA ...        fairseq-train with that --user-dir filled in
python -m fairseq_lth validate DATA ...     likewise fairseq-validate; also generate and interactive
python -m fairseq_lth encode | levels ...   the plugin's own commands
python -m fairseq_lth flags                 every flag that the plugin adds to fairseq's, with its default
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import fairseq_lth
from fairseq_lth.preflight import require_fairseq

FAIRSEQ = ("train", "validate", "generate", "interactive")
OWN = {"encode": "fairseq_lth.encode", "levels": "fairseq_lth.levels.__main__"}
ADVICE = '--user-dir "$(python -m fairseq_lth)"'


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the folder, or runs a command.

    Args:
        argv: Arguments after the program's name; those of the process if None.

    Returns:
        Exit status: 0, that of the command, 2 for bad input. A command of fairseq takes the place of the process.
    """
    command, *words = list(sys.argv[1:] if argv is None else argv) or [""]
    if not command:
        print(Path(__file__).parent)
    elif command in ("-h", "--help"):
        print(__doc__.strip())
    elif command in OWN:
        return importlib.import_module(OWN[command]).main(words)
    elif command == "flags":
        fairseq_lth.register()
        importlib.import_module("fairseq_lth.config").show_flags()
    elif command in FAIRSEQ:
        return _fairseq(command, words)
    else:
        known = ", ".join([*FAIRSEQ, *OWN, "flags"])
        print(f"fairseq_lth: error: there is no command {command!r} (choose from {known})", file=sys.stderr)
        return 2
    return 0


def _fairseq(command: str, words: list[str]) -> int:
    """Becomes fairseq's command, unless the --user-dir that was given is not there."""
    given = [i for i, word in enumerate(words) if word == "--user-dir" or word.startswith("--user-dir=")]
    if not given:
        words = [*words, "--user-dir", str(Path(__file__).parent)]
    else:
        last = words[given[-1]]
        folder = last.partition("=")[2] if "=" in last else "".join(words[given[-1] + 1 : given[-1] + 2])
        if not folder or not Path(folder).is_dir():
            print(
                f"fairseq_lth: error: --user-dir {folder}: no such folder; leave it out or give {ADVICE}",
                file=sys.stderr,
            )
            return 2
    if importlib.util.find_spec("fairseq_cli") is None:
        require_fairseq()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"fairseq_cli.{command}", *words])


if __name__ == "__main__":
    sys.exit(main())
