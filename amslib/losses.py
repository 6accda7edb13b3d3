"""Pseudo-labels and losses: Eqs 8-10 and the Co-Activity Similarity loss of W-TALC.

The losses average over the videos of a batch: (T, C) and (B, T, C) give a number, a batch of
models (M, B, T, C) gives one number per model, shape (M,).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from .masks import full_mask, mean_over_time

EPS = 1e-6  # probabilities are kept this far from 0 and 1 before a logarithm


def topk_mean(logits: Tensor, topk: int = 8, mask: Tensor | None = None) -> Tensor:
    """Video-level scores: mean of the k = ceil(T_i / topk) highest values over time.

    Args:
        logits: per-snippet values, shape (..., T, C).
        topk: the divisor of the video's true length.
        mask: real snippets, shape (..., T).

    Returns:
        Scores, shape (..., C), each class with its own top snippets.

    Raises:
        ValueError: the mask does not fit, see `masks.full_mask`.

    >>> topk_mean(torch.arange(16.0)[:, None])
    tensor([14.5000])
    """
    mask = full_mask(mask, logits[..., 0])
    k = ((mask.sum(-1, keepdim=True) + topk - 1) // topk).clamp_min(1)[..., None]  # (..., 1, 1)
    highest = (logits.shape[-2] + topk - 1) // topk
    top = torch.where(mask[..., None], logits, -torch.inf).topk(highest, dim=-2).values
    rank = torch.arange(highest, device=logits.device)[:, None]
    return torch.where(rank < k, top, 0).sum(-2) / k[..., 0]


def location_threshold(
    cas: Tensor, factor: float = 0.7, mask: Tensor | None = None, scope: str = "class"
) -> Tensor:
    """alpha of Eq. 8 and theta_loc of Sec. III-E: `factor` x mean of the CAS (Sec. IV-B).

    Args:
        cas: shape (..., T, C).
        factor: of the mean.
        mask: real snippets, shape (..., T).
        scope: the mean is taken over time per "class", or over the whole "video", all classes.

    Returns:
        Thresholds, shape (..., C).

    Raises:
        ValueError: unknown scope, or the mask does not fit, see `masks.full_mask`.
    """
    mean = mean_over_time(cas, full_mask(mask, cas[..., 0]))
    if scope == "video":
        mean = mean.mean(-1, keepdim=True).expand(mean.shape)
    elif scope != "class":
        raise ValueError(f"scope={scope!r}; expected 'class' or 'video'")
    return factor * mean


def pseudo_labels(
    cas: Tensor,
    labels: Tensor,
    factor: float = 0.7,
    mask: Tensor | None = None,
    scope: str = "class",
) -> Tensor:
    """Eq. 8: a snippet is positive for a class of the video where its CAS exceeds alpha.

    alpha is that of `location_threshold`, by default per video and class.

    Args:
        cas: CAS of the branch that teaches, shape (..., T, C).
        labels: classes of the video in {0, 1}, shape (..., C).
        factor: of the mean, Sec. IV-B.
        mask: real snippets, shape (..., T).
        scope: "class" or "video".

    Returns:
        Labels in {0, 1} of cas's dtype and without gradient, shape (..., T, C); 0 on padding.

    Raises:
        ValueError: unknown scope, or the mask does not fit, see `masks.full_mask`.

    >>> pseudo_labels(torch.tensor([[0.9], [0.1]]), torch.tensor([1]))
    tensor([[1.],
            [0.]])
    """
    cas = cas.detach()
    mask = full_mask(mask, cas[..., 0])
    alpha = location_threshold(cas, factor, mask, scope)[..., None, :]  # (..., 1, C)
    return ((cas > alpha) & labels.bool()[..., None, :] & mask[..., None]).to(cas.dtype)


def localization_loss(cas: Tensor, pseudo: Tensor, mask: Tensor | None = None) -> Tensor:
    """Eq. 9: cross-entropy balanced between positive and negative snippets.

    Per video and class the mean over the positives plus the mean over the negatives; a side
    without snippets contributes 0. Then the mean over classes and over videos.

    Args:
        cas: CAS of the branch that learns, shape (..., T, C), in [0, 1]; nearer than `EPS` to an
            end it counts as that near, and has no gradient.
        pseudo: labels from `pseudo_labels`, shape (..., T, C).
        mask: real snippets, shape (..., T).

    Returns:
        The loss, a number, or one per model for (M, B, T, C).

    Raises:
        ValueError: the mask does not fit, see `masks.full_mask`.
    """
    mask = full_mask(mask, cas[..., 0])
    cas = cas.clamp(EPS, 1 - EPS)
    positive = pseudo.bool()
    entropy = -torch.where(positive, cas, 1 - cas).log()
    loss = mean_of(entropy, positive & mask[..., None])
    loss = loss + mean_of(entropy, ~positive & mask[..., None])
    return _over_videos(loss.mean(-1))


def mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over time of the chosen values: (..., T, C) -> (..., C); 0 if none is chosen."""
    return torch.where(chosen, values, 0).sum(-2) / chosen.sum(-2).clamp_min(1)


