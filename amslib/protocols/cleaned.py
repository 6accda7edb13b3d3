"""ActivityNet's rules on cleaned ground truth: ActionFormer and OpenTAD.

Instances of a video are gone through in annotation order. One that lasts no time is dropped, in
ActionFormer also one shorter than a millisecond, and so is one that agrees within a millisecond at
both ends with an earlier one of its label that was kept. Labels that no instance is left of are
left out. (OpenTAD's own IoU also differs where a union is below 1e-8 s; that is not followed.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..data.video import Video
from ..detections import Detection
from .activitynet import ClassByClass
from .matching import Table
from .tables import in_seconds

TOLERANCE = 1e-3  # seconds


def cleaned(video: Video, shortest: float) -> Video:
    """The video without instances that last no time, less than `shortest` s, or that repeat."""
    kept: list = []
    for segment in video.segments:
        length = segment[1] - segment[0]
        lasts = length > 0 and length >= shortest
        if lasts and not any(_repeats(segment, earlier) for earlier in kept):
            kept.append(segment)
    return replace(video, segments=tuple(kept))


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
