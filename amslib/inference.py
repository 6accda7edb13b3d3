"""Inference (Sec. III-E): fuse the CASs, threshold, and turn snippets into seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from .detections import Detection
from .inputs import require_times
from .losses import location_threshold, topk_mean


def fuse(cas: Mapping[str, Mapping[str, Tensor]], beta: float = 0.15) -> Tensor:
    """Eq. 12: M_final = 1/2 (M_base_flow + M_supp_flow + beta M_base_rgb + beta M_supp_rgb).

    Args:
        cas: ``cas[stream][branch]``, each of shape (..., T, C). The mean is taken over the
            branches there are. The stream "rgb" weighs beta, any other 1; a single stream
            always weighs 1.
        beta: fusion hyper-parameter.

    Returns:
        M_final, shape (..., T, C).

    Raises:
        ValueError: no stream, or a stream without branches.
    """
    if not cas or not all(cas.values()):
        raise ValueError(f"nothing to fuse in {cas}; expected cas[stream][branch]")
    fused = 0
    for stream, branches in cas.items():
        weight = beta if stream == "rgb" and len(cas) > 1 else 1.0
        fused = fused + weight * torch.stack(list(branches.values())).mean(0)
    return fused


def localize(
    cas: Tensor,
    snippet_seconds: float,
    *,
    video: str = "",
    classes: Sequence[str] | None = None,
    duration: float | None = None,
    class_threshold: float = 0.25,
    threshold_factor: float = 0.7,
    threshold_scope: str = "class",
    topk: int = 8,
    score: str = "maximum",
    offset_seconds: float = 0.0,
) -> list[Detection]:
    """Action proposals of one video from its final CAS (Sec. III-E).

    A class is kept if the mean of its ceil(T / topk) highest values reaches `class_threshold`;
    if none does, the highest one is. Consecutive snippets strictly above theta_loc
    = `threshold_factor` x mean over time form a proposal.

    Args:
        cas: M_final, shape (T, C).
        snippet_seconds: seconds a snippet spans; snippet t covers [t, t + 1) times this,
            after `offset_seconds`.
        video: id written into the detections.
        classes: C class names; "0", "1", .. if not given.
        duration: of the video in seconds; proposals are cut there.
        score: "maximum" or "mean" of the CAS inside the proposal, or "oic", the mean inside
            minus the mean in a quarter of its length on either side.
        offset_seconds: where snippet 0 begins.

    Returns:
        Detections by class and start; those of one class never overlap.

    Raises:
        ValueError: cas is not (T >= 1, C) or not finite, classes has another length, a time or
            threshold makes no sense, or unknown score or threshold_scope.

    >>> localize(torch.tensor([[0.0], [0.9], [0.8], [0.1]]), 0.5, classes=["Diving"])
    [Detection(video='', label='Diving', start=0.5, end=1.5, score=0.8999999761581421)]
    """
    cas = cas.detach().cpu() if isinstance(cas, Tensor) else torch.as_tensor(cas, device="cpu")
    if cas.ndim != 2 or not len(cas):
        raise ValueError(f"cas has shape {tuple(cas.shape)}; expected (T >= 1, C)")
    classes = [str(k) for k in range(cas.shape[1])] if classes is None else classes
    if len(classes) != cas.shape[1]:
        raise ValueError(f"{len(classes)} class names for cas of shape {tuple(cas.shape)}")
    if not cas.isfinite().all():
        raise ValueError(f"{video or 'cas'}: the CAS is not finite; expected probabilities")
    require_times(video, snippet_seconds, duration, offset_seconds)
    if not (class_threshold == class_threshold and threshold_factor == threshold_factor):
        raise ValueError(
            f"class_threshold={class_threshold}, threshold_factor={threshold_factor}; expected "
            "numbers"
        )
    if score not in SCORES:
        raise ValueError(f"score={score!r}; expected one of {', '.join(map(repr, SCORES))}")
    video_scores = topk_mean(cas, topk)
    kept = torch.nonzero(at_least_one(video_scores, class_threshold))[:, 0]
    threshold = location_threshold(cas, threshold_factor, scope=threshold_scope)
    values, above = cas.T[kept].double().numpy(), (cas > threshold).T[kept].numpy()
    row, first, end = _runs(above)
    start, stop = np.stack([first, end]) * snippet_seconds + offset_seconds
    if duration is not None:
        start, stop = start.clip(max=duration), stop.clip(max=duration)
    proposals = np.stack([start, stop, SCORES[score](values, row, first, end)])[:, stop > start]
    labels = [classes[k] for k in kept[row[stop > start]].tolist()]
    found = zip(repeat(video), labels, *proposals.tolist())  # noqa: B905 (endless)
    return list(map(Detection._make, found))


def at_least_one(scores: Tensor, threshold: float) -> Tensor:
    """Classes (..., C) whose score reaches the threshold, or the highest one if none does."""
    kept = scores >= threshold
    best = torch.zeros_like(kept).scatter(-1, scores.argmax(-1, keepdim=True), True)
    return torch.where(kept.any(-1, keepdim=True), kept, best)


def _runs(above: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of consecutive True values in rows (K, T): row, first place, and the place after."""
    row, place = np.nonzero(np.diff(above.astype(np.int8), axis=1, prepend=0, append=0))
    return row[::2], place[::2], place[1::2]


def _highest(values: np.ndarray, row: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    rows = np.pad(values, [(0, 0), (0, 1)], constant_values=-np.inf)
    # inside a run, then from its end to the next, which nobody asks for
    edges = np.stack([first, end], -1) + row[:, None] * rows.shape[1]
    return np.maximum.reduceat(rows.ravel(), edges.ravel())[::2]


def _mean(values: np.ndarray, row: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    return np.array([values[k, a:b].mean() for k, a, b in zip(row, first, end, strict=True)])


def _outer_inner_contrast(
    values: np.ndarray, row: np.ndarray, first: np.ndarray, end: np.ndarray
) -> np.ndarray:
    outside = []
    for k, a, b in zip(row, first, end, strict=True):
        margin = max(1, round((b - a) / 4))
        around = np.r_[values[k, max(0, a - margin) : a], values[k, b : b + margin]]
        outside.append(around.mean() if len(around) else 0.0)
    return _mean(values, row, first, end) - np.array(outside)


# Scores of proposals, from the CAS (K, T) of their classes, their rows in it, and where they begin
# and end
SCORES = {"maximum": _highest, "mean": _mean, "oic": _outer_inner_contrast}
