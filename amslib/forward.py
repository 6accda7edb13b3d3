"""Both branches on a batch: what the supplementary branch reads, and the CAS of either.

M members (models trained side by side) are the leading axis; B videos, T snippets, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .batches import Batch
from .config import Config
from .model import Branches, activate, heads
from .sampler import (
    aggregate,
    align,
    erase_weights,
    neighbours,
    one_class,
    sample_positions,
    sampling_weights,
)


def plan_positions(
    configs: Sequence[Config],
    cas: Tensor,
    labels: Tensor,
    mask: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Where each member's supplementary branch reads: (M, B, T, C) base CAS to (M, B, T).

    The draws of "random" weights and classes are made once and shared by all members, and are
    made whether or not a member needs them: what a member gets does not depend on the others.
    """
    noise = torch.rand(mask.shape, generator=generator, device=generator.device).to(mask.device)
    drawn = one_class(labels, generator)
    plans = [
        _member_positions(config, cas_m, labels, drawn, noise, mask)
        for config, cas_m in zip(configs, cas, strict=True)
    ]
    return torch.stack(plans)


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
        w = erase_weights(cas, labels, config.threshold_factor, mask)
    elif config.aggregation == "random":
        w = sampling_weights(aggregate(cas, drawn, "maximum", mask), config.eta, mask)
    else:
        w = sampling_weights(aggregate(cas, labels, config.aggregation, mask), config.eta, mask)
    return sample_positions(w, config.factor, mask, config.positions)


def read(features: Tensor, batch: Batch, positions: Tensor | None = None) -> Tensor:
    """Packed features of a batch: (N, D) as they are, or (M, N, D) at positions (M, B, T).

    The same interpolation as `sample_features`, straight from the store's rows.
    """
    if positions is None:
        return features[batch.rows]
    packed = batch.pack(positions[..., None])[..., 0]  # (M, N)
    left, right, along = neighbours(packed, batch.lengths)
    before, after = features[batch.first + left], features[batch.first + right]
    return torch.lerp(before, after, along[..., None].to(features.dtype))


def base_cas(model: Branches, features: Tensor, batch: Batch, config: Config) -> Tensor:
    """Eq. 1 in evaluation mode: CAS of the base branch, packed (M, N, C)."""
    _, logits = model(read(features, batch))
    return activate(heads(logits, config)[0], config)


def supp_cas(
    model: Branches, features: Tensor, batch: Batch, positions: Tensor, config: Config
) -> Tensor:
    """Eqs 2, 3 and 7 in evaluation mode: aligned CAS of the supplementary branch, (M, N, C)."""
    _, logits = model(read(features, batch, positions))
    cas = activate(heads(logits, config)[0], config)
    return batch.pack(align(batch.pad(cas), positions, batch.mask))
