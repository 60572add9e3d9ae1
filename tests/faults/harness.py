"""Combinations of a command and a fault: which there are, trying one, and what has to hold of it."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from attempts import HALF, HOLDS, NOTHING, Ending, Fault
from kitchen import Command
from system_calls import FLUSH, MAKE, OPEN, READ, RENAME, WRITE

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Verdict:
    """What was found wrong in one combination; all false and empty of a good one.

    Attributes:
        command: Name of the command.
        fault: Name of the fault.
        nth: The call that it came at.
        seconds: The longer of the two runs.
        struck: Whether the fault came.
        lost: The same command afterwards does not give what it gives without a fault.
        wrong: Success without the right result, half a file of a final name, or a file that was left behind.
        traceback: Something else than one line on standard error, or a crash.
        hung: It did not end.
        why: What was seen, for who has to mend it.
    """

    command: str
    fault: str
    nth: int
    seconds: float
    struck: bool
    lost: bool
    wrong: bool
    traceback: bool
    hung: bool
    why: str

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.wrong or self.traceback or self.hung)


class Harness:
    """Does commands in processes that are forked from a server.

    Attributes:
        last: The folder of the newest attempt.
    """

    def __init__(self, root: Path, material: Path, modules: Sequence[str]) -> None:
        """Starts the server.

        Args:
            root: Its folder is watched; attempts are made in it.
            material: What commands find as `in`; inside root.
            modules: What the server imports.
        """
        self._root, self._material = root.resolve(), material.resolve()
        self._count = itertools.count()
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "attempts.py"), str(self._root), *modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._references: dict[str, Ending] = {}

    def close(self) -> None:
        """Ends the server."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def folder(self) -> Path:
        """A new folder for an attempt."""
        self.last = self._root / f"attempt{next(self._count)}"
        self.last.mkdir()
        (self.last / "in").symlink_to(self._material)
        return self.last

    def attempt(self, command: Command, folder: Path, fault: Fault | None = None, *, count: bool = False) -> Ending:
        """Does a command once."""
        assert self._server.stdin is not None and self._server.stdout is not None
        request = {
            "folder": str(folder), "fault": None if fault is None else asdict(fault), "count": count,
            "program": command.program, "words": command.words, "prints": command.prints,
        }  # fmt: skip
        self._server.stdin.write(f"{json.dumps(request)}\n")
        self._server.stdin.flush()
        return Ending(**json.loads(self._server.stdout.readline()))

    def reference(self, command: Command) -> Ending:
        """How the command ends without a fault, and all its calls; done once."""
        if command.name not in self._references:
            folder = self.folder()
            ending = self.attempt(command, folder, count=True)
            assert ending.status == [0], (command.name, ending.stderr)
            self._references[command.name] = ending
            if command.name != "train":  # whose result other commands read
                shutil.rmtree(folder)
        return self._references[command.name]

    def try_(self, command: Command, fault: Fault) -> Verdict:
        """Does a command under a fault, and then again without."""
        reference, folder = self.reference(command), self.folder()
        ending = self.attempt(command, folder, fault)
        again = self.attempt(command, folder)
        shutil.rmtree(folder)
        return judge(command, fault, reference, ending, again)


def judge(command: Command, fault: Fault, reference: Ending, ending: Ending, again: Ending) -> Verdict:
    """What is wrong with how an attempt and the next one ended."""
    why = []
    if again.status != [0]:
        why.append(f"afterwards status {again.status}: {again.stderr[0][-1500:]}")
    elif again.tree != reference.tree:
        why.append(f"afterwards other results: {_different(again.tree, reference.tree)}")
    lost = bool(why)
    wrong = list(_wrong(command, fault, reference, ending))
    usual = {line for text in reference.stderr for line in text.splitlines()}
    told = [
        text
        for status, text in zip(ending.status, ending.stderr, strict=True)
        if not _is_told(status, fault, [line for line in text.splitlines() if line not in usual])
    ]
    why += [*wrong, *(f"status {ending.status}, standard error: {text[-1500:]}" for text in told)]
    return Verdict(
        command=command.name, fault=fault.name, nth=fault.nth, seconds=round(max(ending.seconds, again.seconds), 1),
        struck=ending.struck or not fault.kinds, lost=lost, wrong=bool(wrong), traceback=bool(told),
        hung=ending.hung or again.hung, why="; ".join(why),
    )  # fmt: skip


