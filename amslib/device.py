"""Where tensors live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
    # not as_tensor, which heeds a default device
    values = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


@contextmanager
def own_settings(gradients: bool = False) -> Iterator[None]:
    """Also a decorator: what a host program has set in torch for its own work, gradients, inference
    mode or autocast, does not reach what is computed here.
    """
    with (
        torch.inference_mode(False),
        torch.set_grad_enabled(gradients),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield
