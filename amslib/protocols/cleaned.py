"""ActivityNet's rules on cleaned ground truth: ActionFormer and OpenTAD.

Of instances of one label that agree within a millisecond at both ends only the first is kept, and
instances that last no time are dropped: shorter than a millisecond in ActionFormer, not longer than
zero in OpenTAD. Labels that no instance is left of are left out.
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


def without_repeats(video: Video) -> Video:
    """The video without instances that repeat an earlier one that is kept."""
    kept: list = []
    for start, end, label in video.segments:
        if not any(
            label == other and abs(start - s) <= TOLERANCE and abs(end - e) <= TOLERANCE
            for s, e, other in kept
        ):
            kept.append((start, end, label))
    return replace(video, segments=tuple(kept))


def for_actionformer(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """`in_seconds` of ActionFormer's ground truth."""
    return in_seconds(detections, [_lasting(without_repeats(v), TOLERANCE) for v in videos])


def for_opentad(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """`in_seconds` of OpenTAD's ground truth."""
    return in_seconds(detections, [without_repeats(_lasting(v, 5e-324)) for v in videos])


def _lasting(video: Video, shortest: float) -> Video:
    segments = tuple(s for s in video.segments if s[1] - s[0] >= shortest)
    return replace(video, segments=segments)


ACTIONFORMER = ClassByClass(prepare=for_actionformer)
OPENTAD = ClassByClass(prepare=for_opentad)
