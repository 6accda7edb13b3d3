"""The adaptive sampler (Sec. III-C): where to look again, and how to come back.

Positions are in snippet units: position t is the centre of snippet t, so sampling with uniform
weights gives exactly 0, 1, .., T - 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .device import onto
from .losses import pseudo_labels
from .masks import full_mask


def aggregate(
    cas: Tensor,
    labels: Tensor,
    how: str = "maximum",
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Class-agnostic CAS m from the channels of the video's classes (Sec. III-C1, Table V).

    Args:
        cas: class activation sequence, shape (..., T, C).
        labels: classes of the video in {0, 1}, shape (..., C).
        how: "maximum" or "average" over the classes, or "random", one of them a video.
        mask: real snippets, shape (..., T).
        generator: draws the class for "random".

    Returns:
        m, shape (..., T); 0 on padding and for a video without any class.

    Raises:
        ValueError: unknown `how`, cas and labels differ in C, or the mask does not fit, see
            `masks.full_mask`.

    >>> cas = torch.tensor([[0.9, 0.3, 0.1], [0.2, 0.6, 0.1]])
    >>> aggregate(cas, torch.tensor([1, 1, 0]))
    tensor([0.9000, 0.6000])
    """
    if labels.shape[-1] != cas.shape[-1]:
        raise ValueError(
            f"cas has C = {cas.shape[-1]} classes (shape {tuple(cas.shape)}) but labels have "
            f"C = {labels.shape[-1]} (shape {tuple(labels.shape)}); pass one label per class"
        )
    chosen = labels.bool() if how != "random" else one_class(labels, generator)
    if how not in ("maximum", "average", "random"):
        raise ValueError(f"how={how!r}; expected 'maximum', 'average' or 'random'")
    chosen = chosen[..., None, :]  # (..., 1, C)
    if how == "average":
        m = torch.where(chosen, cas, 0).sum(-1) / chosen.sum(-1).clamp_min(1)
    else:
        m = torch.where(chosen, cas, -torch.inf).amax(-1)
        m = torch.where(chosen.any(-1), m, 0)
    return torch.where(full_mask(mask, m), m, 0)


