"""Evaluation on whatever comes: its invariants under every protocol, and damaged files."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from amslib import evaluate
from amslib.data.video import Video
from amslib.detections import Detection, read_detections, read_ground_truth
from amslib.protocols import PROTOCOLS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::amslib.data.findings.DataWarning"),
]
steady = settings(derandomize=True, deadline=None, max_examples=60)
TIOU = (0.1, 0.5, 0.75)

times = st.integers(0, 200).map(lambda n: n * 0.16)
lengths = st.integers(0, 60).map(lambda n: n * 0.16)
labels = st.sampled_from(["X", "Y"])
scores = st.one_of(st.sampled_from([0.25, 0.5]), st.floats(-1e3, 1e3))


@st.composite
def spans(draw):
    start = draw(times)
    return start, start + draw(lengths)


@st.composite
def cases(draw):
    """Detections and videos, at least one instance that lasts."""
    videos = []
    for name in ("a", "b", "video_test_0000270"):
        rows = draw(st.lists(st.tuples(spans(), labels), max_size=5))
        segments = tuple((s, e, label) for (s, e), label in rows)
        ambiguous = tuple(draw(st.lists(spans(), max_size=2)))
        videos.append(Video(name, segments=segments, ambiguous=ambiguous))
    videos.append(Video("c", segments=((1.0, 9.0, "X"),)))
    names = st.sampled_from([v.id for v in videos] + ["elsewhere"])
    rows = draw(st.lists(st.tuples(names, st.sampled_from("XYZ"), spans(), scores), max_size=12))
    return [Detection(v, label, s, e, p) for v, label, (s, e), p in rows], videos


def maps(detections, videos, protocol):
    return evaluate(detections, videos, TIOU, protocol).map


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(case=cases(), order=st.randoms())
@steady
def test_invariants(protocol, case, order):
    detections, videos = case
    before = evaluate(detections, videos, TIOU, protocol)
    for ap in before.per_class.values():
        assert (ap >= 0).all() and (ap <= 1 + 1e-12).all()
    shuffled = list(videos)
    order.shuffle(shuffled)
    sure = [d._replace(score=2 * d.score + 7) for d in detections]
    assume(len({d.score for d in sure}) == len({d.score for d in detections}))
    # summed in the order of the classes, which is that of their names: equal to the last bit
    assert (maps(detections, shuffled, protocol) == before.map).all()
    assert (maps(sure, videos, protocol) == before.map).all()
    if len({d.score for d in detections}) == len(detections):
        mixed = list(detections)
        order.shuffle(mixed)
        assert (maps(mixed, videos, protocol) == before.map).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(case=cases())
@steady
def test_a_last_and_wrong_detection_gains_nothing(protocol, case):
    detections, videos = case
    lowest = min([d.score for d in detections], default=0.0) - 1
    worse = [*detections, Detection("elsewhere", "X", 0.0, 1.0, lowest)]
    gained = maps(worse, videos, protocol) - maps(detections, videos, protocol)
    assert (gained <= 1e-12).all()


@given(case=cases(), power=st.integers(-8, 8))
@steady
def test_the_unit_of_time_plays_no_part(case, power):
    detections, videos = case
    scale = 2.0**power
    scaled = [
        Video(v.id, segments=tuple((s * scale, e * scale, k) for s, e, k in v.segments))
        for v in videos
    ]
    moved = [d._replace(start=d.start * scale, end=d.end * scale) for d in detections]
    assert (maps(moved, scaled, "activitynet") == maps(detections, videos, "activitynet")).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(
    case=cases(),
    place=st.integers(0, 11),
    field=st.sampled_from(["start", "end", "score"]),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
)
@steady
def test_what_is_not_finite_is_an_error(protocol, case, place, field, value):
    detections, videos = case
    assume(place < len(detections))
    # two of the protocols do not look at a video they leave out
    assume(not (protocol == "activitynet-210" and detections[place].video.startswith("video")))
    detections[place] = detections[place]._replace(**{field: value})
    with pytest.raises(ValueError, match="must be finite"):
        evaluate(detections, videos, TIOU, protocol)


# Files

WHOLE = {
    "ground_truth": {
        "v": {
            "duration": 30.0,
            "annotations": [
                {"segment": [1.0, 4.5], "label": "X"},
                {"segment": [6.0, 9.0], "label": "Y"},
            ],
            "ambiguous": [[12.0, 13.5]],
        },
        "w": {"annotations": [{"segment": [2.0, 3.0], "label": "X"}]},
    },
    "detections": {
        "v": [{"segment": [1.0, 4.0], "label": "X", "score": 0.75}],
        "w": [{"segment": [2.5, 3.5], "label": "X", "score": 0.5}],
    },
}
WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.text("abc xyz", max_size=4),
    st.sampled_from([10**400, [[[]]], {}, [], [1.0], [1.0, 2.0, 3.0], {"v": 1}]),
    st.sampled_from([float("nan"), float("inf")]),
)


def places(content, path=()):
    """The path of everything inside a json document."""
    yield path
    children = content.items() if isinstance(content, dict) else []
    children = enumerate(content) if isinstance(content, list) else children
    for key, child in children:
        yield from places(child, (*path, key))


def at(content, path):
    for key in path:
        content = content[key]
    return content


PLACES = [path for path in places(WHOLE) if path]


def read(text: str):
    """Both sides of a file, or the message of the error."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.json"
        file.write_text(text)
        try:
            return read_detections(file), read_ground_truth(file)
        except ValueError as error:  # `DataError` is one; whatever else escapes fails the test
            assert "given.json" in str(error)
            return None


@given(path=st.sampled_from(PLACES), wrong=WRONG)
@settings(steady, max_examples=400, suppress_health_check=[HealthCheck.filter_too_much])
def test_a_value_of_another_kind_is_an_error_or_shows(path, wrong):
    """What is read is what the file says: a wrong kind never reads as the right content."""
    content = copy.deepcopy(WHOLE)
    at(content, path[:-1])[path[-1]] = wrong
    found = read(json.dumps(content))
    harmless = path[-1] == "label" and isinstance(wrong, str)  # another label is a label
    harmless |= path[-1] == "duration" and wrong is None
    harmless |= isinstance(wrong, list) and not wrong  # no detections, no annotations
    harmless |= isinstance(wrong, dict) and not wrong and len(path) == 1
    assert found is None or harmless


@given(path=st.sampled_from(PLACES))
@steady
def test_what_is_left_out_is_an_error_unless_it_may_be(path):
    content = copy.deepcopy(WHOLE)
    parent = at(content, path[:-1])
    del parent[path[-1]]
    optional = path[-1] in ("duration", "ambiguous")
    entry = path[-2:-1] in (("annotations",), ("ambiguous",)) or len(path) == 2
    entry |= path[:1] == ("detections",) and len(path) == 3
    assert (read(json.dumps(content)) is not None) == (optional or entry)


@given(end=st.integers(0, len(json.dumps(WHOLE)) - 1))
@steady
def test_a_file_that_ends_early_is_an_error(end):
    assert read(json.dumps(WHOLE)[:end]) is None


@given(path=st.sampled_from([p for p in PLACES if isinstance(at(WHOLE, p[:-1]), dict)]))
@steady
def test_a_name_that_occurs_twice_is_an_error(path):
    text = json.dumps(WHOLE)
    member = f'"{path[-1]}": {json.dumps(at(WHOLE, path))}'
    assert member in text
    assert read(text.replace(member, f"{member}, {member}", 1)) is None
