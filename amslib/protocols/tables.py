"""What was given to an evaluator, as columns of numbers; times in seconds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter

import numpy as np

from ..data.findings import DataWarning
from ..data.video import Video
from ..detections import Detection
from .matching import Table


def in_seconds(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """Class names, and everything that was given as tables, neither rounded nor left out.

    Instances stay in annotation order and are sorted by video.
    """
    segments = [Detection(v.id, c, s, e, 1.0) for v in videos for s, e, c in v.segments]
    if not segments:
        mend = "Give annotated videos, e.g. the test part of a data set"
        raise ValueError(f"no segment in any of the {len(videos)} videos. {mend}.")
    index = {v.id: i for i, v in enumerate(videos)}
    if len(index) < len(videos):
        twice = next(v.id for i, v in enumerate(videos) if index[v.id] != i)
        raise ValueError(f"video {twice!r} is given more than once. Give each video once.")
    classes = sorted({row.label for row in segments})
    column = {name: k for k, name in enumerate(classes)}
    found = _table("detection", detections, index, column)
    _warn_of_strangers(detections, found, segments)
    return classes, found, _table("segment", segments, index, column)


def _table(kind, rows, videos, classes) -> Table:
    # column by column: zip(*rows) makes an iterator of every row
    video, label, *numbers = (map(itemgetter(i), rows) for i in range(5))
    start, end, score = (np.fromiter(column, float, len(rows)) for column in numbers)
    wrong = np.flatnonzero(~np.isfinite([start, end, score]).all(axis=0))
    if wrong.size:
        message = f"{kind} {wrong[0]} is {rows[wrong[0]]}; its times and score must be finite"
        raise ValueError(f"{message}. Correct it or leave it out.")
    return Table(indices(video, videos), indices(label, classes), start, end, score)


def indices(names: Iterable[str], index: Mapping[str, int]) -> np.ndarray:
    """The index (N,) of each name, -1 where it has none."""
    return np.fromiter(map(index.get, names, repeat(-1)), int)


def _warn_of_strangers(detections, found, segments) -> None:
    for what, column in (("video", found.video), ("label", found.label)):
        if len(column) and (column < 0).all():
            given, known = getattr(detections[0], what), getattr(segments[0], what)
            text = f"none of {len(column)} detections has a {what} of the ground truth"
            names = f"the first has {given!r}, the ground truth {known!r}"
            mend = "Name them alike, a leading v_ included; as it stands mAP is 0"
            warnings.warn(f"{text}: {names}. {mend}.", DataWarning, stacklevel=5)
