"""Every protocol once more, in plain loops, as slow and as plain as its specification."""

from __future__ import annotations

import numpy as np

from amslib.data.video import Video
from amslib.detections import Detection

RECALLS = [0.1 * i for i in range(11)]


def reference(protocol: str, detections, videos, tiou) -> dict[str, list[float]]:
    """Average precisions of each class at each threshold."""
    if protocol == "activitynet-210":
        three = [f"video_test_{n}" for n in ("0000270", "0001292", "0001496")]
        detections = [d for d in detections if d.video not in three]
        videos = [v for v in videos if v.id not in three]
    if protocol in ("co2net", "wtalc"):
        detections, videos = in_snippets(detections, videos)
    if protocol == "wtalc":
        annotated = [v.id for v in videos if v.segments]
        detections = [d for d in detections if d.video in annotated]
    if protocol in ("actionformer", "opentad"):
        videos = [cleaned(v, protocol) for v in videos]
    labels = sorted({s[2] for v in videos for s in v.segments})
    rule = {"wtalc": wtalc, "thumos-2014": kit_2014, "thumos-updated": kit_updated}
    ap = rule.get(protocol, activitynet)
    return {label: [ap(detections, videos, label, t) for t in tiou] for label in labels}


def snippet(t: float) -> int:
    return round(t * 25 / 16)


def in_snippets(detections, videos):
    rounded = []
    for v in videos:
        segments = tuple((snippet(s), snippet(e), label) for s, e, label in v.segments)
        spans = tuple((snippet(s), snippet(e)) for s, e in v.ambiguous)
        rounded.append(Video(v.id, segments=segments, ambiguous=spans))
    kept = []
    for d in detections:
        d = d._replace(start=snippet(d.start), end=snippet(d.end))
        mine = set(range(int(d.start), int(d.end)))
        spans = [s for v in rounded if v.id == d.video for s in v.ambiguous]
        if not any(mine & set(range(s, e)) for s, e in spans):
            kept.append(d)
    return kept, rounded


def cleaned(video, protocol):
    kept = []
    for s, e, label in video.segments:
        repeats = any(label == k and abs(s - a) <= 1e-3 and abs(e - b) <= 1e-3 for a, b, k in kept)
        too_short = e - s < 1e-3 if protocol == "actionformer" else e - s <= 0
        if not repeats and not too_short:
            kept.append((s, e, label))
    return Video(video.id, segments=tuple(kept), ambiguous=video.ambiguous)


def of_class(videos, label):
    return {v.id: [s[:2] for s in v.segments if s[2] == label] for v in videos}


def iou(a, b) -> float:
    inter = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (b[1] - b[0]) + (a[1] - a[0]) - inter
    return inter / union if union > 0 else 0.0


def activitynet(detections, videos, label, t) -> float:
    truth = of_class(videos, label)
    taken, hits = set(), []
    mine = [d for d in detections if d.label == label]
    for d in sorted(reversed(mine), key=lambda d: -d.score):
        rows = truth.get(d.video, [])
        order = sorted(range(len(rows)), key=lambda i: (-iou(d[2:4], rows[i]), -i))
        free = [i for i in order if iou(d[2:4], rows[i]) >= t and (d.video, i) not in taken]
        taken.update([(d.video, free[0])] if free else [])
        hits.append(bool(free))
    positives = sum(map(len, truth.values()))
    precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    return sum(max(precision[i:]) for i, hit in enumerate(hits) if hit) / positives


def wtalc(detections, videos, label, t) -> float:
    truth = of_class(videos, label)
    free = {video: list(rows) for video, rows in truth.items()}
    hits = []
    for d in sorted((d for d in detections if d.label == label), key=lambda d: -d.score):
        mine = set(range(int(d.start), int(d.end)))
        hit = None
        for row in free[d.video]:
            other = set(range(*row))
            if mine | other and len(mine & other) / len(mine | other) >= t:
                hit = row
                break
        if hit is not None:
            free[d.video].remove(hit)
        hits.append(hit is not None)
    precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    return sum(p for p, hit in zip(precision, hits, strict=True) if hit) / sum(
        map(len, truth.values())
    )


