"""Cores and memory of a job, from made-up control groups and from a process that really has one core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from probing_bridge.machine import cores, free_memory

HERE = len(os.sched_getaffinity(0))
GB = 10**9


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)


def made_up(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A machine with 64 GB free; `files` are below /sys/fs/cgroup."""
    contents = {
        "proc/self/cgroup": groups,
        "proc/meminfo": "MemTotal: 99 kB\nMemAvailable:   64000000 kB\nHugePages: 0",
    }
    for name, text in {**contents, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def of_version_2(limit: str, used: int, cached: int = 0) -> dict[str, str]:
    stat = f"anon {used - cached}\nfile {cached}\ninactive_file {cached // 2}\nactive_file {cached - cached // 2}"
    return {"memory.max": limit, "memory.current": str(used), "memory.stat": stat}


def below(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in files.items()}


JOB = "system.slice/slurmstepd.scope/job_7"


def test_memory_of_version_2(tmp_path: Path) -> None:
    files = {
        "memory.stat": "anon 1",  # the root of the machine has no limit, nor a file that says so
        **below(f"{JOB}/step_0", of_version_2("max", 2 * GB)),
        **below(JOB, of_version_2(str(16 * GB), 5 * GB, cached=3 * GB)),
    }
    root = made_up(tmp_path, f"0::/{JOB}/step_0/task_1", files)  # the innermost group is not shown here
    assert free_memory(root) == 14 * GB
    (root / f"sys/fs/cgroup/{JOB}/step_0/memory.max").write_text(f"{9 * GB}\n")
    assert free_memory(root) == 7 * GB
    (root / f"sys/fs/cgroup/{JOB}/memory.max").write_text(f"{1 * GB}\n")
    assert free_memory(root) == 0
    (root / "proc/self/cgroup").write_text("0::/elsewhere\n")
    assert free_memory(root) == 64_000_000 * 1024


def test_memory_of_version_1(tmp_path: Path) -> None:
    job = "memory/slurm/uid_0/job_7"
    stat = f"cache {GB}\ninactive_file 5\ntotal_inactive_file {GB}\ntotal_active_file {GB // 2}"
    used = {"memory.usage_in_bytes": str(6 * GB), "memory.stat": stat}
    files = {
        **below("memory", {**used, "memory.limit_in_bytes": str(2**63 - 4096)}),
        **below(job, {**used, "memory.limit_in_bytes": str(8 * GB)}),
    }
    groups = "9:name=systemd:/x\n5:cpu,cpuacct:/slurm/uid_0/job_7\n4:memory:/slurm/uid_0/job_7\n0::/"
    assert free_memory(made_up(tmp_path, groups, files)) == 3 * GB + GB // 2


def test_memory_of_a_container_that_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    files = below(
        "memory", {"memory.limit_in_bytes": str(4 * GB), "memory.usage_in_bytes": str(GB), "memory.stat": "cache 0"}
    )
    assert free_memory(made_up(tmp_path, "4:memory:/docker/0123abc", files)) == 3 * GB


def test_without_limits_memory_is_that_of_the_machine() -> None:
    assert 0 < free_memory() <= psutil.virtual_memory().total
    assert free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@pytest.mark.parametrize(("quota", "expected"), [("max 100000", HERE), ("90000 100000", 1), ("5000 100000", 1)])
def test_cores_of_version_2(tmp_path: Path, quota: str, expected: int) -> None:
    files = {f"{JOB}/cpu.max": quota, f"{JOB}/step_0/cpu.max": "max 100000"}
    assert cores(made_up(tmp_path, f"0::/{JOB}/step_0", files)) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", HERE), ("100000", 1), ("99900000", HERE)])
def test_cores_of_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    files = {"cpu/job/cpu.cfs_quota_us": quota, "cpu/job/cpu.cfs_period_us": "100000"}
    assert cores(made_up(tmp_path, "3:cpu,cpuacct:/job\n0::/", files)) == expected


def test_cores_of_a_task_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, expected in ("1", 1), ("4096", HERE), ("", HERE):
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", number)
        assert cores(tmp_path) == expected  # where there are no control groups at all


def test_a_process_with_one_core() -> None:
    """What counts is what it may use, not what the machine has."""
    code = "from probing_bridge.machine import cores; import os; print(cores(), os.cpu_count())"
    one = str(min(os.sched_getaffinity(0)))
    done = subprocess.run(
        ["taskset", "-c", one, sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", str(os.cpu_count())]
