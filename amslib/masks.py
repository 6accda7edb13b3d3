"""Which snippets are real: `mask (..., T)`, True on the first T_i snippets and False on padding."""

from __future__ import annotations

import torch
from torch import Tensor


def full_mask(mask: Tensor | None, like: Tensor) -> Tensor:
    """The mask for values `like (..., T)`: all real if none is given.

    Raises:
        ValueError: the mask has another T, or, looked at on the CPU only, a real snippet stands
            behind padding.
    """
    if mask is None:
        return torch.ones(like.shape[-1], dtype=torch.bool, device=like.device)
    if mask.shape[-1] != like.shape[-1]:
        raise ValueError(
            f"mask has T = {mask.shape[-1]} snippets (shape {tuple(mask.shape)}) but the values "
            f"have T = {like.shape[-1]} (shape {tuple(like.shape)}); pass one flag per snippet"
        )
    mask = mask.bool()
    # only on the CPU: on a GPU the look at the values would wait for all queued work
    if mask.device.type == "cpu" and (mask[..., 1:] > mask[..., :-1]).any():
        raise ValueError("mask has a real snippet behind padding; put the real snippets first")
    return mask


def mean_over_time(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over real snippets: (..., T, K), (..., T) -> (..., K); 0 where there is none."""
    real = mask[..., None].to(values.dtype)
    return (values * real).sum(-2) / real.sum(-2).clamp_min(1)
