"""What training and inference require of videos in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from .data.rules import non_finite_rows
from .data.video import Video


def feature_shape(video: Video, stream: str) -> tuple[int, int]:
    """(T, D) of one stream; features on disk are not read for it.

    Raises:
        ValueError: the video lacks the stream, or it is not a matrix of numbers; names both.
    """
    if stream not in video.features:
        there = sorted(video.features) or "none"
        raise ValueError(f"video {video.id}: no {stream} features (has {there})")
    shapes = getattr(video.features, "shapes", None)
    shape = tuple(_array(video, stream).shape if shapes is None else shapes[stream])
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"video {video.id}: {stream} features have shape {shape}; expected (T, D), one row "
            "for each of at least one snippet"
        )
    return shape


def feature_shapes(videos: Sequence[Video], stream: str) -> list[tuple[int, int]]:
    """(T, D) of each video.

    Raises:
        ValueError: see `feature_shape`; also if one differs in D from the first.
    """
    shapes = [feature_shape(video, stream) for video in videos]
    for video, shape in zip(videos, shapes, strict=True):
        if shape[1] != shapes[0][1]:
            raise ValueError(
                f"video {video.id}: {stream} features have shape {shape}; expected "
                f"(T, {shapes[0][1]}) as in {videos[0].id}"
            )
    return shapes


def feature_array(video: Video, stream: str) -> np.ndarray:
    """Features (T, D) of one stream as real numbers of any type, on the CPU.

    Raises:
        ValueError: they are not that, or some are masked; names video and stream.
    """
    array = _array(video, stream)
    if array.ndim != 2 or 0 in array.shape:
        feature_shape(video, stream)
    return array


def _array(video: Video, stream: str) -> np.ndarray:
    values = video.features[stream]
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if np.ma.is_masked(values):
        row = np.argwhere(np.ma.getmaskarray(values))[0][0]
        raise ValueError(
            f"video {video.id}: {stream} features have masked values, the first in row {row}; "
            "replace them with numbers, e.g. with numpy.ma.filled"
        )
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty(0, object)  # rows of different widths
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"video {video.id}: {stream} features are {_described(values)}; expected real numbers "
            "of shape (T, D)"
        )
    return array


def _described(values) -> str:
    kind = f"a {type(values).__name__}"
    return f"{kind} of {values.dtype}" if hasattr(values, "dtype") else kind


def require_finite(video: Video, stream: str, array: np.ndarray, first: int = 0) -> None:
    """Refuse what float32, which everything is computed in, cannot hold.

    Args:
        video: named in the error, as is the stream.
        stream: of the features.
        array: some of its rows, (T, D).
        first: the row of the video that they begin with.

    Raises:
        ValueError: a value of features (T, D) is not finite; names video, stream and row.
    """
    rows = non_finite_rows(array)
    if rows.size:
        raise ValueError(
            f"video {video.id}: row {first + rows[0]} of its {stream} features is not finite in "
            "float32; extract the video again, or leave it out"
        )


def require_distinct(videos: Sequence[Video]) -> None:
    """Refuse two videos of one name.

    Raises:
        ValueError: there are two; names them.
    """
    seen = set()
    for video in videos:
        if video.id in seen:
            raise ValueError(f"video {video.id} is given more than once; give each video once")
        seen.add(video.id)


def require_streams(videos: Sequence[Video], streams: Iterable[str]) -> None:
    """Refuse videos that lack one of the streams, or whose streams do not fit together.

    Raises:
        ValueError: there is one; names video and streams.
    """
    streams = list(streams)
    for video in videos:
        lengths = {stream: feature_shape(video, stream)[0] for stream in streams}
        if len(set(lengths.values())) > 1:
            found = " and ".join(f"{length} of {stream}" for stream, length in lengths.items())
            raise ValueError(
                f"video {video.id}: the streams differ in length ({found} snippets); cut them to "
                "the shorter if they differ by a snippet, else extract the video again"
            )


def require_times(
    video: str, snippet_seconds: float, duration: float | None, offset_seconds: float
) -> None:
    """Refuse times of a video that no detection can be computed from.

    Raises:
        ValueError: the step is not positive and finite, the offset not finite, or the duration
            neither None nor positive.
    """
    wrong = None
    if not (_is_number(snippet_seconds) and 0 < snippet_seconds < math.inf):
        wrong = f"snippet_seconds={snippet_seconds!r}; expected a positive number of seconds"
    elif not (_is_number(offset_seconds) and math.isfinite(offset_seconds)):
        wrong = f"offset_seconds={offset_seconds!r}; expected a finite number of seconds"
    elif duration is not None and not (_is_number(duration) and duration > 0):
        wrong = f"duration={duration!r}; expected a positive number of seconds, or None"
    if wrong:
        raise ValueError(f"video {video}: {wrong}" if video else wrong)


def _is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
