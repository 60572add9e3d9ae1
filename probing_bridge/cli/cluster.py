"""What the commands that can run on a cluster read alike; not a command of its own."""

from __future__ import annotations

import argparse
from typing import Any


def cluster_setting(text: str) -> tuple[str, Any]:
    """One of submitit's settings, `name=value`; the value is a number where it can be."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE, as slurm_partition=cpu")
    return name, int(value) if value.isdigit() else value