def overlap(a, b) -> float:
    a, b = sorted(a), sorted(b)
    common = min(a[1], b[1]) - max(a[0], b[0])
    return common / (max(a[1], b[1]) - min(a[0], b[0])) if common > 0 else 0.0


def kit_outcomes(detections, videos, label, t) -> list[tuple[Detection, bool]]:
    """Detections that count, and whether each is a hit: by name of the video, then by score."""
    truth, outcomes = of_class(videos, label), []
    spans = {v.id: v.ambiguous for v in videos}
    for name in sorted({*truth, *(d.video for d in detections)}):
        mine = [d for d in detections if d.video == name and d.label == label]
        mine.sort(key=lambda d: -d.score)
        used = [False] * len(mine)
        for row in truth.get(name, []):
            best, value = None, -1.0
            for i, d in enumerate(mine):
                if not used[i] and overlap(d[2:4], row) > value:
                    best, value = i, overlap(d[2:4], row)
            if best is not None and value > t:
                used[best] = True
        for d, hit in zip(mine, used, strict=True):
            if hit or not any(overlap(d[2:4], span) > 0 for span in spans.get(name, ())):
                outcomes.append((d, hit))
    return outcomes


def kit_updated(detections, videos, label, t) -> float:
    outcomes = kit_outcomes(detections, videos, label, t)
    hits = [hit for _, hit in sorted(outcomes, key=lambda o: -o[0].score)]
    total = sum(sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit)
    return total / sum(map(len, of_class(videos, label).values()))


def kit_2014(detections, videos, label, t) -> float:
    outcomes = kit_outcomes(detections, videos, label, t)
    hits = [hit for _, hit in sorted(outcomes, key=lambda o: (-o[0].score, not o[1]))]
    positives = sum(map(len, of_class(videos, label).values()))
    points = [
        (sum(hits[: i + 1]) / positives, sum(hits[: i + 1]) / (i + 1)) for i in range(len(hits))
    ]
    best = [max([p for r, p in points if r >= level], default=0.0) for level in RECALLS]
    return float(np.mean(best))


def nasty_case(rng: np.random.Generator) -> tuple[list[Detection], list[Video]]:
    """Ties, repeats, empty and inverted intervals, ambiguous ones, videos without ground truth."""

    def interval():
        start = float(rng.integers(0, 12)) * rng.choice([0.32, 0.64, 0.5])
        return start, start + float(rng.choice([0.0, 0.0005, 0.2, 0.64, 1.28, 2.0, 3.2]))

    videos = []
    for name in ("b", "video_test_0001496", "a", "d"):
        segments = [(*interval(), str(rng.choice(["X", "Y"]))) for _ in range(rng.integers(0, 5))]
        if segments and rng.random() < 0.4:
            s, e, label = segments[0]
            segments.append((s + rng.choice([0.0005, -0.0007]), e, label))
        spans = tuple(interval() for _ in range(rng.integers(0, 2)))
        videos.append(Video(name, segments=tuple(segments), ambiguous=spans))
    videos.append(Video("c", segments=((1.0, 3.0, "X"), (4.0, 6.5, "Y"))))
    known = [(v.id, s) for v in videos for s in v.segments]
    detections = []
    for _ in range(int(rng.integers(0, 16))):
        video, (start, end, label) = known[rng.integers(len(known))]
        kind = rng.random()
        if kind < 0.3:
            start, end = interval()
        if kind > 0.9:
            start, end = end, start
        video = str(rng.choice([video, video, video, "nowhere", "d"]))
        label = str(rng.choice([label, label, "X", "Z"]))
        score = float(rng.choice([0.1, 0.5, 0.5, 0.9, rng.random()]))
        detections.append(Detection(video, label, start, end, score))
    return detections, videos
