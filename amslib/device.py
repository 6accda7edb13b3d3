"""Where tensors live."""

from __future__ import annotations

import torch


def pick_device(device: str = "auto") -> torch.device:
    """The device itself; "auto" is CUDA if there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
