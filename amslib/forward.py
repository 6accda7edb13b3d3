"""Both branches on a batch: what the supplementary branch reads, and the CAS of either.

M members (models trained side by side) are the leading axis; B videos, T snippets, C classes; N
snippets of a packed batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .batches import Batch
from .config import Config
from .model import Branches, activate, heads
from .packed import alignment, interpolate
from .sampler import (
    aggregate,
    erase_weights,
    neighbours,
    sample_positions,
    sampling_weights,
)


def by_chance(config: Config) -> bool:
    """Whether the sampler of a config draws anew each time it looks at a video."""
    return config.sampler == "random" or (
        config.sampler == "adaptive" and config.aggregation == "random"
    )


def plan_positions(
    configs: Sequence[Config], cas: Tensor, batch: Batch, noise: Tensor, drawn: Tensor
) -> Tensor:
    """Where each member's supplementary branch reads.

    Args:
        configs: of the M members.
        cas: CAS of the base branch, packed (M, N, C).
        batch: its labels are those whose channels steer the sampler.
        noise: weights of "random", (N,), shared by all members.
        drawn: the class of each video for "random" aggregation, flags (B, C), shared as well.

    Returns:
        Positions inside each video, in snippets, packed (M, N).
    """
    grid, noise = batch.pad(cas), batch.pad(noise[:, None])[..., 0]
    plans = [
        _member_positions(config, cas_m, batch.labels, drawn, noise, batch.mask)
        for config, cas_m in zip(configs, grid, strict=True)
    ]
    return batch.pack(torch.stack(plans)[..., None])[..., 0]


def _member_positions(
    config: Config, cas: Tensor, labels: Tensor, drawn: Tensor, noise: Tensor, mask: Tensor
) -> Tensor:
    """Positions (B, T) of one member by its `sampler`, `aggregation`, `eta`, ..."""
    if config.sampler == "none":
        index = torch.arange(mask.shape[-1], dtype=cas.dtype, device=cas.device)
        return index.expand(mask.shape)
    if config.sampler == "uniform":
        w = mask.to(cas.dtype)
    elif config.sampler == "random":
        w = noise * mask
    elif config.sampler == "erase":
        w = erase_weights(cas, labels, config.threshold_factor, mask, config.threshold_scope)
    elif config.aggregation == "random":
        w = sampling_weights(aggregate(cas, drawn, "maximum", mask), config.eta, mask)
    else:
        w = sampling_weights(aggregate(cas, labels, config.aggregation, mask), config.eta, mask)
    return sample_positions(w, config.factor, mask, config.positions)


def read(batch: Batch, positions: Tensor | None = None) -> Tensor:
    """Packed features of a batch: (N, D) as they are, or (M, N, D) at positions (M, N).

    The same interpolation as `sample_features`, straight from the rows the batch holds.
    """
    features = batch.features
    if positions is None:
        return features if batch.held is None else features.index_select(0, batch.held)
    left, right, along = neighbours(positions, batch.sizes[batch.video])
    first = batch.first_held[batch.video]
    before, after = (
        features.index_select(0, (first + index).flatten()).unflatten(0, positions.shape)
        for index in (left, right)
    )
    return torch.lerp(before, after, along[..., None].to(features.dtype))


def base_cas(model: Branches, batch: Batch, config: Config) -> Tensor:
    """Eq. 1 in evaluation mode: CAS of the base branch, packed (M, N, C)."""
    _, logits = model(read(batch))
    return activate(heads(logits, config)[0], config)


def supp_cas(model: Branches, batch: Batch, positions: Tensor, config: Config) -> Tensor:
    """Eqs 2, 3 and 7 in evaluation mode: aligned CAS of the supplementary branch, (M, N, C)."""
    _, logits = model(read(batch, positions))
    cas = activate(heads(logits, config)[0], config)
    return interpolate(cas, alignment(positions, batch))
