"""Where tensors live."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def pick_device(device: str = "auto") -> torch.device:
    """The device itself; "auto" is CUDA if there is one, else the CPU.

    Raises:
        ValueError: torch knows no such device, or finds none here.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        device = "cuda" if there else "cpu"
    try:
        picked = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device={device!r}; expected auto, cpu, cuda or cuda:N") from None
    if picked.type == "cuda" and (picked.index or 0) >= there:
        raise ValueError(
            f"device={device!r}, but torch finds {there} GPUs here; auto takes what is"
        )
    return picked


def onto(device: torch.device, values: np.ndarray | Tensor) -> Tensor:
    """Values on the device. A GPU copies them when it gets there; nothing waits."""
    values = torch.as_tensor(values)
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
