"""One step of training: what it is given, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from .batches import Packed, Shared
from .config import Config
from .learner import Learner
from .model import kept_units
from .objective import loss_terms, term_weights
from .packed import Plan


class Given(NamedTuple):
    """N snippets of B videos for M members, all of it on the device.

    Args:
        x: features (N, D) for all members, or (M, N, D).
        batch: the videos.
        shared: what the pairs of the batch have in common.
        rows: how many hidden features the pairs need, see `packed.paired_rows`.
        plan: how the CAS is aligned, see `packed.alignment`; None: it need not be.
        taught: `balanced` pseudo-labels (M, N, C), or None.
    """

    x: Tensor
    batch: Packed
    shared: Shared
    rows: int
    plan: Plan | None
    taught: Tensor | None

    @property
    def tensors(self) -> list[Tensor]:
        """All that differs from batch to batch of one size."""
        b = self.batch
        alone = [self.x, b.video, b.sizes, b.labels, *self.shared, *(self.plan or ())]
        return alone if self.taught is None else [*alone, self.taught]


def filled(given: Given, rows: int, longest: int) -> Given:
    """The same, followed by rows of no video up to a number of them. No loss sees these rows.

    Args:
        rows: N from then on.
        longest: the most snippets of any video.
    """
    b = given.batch
    extra = rows - len(b.video)
    plan, taught = given.plan, given.taught
    if plan is not None:  # each added row is its own neighbour
        own = torch.arange(len(b.video), rows, device=b.video.device).expand(len(plan.left), -1)
        sides = [torch.cat([side, own], -1) for side in (plan.left, plan.right)]
        plan = Plan(*sides, pad(plan.along, (0, extra)))
    if taught is not None:
        taught = pad(taught, (0, 0, 0, extra))
    batch = Packed(pad(b.video, (0, extra)), b.sizes, b.labels, longest)
    return Given(pad(given.x, (0, 0, 0, extra)), batch, given.shared, rows, plan, taught)


class Step:
    """What a phase does with every batch.

    Args:
        learner: trains.
        configs: of its M members.
        dropout: draws the units that are dropped; all members share them.
    """

    def __init__(self, learner: Learner, configs: Sequence[Config], dropout: torch.Generator):
        self.learner, self.common, self.dropout = learner, configs[0], dropout
        device = learner.model.weight1.device
        self.weights = torch.tensor(  # (M, 3)
            [term_weights(c) for c in configs], dtype=torch.float32, device=device
        )

    def __call__(self, given: Given) -> Tensor:
        """Train on a batch; the losses before it, (M, 3) in the order of `TERMS`."""
        terms = loss_terms(
            # no name for what is large: it would live on
            *self._forward(given.x, given.rows),
            *(given.batch, given.shared, self.common, given.plan, given.taught),
        )
        # Eq. 11, summed: no member's loss depends on another's parameters
        self.learner.step((self.weights * terms).sum())
        return terms.detach()

    def _forward(self, x: Tensor, rows: int) -> tuple[Tensor, Tensor]:
        """Hidden features (M, rows, H) and logits (M, N, K)."""
        model, rate = self.learner.model, self.common.dropout
        keep = kept_units(x.shape[-2], model.weight1.shape[-1], rate, self.dropout, x.dtype)
        return model(x, keep, rate, rows)
