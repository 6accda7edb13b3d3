"""The 210 videos of THUMOS14 that much of the weakly-supervised field is scored on.

"activitynet-210" is "activitynet" without three of the 213 test videos, on both sides: two whose
annotations are thought wrong and one that has none but an ambiguous one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..data.video import Video
from ..detections import Detection
from .matching import Table
from .tables import in_seconds

LEFT_OUT = frozenset({"video_test_0000270", "video_test_0001292", "video_test_0001496"})


def in_210_videos(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """Class names, and what lies in the videos that are not left out, as tables in seconds."""
    return in_seconds(
        [row for row in detections if row.video not in LEFT_OUT],
        [video for video in videos if video.id not in LEFT_OUT],
    )
