"""Intervals in which an action is neither confirmed nor excluded, as some rules look at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.video import Video
from .matching import PAIRS, Table, count_pairs, count_shared, pairs_that_share


def ambiguous_intervals(videos: Sequence[Video]) -> Table:
    """All of them in seconds, of no class, sorted by the index of their video."""
    rows = [(i, s, e) for i, v in enumerate(videos) for s, e in v.ambiguous]
    video, start, end = np.array(rows, float).reshape(-1, 3).T
    return Table(video.astype(int), np.full(len(rows), -1), start, end, np.ones(len(rows)))


def meets(found: Table, intervals: Table) -> np.ndarray:
    """Whether each detection (N,) shares more than a point with an interval of its video."""
    if count_pairs(found.video, intervals.video).sum() > PAIRS:
        return count_shared(found, intervals) > 0
    det, other = pairs_that_share(found, intervals)
    first = np.maximum(found.start[det], intervals.start[other])
    last = np.minimum(found.end[det], intervals.end[other])
    shared = np.zeros(len(found.video), bool)
    shared[det[last > first]] = True
    return shared
