"""A server that has everything imported, and does attempts: one command in a forked process, under one fault.

    python attempts.py ROOT MODULE ...

imports the modules, then reads an attempt a line (JSON) from standard input and writes how it ended, a line each. The
forked process leaves as Python does, but for taking every module apart, which takes a second of so many.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import importlib
import itertools
import json
import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import system_calls
from system_calls import Call

PATIENCE = 120.0  # seconds until a command counts as hanging
HALF = "half a file"  # the digest of a table or a checkpoint that cannot be read
MANIFEST, HOLDS = ".similarity.json", ", what the tables hold"  # of similarity; told apart from what they are made from
NOTHING = "nothing"  # the digest of what the tables hold while rows are still to come
PROGRAMS = {
    "bridge": "probing_bridge.run",
    "encode": "fairseq_lth.encode",
    "levels": "fairseq_lth.levels.__main__",
    "validate": "fairseq_cli.validate",
    "train": "fairseq_cli.train",
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        name: As the table calls it.
        kinds: Kinds of calls that count; empty: no call goes wrong.
        nth: The first of them that does, from 1.
        error: Name of the error that it ends with, as ENOSPC; or `kill`, `kill worker` or `vanish` (of the folder that
            the command writes to).
        lasting: All after it too.
        path: Only calls on files whose name ends so.
        seconds: After which the process is killed.
        memory: Bytes that the process may take beyond what it has at its start.
        clock: Seconds by which the clock jumps at its tenth reading.
        twice: Two processes do the command at once.
    """

    name: str
    kinds: tuple[str, ...] = ()
    nth: int = 1
    error: str = ""
    lasting: bool = False
    path: str = ""
    seconds: float | None = None
    memory: int | None = None
    clock: float = 0.0
    twice: bool = False


@dataclass
class Ending:
    """How an attempt ended.

    Attributes:
        status: Of each process; minus the signal that ended it.
        stderr: Of each process.
        seconds: Until the last had ended.
        hung: Whether it had to be ended.
        struck: Whether the fault came at all.
        calls: Kinds and paths of all calls, where they were asked for.
        growth: Bytes of address space that it took beyond its start.
        tree: What is in the output folder: path -> digest, as digest() makes it.
    """

    status: list[int] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    seconds: float = 0.0
    hung: bool = False
    struck: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    growth: int = 0
    tree: dict[str, str] = field(default_factory=dict)


