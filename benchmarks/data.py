"""The data that is measured on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from amslib import Dataset, Detection, Video, load

TIMELINE = Path(__file__).parents[2] / "shared/data/thumos14/wtalc/Thumos14reduced-Annotations"
WIDTH = 1024


def thumos(width: int = WIDTH) -> tuple[Dataset, str]:
    """Generated features at the width of the real ones, and whose timeline they have: THUMOS14's
    where its annotations are at hand, else one that the generator draws.
    """
    if TIMELINE.exists():
        return load("synthetic", width=width, timeline=TIMELINE), "THUMOS14"
    return load("synthetic", width=width), "generated"


def noise(lengths: Iterable[int], classes: int = 4, width: int = 6) -> Dataset:
    """Videos of these lengths, one class each, without any pattern."""
    rng = np.random.default_rng(0)
    names = tuple(f"class {c}" for c in range(classes))
    videos = []
    for i, length in enumerate(lengths):
        label = names[i % classes]
        features = {"rgb": rng.standard_normal((length, width), dtype=np.float32)}
        videos.append(Video(f"video {i}", features, (label,), ((0.0, 1.0, label),)))
    return Dataset("noise", names, tuple(videos), tuple(videos), "")


def detections(videos: Iterable[Video], count: int) -> list[Detection]:
    """Random detections of the classes of the videos."""
    rng = np.random.default_rng(0)
    videos = [v for v in videos if v.segments]
    labels = sorted({label for v in videos for _, _, label in v.segments})
    which, what = rng.integers(len(videos), size=count), rng.integers(len(labels), size=count)
    spans, scores = np.sort(rng.random((count, 2))), rng.random(count)
    return [
        Detection(videos[i].id, labels[k], a * videos[i].duration, b * videos[i].duration, score)
        for i, k, (a, b), score in zip(which, what, spans.tolist(), scores.tolist(), strict=True)
    ]
