"""The ActivityNet protocol in plain loops, random cases, and evaluators that get one rule wrong."""

import numpy as np
import pytest

from amslib.data.video import Video
from amslib.detections import Detection
from amslib.evaluation import THUMOS14_TIOU
from amslib.protocols import matching


def video(name, *segments):
    """A video with instances (start, end) of "x" or (start, end, label)."""
    return Video(name, segments=tuple((*s, "x")[:3] for s in segments))


def found(*rows, name="a", label="x"):
    """Detections (start, end, score) of one class in one video."""
    return [Detection(name, label, *map(float, row)) for row in rows]


def reference_iou(s, e, true_s, true_e):
    inter = max(0, min(e, true_e) - max(s, true_s))
    union = (true_e - true_s) + (e - s) - inter
    return inter / union if union > 0 else 0.0


def reference_ap(detections, videos, label, threshold):
    instances = {v.id: [s for s in v.segments if s[2] == label] for v in videos}
    positives = sum(map(len, instances.values()))
    taken, hits = set(), []
    mine = [d for d in detections if d.label == label]
    for _, d in sorted(enumerate(mine), key=lambda item: (item[1].score, item[0]), reverse=True):
        overlaps = [
            (reference_iou(d.start, d.end, s, e), i)
            for i, (s, e, _) in enumerate(instances.get(d.video, []))
        ]
        hit = False
        for iou, i in sorted(overlaps, reverse=True):
            if iou < threshold:
                break
            if (d.video, i) not in taken:
                taken.add((d.video, i))
                hit = True
                break
        hits.append(hit)
    recall, precision = [0.0], [0.0]
    for rank in range(1, len(hits) + 1):
        recall.append(sum(hits[:rank]) / positives)
        precision.append(sum(hits[:rank]) / rank)
    recall, precision = [*recall, 1.0], [*precision, 0.0]
    for i in reversed(range(len(precision) - 1)):
        precision[i] = max(precision[i], precision[i + 1])
    steps = range(1, len(recall))
    return sum((recall[i] - recall[i - 1]) * precision[i] for i in steps)


def random_case(rng):
    """A coarse grid: equal scores, equal IoUs, exact thresholds, copies, empty and inverted ones.

    Half of the cases have one class of short instances, which long detections overlap equally.
    """
    names, crowded = ["a", "b", "c"], rng.random() < 0.5
    labels = ["x"] if crowded else ["x", "y", "z"]

    def segment(longest, unit=1.0):
        start = unit * int(rng.integers(0, 8 if crowded else 12))
        return start, start + unit * int(rng.integers(0, longest + 1))

    videos = []
    for name in names:
        count, longest = rng.integers(1, 9), 2 if crowded else 7
        segments = [(*segment(longest), str(rng.choice(labels))) for _ in range(count)]
        videos.append(video(name, *segments))
    detections = []
    for _ in range(int(rng.integers(0, 60))):
        start, end = segment(7, float(rng.choice([0.5, 1.0, 1.0, 0.1])))
        if rng.random() < 0.1:
            start, end = end, start
        where = str(rng.choice([*names, "elsewhere"]))
        score = float(rng.choice([rng.random(), 0.5, 0.25]))
        detections.append(Detection(where, str(rng.choice([*labels, "none"])), start, end, score))
        if rng.random() < 0.2:
            detections.append(detections[-1])
    return detections, videos


def check_against_reference(evaluate, cases=60, seed=0):
    """What an evaluator of this protocol must survive; every mutant below must not."""
    rng = np.random.default_rng(seed)
    for _ in range(cases):
        detections, videos = random_case(rng)
        for tiou in (THUMOS14_TIOU, (0.2, 0.25, 1 / 3, 0.5, 1.0)):
            result = evaluate(detections, videos, tiou)
            assert sorted(result.per_class) == sorted({s[2] for v in videos for s in v.segments})
            for label, ap in result.per_class.items():
                expected = [reference_ap(detections, videos, label, t) for t in tiou]
                np.testing.assert_allclose(ap, expected, atol=1e-12, rtol=0)
            np.testing.assert_allclose(result.map, np.mean([*result.per_class.values()], 0))


def strictly_greater(detections, instances, tiou):
    return matching.best_free_instance(detections, instances, np.nextafter(tiou, 2))


def earlier_of_equal_scores_first(detections, instances, tiou):
    backwards = detections.rows(slice(None, None, -1))
    return matching.best_free_instance(backwards, instances, tiou)


def earlier_of_equal_overlaps_first(detections, instances, tiou):
    n = len(instances.video)
    backwards = np.lexsort((-np.arange(n), instances.video))
    return matching.best_free_instance(detections, instances.rows(backwards), tiou)


def no_second_choice(detections, instances, tiou):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "greedy", greedy_without_second_choice)
        return matching.best_free_instance(detections, instances, tiou)


def greedy_without_second_choice(left, right):
    favourite = np.zeros(len(left), bool)
    favourite[np.unique(left, return_index=True)[1]] = True
    first = np.unique(right[favourite], return_index=True)[1]
    favourite[np.setdiff1d(np.flatnonzero(favourite), np.flatnonzero(favourite)[first])] = False
    return favourite


def instances_hit_again(detections, instances, tiou):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "greedy", lambda a, b: matching._is_first(a) if len(a) else a > 0)
        return matching.best_free_instance(detections, instances, tiou)


def not_interpolated(hits, positives):
    precision = np.cumsum(hits, 0) / np.arange(1, len(hits) + 1)[:, None]
    return np.where(hits, precision, 0).sum(0) / positives


def zero_by_zero_is_one(detections, instances, tiou):
    true_iou = matching.interval_iou

    def iou(s, e, true_s, true_e):
        empty = (true_e - true_s) + (e - s) == 0
        return np.where(empty, 1.0, true_iou(s, e, true_s, true_e))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "interval_iou", iou)
        return matching.best_free_instance(detections, instances, tiou)


MATCHES = (
    strictly_greater,
    earlier_of_equal_scores_first,
    earlier_of_equal_overlaps_first,
    no_second_choice,
    instances_hit_again,
    zero_by_zero_is_one,
)
MUTANTS = {rule.__name__: dict(match=rule) for rule in MATCHES}
MUTANTS["not_interpolated"] = dict(average_precision=not_interpolated)
