"""What an evaluation of a whole data set costs, counted rather than timed."""

import sys
import tracemalloc

import numpy as np
import pytest

from amslib.data.video import Video
from amslib.detections import Detection
from amslib.evaluation import PROTOCOLS, evaluate

CLASSES, COUNT = 20, 100_000
NAMES = [f"video_test_{i:07d}" for i in range(212)]


def intervals(rng, count):
    start = rng.uniform(0, 195, count)
    return start.tolist(), (start + rng.uniform(1, 8, count)).tolist()


def in_videos(rng, count):
    """Any of the videos, and for each one of its two classes."""
    video = rng.integers(0, len(NAMES), count)
    label = (video + rng.integers(0, 2, count)) % CLASSES
    return [NAMES[i] for i in video], [f"class {k}" for k in label]


def thumos_like(count):
    """Detections, and 212 videos with 3,200 instances and an ambiguous interval each."""
    rng = np.random.default_rng(0)
    segments = {name: [] for name in NAMES}
    for name, label, start, end in zip(*in_videos(rng, 3200), *intervals(rng, 3200), strict=True):
        segments[name].append((start, end, label))
    videos = [Video(n, segments=tuple(s), ambiguous=((3.0, 6.0),)) for n, s in segments.items()]
    columns = *in_videos(rng, count), *intervals(rng, count), rng.random(count).tolist()
    return [Detection(*row) for row in zip(*columns, strict=True)], videos


@pytest.fixture(scope="module")
def case():
    return thumos_like(COUNT)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_memory_of_100_000_detections(case, protocol):
    tracemalloc.start()
    try:
        result = evaluate(*case, protocol=protocol)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0 < result.average_map < 1
    assert peak < 200e6


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_work_is_done_detection_by_detection(case, protocol):
    """Twice the detections take about as many calls, of Python and of builtin functions."""
    many, videos = case

    def calls(detections):
        count = 0

        def note(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            evaluate(detections, videos, protocol=protocol)
        finally:
            sys.setprofile(before)
        return count

    assert calls(many) - calls(many[: COUNT // 2]) < COUNT / 2 / 100
