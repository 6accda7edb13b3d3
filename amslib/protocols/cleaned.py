"""ActivityNet's rules on cleaned ground truth: ActionFormer and OpenTAD.

Instances of a video are gone through in annotation order. One that lasts no time is dropped, in
ActionFormer also one shorter than a millisecond, and so is one that agrees within a millisecond at
both ends with an earlier one of its label that was kept. Labels that no instance is left of are
left out. (OpenTAD's own IoU also differs where a union is below 1e-8 s; that is not followed.)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from ..data.video import Video
from ..detections import Detection
from .activitynet import ClassByClass
from .matching import Table
from .tables import in_seconds

TOLERANCE = 1e-3  # seconds
CELL = 16 * TOLERANCE


def cleaned(video: Video, shortest: float) -> Video:
    """The video without instances that last no time, less than `shortest` s, or that repeat."""
    kept, near = [], defaultdict(list)  # those kept, and by cell of start and end
    for segment in video.segments:
        start, end, _ = segment
        length = end - start
        if not math.isfinite(length):
            kept.append(segment)  # for `in_seconds` to refuse
            continue
        cells = product(_cells(start), _cells(end))
        lasts = length > 0 and length >= shortest
        if lasts and not any(_repeats(segment, s) for cell in cells for s in near.get(cell, ())):
            kept.append(segment)
            near[start // CELL, end // CELL].append(segment)
    return replace(video, segments=tuple(kept))


def _cells(time: float) -> set[float]:
    """Where a time may lie that differs by no more than the tolerance."""
    return {(time - 2 * TOLERANCE) // CELL, (time + 2 * TOLERANCE) // CELL}


def _repeats(segment, earlier) -> bool:
    (start, end, label), (s, e, other) = segment, earlier
    return label == other and abs(start - s) <= TOLERANCE and abs(end - e) <= TOLERANCE


def for_actionformer(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """`in_seconds` of ActionFormer's ground truth."""
    return in_seconds(detections, [cleaned(v, TOLERANCE) for v in videos])


def for_opentad(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """`in_seconds` of OpenTAD's ground truth."""
    return in_seconds(detections, [cleaned(v, 0.0) for v in videos])


ACTIONFORMER = ClassByClass(prepare=for_actionformer)
OPENTAD = ClassByClass(prepare=for_opentad)