def one_class(labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Keep one class of each video, drawn uniformly: (..., C) labels to (..., C) flags."""
    device = labels.device if generator is None else generator.device
    lot = torch.rand(labels.shape, generator=generator, dtype=torch.float32, device=device)
    lot = onto(labels.device, lot)
    lot = torch.where(labels.bool(), lot, -1)
    drawn = torch.zeros_like(lot).scatter(-1, lot.argmax(-1, keepdim=True), 1)
    return labels.bool() & drawn.bool()


def sampling_weights(m: Tensor, eta: float = 0.75, mask: Tensor | None = None) -> Tensor:
    """Eq. 4: w = max(m) - m + eta, high where the base branch sees little.

    Args:
        m: aggregated CAS, shape (..., T).
        eta: sampling adjustment value, >= 0. The densest sampling is (max(m) + eta) / eta times
            the sparsest.
        mask: real snippets, shape (..., T).

    Returns:
        Weights without gradient, shape (..., T), 0 on padding.

    Raises:
        ValueError: eta is negative, or the mask does not fit, see `masks.full_mask`.

    >>> sampling_weights(torch.tensor([0.0, 1.0]), eta=0.75)
    tensor([1.7500, 0.7500])
    """
    if not eta >= 0:
        raise ValueError(f"eta={eta!r}; expected eta >= 0")
    m = m.detach()
    mask = full_mask(mask, m)
    peak = torch.where(mask, m, -torch.inf).amax(-1, keepdim=True)
    return torch.where(mask, peak - m + eta, 0)


def erase_weights(
    cas: Tensor,
    labels: Tensor,
    threshold_factor: float = 0.7,
    mask: Tensor | None = None,
    scope: str = "class",
) -> Tensor:
    """Sec. III-C4: the erase operation as weights, 0 where the base branch fires and 1 elsewhere.

    Args:
        cas: CAS of the base branch, shape (..., T, C).
        labels: classes of the video in {0, 1}, shape (..., C).
        threshold_factor: "fires" means above this times the mean over time, as in Eq. 8.
        mask: real snippets, shape (..., T).
        scope: of that mean, see `losses.location_threshold`.

    Returns:
        Binary weights, shape (..., T), 0 on padding.

    Raises:
        ValueError: unknown scope, or the mask does not fit, see `masks.full_mask`.
    """
    fires = pseudo_labels(cas, labels, threshold_factor, mask, scope).amax(-1)
    return torch.where(full_mask(mask, fires), 1 - fires, 0)


def sample_positions(
    w: Tensor, factor: int = 20, mask: Tensor | None = None, mode: str = "continuous"
) -> Tensor:
    """Eq. 5: inverse transform sampling, T_i positions with density proportional to w.

    Snippet t covers [t, t + 1) of the time axis. The weights are upsampled linearly to `factor`
    bins a snippet, G is their running sum from 0, and position j is where G reaches
    (j + 1/2) / T_i of its end: only this midpoint rule makes uniform weights the identity.

    Args:
        w: non-negative weights in float32 or float64, shape (..., T). All zero counts as uniform.
            Only their ratios count: of weights that rounding alone keeps from zero, as an almost
            constant CAS leaves at eta = 0, the highest is 1 like any other.
        factor: H, bins per snippet.
        mask: real snippets, shape (..., T); a video gets as many samples as it has real snippets.
        mode: "continuous" inverts G by interpolation; "bins" takes the centre of the bin, which
            is the literal index into an array of H T entries.

    Returns:
        Positions of w's shape and dtype, non-decreasing (increasing where w > 0), within
        [-1/2, T_i - 1/2]. Padding keeps its own index.

    Raises:
        ValueError: factor < 1, an unknown mode, or a mask that does not fit; on the CPU also a
            negative or non-finite weight (on a GPU the look would wait for all queued work).

    >>> sample_positions(torch.ones(4))
    tensor([0., 1., 2., 3.])
    """
    if factor < 1 or mode not in ("continuous", "bins"):
        raise ValueError(
            f"factor={factor!r}, mode={mode!r}; expected factor >= 1 and mode 'continuous' or "
            "'bins'"
        )
    if w.device.type == "cpu" and not (w.isfinite() & (w >= 0)).all():
        raise ValueError(f"w has a negative or non-finite weight (lowest {w.min().item()})")
    mask = full_mask(mask, w).expand(w.shape)
    bins = _upsample(w.detach().double(), factor, mask)  # (..., T H)
    g = torch.nn.functional.pad(bins.cumsum(-1), (1, 0))  # (..., T H + 1)
    index = torch.arange(w.shape[-1], dtype=g.dtype, device=w.device)
    count = mask.sum(-1, keepdim=True).clamp_min(1)
    u = (index + 0.5) * g[..., -1:] / count
    # right=True steps over flat parts: the bin found always has weight
    bin_ = (torch.searchsorted(g, u.contiguous(), right=True) - 1).clamp(0, bins.shape[-1] - 1)
    if mode == "bins":
        inside = w.new_full((), 0.5, dtype=torch.float32)
    else:
        low, high = g.gather(-1, bin_), g.gather(-1, bin_ + 1)
        inside = ((u - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
    positions = (bin_ + inside) / factor - 0.5
    return torch.where(mask, positions, index).to(w.dtype)


def _upsample(w: Tensor, factor: int, mask: Tensor) -> Tensor:
    """(..., T) -> (..., T H): linear between snippet centres, held beyond the first and last."""
    w = torch.where(mask, w, 0)
    peak = w.amax(-1, keepdim=True)
    # scaled to a highest weight of 1, uniform weights are exact in floating point
    w = torch.where(peak > 0, w / peak.clamp_min(1e-300), mask.to(w.dtype))
    before = torch.cat([w[..., :1], w[..., :-1]], -1)
    after = torch.cat([w[..., 1:], w[..., -1:]], -1)
    next_real = torch.cat([mask[..., 1:], mask[..., -1:]], -1)
    after = torch.where(next_real, after, w)
    offset = (torch.arange(factor, dtype=w.dtype, device=w.device) + 0.5) / factor - 0.5  # (H,)
    w, before, after = w[..., None], before[..., None], after[..., None]  # (..., T, 1)
    bins = w + (before - w) * (-offset).clamp_min(0) + (after - w) * offset.clamp_min(0)
    return torch.where(mask[..., None], bins, 0).flatten(-2)


def neighbours(positions: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The snippets before and after each position, and how far along: positions (..., T),
    lengths broadcastable to it. Beyond the first and last centre the edge is held.
    """
    held = torch.minimum(positions.clamp_min(0), (lengths - 1).to(positions.dtype))
    left = held.long()
    right = torch.minimum(left + 1, (lengths - 1).long())
    return left, right, held - left


def sample_features(x: Tensor, positions: Tensor, mask: Tensor | None = None) -> Tensor:
    """Eq. 6: features read at real-valued positions by linear interpolation.

    Args:
        x: snippet features, shape (..., T, D).
        positions: from `sample_positions`, shape (..., T).
        mask: real snippets, shape (..., T); needed with padding, so that the last real snippet
            is held instead of fading into it.

    Returns:
        Sampled features, shape (..., T, D).

    Raises:
        ValueError: the mask does not fit, see `masks.full_mask`.

    >>> sample_features(torch.tensor([[0.0], [10.0]]), torch.tensor([-0.5, 0.25]))
    tensor([[0.0000],
            [2.5000]])
    """
    lengths = full_mask(mask, x[..., 0]).sum(-1, keepdim=True).clamp_min(1)
    left, right, along = neighbours(positions, lengths)
    return torch.lerp(_rows(x, left), _rows(x, right), along[..., None].to(x.dtype))


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Rows (..., T, K) of (..., S, K) by index (..., T); leading axes broadcast."""
    leading = torch.broadcast_shapes(values.shape[:-2], index.shape[:-1])
    index = index[..., None].expand(*leading, index.shape[-1], values.shape[-1])
    return values.expand(*leading, *values.shape[-2:]).gather(-2, index)


def align(cas: Tensor, positions: Tensor, mask: Tensor | None = None) -> Tensor:
    """Eq. 7: from the sampled time axis back to the uniform one.

    For each uniform centre, linear interpolation between the two nearest sampled positions;
    beyond the first and last of them the edge is held. Differentiable in `cas`.

    Args:
        cas: values on the sampled axis, shape (..., T, C).
        positions: where they were sampled, non-decreasing, shape (..., T).
        mask: real snippets, shape (..., T).

    Returns:
        Values at 0, 1, .., T - 1, shape (..., T, C); 0 on padding.

    Raises:
        ValueError: the mask does not fit, see `masks.full_mask`.

    >>> align(torch.tensor([[0.0], [1.0]]), torch.tensor([0.0, 0.5]))
    tensor([[0.],
            [1.]])
    """
    mask = full_mask(mask, positions).expand(positions.shape)
    last = mask.sum(-1, keepdim=True).clamp_min(1) - 1
    centres = torch.arange(positions.shape[-1], device=positions.device, dtype=positions.dtype)
    centres = centres.expand(positions.shape).contiguous()
    right = torch.searchsorted(positions.contiguous(), centres, right=True)
    left = torch.minimum((right - 1).clamp_min(0), last)
    right = torch.minimum(right, last)
    low, high = positions.gather(-1, left), positions.gather(-1, right)
    gap = high - low
    along = torch.where(gap > 0, (centres - low) / gap.clamp_min(1e-30), 0).clamp(0, 1)
    aligned = torch.lerp(_rows(cas, left), _rows(cas, right), along[..., None].to(cas.dtype))
    return torch.where(mask[..., None], aligned, 0)
