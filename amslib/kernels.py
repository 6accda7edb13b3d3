"""The kernels behind a number: by default a library takes the fastest for the processor it finds,
and each rounds in its own way. Training amplifies rounding, so records are made with these alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

# Read by the libraries when they are loaded. MKL has kernels of its own for each vendor, and only
# slow ones that all processors share; large products therefore are those of NumPy's OpenBLAS.
PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def can_be_pinned() -> bool:
    """Whether the processor has AVX2, torch is built with MKL and NumPy with OpenBLAS."""
    about = np.show_config("dicts")
    found = {*about["SIMD Extensions"]["baseline"], *about["SIMD Extensions"]["found"]}
    blas = about["Build Dependencies"]["blas"]["name"]
    return (
        bool({"AVX2", "X86_V3"} & found)
        and "openblas" in blas
        and torch.backends.mkl.is_available()
    )


def _pinned() -> bool:
    return all(os.environ.get(name) == value for name, value in PINNED.items()) and can_be_pinned()


PINNED_HERE = _pinned()


@contextmanager
def pinned_children() -> Iterator[None]:
    """Processes started in the meantime have pinned kernels, where that is possible."""
    changes = PINNED if can_be_pinned() else {}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def bmm(a: Tensor, b: Tensor) -> Tensor:
    """Products (M, N, K) x (M, K, L) -> (M, N, L), by the library whose kernels are pinned."""
    if not PINNED_HERE or a.dtype != torch.float32 or a.device.type != "cpu":
        return torch.bmm(a, b)
    out = torch.empty(*a.shape[:2], b.shape[2])
    np.matmul(a.numpy(), b.numpy(), out=out.numpy())
    return out


def baddbmm(c: Tensor, a: Tensor, b: Tensor, alpha: float = 1.0) -> Tensor:
    """``c + alpha * bmm(a, b)``, c broadcasts to (M, N, L)."""
    if not PINNED_HERE or a.dtype != torch.float32 or a.device.type != "cpu":
        return torch.baddbmm(c, a, b, alpha=alpha)
    out = bmm(a, b)
    return (out if alpha == 1 else out.mul_(alpha)).add_(c)
