"""The machine: what may explain a difference, and what its C library does with memory."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from functools import cache
from pathlib import Path

import numpy as np
import torch

from .device import pick_device
from .kernels import PINNED, PINNED_HERE

CPU = Path("/proc/cpuinfo")
# which kernels the libraries take; by default each chooses for the processor it finds
CHOICES = (
    *("ATEN_CPU_CAPABILITY", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE"),
    "CUBLAS_WORKSPACE_CONFIG",
)
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h
MADV_HUGEPAGE, LARGE_PAGE = 14, 2**21  # of Linux
HEAP = 2**30  # bytes of address space; memory is taken page by page


def described(device: str = "auto") -> dict:
    """What may explain a difference in the last digits: versions, processor, kernels, threads.

    Args:
        device: "auto" or a torch device.
    """
    target = pick_device(device)
    about = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": str(target),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "products": _openblas() if PINNED_HERE else _products(torch.__config__.show()),
        "pinned": PINNED_HERE and target.type == "cpu",
    }
    if target.type == "cuda":
        about["gpu"] = f"{torch.cuda.get_device_name(target)}, CUDA {torch.version.cuda}"
    chosen = {name: os.environ[name] for name in CHOICES if name in os.environ}
    return about | ({"chosen": chosen} if chosen else {})


def processor() -> str:
    """The model, as Linux names it; elsewhere what Python knows of it."""
    lines = CPU.read_text().splitlines() if CPU.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _products(config: str) -> str:
    """The library behind matrix products and its version, out of what torch was built with."""
    mkl = re.search(r"Math Kernel Library Version ([\d.]+)", config)
    if mkl:
        return f"MKL {mkl[1]}"
    blas = re.search(r"BLAS_INFO=(\w+)", config)
    return blas[1] if blas else "unknown"


def _openblas() -> str:
    """NumPy's library, with the processor whose kernels it was asked for."""
    version = np.show_config("dicts")["Build Dependencies"]["blas"]["version"]
    return f"OpenBLAS {version} {PINNED['OPENBLAS_CORETYPE']}"


@cache
def keep_memory() -> None:
    """Let a process keep the memory it frees, and in large pages, where the C library allows it.
    The large tensors of a step otherwise go back to the system and come again as new pages, and
    the processor looks up every 4096 bytes anew where they are. Large pages are those of the first
    gigabyte that the main thread takes. No number depends on it.
    """
    try:
        c = ctypes.CDLL(None)
        mallopt, malloc, free, sbrk, madvise = c.mallopt, c.malloc, c.free, c.sbrk, c.madvise
    except (OSError, AttributeError, TypeError):
        return  # not glibc
    for option in M_MMAP_THRESHOLD, M_TRIM_THRESHOLD:
        mallopt(option, 2**28)
    mallopt(M_TOP_PAD, HEAP)
    malloc.restype = sbrk.restype = ctypes.c_void_p
    start = malloc(ctypes.c_size_t(2**27))  # more than is free: the heap grows, by HEAP
    end = sbrk(ctypes.c_ssize_t(0))
    if start and start < end:
        first = start + -start % LARGE_PAGE
        madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), MADV_HUGEPAGE)
    free(ctypes.c_void_p(start))
