"""Where tensors live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

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
    """Also a decorator: what a host program has set in torch for its own work (gradients, inference
    mode, autocast, products in less than float32) does not reach what is computed here.
    """
    with (
        torch.inference_mode(False),
        torch.set_grad_enabled(gradients),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
        _FULL_PRECISION,
    ):
        yield


class _FullPrecision:
    """Products in float32. It is one setting for all threads: the first that enters changes it, the
    last that leaves restores it.
    """

    def __init__(self):
        self.lock, self.inside, self.before = Lock(), 0, []

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = _precisions()
                _set_precisions(["ieee" if _BACKENDS else "highest"] * len(self.before))
            self.inside += 1

    def __exit__(self, *_) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                _set_precisions(self.before)


# each has a setting of its own in later versions of torch, which refuse the common one once one of
# these was set
_BACKENDS = (
    [
        backend
        for backend in (torch.backends.mkldnn.matmul, torch.backends.cuda.matmul)
        if hasattr(backend, "fp32_precision")
    ]
    if hasattr(torch.backends, "fp32_precision")
    else []
)
_FULL_PRECISION = _FullPrecision()


def _precisions() -> list[str]:
    if _BACKENDS:
        return [backend.fp32_precision for backend in _BACKENDS]
    return [torch.get_float32_matmul_precision()]


def _set_precisions(values: list[str]) -> None:
    if not _BACKENDS:
        torch.set_float32_matmul_precision(*values)
    for backend, value in zip(_BACKENDS, values, strict=False):
        if backend.fp32_precision != value:
            backend.fp32_precision = value
