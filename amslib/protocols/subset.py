"""ActivityNet's rules on the 210 test videos of THUMOS14 that the weakly supervised field keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.video import Video
from ..detections import Detection
from .activitynet import ClassByClass

# one is annotated past its end, one has only ambiguous segments, one is wrongly annotated
LEFT_OUT = frozenset({"video_test_0000270", "video_test_0001292", "video_test_0001496"})


def without_three(
    detections: Sequence[Detection], videos: Sequence[Video], tiou: np.ndarray
) -> dict[str, np.ndarray]:
    """Average precisions (n,) of each class, with `LEFT_OUT` left out on both sides."""
    kept = [d for d in detections if d.video not in LEFT_OUT]
    return ClassByClass()(kept, [v for v in videos if v.id not in LEFT_OUT], tiou)
