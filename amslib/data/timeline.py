"""Made-up annotations with THUMOS14's statistics: who does what, when, in videos of what length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .video import SNIPPET_SECONDS, Dataset, Video


@dataclass(frozen=True)
class Shape:
    """How many videos of what kind. The defaults follow the annotations of THUMOS14.

    Lengths of videos are log-normal (median 235 snippets, mean about 327), so are those of
    instances (mean 4.3 s); actions take a third of a video on average, which makes about 15
    instances; one video in seven has a second class.
    """

    classes: int = 20
    train: int = 200
    test: int = 213
    median_snippets: float = 235.0
    spread: float = 0.81  # standard deviation of the logarithm
    shortest: int = 24
    longest: int = 2200
    instance_seconds: float = 4.3
    instance_spread: float = 0.7
    second_class: float = 0.15


def draw_timeline(shape: Shape, rng: np.random.Generator) -> Dataset:
    """A data set without features; classes are spread evenly over the videos of each split."""
    classes = tuple(f"Action{k:02d}" for k in range(shape.classes))
    splits = {}
    for split, count in (("train", shape.train), ("test", shape.test)):
        main = rng.permutation(np.arange(count) % shape.classes)
        splits[split] = tuple(
            _draw_video(f"synthetic_{split}_{i:04d}", int(k), classes, shape, rng)
            for i, k in enumerate(main)
        )
    return Dataset("synthetic timeline", classes, splits["train"], splits["test"])


def _draw_video(
    name: str, main: int, classes: tuple[str, ...], shape: Shape, rng: np.random.Generator
) -> Video:
    snippets = shape.median_snippets * np.exp(shape.spread * rng.standard_normal())
    snippets = int(np.clip(snippets, shape.shortest, shape.longest))
    duration = round((snippets + rng.random()) * SNIPPET_SECONDS, 2)
    present = [main]
    if rng.random() < shape.second_class:
        present.append(int((main + rng.integers(1, shape.classes)) % shape.classes))
    times = _draw_instances(duration, len(present), shape, rng)
    # every class of the video occurs; the rest of the instances are drawn from its classes
    which = [*present, *rng.choice(present, len(times) - len(present))]
    which = rng.permutation(which)
    segments = tuple((s, e, classes[k]) for (s, e), k in zip(times, which, strict=True))
    labels = tuple(classes[k] for k in sorted(present))
    return Video(name, labels=labels, segments=segments, duration=duration)


def _draw_instances(
    duration: float, at_least: int, shape: Shape, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Disjoint (start, end) in seconds, in order of time."""
    share = rng.beta(2.0, 4.2)  # of the video that is action, 0.32 on average
    count = max(at_least, round(share * duration / shape.instance_seconds))
    median = shape.instance_seconds * np.exp(-(shape.instance_spread**2) / 2)
    lengths = median * np.exp(shape.instance_spread * rng.standard_normal(count))
    lengths = lengths.clip(0.5, 60)
    lengths *= min(1.0, 0.8 * duration / lengths.sum())
    gaps = rng.dirichlet(np.ones(count + 1)) * (duration - lengths.sum())
    starts = np.cumsum(gaps[:-1]) + np.cumsum(lengths) - lengths
    return [
        (round(s, 2), round(s + n, 2))
        for s, n in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]
