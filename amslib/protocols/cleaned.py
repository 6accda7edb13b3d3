"""ActionFormer's and OpenTAD's rules: those of "activitynet" on annotations that were cleaned.

Of instances of one class in one video that start and end within a millisecond of each other only
the first counts, and none that is too short does: below a millisecond for "actionformer", of no
length at all for "opentad". The latter writes its thresholds down as 0.3 and 0.7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..data.video import Video
from ..detections import Detection
from .matching import Table
from .tables import in_seconds

TOLERANCE = 1e-3  # seconds


class InSecondsCleaned(NamedTuple):
    """Like `in_seconds`, on instances that are neither copies nor too short.

    Args:
        long_enough: of a length in seconds, whether it is.
    """

    long_enough: Callable[[float], bool]

    def __call__(
        self, detections: Sequence[Detection], videos: Sequence[Video]
    ) -> tuple[list[str], Table, Table]:
        """Class names, all detections and the remaining instances as tables."""
        cleaned = [replace(v, segments=self._kept(v.segments)) for v in videos]
        return in_seconds(detections, cleaned)

    def _kept(self, segments) -> tuple:
        kept = []
        for segment in segments:
            long_enough = self.long_enough(segment[1] - segment[0])
            if long_enough and not any(_copies(segment, earlier) for earlier in kept):
                kept.append(segment)
        return tuple(kept)


def _copies(one, other) -> bool:
    (start, end, label), (s, e, c) = one, other
    return label == c and abs(start - s) <= TOLERANCE and abs(end - e) <= TOLERANCE


def a_millisecond(length: float) -> bool:
    """ActionFormer's shortest instance."""
    return length >= TOLERANCE


def positive(length: float) -> bool:
    """Any length at all, as for OpenTAD."""
    return length > 0
