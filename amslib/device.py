"""Where tensors live."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


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
