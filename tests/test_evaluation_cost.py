"""What an evaluation of a whole data set costs, counted rather than timed."""

import sys
import tracemalloc

import numpy as np
import pytest

from amslib.data.video import Video
from amslib.detections import Detection
from amslib.evaluation import PROTOCOLS, evaluate
from amslib.protocols import matching

pytestmark = pytest.mark.slow

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


def one_recording(kind, count):
    """One class in one video, as many detections as instances."""
    rng = np.random.default_rng(0)

    def spans():
        starts = {
            "apart": rng.uniform(0, 86_400, count),
            "overlapping": rng.uniform(0, 10, count),
            "nested": np.zeros(count),
            "in a chain": np.arange(count) * 1.28,
        }[kind]
        lengths = {"apart": 2.0, "overlapping": 50.0, "nested": 0.0, "in a chain": 2.56}[kind]
        spread = 0.0 if kind == "in a chain" else 40 * rng.random(count) if lengths != 2.0 else 1.0
        return zip(starts.tolist(), (starts + lengths + spread).tolist(), strict=True)

    scores = -np.arange(count) if kind == "in a chain" else rng.random(count)
    found = zip(spans(), scores.tolist(), strict=True)
    ambiguous = tuple((s + 90_000.0, e + 90_000.0) for s, e in spans())
    segments = tuple((s, e, "x") for s, e in spans())
    video = Video("day", segments=segments, ambiguous=ambiguous)
    return [Detection("day", "x", s, e, p) for (s, e), p in found], [video]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("kind", "count"), [("apart", 10_000), ("in a chain", 10_000), ("nested", 1500)]
)
def test_memory_of_one_long_recording(kind, count, protocol):
    """All pairs of 10,000 with 10,000 would take 1.6 GB as indices alone."""
    detections, videos = one_recording(kind, count)
    tracemalloc.start()
    try:
        result = evaluate(detections, videos, protocol=protocol)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.map[0] > 0
    assert peak < (60e6 if kind == "nested" else 120e6)


def test_long_chains_of_pairs_are_not_gone_through_again_and_again(monkeypatch):
    """A pair of a chain is settled only after the one before it: n rounds over all pairs."""
    rounds = []
    first = matching._is_first
    monkeypatch.setattr(matching, "_is_first", lambda ids: rounds.append(len(ids)) or first(ids))
    assert evaluate(*one_recording("in a chain", 5000), (0.1,)).map > 0.9
    assert sum(rounds) < 10 * 5000 * 2 * 2