class Supervisor:
    """Watches the processes of one attempt and has the fault come."""

    def __init__(self, folder: Path, root: str, fault: Fault | None, count: bool) -> None:
        self._folder, self._root, self._fault, self._count = folder, root, fault, count
        self._left = fault.nth if fault else 0
        self._main: set[int] = set()
        self.ending = Ending()

    def run(self, program: str, words: list[str]) -> None:
        """Runs the command once, or twice at once."""
        began = time.monotonic()
        twice = self._fault is not None and self._fault.twice
        started = [self._start(program, words, place) for place in range(2 if twice else 1)]
        self._main = {process for process, _ in started}
        open_ = [listener for _, listener in started]
        statuses: dict[int, int] = {}
        killed_at = self._fault.seconds if self._fault else None
        while open_:
            for listener in list(open_):
                if not system_calls.answer(listener, self._root, self._decide, 0.01 if len(open_) > 1 else 0.05):
                    open_.remove(listener)
                    os.close(listener)
            for process in self._main - statuses.keys():
                self._note_growth(process)
            past = time.monotonic() - began
            if killed_at is not None and past > killed_at:
                self.ending.struck, killed_at = True, None
                for process in self._main - statuses.keys():
                    os.kill(process, signal.SIGKILL)
            if past > PATIENCE:
                self.ending.hung = True
                _end_all()
            _reap(statuses)
            if statuses.keys() >= self._main and open_ and not _children():
                break
        _reap(statuses, wait=self._main)
        self.ending.seconds = time.monotonic() - began
        _end_all()
        self.ending.status = [statuses[process] for process, _ in started]
        logs = [self._folder / f"stderr{place}" for place in range(len(started))]
        self.ending.stderr = [log.read_text(errors="replace") for log in logs]

    def _start(self, program: str, words: list[str], place: int) -> tuple[int, int]:
        ours, theirs = socket.socketpair()
        process = os.fork()
        if process == 0:
            ours.close()
            run(program, words, self._folder, place, self._fault, theirs)
        theirs.close()
        with ours:
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        return process, descriptors[0]

    def _note_growth(self, process: int) -> None:
        with contextlib.suppress(OSError, IndexError):
            self.ending.growth = max(self.ending.growth, address_space(process, "VmPeak"))

    def _decide(self, call: Call) -> int:
        fault = self._fault
        if call.path.startswith(f"{self._folder}/stderr"):
            return 0
        if self._count:
            self.ending.calls.append((call.kind, os.path.relpath(call.path, self._root)))
        if fault is None or call.kind not in fault.kinds or not call.path.endswith(fault.path):
            return 0
        if fault.error == "kill worker" and _group(call.process) in self._main:
            return 0
        if fault.error == "vanish" and not call.path.startswith(f"{self._folder}/out/"):
            return 0
        self._left -= 1
        if self._left > 0 or (self._left < 0 and not fault.lasting):
            return 0
        self.ending.struck = True
        if fault.error in ("kill", "kill worker"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(_group(call.process), signal.SIGKILL)
            return 0
        if fault.error == "vanish":
            with contextlib.suppress(FileNotFoundError):
                gone = self._folder / "gone"
                os.rename(self._folder / "out", gone)
                shutil.rmtree(gone)
            return 0
        return getattr(errno, fault.error)


def run(
    program: str, words: list[str], folder: Path, place: int, fault: Fault | None, supervisor: socket.socket
) -> None:
    """Becomes the command; returns never."""
    os.chdir(folder)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        log = os.open(folder / f"{name}{place}", flags)
        os.dup2(log, descriptor)
        os.close(log)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.stderr.reconfigure(line_buffering=True)
    os.environ["TMPDIR"] = str(folder / "tmp")
    sys.argv = [program, *words]
    module = importlib.import_module(PROGRAMS[program])
    if fault is not None and fault.clock:
        _jump(fault.clock)
    listener = system_calls.hand_over()
    socket.send_fds(supervisor, [b"."], [listener])
    os.close(listener)
    supervisor.close()
    if fault is not None and fault.memory is not None:
        most = address_space(os.getpid(), "VmSize") + fault.memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        status = module.cli_main() if hasattr(module, "cli_main") else module.main(words)
    except SystemExit as error:
        status = error.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    _leave(status or 0)


def _leave(status: int) -> None:
    """What Python does at its end: waits for threads, calls what was registered, writes what is buffered."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        print(f"Exception ignored in: {sys.stdout!r}\n{type(error).__name__}: {error}", file=sys.stderr)
        status = 120
    os._exit(status)


def _jump(seconds: float) -> None:
    """The clock of the day jumps at its tenth reading."""
    read, readings = time.time, itertools.count(1)
    time.time = lambda: read() + (seconds if next(readings) >= 10 else 0.0)


def address_space(process: int, name: str) -> int:
    """Bytes of address space that a process has (VmSize), or had at most (VmPeak)."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) * 1024


def _group(task: int) -> int:
    """The process of a thread."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{task}/status").read_text().partition("Tgid:")[2].split()[0])
    return task


def _children() -> list[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(word) for word in text.split()]


def _reap(statuses: dict[int, int], wait: set[int] = frozenset()) -> None:
    """Notes the status of processes that have ended; children of children come here when their parents are gone."""
    while True:
        try:
            process, status = os.waitpid(-1, 0 if wait - statuses.keys() else os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        statuses[process] = os.waitstatus_to_exitcode(status)


def _end_all() -> None:
    for process in _children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def digest(folder: Path) -> dict[str, str]:
    """What is in a folder: path -> digest of what a table or file says, without what a clock says in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name == MANIFEST:
            settings, holds = _manifest(path)
            found |= {name: settings, f"{name}{HOLDS}": holds}
        elif path.is_file():
            content = _content(path)
            found[name] = HALF if content is None else _hash(content)
        elif not any(path.iterdir()):
            found[f"{name}/"] = "empty"
    return found


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _manifest(path: Path) -> tuple[str, str]:
    """Digests of what the tables of a folder are made from, and of what they hold."""
    try:
        content = json.loads(path.read_text())
        holds = [content["pieces"], content["work"]]
        settings = json.dumps(content["settings"]).encode()
    except (ValueError, KeyError, TypeError):
        return HALF, HALF
    return _hash(settings), _hash(json.dumps(holds).encode()) if holds != [[], ""] else NOTHING


def _content(path: Path) -> bytes | None:
    from probing_bridge.errors import InputError
    from probing_bridge.formats.csv_rows import csv_rows

    if path.suffix == ".csv":  # it may lack rows, but none may be half
        try:
            csv_rows(path.read_bytes(), path)
        except InputError:
            return None
    if path.name == "lth.csv":
        import pandas as pd

        frame = pd.read_csv(path, dtype=str)
        return frame.drop(columns=["wall_seconds", "checkpoint_hash"]).to_csv().encode()
    if path.suffix == ".pt" and path.name.startswith("checkpoint"):
        return _checkpoint(path)
    return path.read_bytes()


def _checkpoint(path: Path) -> bytes | None:
    """Weights, optimizer and mask of a checkpoint, whose file says how long the training took; None of half a one."""
    import torch

    from fairseq_lth.levels.checkpoints import read_checkpoint
    from probing_bridge.errors import BridgeError

    def values(thing: Any) -> Any:
        if torch.is_tensor(thing):
            return hashlib.sha256(thing.contiguous().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()
        if isinstance(thing, dict):
            return {str(key): values(value) for key, value in thing.items()}
        return [values(value) for value in thing] if isinstance(thing, list | tuple) else str(thing)

    try:
        checkpoint = read_checkpoint(path)
    except BridgeError:
        return None
    kept = {name: values(checkpoint.get(name)) for name in ("model", "last_optimizer_state")}
    state = (checkpoint.get("task_state") or {}).get("lth_imp") or {}
    return json.dumps([kept, values(state.get("mask")), state.get("level"), state.get("epoch")]).encode()


def attempt(request: dict[str, Any], root: str) -> Ending:
    """Does one attempt in a process of its own, which is the parent of the command's."""
    folder = Path(request["folder"])
    (folder / "out").mkdir(exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    fault = Fault(**{**request["fault"], "kinds": tuple(request["fault"]["kinds"])}) if request["fault"] else None
    supervisor = Supervisor(folder, root, fault, request["count"])
    before = address_space(os.getpid(), "VmSize")
    supervisor.run(request["program"], request["words"])
    supervisor.ending.growth -= before
    (folder / "out").mkdir(exist_ok=True)
    supervisor.ending.tree = digest(folder / "out")
    if request["prints"]:
        supervisor.ending.tree["standard output"] = _hash((folder / "stdout0").read_bytes())
    return supervisor.ending


def serve(root: str, modules: list[str]) -> None:
    """Does one attempt after the other."""
    for name in modules:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")  # what a module prints goes elsewhere
    os.dup2(2, 1)
    for line in sys.stdin:
        results, writes = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(results)
            _adopt_orphans()
            try:
                ending = attempt(json.loads(line), root)
            except Exception:
                _end_all()
                raise
            os.write(writes, f"{json.dumps(asdict(ending))}\n".encode())
            os._exit(0)
        os.close(writes)
        with os.fdopen(results) as file:
            text = file.readline()
        os.waitpid(process, 0)
        print(text, end="", file=answers, flush=True)


def _adopt_orphans() -> None:
    """Processes whose parents are gone become children of this one."""
    system_calls._libc.prctl(36, 1, 0, 0, 0)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
