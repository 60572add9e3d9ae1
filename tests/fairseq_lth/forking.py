"""Processes that have fairseq imported already: forked from a server that imports `warm` once."""

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

import pytest


def warm_context() -> ForkServerContext:
    """The context whose processes are forked from the server, which runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm"])
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11's server does not look along the sys.path of its parent
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context