def classification_loss(video_probs: Tensor, labels: Tensor, form: str = "bce") -> Tensor:
    """Eq. 10: video-level probabilities against labels that are scaled to sum to one.

    Args:
        video_probs: predicted class probabilities, shape (..., C); nearer than `EPS` to 0 or 1
            one counts as that near, and has no gradient.
        labels: classes of the video in {0, 1}, shape (..., C).
        form: "bce", the letter of Eq. 10: mean over classes of the binary cross-entropy; or
            "softmax_ce", the categorical cross-entropy that W-TALC trains with.

    Returns:
        The loss, a number, or one per model for (M, B, C).

    Raises:
        ValueError: unknown form.

    >>> classification_loss(torch.full((20,), 0.05), torch.eye(20)[0])
    tensor(0.1985)
    """
    target = labels.to(video_probs.dtype)
    target = target / target.sum(-1, keepdim=True).clamp_min(1)
    p = video_probs.clamp(EPS, 1 - EPS)
    if form == "bce":
        loss = -(target * p.log() + (1 - target) * (1 - p).log()).mean(-1)
    elif form == "softmax_ce":
        loss = -(target * p.log()).sum(-1)
    else:
        raise ValueError(f"form={form!r}; expected 'bce' or 'softmax_ce'")
    return _over_videos(loss)


def coactivity_loss(
    features: Tensor,
    logits: Tensor,
    labels: Tensor,
    pairs: Tensor,
    mask: Tensor | None = None,
    margin: float = 0.5,
) -> Tensor:
    """Co-Activity Similarity loss: where two videos share a class, its snippets look alike.

    Per class, attention over time pools each video into a high and a low feature. Of a pair, the
    two high features should be closer (cosine) than either is to the other's low feature.

    Args:
        features: snippet features before the last layer, shape (..., B, T, D).
        logits: class logits, shape (..., B, T, C).
        labels: classes of the videos in {0, 1}, shape (B, C).
        pairs: rows of the batch that go together, shape (P, 2), whole numbers.
        mask: real snippets, shape (B, T).
        margin: of the hinge.

    Returns:
        The mean over all shared classes of all pairs, a number, or one per model for
        (M, B, T, .); 0 where no pair shares a class.

    Raises:
        ValueError: the mask does not fit, see `masks.full_mask`.

    References:
        Paul, Roy, Roy-Chowdhury. W-TALC: Weakly-supervised temporal activity localization and
        classification. ECCV 2018. AMS adds it to Eq. 10 as the basic loss (Sec. III-D3).
    """
    mask = full_mask(mask, logits[..., 0])[..., None]  # (..., B, T, 1)
    attention = torch.where(mask, logits, -torch.inf).softmax(-2)
    rest = torch.where(mask, 1 - attention, 0) / (mask.sum(-2, keepdim=True) - 1).clamp_min(1)
    high = attention.transpose(-1, -2) @ features  # (..., B, C, D)
    low = rest.transpose(-1, -2) @ features
    a, b = pairs[:, 0], pairs[:, 1]
    high_a, high_b = high[..., a, :, :], high[..., b, :, :]  # (..., P, C, D)
    low_a, low_b = low[..., a, :, :], low[..., b, :, :]
    apart = _distance(high_a, high_b)  # (..., P, C)
    hinge = (apart - _distance(high_a, low_b) + margin).clamp_min(0) / 2
    hinge = hinge + (apart - _distance(high_b, low_a) + margin).clamp_min(0) / 2
    shared = (labels[..., a, :] * labels[..., b, :]).to(hinge.dtype)
    return (hinge * shared).sum((-2, -1)) / shared.sum((-2, -1)).clamp_min(1)


def _distance(u: Tensor, v: Tensor) -> Tensor:
    """1 - cosine over the last axis; 1 where either has no length."""
    return 1 - cosine_similarity(u, v, dim=-1)


def _over_videos(loss: Tensor) -> Tensor:
    """Mean over the last axis, the videos, if there is one."""
    return loss.mean(-1) if loss.ndim else loss
