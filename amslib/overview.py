"""What a frozen branch sees in all training videos, whole: once a phase, never in a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .batches import Batch, Store, ahead
from .config import Config
from .forward import base_cas, plan_positions, supp_cas
from .losses import pseudo_labels
from .model import Branches
from .sampler import one_class

CHUNK = 16  # videos at a time


@torch.no_grad()
def whole_base_cas(store: Store, model: Branches, config: Config) -> Tensor:
    """CAS of the base branch, (M, rows, C)."""
    cas = _table(store, len(model.weight1), store.labels.shape[1])
    for batch in chunks(store, read=True):
        cas[:, batch.rows] = base_cas(model, batch, config)
    return cas


@torch.no_grad()
def whole_positions(
    store: Store, cas: Tensor, configs: Sequence[Config], chance: torch.Generator
) -> Tensor:
    """Where the sampler reads by the CAS of the base branch, (M, rows)."""
    positions = _table(store, len(configs))
    for batch in chunks(store):
        seen = cas.index_select(1, batch.rows)
        positions[:, batch.rows] = plan_positions(configs, seen, batch, *chances(batch, chance))
    return positions


@torch.no_grad()
def whole_supp_cas(store: Store, model: Branches, positions: Tensor, config: Config) -> Tensor:
    """CAS of the supplementary branch, aligned, (M, rows, C)."""
    cas = _table(store, len(model.weight1), store.labels.shape[1])
    for batch in chunks(store, read=True):
        where = positions.index_select(1, batch.rows)
        cas[:, batch.rows] = supp_cas(model, batch, where, config)
    return cas


def whole_labels(
    store: Store, cas: dict[str, Tensor], teachers: Sequence[str | None], configs: Sequence[Config]
) -> Tensor | None:
    """Eq. 8, (M, rows, C); 0 for members without a teacher, None if all are.

    Args:
        cas: of either branch, (M, rows, C).
        teachers: the branch that each member learns from.
    """
    if not any(teachers):
        return None
    labels = torch.zeros_like(cas["base"])
    for i, (teacher, c) in enumerate(zip(teachers, configs, strict=True)):
        if teacher:
            labels[i] = _labels(store, cas[teacher][i], c)
    return labels


def _labels(store: Store, cas: Tensor, c: Config) -> Tensor:
    """Of one member, (rows, C) to (rows, C)."""
    labels = torch.empty_like(cas)
    for batch in chunks(store):
        grid = pseudo_labels(
            batch.pad(cas[batch.rows]),
            batch.labels,
            c.threshold_factor,
            batch.mask,
            c.threshold_scope,
        )
        labels[batch.rows] = batch.pack(grid)
    return labels


def chunks(store: Store, read: bool = False) -> Iterator[Batch]:
    """All videos, whole, those of like length together; with features to `read`."""
    order = np.argsort(store.lengths, kind="stable")
    parts = (order[start : start + CHUNK] for start in range(0, len(order), CHUNK))
    batches = (store.batch(part, read=read) for part in parts)
    return ahead(batches) if read and store.features is None else batches


def chances(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random weights (N,) and one random class of each video (B, C).

    Drawn once for all members, whether or not one needs them: what a member gets does not depend
    on the others.
    """
    noise = torch.rand(len(batch.rows), generator=generator, device=generator.device)
    return noise.to(batch.rows.device), one_class(batch.labels, generator)


def _table(store: Store, members: int, *shape: int) -> Tensor:
    """An empty table with a row for each snippet of the store."""
    return torch.empty(members, store.shape[0], *shape, device=store.device)
