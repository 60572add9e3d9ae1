"""The options that say where work is done, checked before any of it begins."""

from __future__ import annotations

import argparse
from typing import Any

from probing_bridge.cluster.jobs import AT_ONCE, Cluster
from probing_bridge.errors import BridgeError

EXECUTORS = {"slurm": "slurm", "submitit-local": "local"}  # as it is asked for -> as submitit calls it
_WHOLE_NUMBERS = ("timeout_min", "cpus_per_task", "gpus_per_node")
_REFUSED = {
    "slurm_time": "timeout_min is it",
    "slurm_array_parallelism": "--at-once is it",
    "slurm_use_srun": "jobs get their signals through srun",
    "slurm_additional_parameters": "set SBATCH_... in the environment",
}


def add_cluster_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """Declares where the work is done and with which settings of submitit.

    Args:
        parser: Gets the options.
        what: The pieces of work, as jobs or tiles, for the help.
    """
    add = parser.add_argument
    add("--executor", default="here", choices=("here", *EXECUTORS), help=f"where {what} run (default: here)")
    add("--cluster", type=_setting, nargs="+", default=[], metavar="NAME=VALUE", help="settings of submitit's jobs")
    add("--at-once", type=_at_once, default=AT_ONCE, metavar="N",
        help=f"jobs that Slurm runs at the same time (default: {AT_ONCE})")  # fmt: skip


def asked_cluster(arguments: argparse.Namespace) -> Cluster | None:
    """The cluster that the options ask for, checked; None for this machine.

    Raises:
        BridgeError: It cannot be used, or not with these settings.
    """
    if arguments.executor == "here":
        return None
    parameters = {name: _converted(name, text) for name, text in arguments.cluster}
    cluster = Cluster(EXECUTORS[arguments.executor], parameters, arguments.at_once)
    cluster.check()
    return cluster


def _at_once(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, at least 1")
    return int(text)


def _setting(text: str) -> tuple[str, str]:
    """One of submitit's settings, `name=value`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE, as slurm_partition=cpu")
    return name, value


def _converted(name: str, text: str) -> Any:
    """A setting's value as submitit takes it.

    Raises:
        BridgeError: There is no such setting, or not with such a value.
    """
    if name in _WHOLE_NUMBERS:
        if not text.isdecimal() or int(text) < 1:
            raise BridgeError(f"--cluster {name}={text}: expected a whole number, at least 1")
        return int(text)
    if name == "mem_gb":
        try:
            return float(text)
        except ValueError as error:
            raise BridgeError(f"--cluster {name}={text}: expected gigabytes") from error
    if name in _REFUSED or not name.startswith("slurm_"):
        known = ", ".join(["mem_gb", *_WHOLE_NUMBERS])
        instead = _REFUSED.get(name, f"there are {known}, and slurm_NAME for options of sbatch, as slurm_partition")
        raise BridgeError(f"--cluster {name}: no such setting; {instead}")
    if name in ("slurm_setup", "slurm_srun_args"):
        return [text]
    return int(text) if text.isdecimal() else text
