"""The formulas of `losses` and `sampler` on packed batches, for M models side by side.

The videos of a batch stand behind each other on one axis of N snippets: nothing is computed on
padding, and nothing loops over models. Each function equals its namesake in value and gradient.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, embedding

from .batches import Batch, Shared
from .losses import EPS


def topk_mean(logits: Tensor, batch: Batch, topk: int = 8) -> Tensor:
    """`losses.topk_mean` of each video: (M, N, K) to (M, B, K). Equal values share their place."""
    k = (batch.sizes + topk - 1) // topk  # (B,)
    with torch.no_grad():
        lowest = batch.spread(_lowest_of_top(logits, batch, k))
        weight = (logits >= lowest).to(logits.dtype)
        surplus = batch.total(weight) - k[:, None]
        if logits.device.type != "cpu" or surplus.any():
            tied = (logits == lowest).to(logits.dtype)
            weight -= tied * batch.spread(surplus / batch.total(tied))
    return batch.total(logits * weight) / k[:, None]


def _lowest_of_top(logits: Tensor, batch: Batch, k: Tensor) -> Tensor:
    """The lowest of each video's k (B,) highest values, (M, N, K) to (M, B, K)."""
    if logits.device.type != "cpu":
        grid = torch.where(batch.mask[..., None], batch.pad(logits), -torch.inf)
        top = grid.topk(int(k.max()), dim=-2).values
        last = (k - 1)[:, None, None].expand(*top.shape[:-2], 1, top.shape[-1])
        return top.gather(-2, last)[..., 0, :]
    columns = logits.transpose(-1, -2).contiguous().numpy()  # (M, K, N)
    found, start = [], 0
    # selection in linear time: several times faster than torch's topk
    for end, count in zip(batch.ends, k.tolist(), strict=True):
        place = end - start - count
        found.append(np.partition(columns[..., start:end], place, axis=-1)[..., place])
        start = end
    return torch.from_numpy(np.stack(found, -2))


def localization_loss(cas: Tensor, pseudo: Tensor, batch: Batch) -> Tensor:
    """`losses.localization_loss`: (M, N, C) each to (M,)."""
    with torch.no_grad():
        positives = batch.total(pseudo)  # (M, B, C)
        negatives = batch.sizes[:, None] - positives
        # 1 over the size of the snippet's own side; a side without snippets is never looked up
        of_negative, of_positive = 1 / negatives.clamp_min(1), 1 / positives.clamp_min(1)
        share = batch.spread(of_negative) + pseudo * batch.spread(of_positive - of_negative)
    right = (cas - (1 - pseudo)).abs()  # the probability of the label
    entropy = share * right.clamp(EPS, 1 - EPS).log()
    return -entropy.sum((-2, -1)) / positives.shape[-2:].numel()


def coactivity_loss(
    hidden: Tensor, logits: Tensor, batch: Batch, shared: Shared, margin: float = 0.5
) -> Tensor:
    """`losses.coactivity_loss`: hidden (M, N, H), logits (M, N, C) to (M,).

    Only the videos and classes of the pairs are looked at.
    """
    entries = len(shared.videos) // 2
    if not entries:
        return logits.new_zeros(logits.shape[0])
    rows = batch.ends[int(max(shared.videos))]
    device = logits.device
    videos = torch.from_numpy(shared.videos).to(device)
    inside = batch.video[:rows] == videos[:, None]  # (2E, N)
    scores = logits[:, :rows].index_select(-1, torch.from_numpy(shared.classes).to(device))
    attention = scores.transpose(-1, -2).masked_fill(~inside, -torch.inf).softmax(-1)
    high = attention @ hidden[:, :rows]  # (M, 2E, H)
    low = inside.to(hidden.dtype) @ hidden[:, :rows] - high
    others = (batch.sizes[videos] - 1)[:, None]
    low = torch.where(others > 0, low / others.clamp_min(1), 0)  # exactly 0 of a single snippet
    (high_a, high_b), (low_a, low_b) = high.split(entries, -2), low.split(entries, -2)
    apart = _distance(high_a, high_b)  # (M, E)
    hinge = (apart - _distance(high_a, low_b) + margin).clamp_min(0) / 2
    hinge = hinge + (apart - _distance(high_b, low_a) + margin).clamp_min(0) / 2
    return hinge.mean(-1)


def _distance(u: Tensor, v: Tensor) -> Tensor:
    return 1 - cosine_similarity(u, v, dim=-1)


def alignment(positions: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """`sampler.align` as a plan: positions (M, N) to the sampled rows before and after the centre
    of each snippet, and how far along it lies, each (M, N).
    """
    # one non-decreasing axis for all videos; their stretches do not overlap
    centres = torch.arange(positions.shape[-1], dtype=torch.float64, device=positions.device)
    start = batch.starts[batch.video]
    last = start + batch.sizes[batch.video] - 1
    sampled = positions.double() + start
    after = torch.searchsorted(sampled, centres.expand(positions.shape).contiguous(), right=True)
    left, right = torch.maximum(after - 1, start), torch.minimum(after, last)
    low, high = sampled.gather(-1, left), sampled.gather(-1, right)
    along = ((centres - low) / (high - low).clamp_min(1e-30)).clamp(0, 1)
    return left, right, torch.where(high > low, along, 0)


def interpolate(values: Tensor, plan: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Rows of (M, N, K) by a plan of (M, N) each. Differentiable in the values."""
    left, right, along = plan
    return torch.lerp(take(values, left), take(values, right), along[..., None].to(values.dtype))


def take(values: Tensor, index: Tensor) -> Tensor:
    """Rows (M, N, K) of values (M, R, K) by index (M, N)."""
    first = torch.arange(len(values), device=values.device)[:, None] * values.shape[-2]
    # the backward pass of embedding adds rows at once, that of indexing numbers one by one
    return embedding(first + index, values.flatten(0, 1))
