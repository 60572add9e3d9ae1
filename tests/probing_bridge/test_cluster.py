"""The one wrapper of submitit: options, results in whatever order they come, failures in one line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from probing_bridge.cluster import Cluster, add_cluster_arguments, asked_cluster
from probing_bridge.errors import BridgeError

LOCAL = Cluster("local", {"timeout_min": 5})


def asked(*words: str) -> Cluster | None:
    parser = argparse.ArgumentParser()
    add_cluster_arguments(parser, "jobs")
    return asked_cluster(parser.parse_args(words))


def test_options() -> None:
    assert asked() is None and asked("--executor", "here") is None
    assert asked("--executor", "submitit-local", "--cluster", "timeout_min=5", "slurm_partition=cpu") == Cluster(
        "local", {"timeout_min": 5, "slurm_partition": "cpu"}
    )
    assert asked("--executor", "slurm") == Cluster("slurm", {})


@pytest.mark.parametrize("setting", ["timeout_min", "=5"])
def test_a_setting_without_name_or_value(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asked("--executor", "slurm", "--cluster", setting)
    assert f"{setting!r}: expected NAME=VALUE" in capsys.readouterr().err


def divide(a: int, b: int) -> float:
    if b < 0:
        os._exit(3)  # as a job that the cluster kills
    return a / b


def test_each_call_ends_with_its_result_or_one_line(tmp_path: Path) -> None:
    ended = {one.place: one for one in LOCAL.run(divide, [(6, 3), (1, 0), (1, 4), (1, -1)], tmp_path / "jobs")}
    assert [ended[place].result for place in range(4)] == [2, None, 0.25, None]
    assert [bool(ended[place].failure) for place in range(4)] == [False, True, False, True]
    assert "ZeroDivisionError: division by zero" in ended[1].failure
    for place in (1, 3):
        assert str(tmp_path / "jobs") in ended[place].failure and "\n" not in ended[place].failure


def test_no_calls_need_no_cluster(tmp_path: Path) -> None:
    assert list(Cluster("slurm", {}).run(divide, [], tmp_path)) == []


@pytest.mark.parametrize("cluster", [Cluster("slurm", {}), Cluster("local", {"timeout_mins": 5})])
@pytest.mark.parametrize("has_slurm", [False, True])
def test_jobs_that_cannot_be_submitted(
    cluster: Cluster, has_slurm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether this machine has no Slurm, or its commands without a controller that answers."""
    for name in ("sbatch", "srun") if has_slurm else ():
        (tmp_path / name).write_text("#!/bin/sh\necho 'error: Unable to contact slurm controller' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BridgeError, match="the jobs cannot be submitted: ") as error:
        list(cluster.run(divide, [(1, 2)], tmp_path / "jobs"))
    assert "\n" not in str(error.value)
