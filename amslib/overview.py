"""What a frozen branch sees in all training videos, whole: once a phase, never in a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .batches import Batch, Store, ahead
from .config import Config
from .device import onto
from .forward import alike, base_cas, plan_positions, supp_cas
from .model import Branches
from .packed import balanced, pseudo_labels
from .sampler import one_class

CHUNK = 16  # videos at a time


@torch.no_grad()
def whole_base_cas(store: Store, model: Branches, config: Config) -> Tensor:
    """CAS of the base branch, (M, rows, C)."""
    cas = _table(store, len(model.weight1), store.labels.shape[1])
    for batch in chunks(store, read=True):
        cas.index_copy_(1, batch.rows, base_cas(model, batch, config))
    return _require_finite(store, cas)


@torch.no_grad()
def whole_positions(
    store: Store, cas: Tensor, configs: Sequence[Config], chance: torch.Generator
) -> Tensor:
    """Where the sampler reads by the CAS of the base branch, (M, rows)."""
    positions = _table(store, len(configs))
    for batch in chunks(store):
        seen = cas.index_select(1, batch.rows)
        where = plan_positions(configs, seen, batch, *chances(batch, chance))
        positions.index_copy_(1, batch.rows, where)
    return positions


@torch.no_grad()
def whole_supp_cas(store: Store, model: Branches, positions: Tensor, config: Config) -> Tensor:
    """CAS of the supplementary branch, aligned, (M, rows, C)."""
    cas = _table(store, len(model.weight1), store.labels.shape[1])
    for batch in chunks(store, read=True):
        where = positions.index_select(1, batch.rows)
        cas.index_copy_(1, batch.rows, supp_cas(model, batch, where, config))
    return _require_finite(store, cas)


def whole_labels(
    store: Store, cas: dict[str, Tensor], teachers: Sequence[str | None], configs: Sequence[Config]
) -> Tensor | None:
    """Eq. 8, `balanced`, (M, rows, C); 0 for members without a teacher, None if all are.

    Args:
        cas: of either branch, (M, rows, C).
        teachers: the branch that each member learns from.
    """
    if not any(teachers):
        return None
    pairs = zip(teachers, configs, strict=True)
    ways = [(teacher, c.threshold_factor, c.threshold_scope) for teacher, c in pairs]
    labels = torch.zeros_like(cas["base"])
    for (teacher, *how), members in alike(ways, lambda way: way).items():
        if not teacher:
            continue
        seen = cas[teacher][members]
        taught = torch.empty_like(seen)
        for batch in chunks(store):
            positive = pseudo_labels(seen.index_select(1, batch.rows), batch, *how)
            taught.index_copy_(1, batch.rows, balanced(positive, batch))
        labels[members] = taught
    return labels


def chunks(store: Store, read: bool = False) -> Iterator[Batch]:
    """All videos, whole, a few at a time; with features to `read`."""
    order = np.arange(len(store.lengths))
    parts = (order[start : start + CHUNK] for start in range(0, len(order), CHUNK))
    batches = (store.batch(part, read=read) for part in parts)
    return ahead(batches) if read and store.features is None else batches


def chances(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random weights (N,) and one random class of each video (B, C).

    Drawn once for all members, whether or not one needs them: what a member gets does not depend
    on the others.
    """
    noise = torch.rand(
        len(batch.rows), generator=generator, dtype=torch.float32, device=generator.device
    )
    return onto(batch.rows.device, noise), one_class(batch.labels, generator)


def _table(store: Store, members: int, *shape: int) -> Tensor:
    """An empty table with a row for each snippet of the store."""
    shape = members, store.shape[0], *shape
    return torch.empty(shape, dtype=torch.float32, device=store.device)


def _require_finite(store: Store, cas: Tensor) -> Tensor:
    """The CAS (M, rows, C) again. What is not finite in one video would change where the sampler
    reads others.

    Raises:
        FloatingPointError: a value is not finite; names the video.
    """
    if cas.isfinite().all():
        return cas
    row = int((~cas.isfinite()).any(-1).any(0).nonzero()[0])
    video = store.videos[int(np.searchsorted(store.starts, row, side="right")) - 1]
    raise FloatingPointError(
        f"video {video.id}: its CAS from {store.stream} features is not finite. Look for extreme "
        "values in them, or lower lr"
    )
