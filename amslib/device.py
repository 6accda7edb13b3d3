"""Where tensors live."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
import torch
from torch import Tensor

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h


def pick_device(device: str = "auto") -> torch.device:
    """The device itself; "auto" is CUDA if there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def onto(device: torch.device, values: np.ndarray | Tensor) -> Tensor:
    """Values on the device. A GPU copies them when it gets there; nothing waits."""
    values = torch.as_tensor(values)
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


@cache
def keep_memory() -> None:
    """Let a process keep the memory it frees, where the C library allows it. The large tensors of
    a step otherwise go back to the system and come again as new pages, which costs 5 % of a step.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return  # not glibc
    for option in M_MMAP_THRESHOLD, M_TRIM_THRESHOLD:
        mallopt(option, 2**28)
    mallopt(M_TOP_PAD, 2**26)
