"""The evaluator against a slow reference, closed forms, invariants and bad input."""

import json
import math
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
from evaluation_reference import MUTANTS, check_against_reference, found, video

from amslib.data.findings import DataWarning
from amslib.data.video import Video
from amslib.detections import Detection
from amslib.evaluation import PROTOCOLS, THUMOS14_TIOU, evaluate
from amslib.protocols import matching


@pytest.mark.filterwarnings("ignore::amslib.data.findings.DataWarning")
def test_reference():
    check_against_reference(evaluate)


@pytest.mark.filterwarnings("ignore::amslib.data.findings.DataWarning")
@pytest.mark.parametrize("changes", MUTANTS.values(), ids=MUTANTS)
def test_mutants_are_caught(monkeypatch, changes):
    same = PROTOCOLS["activitynet"]
    monkeypatch.setitem(PROTOCOLS, "same", same)
    monkeypatch.setitem(PROTOCOLS, "mutant", same._replace(**changes))
    check_against_reference(partial(evaluate, protocol="same"), cases=2)
    with pytest.raises(AssertionError):
        check_against_reference(partial(evaluate, protocol="mutant"))


# Closed forms


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_every_second_detection_a_hit(count):
    truth = video("a", *[(10.0 * k, 10.0 * k + 5) for k in range(count)])
    hits = [(10 * k, 10 * k + 5, -2 * k) for k in range(count)]
    misses = [(10 * k + 6, 10 * k + 9, -2 * k - 1) for k in range(count)]
    expected = np.mean([k / (2 * k - 1) for k in range(1, count + 1)])
    assert evaluate(found(*hits, *misses), [truth]).map == pytest.approx([expected] * 7)
    misses = [(s, e, score + 2) for s, e, score in misses]  # each just before its hit
    assert evaluate(found(*hits, *misses), [truth]).map == pytest.approx([0.5] * 7)


@pytest.mark.parametrize("length", [1.0, 7.3, 250.0])
def test_shifted_detection_hits_up_to_its_iou(length):
    for t in THUMOS14_TIOU:
        shift = length * (1 - t) / (1 + t)  # where (length - shift) / (length + shift) = t
        for factor, hit in ((1 - 1e-9, 1.0), (1 + 1e-9, 0.0)):
            moved = found((shift * factor, length + shift * factor, 0.5))
            assert evaluate(moved, [video("a", (0.0, length))], (t,)).map == [hit]


def test_an_iou_equal_to_the_threshold_is_a_hit():
    truth, half = [video("a", (0.0, 32.0))], found((0, 16, 1))
    above = np.nextafter(0.5, 1)
    assert evaluate(half, truth, (0.5, above)).map.tolist() == [1, 0]


def test_default_thresholds_are_the_doubles_of_the_official_code():
    assert THUMOS14_TIOU == (0.1, 0.2, 3 * 0.1, 0.4, 0.5, 0.6, 7 * 0.1)
    assert THUMOS14_TIOU[2] > 0.3 and THUMOS14_TIOU[6] > 0.7
    result = evaluate(found((0, 48, 1)), [video("a", (0.0, 160.0))])
    assert result.map.tolist() == [1, 1, 0, 0, 0, 0, 0]  # the IoU is exactly 0.3
    assert evaluate(found((0, 48, 1)), [video("a", (0.0, 160.0))], (0.3,)).map == [1]


# One rule each


def test_taken_best_instance_falls_through_to_the_next():
    truth = [video("a", (0.0, 32.0), (8.0, 40.0))]
    both = found((0, 32, 0.9), (2, 34, 0.8))
    assert evaluate(both, truth, (0.5, 0.7)).map.tolist() == [1, 0.5]


def test_duplicates_are_false_positives():
    truth = [video("a", (0.0, 16.0), (20.0, 30.0))]
    three = found((0, 16, 0.9), (0, 16, 0.8), (20, 30, 0.7))
    assert evaluate(three, truth).map == pytest.approx([(1 + 2 / 3) / 2] * 7)


def test_later_of_equal_scores_comes_first():
    truth = [video("a", (0.0, 16.0)), video("b", (0.0, 1.0, "y"))]
    hit, miss = found((0, 16, 0.5)), found((50, 60, 0.5), name="b")
    assert evaluate(miss + hit, truth, (0.5,)).per_class["x"] == [1]
    assert evaluate(hit + miss, truth, (0.5,)).per_class["x"] == [0.5]


