"""What was given to an evaluator, as columns of numbers; times in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter

import numpy as np

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
    return classes, found, _table("segment", segments, index, column)


def _table(kind, rows, videos, classes) -> Table:
    # column by column: zip(*rows) makes an iterator of every row
    video, label, *numbers = (map(itemgetter(i), rows) for i in range(5))
    try:
        start, end, score = (np.fromiter(column, float, len(rows)) for column in numbers)
    except (TypeError, ValueError, OverflowError):
        wrong = next(row for row in enumerate(rows) if not all(map(_is_number, row[1][2:])))
        raise _wrong(kind, *wrong) from None
    finite = np.isfinite(start) & np.isfinite(end) & np.isfinite(score)
    if not finite.all():
        raise _wrong(kind, finite.argmin(), rows[finite.argmin()])
    return Table(indices(video, videos), indices(label, classes), start, end, score)


def _wrong(kind, number, row) -> ValueError:
    message = f"{kind} {number} is {row}; its times and score must be finite numbers"
    return ValueError(f"{message}. Correct it or leave it out.")


def _is_number(value) -> bool:
    try:
        return np.ndim(value) == 0 and isinstance(float(value), float)
    except (TypeError, ValueError, OverflowError):
        return False


def indices(names: Iterable[str], index: Mapping[str, int]) -> np.ndarray:
    """The index (N,) of each name, -1 where it has none."""
    return np.fromiter(map(index.get, names, repeat(-1)), int)
