"""The formulas of `losses` and `sampler` on packed batches, for M models side by side.

The videos of a batch stand behind each other on one axis of N snippets: nothing is computed on
padding, and nothing loops over models. Each function equals its namesake in value and gradient;
only positions in whole bins may be a bin apart, where a sum ends on the edge between two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import embedding_bag

from .batches import Batch, Packed, Shared
from .losses import EPS


class Plan(NamedTuple):
    """Between which two rows each of N snippets lies, and how far along, each (M, N); no index is
    lower than that of the snippet before.
    """

    left: Tensor
    right: Tensor
    along: Tensor


def topk_mean(logits: Tensor, batch: Packed, topk: int = 8) -> Tensor:
    """`losses.topk_mean` of each video: (M, N, K) to (M, B, K). Equal values share their place."""
    k = (batch.sizes + topk - 1) // topk  # (B,)
    with torch.no_grad():
        lowest = batch.spread(_lowest_of_top(logits, batch, topk))
        weight = torch.ge(logits, lowest, out=torch.empty_like(logits))
        if logits.device.type != "cpu" or _tied(weight, batch, topk):
            tied = (logits == lowest).to(logits.dtype)
            surplus = batch.total(weight) - k[:, None]
            weight -= tied * batch.spread(surplus / batch.total(tied))
    return batch.total(logits * weight) / k[:, None]


def _tied(weight: Tensor, batch: Packed, topk: int) -> bool:
    """Whether more values than wanted are as high as the lowest that counts."""
    wanted = _counts(batch, topk).sum() * weight[:, 0].numel()
    return weight.sum(-2).double().sum() != wanted


def _counts(batch: Packed, topk: int) -> np.ndarray:
    """How many snippets of each video count, (B,)."""
    return (batch.sizes.numpy() + topk - 1) // topk


def _lowest_of_top(logits: Tensor, batch: Packed, topk: int) -> Tensor:
    """The lowest of the highest values of each video that count, (M, N, K) to (M, B, K)."""
    if logits.device.type != "cpu":
        highest = (batch.longest + topk - 1) // topk
        grid = batch.pad(logits).masked_fill_(~batch.mask[..., None], -torch.inf)
        top = grid.topk(highest, dim=-2).values
        last = ((batch.sizes - 1) // topk)[:, None, None]
        return top.gather(-2, last.expand(*top.shape[:-2], 1, top.shape[-1])).squeeze(-2)
    columns = logits.transpose(-1, -2).contiguous().numpy()  # (M, K, N)
    found, start = [], 0
    # selection in linear time: several times faster than torch's topk
    for size, count in zip(batch.sizes.tolist(), _counts(batch, topk).tolist(), strict=True):
        place, end = size - count, start + size
        found.append(np.partition(columns[..., start:end], place, axis=-1)[..., place])
        start = end
    return torch.from_numpy(np.stack(found, -2))


def pseudo_labels(cas: Tensor, batch: Packed, factor: float = 0.7, scope: str = "class") -> Tensor:
    """`losses.pseudo_labels` with the labels of the batch: (M, N, C) to flags (M, N, C)."""
    mean = batch.total(cas) / batch.sizes[:, None]
    if scope == "video":
        mean = mean.mean(-1, keepdim=True)
    # a class that the video does not have is out of reach
    alpha = (factor * mean).masked_fill(batch.labels == 0, torch.inf)
    return cas > batch.spread(alpha)


def balanced(positive: Tensor, batch: Packed) -> Tensor:
    """The share of each snippet in the means of Eq. 9, flags (M, N, C) to (M, N, C): 1 over the
    positives of its video and class, or -1 over the negatives.
    """
    positive = positive.to(batch.labels.dtype)
    count = batch.total(positive)  # (M, B, C)
    of_positive = 1 / count.clamp_min(1)
    of_negative = -1 / (batch.sizes[:, None] - count).clamp_min(1)
    return torch.lerp(batch.spread(of_negative), batch.spread(of_positive), positive)


def localization_loss(cas: Tensor, shares: Tensor, batch: Packed) -> Tensor:
    """`losses.localization_loss`: cas (M, N, C) and its `balanced` labels to (M,)."""
    return _Entropy.apply(cas, shares) / batch.labels.numel()


class _Entropy(Function):
    """Cross-entropy (M,) of cas (M, N, C), weighted by shares whose sign is the label."""

    @staticmethod
    def forward(ctx, cas: Tensor, shares: Tensor) -> Tensor:
        negative = torch.lt(shares, 0, out=torch.empty_like(cas))
        # the probability of the label
        right = torch.sub(cas, negative, out=negative).abs_().clamp_(EPS, 1 - EPS)
        ctx.save_for_backward(right, shares)
        return -right.log().mul_(shares.abs()).sum((-2, -1))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        right, shares = ctx.saved_tensors
        slope = torch.ops.aten.hardtanh_backward(shares / right, right, EPS, 1 - EPS)
        return slope.mul_(-gradient[:, None, None]), None


def coactivity_loss(
    hidden: Tensor, logits: Tensor, batch: Packed, shared: Shared, margin: float = 0.5
) -> Tensor:
    """`losses.coactivity_loss`: hidden (M, n, H), logits (M, N, C) to (M,).

    Only the videos and classes of the pairs are looked at: n is that of `paired_rows` or more.
    """
    entries = len(shared.videos) // 2
    if not entries:
        return logits.new_zeros(logits.shape[0])
    rows = hidden.shape[-2]
    videos, classes = shared
    inside = batch.membership[:, :rows].index_select(0, videos)  # (2E, n)
    scores = logits[:, :rows].index_select(-1, classes).transpose(-1, -2)
    attention = torch.where(inside > 0, scores, -torch.inf).softmax(-1)
    high, total = _Pool.apply(attention, inside, hidden)  # (M, 2E, H)
    # no length, exactly, where there is a single snippet; other lengths do not matter to a cosine
    low = (total - high) * (batch.sizes[videos] > 1)[:, None]
    pooled = torch.stack([high, low], 1)  # (M, 2, 2E, H)
    unit = pooled * pooled.square().sum(-1, keepdim=True).clamp_min(1e-16).rsqrt()
    like = (unit[:, :1] * unit.roll(entries, 2)).sum(-1)  # the high to high and low of the partner
    hinge = (like[:, 1] - like[:, 0] + margin).clamp_min(0)
    return hinge.mean(-1)  # over both sides of each entry


def paired_rows(batch: Batch, shared: Shared) -> int:
    """Packed rows up to the last video of a pair."""
    return batch.ends[int(max(shared.videos))] if len(shared.videos) else 0


class _Pool(Function):
    """Sums of hidden (M, n, H) weighted by attention (M, E, n), and by flags (E, n)."""

    @staticmethod
    def forward(ctx, attention: Tensor, inside: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights = torch.cat([attention, inside.expand_as(attention)], 1)
        ctx.save_for_backward(weights, hidden)
        return (weights @ hidden).chunk(2, 1)

    @staticmethod
    def backward(ctx, of_high: Tensor, of_total: Tensor) -> tuple[Tensor, None, Tensor]:
        weights, hidden = ctx.saved_tensors
        of_hidden = weights.mT @ torch.cat([of_high, of_total], 1)
        return of_high @ hidden.mT, None, of_hidden


def aggregate(cas: Tensor, labels: Tensor, batch: Packed, how: str = "maximum") -> Tensor:
    """`sampler.aggregate` of probabilities (M, N, C) over the classes (B, C) of each video, (M, N);
    for "random", `labels` are the drawn classes.
    """
    chosen = cas * batch.spread(labels)
    if how == "average":
        return chosen.sum(-1) / batch.spread(labels.sum(-1, keepdim=True).clamp_min(1))[:, 0]
    return chosen.amax(-1)


def sampling_weights(m: Tensor, eta: Tensor, batch: Packed) -> Tensor:
    """`sampling_weights` of Eq. 4: (M, N), with eta (M,)."""
    peak = batch.highest(m).index_select(-1, batch.video)
    return peak - m + eta[:, None]


def sample_positions(
    w: Tensor, batch: Packed, factor: int = 20, mode: str = "continuous"
) -> Tensor:
    """`sampler.sample_positions` inside each video: (M, N) to (M, N)."""
    bins = _upsample(w.double(), batch, factor)  # (M, N H)
    g = torch.nn.functional.pad(bins.cumsum(-1), (1, 0))
    first, end = batch.start * factor, (batch.last + 1) * factor
    before = g.index_select(-1, first)
    inside = batch.inside.double()
    u = before + (inside + 0.5) * (g.index_select(-1, end) - before) / batch.sizes[batch.video]
    # right=True steps over flat parts: the bin found always has weight
    place = torch.searchsorted(g, u, right=True) - 1
    place = torch.minimum(torch.maximum(place, first), end - 1)
    if mode == "bins":
        along = w.new_full((), 0.5, dtype=torch.float32)
    else:
        low, high = g.gather(-1, place), g.gather(-1, place + 1)
        along = ((u - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
    return ((place - first + along) / factor - 0.5).to(w.dtype)


def _upsample(w: Tensor, batch: Packed, factor: int) -> Tensor:
    """(M, N) -> (M, N H): linear between snippet centres, held beyond each video's first and last,
    scaled to a highest weight of 1 so that uniform weights are exact in floating point.
    """
    peak = batch.highest(w).index_select(-1, batch.video)
    w = torch.where(peak > 0, w / peak.clamp_min(1e-300), 1)
    before = w.index_select(-1, torch.maximum(batch.place - 1, batch.start)) - w
    after = w.index_select(-1, torch.minimum(batch.place + 1, batch.last)) - w
    offset = (torch.arange(factor, dtype=w.dtype, device=w.device) + 0.5) / factor - 0.5  # (H,)
    sides = torch.stack([w, before, after], -1)  # (M, N, 3)
    weights = torch.stack([offset * 0 + 1, (-offset).clamp_min(0), offset.clamp_min(0)])
    return (sides @ weights).flatten(-2)


def alignment(positions: Tensor, batch: Packed) -> Plan:
    """`sampler.align` as a plan: positions (M, N) to the sampled rows before and after the centre
    of each snippet, and how far along it lies.
    """
    # one non-decreasing axis for all videos; their stretches do not overlap
    centres = batch.place.double()
    sampled = positions.double() + batch.start
    after = torch.searchsorted(sampled, centres.expand(positions.shape).contiguous(), right=True)
    left, right = torch.maximum(after - 1, batch.start), torch.minimum(after, batch.last)
    low, high = sampled.gather(-1, left), sampled.gather(-1, right)
    along = ((centres - low) / (high - low).clamp_min(1e-30)).clamp(0, 1)
    return Plan(left, right, torch.where(high > low, along, 0).to(positions.dtype))


def interpolate(values: Tensor, plan: Plan) -> Tensor:
    """Rows of (M, N, K) by a plan. Differentiable in the values."""
    first = torch.arange(len(values), device=values.device)[:, None] * values.shape[-2]
    left, right = ((first + index).flatten() for index in (plan.left, plan.right))
    mixed = _Interpolation.apply(values.flatten(0, 1), left, right, plan.along.flatten())
    return mixed.unflatten(0, plan.left.shape)


def mix(table: Tensor, left: Tensor, right: Tensor, along: Tensor) -> Tensor:
    """Rows of a table (R, K) between two rows each: (n,) three times to (n, K)."""
    if table.device.type != "cpu":  # there, three passes at the rate of a copy are the faster
        along = along.to(table.dtype)[:, None]
        return torch.lerp(table.index_select(0, left), table.index_select(0, right), along)
    weights = torch.stack([1 - along, along], -1).to(table.dtype)
    index = torch.stack([left, right], -1)
    return embedding_bag(index, table, per_sample_weights=weights, mode="sum")  # one pass


class _Interpolation(Function):
    """`mix` by indices that do not decrease, whose gradient is gathered, not scattered."""

    @staticmethod
    def forward(ctx, values: Tensor, left: Tensor, right: Tensor, along: Tensor) -> Tensor:
        ctx.save_for_backward(left, right, along.to(values.dtype))
        ctx.rows = len(values)
        return mix(values, left, right, along)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        left, right, along = ctx.saved_tensors
        back = _gathered(gradient, left, 1 - along, ctx.rows)
        return back + _gathered(gradient, right, along, ctx.rows), None, None, None


def _gathered(gradient: Tensor, into: Tensor, weights: Tensor, rows: int) -> Tensor:
    """Rows (n, K), weighted, summed into the rows (R, K) that non-decreasing indices name."""
    counts = into.new_zeros(rows).scatter_add_(0, into, torch.ones_like(into))
    index = torch.arange(len(into), device=into.device)
    offsets = counts.cumsum(0) - counts
    return embedding_bag(index, gradient, offsets, per_sample_weights=weights, mode="sum")