def test_later_of_equal_overlaps_is_taken():
    truth = [video("a", (0.0, 4.0), (4.0, 8.0))]  # [2, 6] overlaps each by 2 of 6
    assert evaluate(found((2, 6, 0.9), (0, 2, 0.1)), truth, (0.3,)).map == [1]
    assert evaluate(found((2, 6, 0.9), (6, 8, 0.1)), truth, (0.3,)).map == [0.5]


def test_other_videos_and_labels():
    truth = [video("a", (0.0, 16.0)), video("b", (0.0, 16.0, "y"))]
    hit = found((0, 16, 0.5))
    for stranger in ("b", "unknown"):
        unknown = pytest.warns(DataWarning, match="1 of 2 detections has a video that")
        with nullcontext() if stranger == "b" else unknown:
            result = evaluate(found((0, 16, 0.9), name=stranger) + hit, truth)
        assert result.per_class["x"] == pytest.approx([0.5] * 7)
    unheard = found((0, 16, 0.9), label="nobody's")
    with pytest.warns(DataWarning, match='1 of 2 detections has a label that .*: "nobody\'s"'):
        result = evaluate(unheard + hit, truth)
    assert list(result.per_class) == ["x", "y"]
    assert result.per_class["x"].tolist() == [1] * 7
    assert result.per_class["y"].tolist() == [0] * 7  # never detected, and counts in the mean
    assert result.map.tolist() == [0.5] * 7


def test_empty_and_inverted_segments_are_never_hits():
    truth = [video("a", (16.0, 16.0), (32.0, 48.0))]
    nothing = found((16, 16, 0.9), (99, 99, 0.8), (116, 100, 0.7), (48, 32, 0.6))
    assert evaluate(nothing, truth, (1e-9, 1.0)).map.tolist() == [0, 0]
    assert evaluate(found((32, 48, 0.5)), truth).map.tolist() == [0.5] * 7  # yet it counts


# Invariants


def real_like(rng, videos=12):
    truth, rows = [], []
    for k in range(videos):
        starts = np.cumsum(rng.uniform(2, 30, 8))
        labels = rng.choice(["x", "y", "z"], 8)
        segments = tuple(
            (float(s), float(s + rng.uniform(1, 9)), str(c))
            for s, c in zip(starts, labels, strict=True)
        )
        truth.append(Video(f"v{k}", segments=segments))
        for s, e, c in segments * 3:
            start, end = s + rng.normal(), e + rng.normal()
            rows.append(Detection(f"v{k}", c, float(start), float(end), float(rng.random())))
    return rows, truth


