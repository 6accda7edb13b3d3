"""Intervals in which an action is neither confirmed nor excluded, as some rules look at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.video import Video
from .matching import Table, _pairs


def ambiguous_intervals(videos: Sequence[Video]) -> Table:
    """All of them, in seconds, of no class and sorted by video."""
    rows = [(i, -1, s, e, 1.0) for i, v in enumerate(videos) for s, e in v.ambiguous]
    video, label, *numbers = zip(*rows, strict=True) if rows else [()] * 5
    return Table(np.array(video, int), np.array(label, int), *(np.array(x, float) for x in numbers))


def meets(found: Table, intervals: Table) -> np.ndarray:
    """Whether each detection (N,) shares more than a point with an interval of its video."""
    det, other = _pairs(found.video, intervals.video)
    first = np.maximum(found.start[det], intervals.start[other])
    last = np.minimum(found.end[det], intervals.end[other])
    return np.isin(np.arange(len(found.video)), det[last > first])
