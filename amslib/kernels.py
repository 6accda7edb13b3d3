"""The kernels that compute a number, and how to pin them.

A library takes the fastest kernels for the processor it finds, and each of them rounds in its own
way. Training amplifies rounding without bound, so records are made with the kernels named here,
which every x86-64 processor with AVX2 has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

# The libraries read these when they are loaded. MKL has separate kernels for each vendor, and the
# only ones that all vendors share are slow: the large products are left to NumPy's OpenBLAS.
PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def can_be_pinned() -> bool:
    """Whether there are AVX2, a torch built with MKL and a NumPy built with OpenBLAS."""
    about = np.show_config("dicts")
    instructions = about["SIMD Extensions"]
    found = {*instructions["baseline"], *instructions["found"]}
    blas = about["Build Dependencies"]["blas"]["name"]
    avx2 = bool({"AVX2", "X86_V3"} & found)
    return avx2 and "openblas" in blas and torch.backends.mkl.is_available()


def _pinned() -> bool:
    asked = all(os.environ.get(name) == value for name, value in PINNED.items())
    return asked and can_be_pinned() and torch.backends.cpu.get_cpu_capability() == "AVX2"


PINNED_HERE = _pinned()  # of this process: libraries that are loaded keep their kernels


@contextmanager
def pinned_children() -> Iterator[None]:
    """Processes started within compute with pinned kernels, where that is possible."""
    changed = PINNED if can_be_pinned() else {}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def bmm(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b`` of shapes (M, N, K) and (M, K, L), by the library whose kernels are pinned."""
    if not _by_numpy(a):
        return torch.bmm(a, b)
    product = a.new_empty(*a.shape[:2], b.shape[2])
    np.matmul(a.numpy(), b.numpy(), out=product.numpy())
    return product


def baddbmm(c: Tensor, a: Tensor, b: Tensor, alpha: float = 1.0) -> Tensor:
    """``c + alpha * bmm(a, b)``; c broadcasts to (M, N, L)."""
    if not _by_numpy(a):
        return torch.baddbmm(c, a, b, alpha=alpha)
    product = bmm(a, b)
    return (product if alpha == 1 else product.mul_(alpha)).add_(c)


def _by_numpy(a: Tensor) -> bool:
    return PINNED_HERE and a.dtype == torch.float32 and a.device.type == "cpu"