def _different(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))[:6]


def _wrong(command: Command, fault: Fault, reference: Ending, ending: Ending) -> Iterator[str]:
    if 0 in ending.status and ending.tree != reference.tree and fault.error != "vanish":
        yield f"status 0 with other results: {_different(ending.tree, reference.tree)}"
    tables = {name: digest for name, digest in reference.tree.items() if name.endswith(".csv")}
    for name, digest in ending.tree.items():
        is_beside = ".tmp/" in name or name.endswith((".tmp", ".tmp/"))
        may_differ = command.name == "train" or name == "standard output" or name.endswith(".csv") or digest == NOTHING
        if not is_beside and (digest == HALF or (not may_differ and reference.tree.get(name, digest) != digest)):
            yield f"{name} is half a file"
        if is_beside and min(ending.status) > 0:
            yield f"{name} was left behind"
        if name.endswith(HOLDS) and digest != NOTHING and not tables.items() <= ending.tree.items():
            yield f"{name} is more than there is"


def _is_told(status: int, fault: Fault, lines: list[str]) -> bool:
    """Whether what a process said fits its status: a line for each failure, beside progress and the list of jobs."""
    if any("Traceback" in line or "Exception ignored" in line for line in lines):
        return False
    if status < 0:
        return status == -9 and (fault.error == "kill" or fault.seconds is not None)
    jobs = [line for line in lines if _is_of_jobs(line)]
    lines = [line.rpartition(" left")[2] if "%|" in line else line for line in lines if line not in jobs]
    lines = [line for line in lines if line.strip() and not line.startswith("jobs: ")]
    return status == 0 or (bool(lines or jobs) and all("error: " in line for line in lines))


def _is_of_jobs(line: str) -> bool:
    """Whether `probe` says so that jobs failed: a line for each, and how many."""
    return line.startswith("failed: ") or line.endswith("jobs failed; run again to try them again")


def faults_for(command: Command, reference: Ending) -> Iterator[Fault]:
    """The faults that are tried on a command, at chosen and at random calls."""
    kinds = [kind for kind, _ in reference.calls]
    rng = random.Random(command.name)

    def at(name: str, chosen: tuple[str, ...], error: str, most: int, *, lasting: bool = False) -> Iterator[Fault]:
        n = sum(kind in chosen for kind in kinds)
        for nth in _points(n, (most + 1) // 2 if command.few else most, rng):
            yield Fault(name, chosen, nth, error, lasting)

    if command.workers:  # the rest is tried on the command without them
        for nth in (1, 100):
            yield Fault("killed worker", (READ, MAKE, WRITE), nth, "kill worker")
        return
    yield from at("full disk", (MAKE, WRITE), "ENOSPC", 6, lasting=True)
    yield from at("write error", (WRITE,), "EIO", 2)
    yield from at("read-only folder", (MAKE, RENAME), "EROFS", 2, lasting=True)
    yield from at("no permission", (MAKE,), "EACCES", 1, lasting=True)
    yield from at("failing fsync", (FLUSH,), "EIO", 2)
    yield from at("failing rename", (RENAME,), "EIO", 2)
    yield from at("read error", (READ,), "EIO", 3)
    inputs = sorted({Path(path).name for kind, path in reference.calls if kind == OPEN and path.startswith("material")})
    for name in rng.sample(inputs, min(2, len(inputs))):
        yield Fault("no permission", (OPEN,), 1, "EACCES", True, path=f"/{name}")
    yield from at("killed", (READ, MAKE, WRITE, FLUSH, RENAME), "kill", 4)
    yield Fault("killed", seconds=rng.random() * reference.seconds)
    if not command.prints:
        yield from at("folder vanishes", (MAKE, RENAME), "vanish", 2)
    for share in (0.5,) if command.few else (0.1, 0.6):
        yield Fault("out of memory", memory=max(8 << 20, int(share * reference.growth)))
    yield Fault("clock jumps", clock=-86400.0)
    yield Fault("clock jumps", clock=3e8)
    if not command.prints:
        yield Fault("two at once", twice=True)


def _points(n: int, most: int, rng: random.Random) -> list[int]:
    """Some of 1..n: the first, the last, and others drawn between them."""
    chosen = {1, n} if most > 1 else {1}
    inner = [k for k in range(1, n + 1) if k not in chosen]
    return sorted(chosen | set(rng.sample(inner, min(len(inner), most - len(chosen))))) if n else []
