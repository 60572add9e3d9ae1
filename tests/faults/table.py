"""Tries every combination of a command and a fault, and writes the table of them: `make test-faults`.

python tests/faults/table.py docs/faults.md
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import system_calls
from harness import Harness, Verdict, faults_for
from kitchen import PLUGIN_COMMANDS, STAGES, TEXTS_AND_TABLES, Command, keep_training, prepare, prepare_corpus

PLUGIN_MODULES = [
    "fairseq_cli.train", "fairseq_cli.hydra_train", "fairseq_cli.validate", "fairseq_lth", "fairseq_lth.encode",
    "fairseq_lth.capture.encoder", "fairseq_lth.levels.__main__", "fairseq_lth.levels.checking",
]  # fmt: skip
BRIDGE_MODULES = [
    *(f"probing_bridge.cli.{name}" for name in ("instances", "sentences", "probe", "similarity", "score", "export")),
    *(f"probing_bridge.{name}" for name in ("cli.import_", "cli.report", "run", "probes.run", "probes.training")),
    *(f"probing_bridge.{name}" for name in ("similarity.run.driver", "translation.run", "report.run", "corpora.texts")),
    *(f"probing_bridge.exchange.{name}" for name in ("liu", "npz", "vectors", "jiant_files")),
    "probing_bridge.results.probed", "torch._dynamo", "submitit", "joblib", "sacrebleu", "lxml",
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg",
]  # fmt: skip
TEXT = """\
# Injected faults

What happens when the machine fails in the middle of a command. `make test-faults` tries all of this and writes this
page; the default tests try 20 of the combinations.

Each run is one command on a small input, in a process whose calls of the system on its files are handed to another
process (Linux's seccomp), which lets one of them fail, or ends the process there. So the fault comes wherever a file is
touched: by Python, HDF5, torch or safetensors. The calls are the first, the last and some drawn between them.

| Fault | What is done |
|---|---|
| full disk | from the n-th call that writes or makes a file on, each ends with ENOSPC |
| write error, failing fsync, failing rename | the n-th such call ends with EIO |
| read error | the n-th read of a file ends with EIO |
| read-only folder | from the n-th call on, making and renaming end with EROFS |
| no permission | making a file, or opening one of the inputs, ends with EACCES |
| out of memory | RLIMIT_AS at a share of what the command takes beyond its start, but at least 8 MB |
| killed | SIGKILL at the n-th call, or after a random time |
| killed worker | SIGKILL of a process that the command started, at its n-th call |
| folder vanishes | the output folder is removed at the n-th call that makes or renames something in it |
| clock jumps | the clock goes back a day, or ahead by ten years, at its tenth reading |
| two at once | two processes run the same command with the same output |

Then the same command runs again, without a fault. What is counted:

* lost: it does not end with status 0, or what it writes is not byte for byte what it writes without a fault (of
  trainings: weights, optimizer, masks and tables; not the seconds that they took);
* wrong: status 0 with another result, half a file under a final name, a file left behind by a process that could
  remove it, or tables of `similarity` that hold less than `.similarity.json` beside them says (with a fault it may say
  less than they hold: what they are made from is written before the rows, what they hold after them, so that the next
  run goes on);
* tracebacks: anything but one line on standard error with a failure, or a crash;
* hangs: no end after 120 seconds.

Reads through a memory map (torch loads checkpoints so) are not calls and cannot be failed here; a disk that fails under
one ends the process with SIGBUS.
"""


def verdicts(root: Path, commands: Sequence[Command], modules: Sequence[str]) -> Iterator[Verdict]:
    """Every combination of some commands, tried.

    Args:
        root: A new folder.
        commands: The commands; those of the plugin begin with `train`, whose levels the others read.
        modules: What is imported before.
    """
    material = root / "material"
    prepare(material)
    if commands == PLUGIN_COMMANDS:
        prepare_corpus(material)
    harness = Harness(root, material, modules)
    try:
        for command in commands:
            reference = harness.reference(command)
            if command.name == "train":
                keep_training(material, harness.last / "out" / "run")
            for fault in faults_for(command, reference):
                yield harness.try_(command, fault)
    finally:
        harness.close()


def try_all(root: Path, commands: Sequence[Command], modules: Sequence[str]) -> list[Verdict]:
    """The same, saying each as it comes."""
    root.mkdir()
    found = []
    for verdict in verdicts(root, commands, modules):
        found.append(verdict)
        print(f"{verdict.command}: {verdict.fault} {verdict.nth} {verdict.why}", flush=True)
    return found


def table(found: list[Verdict]) -> str:
    """The rows of the page, and their sums."""
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in found:
        groups.setdefault((verdict.command, verdict.fault), []).append(verdict)
    lines = ["| Command | Fault | Runs | Lost | Wrong | Tracebacks | Hangs | Longest (s) |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|")
    for (command, fault), own in [*groups.items(), (("all", ""), found)]:
        counts = [sum(getattr(verdict, name) for verdict in own) for name in ("lost", "wrong", "traceback", "hung")]
        longest = max(verdict.seconds for verdict in own)
        lines.append(f"| {command} | {fault} | {len(own)} | {' | '.join(map(str, counts))} | {longest:.1f} |")
    return "\n".join(lines)


def main(page: Path) -> int:
    """Tries all, writes the page, and says what was not as it has to be; the exit status."""
    if reason := system_calls.unsupported():
        print(f"tests/faults: {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        lanes = [
            pool.submit(try_all, Path(folder) / "plugin", PLUGIN_COMMANDS, [*PLUGIN_MODULES, *BRIDGE_MODULES]),
            pool.submit(try_all, Path(folder) / "stages", STAGES, BRIDGE_MODULES),
            pool.submit(try_all, Path(folder) / "texts", TEXTS_AND_TABLES, BRIDGE_MODULES),
        ]
        found = [verdict for lane in lanes for verdict in lane.result()]
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()
    idle = sum(not verdict.struck for verdict in found)
    page.write_text(
        f"{TEXT}\nMade by `make test-faults` of commit {commit}: {len(found)} combinations; in {idle} of them the "
        f"command had ended before the fault came.\n\n{table(found)}\n"
    )
    return int(not all(verdict.is_good for verdict in found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
