"""ActivityNet's evaluation code and its many copies: the default, "activitynet".

Class by class, the detections of all videos are taken by falling score (of equal ones the later
first). Each hits the instance of its class and video it overlaps most (of equal ones the later)
among those with IoU >= threshold that no earlier one has hit; else it is a false positive, as is
every detection of a video that is not given. Average precision is the area under the interpolated
precision-recall curve, over all points; a class that is never detected has 0. Labels that occur in
no segment are left out. Ambiguous intervals and durations play no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..data.video import Video
from ..detections import Detection
from .matching import best_free_instance, by_label, interpolated_ap
from .tables import in_seconds


class ClassByClass(NamedTuple):
    """Rules by which classes are ranked and matched one at a time, the videos together.

    Args:
        prepare: (detections, videos) -> classes, table of detections, table of instances.
        match: (detections, instances, thresholds (n,)) of one class -> hits (N, n), by rank.
        average_precision: (hits (N, n), number of instances) -> precisions (n,).
    """

    prepare: Callable = in_seconds
    match: Callable = best_free_instance
    average_precision: Callable = interpolated_ap

    def __call__(
        self, detections: Sequence[Detection], videos: Sequence[Video], tiou: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Average precisions (n,) of each class at the thresholds (n,)."""
        classes, found, truth = self.prepare(detections, videos)
        rows, instances = (by_label(table, len(classes)) for table in (found, truth))
        per_class = {}
        for name, mine, own in zip(classes, rows, instances, strict=True):
            hits = self.match(found.rows(mine), truth.rows(own), tiou)
            per_class[name] = self.average_precision(hits, len(own))
        return per_class
