"""Scoring in snippets of 16 frames at 25 fps: "co2net" (also DELU's) and "wtalc".

Both ends of everything are rounded to whole snippets, halves to the even one. What is then empty
overlaps nothing: such an instance counts and cannot be hit, such a detection is a false positive.
A detection of any class that shares a snippet with an ambiguous interval is removed beforehand,
whether or not it would have been a hit.

"co2net" goes on as "activitynet" does. "wtalc" also removes the detections of videos without
instances. By falling score (of equal ones the earlier first) each detection hits the first instance
in annotation order with IoU >= threshold that no earlier one has hit; average precision is the sum
of the precisions at hits over the number of instances, without interpolation. (Where a class is
left without a detection, its code returns 0 for the whole mAP; here the class has 0.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.video import Video
from ..detections import Detection
from .ambiguous import ambiguous_intervals, meets
from .matching import Table, _pairs, greedy, interval_iou
from .tables import in_seconds


def in_snippets(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """Class names, unambiguous detections and instances as tables, times in whole snippets."""
    classes, found, truth = in_seconds(detections, videos)
    found, truth, ambiguous = map(_rounded, (found, truth, ambiguous_intervals(videos)))
    return classes, found.rows(~meets(found, ambiguous)), truth


def in_annotated_videos(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """The same, only of videos with an instance of any class."""
    classes, found, truth = in_snippets(detections, videos)
    return classes, found.rows(np.isin(found.video, truth.video)), truth


def _rounded(table: Table) -> Table:
    start, end = (np.rint(time * 25 / 16) for time in (table.start, table.end))
    return table._replace(start=start, end=end)


def first_free_instance(found: Table, truth: Table, tiou: np.ndarray) -> np.ndarray:
    """Hits (N, n) of one class's detections at n thresholds, by falling score.

    Equal scores: the earlier detection first. Of several instances: the first in annotation order.
    """
    found = found.rows(np.argsort(-found.score, kind="stable"))
    det, inst = _pairs(found.video, truth.video)
    iou = interval_iou(found.start[det], found.end[det], truth.start[inst], truth.end[inst])
    pair, level = np.nonzero(iou[:, None] >= tiou)
    det, inst = det[pair], inst[pair]
    taken = greedy(det * len(tiou) + level, inst * len(tiou) + level)
    hits = np.zeros((len(found.score), len(tiou)), bool)
    hits[det[taken], level[taken]] = True
    return hits
