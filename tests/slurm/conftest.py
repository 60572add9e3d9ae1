"""A Slurm of one machine in a folder of its own: munged, slurmctld, slurmd, and slurmdbd with its MariaDB.

It needs root and Debian's programs, which `make test-slurm` installs; elsewhere these tests are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "sbatch", "sacct", "mariadbd", "mariadb-install-db")
HOST = socket.gethostname()

SLURM = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={d}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
ACCOUNTS = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=limits
JobAcctGatherType=jobacct_gather/linux
"""
SLURMDBD = """AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql}
StorageUser=root
StorageLoc=slurm
PidFile={folder}/slurmdbd.pid
"""


class PrivateSlurm:
    """The daemons and their folder.

    Attributes:
        environment: With which Slurm's commands, and all that call them, find this Slurm.
    """

    def __init__(self, *, accounting: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # of a short name, for the sockets
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self._accounting = accounting
        self._daemons: list[subprocess.Popen] = []

    def __enter__(self) -> PrivateSlurm:
        try:
            self._start()
        except BaseException:
            for log in sorted(self.folder.glob("*.log")):
                print(f"== {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.states():
            self.cancel_all()
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder)

    @staticmethod
    def until(condition: Callable[[], object], what: str, seconds: float = 400) -> None:
        """Waits for a condition.

        Raises:
            TimeoutError: It did not come about.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} within {seconds:.0f} s")
            time.sleep(0.2)

    def command(self, *words: str) -> str:
        """What one of Slurm's commands prints; empty if it fails."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        return done.stdout.strip() if done.returncode == 0 else ""

    def states(self) -> dict[str, str]:
        """Number -> state of the jobs that are queued or run."""
        lines = self.command("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return {number: state for number, state in map(str.split, lines)}

    def processes(self, job: str, program: str) -> list[int]:
        """Processes of a running job that run a program."""
        raw = self.command("squeue", "--noheader", "--format=%A", f"--jobs={job}")
        pids = [line.split()[0] for line in self.command("scontrol", "listpids", raw).splitlines()[1:]]
        return [
            int(pid) for pid in pids
            if Path(f"/proc/{pid}/exe").exists() and Path(f"/proc/{pid}/exe").resolve().name.startswith(program)
        ]  # fmt: skip

    def move_limit(self, job: str, when: str) -> None:
        """Moves the time limit of a running job, as to `now+5` (seconds)."""
        raw = self.command("squeue", "--noheader", "--format=%A", f"--jobs={job}")
        subprocess.run(
            ["scontrol", "update", f"JobId={raw}", f"EndTime={when}"], env=self.environment, check=True, timeout=60
        )

    def cancel_all(self) -> None:
        """Ends all jobs, and waits until they have ended."""
        self.command("scancel", "--user", "root")
        self.until(lambda: not self.states(), "end of the jobs")

    def _daemon(self, *words: str | Path) -> None:
        with (self.folder / f"{Path(str(words[0])).name}.log").open("w") as log:
            self._daemons.append(
                subprocess.Popen([str(word) for word in words], env=self.environment, stdout=log, stderr=log)
            )

    def _start(self) -> None:
        folder, ports = self.folder, [free_port() for _ in range(4)]
        names = {"host": HOST, "folder": folder, **dict(zip(("ctld", "d", "dbd", "sql"), ports, strict=True))}
        for name in ("state", "spool", "db"):
            (folder / name).mkdir()
        text = SLURM + (ACCOUNTS if self._accounting else "")
        (folder / "slurm.conf").write_text(text.format(**names))
        (folder / "munge.key").write_bytes(secrets.token_bytes(64))
        (folder / "munge.key").chmod(0o600)
        paths = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
        self._daemon(
            "munged", "--force", "--foreground", *(f"--{name}={folder / path}" for name, path in paths.items())
        )
        self.until((folder / "munge.socket").exists, "munged")
        if self._accounting:
            self._start_accounting(names)
        self._daemon("slurmctld", "-D", "-f", folder / "slurm.conf")
        self.until(lambda: "UP" in self.command("scontrol", "ping"), "slurmctld")
        self._daemon("slurmd", "-D", "-f", folder / "slurm.conf")
        self.until(lambda: self.command("sinfo", "--noheader", "--format=%T") == "idle", "slurmd")

    def _start_accounting(self, names: dict[str, object]) -> None:
        folder, sql = self.folder, names["sql"]
        (folder / "slurmdbd.conf").write_text(SLURMDBD.format(**names))
        (folder / "slurmdbd.conf").chmod(0o600)
        options = ("--no-defaults", f"--datadir={folder / 'db'}", "--user=root")
        install = ("mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db")
        subprocess.run(install, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        self._daemon("mariadbd", *options, f"--socket={folder / 'sql'}", "--bind-address=127.0.0.1", f"--port={sql}",
                     f"--pid-file={folder / 'sql.pid'}", "--innodb-buffer-pool-size=64M")  # fmt: skip
        self.until(lambda: answers(sql), "mariadbd")
        self._daemon("slurmdbd", "-D")
        self.until(lambda: answers(names["dbd"]), "slurmdbd")
        for words in ("add cluster test", "add account lab", "add user root account=lab"):
            self.command("sacctmgr", "--immediate", *words.split())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: object) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def able() -> None:
    """Skips where no Slurm can be started."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here: `make test-slurm` installs them on Debian")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of its own is started by root only")


@pytest.fixture(scope="session")
def slurm(able: None) -> Iterator[PrivateSlurm]:
    """A Slurm of two CPUs with accounting."""
    with PrivateSlurm(accounting=True) as slurm:
        yield slurm


@pytest.fixture
def slurm_without_accounting(able: None) -> Iterator[PrivateSlurm]:
    """Another, whose sacct says nothing."""
    with PrivateSlurm(accounting=False) as slurm:
        yield slurm


@pytest.fixture(scope="session")
def module() -> Callable[[str], ModuleType]:
    """Imports a file of tests by its path, for what it makes up."""

    def load(name: str) -> ModuleType:
        path = ROOT / "tests" / name
        spec = importlib.util.spec_from_file_location(f"made_up_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = loaded  # dataclasses look their module up
        spec.loader.exec_module(loaded)
        return loaded

    return load
