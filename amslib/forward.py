"""Both branches on a batch: what the supplementary branch reads, and the CAS of either.

M members (models trained side by side) are the leading axis; B videos, T snippets, C classes; N
snippets of a packed batch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from .batches import Batch
from .config import Config
from .device import onto
from .model import Branches, activate, heads
from .packed import (
    aggregate,
    alignment,
    interpolate,
    mix,
    pseudo_labels,
    sample_positions,
    sampling_weights,
)
from .sampler import neighbours


def alike(configs: Sequence[Config], of: Callable[[Config], Hashable]) -> dict[Hashable, list[int]]:
    """Members by what a function says of their configs."""
    groups: dict[Hashable, list[int]] = {}
    for i, config in enumerate(configs):
        groups.setdefault(of(config), []).append(i)
    return groups


def by_chance(config: Config) -> bool:
    """Whether the sampler of a config draws anew each time it looks at a video."""
    return config.sampler == "random" or (
        config.sampler == "adaptive" and config.aggregation == "random"
    )


def plan_positions(
    configs: Sequence[Config],
    cas: Tensor,
    batch: Batch,
    noise: Tensor | None = None,
    drawn: Tensor | None = None,
) -> Tensor:
    """Where each member's supplementary branch reads.

    Args:
        configs: of the M members.
        cas: CAS of the base branch, packed (M, N, C).
        batch: its labels are those whose channels steer the sampler.
        noise: weights of "random", (N,), shared by all members; needed by them alone.
        drawn: the class of each video for "random" aggregation, flags (B, C), likewise.

    Returns:
        Positions inside each video, in snippets, packed (M, N).
    """
    positions = cas.new_empty(cas.shape[:2])
    for way, members in alike(configs, _way).items():
        index = onto(cas.device, np.array(members))
        if way.sampler == "none":
            where = batch.inside.to(cas.dtype).expand(len(members), -1)
        else:
            seen = cas if len(members) == len(cas) else cas.index_select(0, index)
            w = _weights([configs[i] for i in members], way, seen, batch, noise, drawn)
            where = sample_positions(w, batch, way.factor, way.positions)
        positions.index_copy_(0, index, where)
    return positions


@cache
def _way(config: Config) -> Config:
    """All that steers the sampler but eta, the same for members whose weights are computed at
    once.
    """
    used = [*("sampler", "factor", "positions"), *STEERS.get(config.sampler, ())]
    return Config(**{name: getattr(config, name) for name in used})


STEERS = {"adaptive": ("aggregation",), "erase": ("threshold_factor", "threshold_scope")}


def _weights(
    configs: Sequence[Config], way: Config, cas: Tensor, batch: Batch, noise: Tensor, drawn: Tensor
) -> Tensor:
    """Weights (M, N) of members whose sampler works the same way."""
    if way.sampler == "uniform":
        return torch.ones_like(cas[..., 0])
    if way.sampler == "random":
        return noise.expand(cas.shape[:2])
    if way.sampler == "erase":
        fires = pseudo_labels(cas, batch, way.threshold_factor, way.threshold_scope)
        return 1 - fires.any(-1).to(cas.dtype)
    labels = drawn if way.aggregation == "random" else batch.labels
    eta = onto(cas.device, np.array([config.eta for config in configs], np.float32)).to(cas.dtype)
    return sampling_weights(aggregate(cas, labels, batch, way.aggregation), eta, batch)


def read(batch: Batch, positions: Tensor | None = None) -> Tensor:
    """Packed features of a batch: (N, D) as they are, or (M, N, D) at positions (M, N).

    The same interpolation as `sample_features`, straight from the rows the batch holds.
    """
    features = batch.features
    if positions is None:
        return features if batch.held is None else features.index_select(0, batch.held)
    left, right, along = neighbours(positions, batch.sizes[batch.video])
    first = batch.start if batch.held is None else batch.held - batch.inside
    mixed = mix(features, (first + left).flatten(), (first + right).flatten(), along.flatten())
    return mixed.unflatten(0, positions.shape)


def base_cas(model: Branches, batch: Batch, config: Config) -> Tensor:
    """Eq. 1 in evaluation mode: CAS of the base branch, packed (M, N, C)."""
    _, logits = model(read(batch))
    return activate(heads(logits, config)[0], config)


def supp_cas(model: Branches, batch: Batch, positions: Tensor, config: Config) -> Tensor:
    """Eqs 2, 3 and 7 in evaluation mode: aligned CAS of the supplementary branch, (M, N, C)."""
    _, logits = model(read(batch, positions))
    cas = activate(heads(logits, config)[0], config)
    return interpolate(cas, alignment(positions, batch))