@pytest.mark.parametrize("seed", range(4))
def test_invariants(seed):
    rng = np.random.default_rng(seed)
    rows, truth = real_like(rng)
    result = evaluate(rows, truth)
    assert ((result.map > 0) & (result.map < 1)).all()

    order = rng.permutation(len(rows))
    shuffled = evaluate([rows[i] for i in order], [truth[i] for i in rng.permutation(len(truth))])
    assert shuffled.to_dict() == result.to_dict()

    monotone = [d._replace(score=math.exp(3 * d.score) - 5) for d in rows]
    assert evaluate(monotone, truth).to_dict() == result.to_dict()

    scaled = [d._replace(start=4 * d.start, end=4 * d.end) for d in rows]  # exact in binary
    stretched = [
        Video(v.id, segments=tuple((4 * s, 4 * e, c) for s, e, c in v.segments)) for v in truth
    ]
    assert evaluate(scaled, stretched).to_dict() == result.to_dict()

    lowest = [Detection("v0", c, 1e4, 1e4 + 5, -1.0) for c in "xyz"]
    assert evaluate(rows + lowest, truth).to_dict() == result.to_dict()
    highest = [d._replace(score=2.0) for d in lowest]
    worse = evaluate(rows + highest, truth)
    assert all((worse.per_class[c] < result.per_class[c]).all() for c in "xyz")

    for t in (0.7, 0.4):  # each threshold by itself, beside any others
        alone = evaluate(rows, truth, [t]).map[0]
        among = evaluate(rows, truth, [0.9, t, 0.1, t]).map
        assert among[[1, 3]] == pytest.approx([alone, alone], abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_perfect_detections_score_one(seed):
    _, truth = real_like(np.random.default_rng(seed))
    perfect = [Detection(v.id, c, s, e, 0.5) for v in truth for s, e, c in v.segments]
    result = evaluate(perfect, truth, (*THUMOS14_TIOU, 1.0))
    assert result.map == pytest.approx([1] * 8, abs=1e-12)
    half = evaluate(perfect[::2], truth)
    counts = {
        c: [sum(d.label == c for d in rows) for rows in (perfect, perfect[::2])] for c in "xyz"
    }
    for c, (positives, hits) in counts.items():
        assert half.per_class[c] == pytest.approx([hits / positives] * 7)


def test_pairs_are_taken_as_one_by_one():
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, right = rng.integers(0, rng.integers(1, 12), (2, rng.integers(0, 40)))
        used, expected = (set(), set()), []
        for a, b in zip(left, right, strict=True):
            expected.append(a not in used[0] and b not in used[1])
            if expected[-1]:
                used[0].add(a)
                used[1].add(b)
        assert matching.greedy(left, right).tolist() == expected


# The result


def test_result():
    truth = [video("a", (0.0, 10.0), (20.0, 30.0, "y"))]
    rows = found((0, 6, 0.9)) + found((20, 30, 0.8), label="y")
    result = evaluate(iter(rows), iter(truth), protocol="activitynet")
    assert result.tiou == THUMOS14_TIOU
    assert result.map.tolist() == [1, 1, 1, 1, 1, 1, 0.5]
    assert result.average_map == pytest.approx(6.5 / 7)
    assert result.average(0.1, 0.5) == 1
    assert result.average(0.3, 0.7) == pytest.approx(0.9)
    assert result.average(0.7, 0.7) == 0.5  # though the threshold is 0.7000000000000001
    with pytest.raises(ValueError, match=r"no threshold in \[0.8, 0.9\]"):
        result.average(0.8, 0.9)
    with pytest.raises(AttributeError):
        result.map = 1


def test_result_as_json():
    truth = [video("a", (0.0, 10.0), (20.0, 30.0), (40.0, 50.0))]
    content = evaluate(found((0, 10, 0.9)), truth, (0.5, 0.75)).to_dict()
    assert content == {
        "protocol": "activitynet",
        "tiou": [0.5, 0.75],
        "mAP": [1 / 3, 1 / 3],
        "average_mAP": 1 / 3,
        "per_class": {"x": [1 / 3, 1 / 3]},
    }
    assert json.loads(json.dumps(content)) == content


def test_no_detections_at_all():
    assert evaluate([], [video("a", (0.0, 1.0))]).map.tolist() == [0] * 7


# What cannot be evaluated


def test_unknown_protocol():
    with pytest.raises(ValueError, match="protocol='thumos'; expected one of 'activitynet'"):
        evaluate([], [video("a", (0.0, 1.0))], protocol="thumos")


@pytest.mark.parametrize("tiou", [(), 0.5, (0.5, 0.0), (50,), (float("nan"),), [[0.5]]])
def test_bad_thresholds(tiou):
    with pytest.raises(ValueError, match=r"tiou=.*expected IoU thresholds in \(0, 1\]"):
        evaluate([], [video("a", (0.0, 1.0))], tiou)


@pytest.mark.parametrize("videos", [[], [video("a"), video("b")]])
def test_no_ground_truth(videos):
    with pytest.raises(ValueError, match=f"no segment in any of the {len(videos)} videos"):
        evaluate(found((0, 1, 0.5)), videos)


def test_video_given_twice():
    with pytest.raises(ValueError, match="video 'b' is given more than once"):
        evaluate([], [video("a", (0.0, 1.0)), video("b", (0.0, 1.0)), video("b")])


@pytest.mark.parametrize("place", ["start", "end", "score"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite(place, value):
    rows = found((0, 1, 0.5), (2, 3, 0.5))
    rows[1] = rows[1]._replace(**{place: value})
    rows += found((0, float("inf"), float("-inf")))
    with pytest.raises(ValueError, match="detection 1 is .*video='a'.* must be finite"):
        evaluate(rows, [video("a", (0.0, 1.0))])
    if place != "score":
        with pytest.raises(ValueError, match="segment 0 is .*video='a'.* must be finite"):
            evaluate([], [video("a", (rows[1].start, rows[1].end))])


def test_names_that_never_meet_are_remarked():
    truth = [video("v_a", (0.0, 1.0))]
    told = "none of 1 detections has a video of the ground truth: the first has 'a', .* 'v_a'"
    with pytest.warns(DataWarning, match=told) as warned:
        assert evaluate(found((0, 1, 0.5)), truth).map.tolist() == [0] * 7
    assert warned[0].filename == __file__
    with pytest.warns(DataWarning, match="has a label of .* the first has '7', .* 'x'"):
        assert evaluate(found((0, 1, 0.5), name="v_a", label="7"), truth).map.tolist() == [0] * 7
