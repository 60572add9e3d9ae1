"""A fair start for benchmarks of matrix products: OpenBLAS's own choice of kernel, and what it is."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def start_with_own_kernel(module: str) -> None:
    """Starts `python -m module` again without OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, if one of them is set."""
    forced = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ]
    if forced:
        environment = {name: value for name, value in os.environ.items() if name not in forced}
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)


def describe_blas() -> str:
    """Libraries, kernels and threads in use."""
    import threadpoolctl
    import torch

    info = threadpoolctl.threadpool_info()
    openblas = [lib for lib in info if lib["internal_api"] == "openblas"]
    numpy = ", ".join(
        f"OpenBLAS {lib['version']} {lib['architecture']} {lib['num_threads']} threads" for lib in openblas
    )
    mkl = torch.__config__.show().partition("oneAPI Math Kernel Library Version")[2].split(" ")[:1]
    return f"numpy: {numpy}; torch {torch.__version__}: MKL {''.join(mkl)}, {torch.get_num_threads()} threads"


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def interleaved(functions: Sequence[Callable[[], Any]], repetitions: int) -> list[tuple[float, float]]:
    """Median wall and CPU seconds of each function; the functions take turns, so that drift hits all alike."""
    times: list[list[tuple[float, float]]] = [[] for _ in functions]
    for _ in range(repetitions):
        for own, function in zip(times, functions, strict=True):
            own.append(seconds(function))
    return [tuple(sorted(column)[len(column) // 2] for column in zip(*own, strict=True)) for own in times]
