"""Matrix products X^T Y of float32 blocks with the fastest library of the machine.

numpy's OpenBLAS and torch's MKL differ by up to a factor of two, and which one wins depends on the CPU; a product
of a fraction of a second tells. Small work takes numpy without asking, so that torch need not be loaded. On a CUDA
device the products run in full float32 (no TF32) and the sums stay in float64 on the host.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits

from probing_bridge.machine import cores

CLEARLY_FASTER = 0.9  # where the two are alike, numpy wins: it also has the symmetric product, at half the cost
SMALL_WORK_FLOP = 3e11  # about a second; loading torch and measuring costs more than a better library gains


class NumpyGemm:
    """Products by numpy's BLAS."""

    name = "numpy"

    def place(self, block: np.ndarray) -> Any:
        """Brings a block (n_rows, n_columns) to where the products are computed."""
        return block

    def multiply(self, placed: Any, rows: slice, columns: slice, out: np.ndarray) -> None:
        """Writes block[:, rows]^T block[:, columns] into `out`; equal ranges take the symmetric product."""
        np.matmul(placed[:, rows].T, placed[:, columns], out=out)


class TorchGemm:
    """Products by torch, on the CPU or on a CUDA device."""

    def __init__(self, device: str = "cpu") -> None:
        """Prepares products on `device`, "cpu" or "cuda"."""
        import torch

        self._torch = torch
        self._device = device
        self.name = "torch" if device == "cpu" else f"torch-{device}"

    def place(self, block: np.ndarray) -> Any:
        """Brings a block (n_rows, n_columns) to the device."""
        return self._torch.from_numpy(block).to(self._device)

    def multiply(self, placed: Any, rows: slice, columns: slice, out: np.ndarray) -> None:
        """Writes block[:, rows]^T block[:, columns] into `out`."""
        left, right = placed[:, rows].T, placed[:, columns]
        if self._device == "cpu":
            self._torch.mm(left, right, out=self._torch.from_numpy(out))
        else:
            precision = self._torch.get_float32_matmul_precision()
            self._torch.set_float32_matmul_precision("highest")  # no TF32: r would be off by 1e-3
            try:
                out[...] = self._torch.mm(left, right).cpu().numpy()
            finally:
                self._torch.set_float32_matmul_precision(precision)


Gemm = NumpyGemm | TorchGemm

GEMMS: dict[str, Callable[[], Gemm]] = {
    "numpy": NumpyGemm,
    "torch": TorchGemm,
    "torch-cuda": lambda: TorchGemm("cuda"),
}


def keep_to_cores() -> None:
    """Leaves the libraries that are loaded as many threads as the job has cores, or as few as they had."""
    for library in ThreadpoolController().lib_controllers:
        library.set_num_threads(min(library.num_threads, cores()))


def one_thread() -> threadpool_limits:
    """A context in which numpy's BLAS has one thread: for the many small products and eigenvalues after the pass.

    Threads gain little there, and threads that wait for each other spin: with two of them on a busy machine the
    spectra of a layer of 1024 neurons took 18 s of CPU time, with one 1.3 s.
    """
    return threadpool_limits(1, user_api="blas")


def choose_gemm(flop: float = float("inf")) -> Gemm:
    """The fastest way to multiply on this machine.

    Args:
        flop: Floating-point operations that have to be done; small work is not worth a measurement.

    Returns:
        A CUDA device when there is one, else the library that is faster in a measurement of about 0.1 s.
    """
    if flop < SMALL_WORK_FLOP:
        return NumpyGemm()
    import torch

    if torch.cuda.is_available():
        return TorchGemm("cuda")
    ours, other = NumpyGemm(), TorchGemm()
    return other if _seconds_of(other) < CLEARLY_FASTER * _seconds_of(ours) else ours


def _seconds_of(gemm: Gemm) -> float:
    """Best time of three products (512, 2048) x (2048, 2048) after one to warm up."""
    block = np.random.default_rng(0).standard_normal((2048, 2560), dtype=np.float32)
    out = np.empty((512, 2048), np.float32)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        gemm.multiply(gemm.place(block), slice(0, 512), slice(512, 2560), out)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
