"""What every loader returns: a `Dataset` of `Video`s, and nothing of any on-disk format."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

SNIPPET_SECONDS = 16 / 25  # 16 frames at 25 fps, the field's I3D features


@dataclass(frozen=True)
class Video:
    """One untrimmed video: snippet features, video-level labels and, for scoring, its segments.

    Args:
        id: name of the video.
        features: one array of shape (T, D) per stream, e.g. ``{"rgb": .., "flow": ..}``; a lazy
            mapping is fine, an entry is read when it is asked for.
        labels: names of the classes the video contains (the only supervision training uses).
        segments: ground truth ``(start_s, end_s, label)``, in seconds, in annotation order.
        ambiguous: ``(start_s, end_s)`` intervals some protocols leave out, in seconds.
        duration: length of the video in seconds, or None where the data set does not say.
        snippet_seconds: seconds from one snippet to the next.
        offset_seconds: where the first snippet begins; snippet t covers [t, t + 1) times
            `snippet_seconds` after it.
        metadata: whatever else a format or generator knows, by name.

    Raises:
        ValueError: the labels are one text instead of names, or a segment is no triple.
    """

    id: str
    features: Mapping[str, np.ndarray] = field(repr=False, default_factory=dict)
    labels: tuple[str, ...] = ()
    segments: tuple[tuple[float, float, str], ...] = ()
    ambiguous: tuple[tuple[float, float], ...] = ()
    duration: float | None = None
    snippet_seconds: float = SNIPPET_SECONDS
    offset_seconds: float = 0.0
    metadata: Mapping = field(repr=False, default_factory=dict)

    def __post_init__(self):
        if isinstance(self.labels, str):  # which is a sequence, of letters
            raise ValueError(
                f"video {self.id}: labels={self.labels!r} is one text; expected a tuple of names, "
                f"e.g. ({self.labels!r},)"
            )
        for segment in self.segments:
            if len(segment) != 3:
                raise ValueError(
                    f"video {self.id}: segment {segment!r}; expected (start_s, end_s, label)"
                )

    @property
    def num_snippets(self) -> int:
        """T, the number of snippets (0 without features)."""
        shapes = getattr(self.features, "shapes", None)  # features on disk know theirs unread
        if shapes is None:
            shapes = {stream: np.shape(x) for stream, x in self.features.items()}
        return next((shape[0] for shape in shapes.values()), 0)


@dataclass(frozen=True)
class Dataset:
    """Training and test videos over one list of classes.

    Args:
        name: what the data set calls itself.
        classes: class names; their order is the class axis (C) of every array.
        train: videos to learn from.
        test: videos to score.
        fingerprint: short hash that changes when anything does that decides a number: labels,
            segments, times, which videos are in which part, and every byte of the features on disk.
            `dataclasses.replace` copies it: pass ``fingerprint=""`` for a copy with other content.
        options: those passed to `load`.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[Video, ...] = field(repr=False)
    test: tuple[Video, ...] = field(repr=False)
    fingerprint: str = ""
    options: Mapping = field(default_factory=dict, repr=False, compare=False)

    @property
    def streams(self) -> tuple[str, ...]:
        """Feature streams, in the order rgb, flow, others."""
        known = {name for v in (*self.train, *self.test)[:1] for name in v.features}
        return tuple(sorted(known, key=lambda s: ({"rgb": 0, "flow": 1}.get(s, 2), s)))

    def only(self, stream: str) -> Dataset:
        """The same videos with one of their streams, still unread."""
        train, test = (
            tuple(replace(v, features=OneStream(v.features, stream)) for v in videos)
            for videos in (self.train, self.test)
        )
        mark = fingerprint(self.fingerprint, stream) if self.fingerprint else ""
        return replace(self, train=train, test=test, fingerprint=mark)

    @cached_property
    def identity(self) -> str:
        """The `fingerprint`; without one, a hash of all that the data set holds."""
        if self.fingerprint:
            return self.fingerprint
        arrays = [
            part
            for video in (*self.train, *self.test)
            for stream in sorted(video.features)
            for part in (stream, np.asarray(video.features[stream]))
        ]
        return fingerprint(self.classes, self.train, self.test, *arrays)

    def labels(self, videos) -> np.ndarray:
        """Video-level labels as a {0, 1} array of shape (len(videos), C).

        Raises:
            ValueError: a video has a label that is none of `classes`.
        """
        return label_flags(videos, self.classes)


def label_flags(videos: Sequence[Video], classes: Sequence[str]) -> np.ndarray:
    """Video-level labels as a {0, 1} array of shape (len(videos), len(classes)).

    Raises:
        ValueError: a class is named twice, or a video has a label that is none of them.
    """
    column = {name: k for k, name in enumerate(classes)}
    if len(column) < len(classes):
        twice = next(name for k, name in enumerate(classes) if column[name] != k)
        raise ValueError(f"class {twice!r} is named more than once; name each class once")
    flags = np.zeros((len(videos), len(classes)), np.float32)
    for row, video in enumerate(videos):
        for name in video.labels:
            if name not in column:
                raise ValueError(
                    f"video {video.id}: label {name!r} is none of the {len(classes)} classes "
                    f"({', '.join(map(str, classes[:3]))}, ..); correct it, or add the class"
                )
            flags[row, column[name]] = 1
    return flags


class OneStream(Mapping):
    """One of the streams of a video, read when it is asked for."""

    def __init__(self, features: Mapping[str, np.ndarray], stream: str):
        self.features, self.stream = features, stream

    def __getitem__(self, stream: str) -> np.ndarray:
        if stream != self.stream:
            raise KeyError(stream)
        return self.features[stream]

    def __iter__(self) -> Iterator[str]:
        return (stream for stream in self.features if stream == self.stream)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape (T, D), unread where the features know it."""
        known = getattr(self.features, "shapes", None)
        return {name: np.shape(self[name]) if known is None else known[name] for name in self}

    @property
    def parts(self) -> Mapping:
        """The file of the stream.

        Raises:
            AttributeError: the features are in memory.
        """
        return {name: part for name, part in self.features.parts.items() if name == self.stream}


def fingerprint(*parts) -> str:
    """16 hex digits over arrays, strings and plain values, in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"|")
    return digest.hexdigest()[:16]
