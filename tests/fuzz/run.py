"""Coverage-guided fuzzing of what reads strangers' files (atheris; `make fuzz`).

    python tests/fuzz/run.py [--seconds 520] [TARGET ...]

Each target runs in a process of its own, one after the other. A finding is any exception but the project's error in
one line, an input that takes more than MOST_SECONDS, and more than MOST_MEGABYTES beyond what the process had at its
start. Inputs that reach new code are kept in build/fuzz/TARGET/corpus, findings in build/fuzz/TARGET/findings.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / "build" / "fuzz"
MOST_SECONDS, MOST_MEGABYTES = 10, 1000
sys.path[:0] = [str(HERE), str(HERE.parents[1])]


def main(argv: list[str]) -> int:
    """Fuzzes the targets, prints a line for each, and returns 1 if one of them has a finding."""
    from targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=520, help="for each target (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.targets) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    found = [fuzz(name, arguments.seconds) for name in arguments.targets or TARGETS]
    return int(any(found))


def fuzz(name: str, seconds: int) -> bool:
    """Fuzzes one target in a process of its own; whether it found something."""
    corpus, findings = (KEPT / name / part for part in ("corpus", "findings"))
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    log = KEPT / name / "log"
    command = [sys.executable, __file__, "--one", name, str(corpus), f"-artifact_prefix={findings}/"]
    with log.open("wb") as file:
        status = subprocess.run(
            [*command, f"-max_total_time={seconds}", f"-timeout={MOST_SECONDS}", "-print_final_stats=1"],
            stdout=file,
            stderr=subprocess.STDOUT,
        ).returncode
    text = log.read_text(errors="replace")
    runs = re.search(r"number_of_executed_units:\s*(\d+)", text)
    result = "clean" if status == 0 else f"FOUND something (status {status}): {log}"
    print(
        f"fuzz\t{name}\t{runs[1] if runs else '?'} runs\t{len(list(corpus.iterdir()))} inputs kept\t{result}",
        flush=True,
    )
    return status != 0


def fuzz_here(name: str, words: list[str]) -> None:
    """The same in this process, which ends with it; libFuzzer reads the rest of the command line."""
    import atheris

    with atheris.instrument_imports(include=["probing_bridge", "fairseq_lth", "yaml"]):
        from targets import TARGETS

        from probing_bridge.errors import BridgeError
    target, findings = TARGETS[name], KEPT / name / "findings"
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="fuzz", dir=memory if memory.is_dir() else None))
    for number, seed in enumerate(target.seeds(place)):
        (Path(words[0]) / f"seed{number}").write_bytes(seed)
    shutil.rmtree(place)

    def attempt(data: bytes) -> None:
        try:
            target.read(data, place)
        except BridgeError as error:
            lines = str(error).split("\n")
            if not all(line and len(line) < 1000 for line in lines) or (len(lines) > 1 and not target.lines):
                raise AssertionError(f"no error in one line: {lines}") from error

    def one(data: bytes) -> None:
        place.mkdir()
        try:
            attempt(data)
        except Exception:  # libFuzzer keeps it too, unless its clock ends the process first
            (findings / f"exception-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
            raise
        finally:
            shutil.rmtree(place)

    resident = int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1000
    atheris.Setup([name, *words, f"-rss_limit_mb={resident + MOST_MEGABYTES}"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz_here(sys.argv[2], sys.argv[3:])
    sys.exit(main(sys.argv[1:]))
