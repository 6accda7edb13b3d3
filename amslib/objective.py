"""The loss of a training step, Eqs 9-11, for M members side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from .batches import Packed, Shared
from .config import Config
from .losses import classification_loss
from .model import activate, heads, probabilities
from .packed import Plan, coactivity_loss, interpolate, localization_loss, topk_mean

TERMS = ("classification", "coactivity", "localization")


def term_weights(c: Config) -> tuple[float, float, float]:
    """Of `TERMS` in Eq. 11."""
    return c.class_weight, c.coactivity_weight, c.localization_weight * (c.supervision != "none")


def loss_terms(
    hidden: Tensor,
    logits: Tensor,
    batch: Packed,
    shared: Shared,
    c: Config,
    plan: Plan | None,
    taught: Tensor | None,
) -> Tensor:
    """The losses of every member on one batch, (M, 3) in the order of `TERMS`.

    Args:
        hidden, logits: from `Branches`.
        batch: B videos.
        shared: what the pairs of the batch have in common.
        c: what all members have in common.
        plan: how the CAS is aligned, see `packed.alignment`; None: it need not be.
        taught: `balanced` pseudo-labels (M, N, C), or None.
    """
    classes = batch.labels.shape[-1]
    cas_logits, video_logits = heads(logits, c)
    classification = _classification(video_logits, batch, c)
    if c.heads == "parallel":  # a CAS head that Eq. 10 does not reach would not learn classes
        classification = (classification + _classification(cas_logits, batch, c)) / 2
    coactivity = coactivity_loss(hidden, cas_logits[..., :classes], batch, shared)
    localization = torch.zeros_like(classification)
    if taught is not None:
        cas = activate(cas_logits, c)
        if plan is not None:
            cas = interpolate(cas, plan)
        localization = localization_loss(cas, taught, batch)
    return torch.stack([classification, coactivity, localization], -1)


def _classification(logits: Tensor, batch: Packed, c: Config) -> Tensor:
    """Eq. 10, (M,)."""
    labels = batch.labels
    if c.background:  # every video has some
        labels = torch.cat([labels, torch.ones_like(labels[:, :1])], -1)
    scores = topk_mean(logits, batch, c.topk)
    return classification_loss(probabilities(scores, c), labels, c.class_loss)
